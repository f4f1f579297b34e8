//! Which SSRC of a transport is which layer of which track.
//!
//! An entry comes from signalling or, once a packet has authenticated, from its MID and RID. One
//! layer has at most one media and one RTX stream; one SSRC never serves two layers. Bounded, so
//! that a peer cannot make the table grow.

use crate::ids::TrackId;

/// Entries of one transport.
pub const MAX_SSRCS: usize = 64;

/// What an SSRC carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Whose.
    pub track: TrackId,
    /// Index into the track's layers.
    pub layer: usize,
    /// Whether it is the layer's RTX stream (RFC 4588).
    pub repair: bool,
}

/// The SSRC was not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is another stream already.
    Taken,
    /// The table is full.
    Full,
}

/// The SSRCs of one transport.
#[derive(Debug, Default)]
pub struct SsrcTable {
    /// Sorted by SSRC.
    entries: Vec<(u32, Stream)>,
}

impl SsrcTable {
    /// What an SSRC carries.
    #[must_use]
    pub fn get(&self, ssrc: u32) -> Option<Stream> {
        let at = self.find(ssrc).ok()?;
        self.entries.get(at).map(|entry| entry.1)
    }

    /// Binds an SSRC. Returns whether the stream had another SSRC before, which is forgotten:
    /// the publisher started it anew.
    ///
    /// # Errors
    /// [`Refused`] when the SSRC is another stream, or the table is full.
    pub fn bind(&mut self, ssrc: u32, stream: Stream) -> Result<bool, Refused> {
        match self.get(ssrc) {
            Some(bound) if bound == stream => return Ok(false),
            Some(_) => return Err(Refused::Taken),
            None => {}
        }
        let before = self.entries.len();
        self.entries.retain(|entry| entry.1 != stream);
        let replaced = self.entries.len() != before;
        if self.entries.len() >= MAX_SSRCS {
            return Err(Refused::Full);
        }
        if let Err(at) = self.find(ssrc) {
            self.entries.insert(at, (ssrc, stream));
        }
        Ok(replaced)
    }

    /// The SSRC of a stream.
    #[must_use]
    pub fn ssrc_of(&self, stream: Stream) -> Option<u32> {
        self.entries
            .iter()
            .find(|entry| entry.1 == stream)
            .map(|entry| entry.0)
    }

    /// Forgets an SSRC.
    pub fn remove(&mut self, ssrc: u32) {
        self.entries.retain(|entry| entry.0 != ssrc);
    }

    /// Forgets all SSRCs of a track.
    pub fn remove_track(&mut self, track: TrackId) {
        self.entries.retain(|entry| entry.1.track != track);
    }

    fn find(&self, ssrc: u32) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&ssrc, |entry| entry.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(track: u64, layer: usize) -> Stream {
        Stream {
            track: TrackId(track),
            layer,
            repair: false,
        }
    }

    #[test]
    fn an_ssrc_stays_with_its_stream() {
        let mut table = SsrcTable::default();
        assert_eq!(table.bind(7, stream(1, 0)), Ok(false));
        assert_eq!(table.bind(7, stream(1, 0)), Ok(false));
        assert_eq!(table.bind(7, stream(1, 1)), Err(Refused::Taken));
        assert_eq!(table.bind(7, stream(2, 0)), Err(Refused::Taken));
        assert_eq!(table.get(7), Some(stream(1, 0)));
    }

    #[test]
    fn a_new_ssrc_of_a_stream_replaces_the_old_one() {
        let mut table = SsrcTable::default();
        table.bind(7, stream(1, 0)).unwrap();
        assert_eq!(table.bind(8, stream(1, 0)), Ok(true));
        assert_eq!((table.get(7), table.ssrc_of(stream(1, 0))), (None, Some(8)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = SsrcTable::default();
        for layer in 0..MAX_SSRCS {
            table.bind(1_000 - layer as u32, stream(1, layer)).unwrap();
        }
        assert_eq!(table.bind(5_000, stream(2, 0)), Err(Refused::Full));
        table.remove_track(TrackId(1));
        assert_eq!(table.bind(5_000, stream(2, 0)), Ok(false));
        table.remove(5_000);
        assert_eq!(table.get(5_000), None);
    }
}
