//! What a track or a slot is made of, as negotiated in SDP and handed down once.
//!
//! Plain data with one check each ([`TrackParams::validate`], [`SlotParams::validate`]): what
//! passes it can be trusted by everything below. Errors are sentences for the caller of the API.

use std::collections::HashSet;
use std::fmt;

/// What kind of media flows; `Screen` is video that must stay sharp and has no thumbnails.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MediaKind {
    /// Opus from a microphone.
    Audio,
    /// A camera.
    Video,
    /// A shared screen.
    Screen,
}

impl MediaKind {
    /// From its name in the API: "audio", "video" or "screen".
    pub fn parse(name: &str) -> Result<Self, ParamError> {
        match name {
            "audio" => Ok(Self::Audio),
            "video" => Ok(Self::Video),
            "screen" => Ok(Self::Screen),
            _ => Err(ParamError(format!(
                "kind must be audio, video or screen, not {name:?}"
            ))),
        }
    }

    /// Whether frames are pictures.
    #[must_use]
    pub fn is_video(self) -> bool {
        self != Self::Audio
    }
}

/// A codec that the engine understands well enough to switch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CodecName {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 6184.
    H264,
}

impl CodecName {
    /// From its name in the API: "opus", "vp8" or "h264".
    pub fn parse(name: &str) -> Result<Self, ParamError> {
        match name {
            "opus" => Ok(Self::Opus),
            "vp8" => Ok(Self::Vp8),
            "h264" => Ok(Self::H264),
            _ => Err(ParamError(format!(
                "codec must be opus, vp8 or h264, not {name:?}"
            ))),
        }
    }
}

/// One payload type of an m-section and, if negotiated, the one of its retransmissions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Codec {
    /// RTP payload type, 0 to 127.
    pub payload_type: u8,
    /// What the payload is.
    pub name: CodecName,
    /// RTP timestamp units per second.
    pub clock_rate: u32,
    /// RFC 4588 payload type.
    pub rtx_payload_type: Option<u8>,
}

/// One header extension of an m-section (RFC 8285).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extension {
    /// Local identifier, 1 to 255 without 15.
    pub id: u8,
    /// What the element means; an unknown one is carried by nobody.
    pub uri: String,
}

/// One m-section that a peer sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackParams {
    /// Audio, camera or screen.
    pub kind: MediaKind,
    /// Media identification of the section (RFC 9143).
    pub mid: String,
    /// Accepted payload types.
    pub codecs: Vec<Codec>,
    /// Accepted header extensions.
    pub extensions: Vec<Extension>,
    /// Simulcast encodings, largest first (RFC 8851); empty without simulcast.
    pub rids: Vec<String>,
    /// Signalled (SSRC, its RTX SSRC); others are learned from MID and RID.
    pub ssrcs: Vec<(u32, Option<u32>)>,
}

/// One m-section that a peer receives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotParams {
    /// Audio, camera or screen.
    pub kind: MediaKind,
    /// Media identification of the section (RFC 9143).
    pub mid: String,
    /// Payload types that the peer accepts.
    pub codecs: Vec<Codec>,
    /// Header extensions that the peer accepts.
    pub extensions: Vec<Extension>,
    /// A lane that the engine binds to one of the room's loudest tracks; audio only.
    pub auto: bool,
    /// The slot's SSRC, made by the caller's generator.
    pub ssrc: u32,
    /// The SSRC of the slot's retransmissions, when a codec has them.
    pub rtx_ssrc: Option<u32>,
    /// The canonical name of both in source descriptions (RFC 3550 section 6.5.1).
    pub cname: String,
}

/// Why parameters were refused, as a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParamError(pub String);

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParamError {}

/// A MID or RID travels in a header extension element of at most this many bytes.
pub const MAX_NAME: usize = 16;
/// The length of an item in a source description is one byte (RFC 3550 section 6.5).
const MAX_CNAME: usize = 255;
/// Simulcast encodings of one track, told apart by rid or by ssrc.
pub const MAX_RIDS: usize = 4;

impl TrackParams {
    /// Checks every field against its RFC and against the others.
    pub fn validate(&self) -> Result<(), ParamError> {
        validate_section(self.kind, &self.mid, &self.codecs, &self.extensions)?;
        if self.rids.len() > MAX_RIDS {
            return refuse(format!("at most {MAX_RIDS} rids, not {}", self.rids.len()));
        }
        let mut rids = HashSet::new();
        for rid in &self.rids {
            validate_name("rid", rid)?;
            if !rids.insert(rid) {
                return refuse(format!("rid {rid:?} stands twice"));
            }
        }
        // Each makes a layer, with or without a rid.
        if self.ssrcs.len() > MAX_RIDS {
            return refuse(format!(
                "at most {MAX_RIDS} ssrcs, not {}",
                self.ssrcs.len()
            ));
        }
        let mut ssrcs = HashSet::new();
        for &(ssrc, rtx) in &self.ssrcs {
            for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
                if ssrc == 0 {
                    return refuse("an ssrc must not be 0".into());
                }
                if !ssrcs.insert(ssrc) {
                    return refuse(format!("ssrc {ssrc} stands twice"));
                }
            }
        }
        Ok(())
    }
}

impl SlotParams {
    /// Checks every field against its RFC and against the others.
    pub fn validate(&self) -> Result<(), ParamError> {
        validate_section(self.kind, &self.mid, &self.codecs, &self.extensions)?;
        if self.auto && self.kind != MediaKind::Audio {
            return refuse("only an audio slot can be auto".into());
        }
        if self.ssrc == 0 || self.rtx_ssrc == Some(0) || self.rtx_ssrc == Some(self.ssrc) {
            return refuse("a slot needs two different ssrcs that are not 0".into());
        }
        if self.cname.is_empty() || self.cname.len() > MAX_CNAME {
            return refuse(format!("cname must have 1 to {MAX_CNAME} bytes"));
        }
        Ok(())
    }
}

fn validate_section(
    kind: MediaKind,
    mid: &str,
    codecs: &[Codec],
    extensions: &[Extension],
) -> Result<(), ParamError> {
    validate_name("mid", mid)?;
    if codecs.is_empty() {
        return refuse("a section needs a codec".into());
    }
    let mut payload_types = HashSet::new();
    for codec in codecs {
        if (codec.name == CodecName::Opus) != (kind == MediaKind::Audio) {
            return refuse(format!("{:?} does not carry {kind:?}", codec.name));
        }
        if codec.clock_rate == 0 {
            return refuse("a clock rate must not be 0".into());
        }
        let pair = [Some(codec.payload_type), codec.rtx_payload_type];
        for payload_type in pair.into_iter().flatten() {
            if payload_type > 127 {
                return refuse(format!("payload type {payload_type} is above 127"));
            }
            // With rtcp-mux these bytes would read as RTCP (RFC 5761 section 4).
            if (64..96).contains(&payload_type) {
                return refuse(format!("payload type {payload_type} is in RTCP's range"));
            }
            if !payload_types.insert(payload_type) {
                return refuse(format!("payload type {payload_type} stands twice"));
            }
        }
    }
    let mut ids = HashSet::new();
    for extension in extensions {
        if extension.id == 0 || extension.id == 15 {
            return refuse(format!("extension id {} is reserved", extension.id));
        }
        if !ids.insert(extension.id) {
            return refuse(format!("extension id {} stands twice", extension.id));
        }
    }
    Ok(())
}

fn validate_name(what: &str, name: &str) -> Result<(), ParamError> {
    let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
    if name.is_empty() || name.len() > MAX_NAME || !printable {
        return refuse(format!(
            "{what} must be 1 to {MAX_NAME} visible ASCII characters, not {name:?}"
        ));
    }
    Ok(())
}

fn refuse(sentence: String) -> Result<(), ParamError> {
    Err(ParamError(sentence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track() -> TrackParams {
        TrackParams {
            kind: MediaKind::Video,
            mid: "1".into(),
            codecs: vec![Codec {
                payload_type: 96,
                name: CodecName::Vp8,
                clock_rate: 90_000,
                rtx_payload_type: Some(97),
            }],
            extensions: vec![Extension {
                id: 4,
                uri: "urn:ietf:params:rtp-hdrext:sdes:mid".into(),
            }],
            rids: vec!["f".into(), "h".into()],
            ssrcs: vec![(1, Some(2))],
        }
    }

    #[test]
    fn a_browsers_video_section_passes() {
        assert_eq!(track().validate(), Ok(()));
    }

    #[test]
    fn four_layers_pass_by_rid_or_by_ssrc() {
        let four = TrackParams {
            rids: Vec::new(),
            ssrcs: (1..5).map(|n| (n, Some(n + 10))).collect(),
            ..track()
        };
        assert_eq!(four.validate(), Ok(()));
    }

    #[test]
    fn each_broken_field_is_named() {
        type Break = fn(&mut TrackParams);
        let cases: [(Break, &str); 13] = [
            (|t| t.mid.clear(), "mid"),
            (|t| t.mid = "x".repeat(17), "mid"),
            (|t| t.rids.push("f".into()), "rid \"f\" stands twice"),
            (|t| t.rids = vec!["a b".into()], "rid"),
            (|t| t.rids = (0..5).map(|n| n.to_string()).collect(), "rids"),
            (|t| t.ssrcs = (1..6).map(|n| (n, None)).collect(), "4 ssrcs"),
            (|t| t.codecs.clear(), "codec"),
            (|t| t.codecs[0].rtx_payload_type = Some(96), "stands twice"),
            (|t| t.codecs[0].payload_type = 200, "above 127"),
            (|t| t.codecs[0].payload_type = 72, "RTCP"),
            (|t| t.kind = MediaKind::Audio, "does not carry"),
            (|t| t.extensions[0].id = 15, "reserved"),
            (|t| t.ssrcs.push((2, None)), "ssrc 2 stands twice"),
        ];
        for (break_it, word) in cases {
            let mut params = track();
            break_it(&mut params);
            let error = params.validate().unwrap_err().to_string();
            assert!(error.contains(word), "{error:?} does not say {word:?}");
        }
    }

    #[test]
    fn only_an_audio_slot_is_a_lane_and_every_slot_has_a_name_that_fits() {
        let track = track();
        let mut slot = SlotParams {
            kind: track.kind,
            mid: track.mid,
            codecs: track.codecs,
            extensions: track.extensions,
            auto: true,
            ssrc: 5,
            rtx_ssrc: None,
            cname: "c".into(),
        };
        assert!(slot.validate().unwrap_err().to_string().contains("auto"));
        slot.auto = false;
        slot.validate().unwrap();
        slot.cname = "c".repeat(256);
        assert!(slot.validate().unwrap_err().to_string().contains("cname"));
    }
}
