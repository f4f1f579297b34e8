//! What an authentic connectivity check is answered with (RFC 8445 section 7.3).
//!
//! Whether a check is authentic, and what it changes, is decided in `core.rs` and `ice.rs`.

use crate::ice::Path;
use crate::stun::{self, Message, Writer};

/// What a check deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Success,
    /// A lite agent is always controlled, so the peer must be controlling (RFC 8445 section 6.1.1).
    RoleConflict,
    UnknownAttribute(u16),
}

impl Answer {
    pub(crate) fn to(message: &Message<'_>) -> Self {
        if let Some(kind) = message.unknown_attribute {
            Self::UnknownAttribute(kind)
        } else if message.ice_controlled.is_some() {
            Self::RoleConflict
        } else {
            Self::Success
        }
    }

    pub(crate) fn write(
        self,
        message: &Message<'_>,
        path: Path,
        key: &stun::IntegrityKey,
        room: &mut [u8],
    ) -> Option<usize> {
        let class = match self {
            Self::Success => stun::Class::Success,
            Self::RoleConflict | Self::UnknownAttribute(_) => stun::Class::Error,
        };
        let writer = Writer::new(room, class, stun::BINDING, message.transaction);
        let writer = match self {
            Self::Success => writer.xor_mapped_address(path.remote),
            Self::RoleConflict => writer.error_code(487),
            Self::UnknownAttribute(kind) => writer.error_code(420).unknown_attribute(kind),
        };
        writer.integrity(key).fingerprint().finish()
    }
}
