//! What the engine must know about a payload to switch between streams: nothing is decoded.
//!
//! [`inspect`] is called once per packet, whatever the number of receivers. It finds the first
//! packet of a key frame, where a slot may switch, the picture size that such a frame states, and
//! the VP8 fields that must stay continuous for a receiver.

pub mod h264;
pub mod opus;
pub mod vp8;

use crate::params::CodecName;

/// Picture size in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resolution {
    /// Pixels from left to right.
    pub width: u16,
    /// Pixels from top to bottom.
    pub height: u16,
}

/// What one payload says about its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// First packet of a key frame: a receiver can start here. Always so for audio.
    pub switch_point: bool,
    /// The frame's size, when this packet states it.
    pub resolution: Option<Resolution>,
    /// The VP8 payload descriptor, for VP8.
    pub vp8: Option<vp8::Descriptor>,
}

/// Looks at a payload that is not empty. Malformed payloads give a plain [`FrameInfo`]: they are
/// forwarded as they are and no one switches on them.
#[must_use]
pub fn inspect(codec: CodecName, payload: &[u8]) -> FrameInfo {
    match codec {
        CodecName::Opus => FrameInfo {
            switch_point: true,
            ..FrameInfo::default()
        },
        CodecName::Vp8 => vp8::inspect(payload),
        CodecName::H264 => h264::inspect(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_payloads_never_panic(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            for codec in [CodecName::Opus, CodecName::Vp8, CodecName::H264] {
                let resolution = inspect(codec, &payload).resolution;
                prop_assert_ne!(resolution, Some(Resolution { width: 0, height: 0 }));
            }
        }
    }
}
