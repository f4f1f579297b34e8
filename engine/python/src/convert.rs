//! From Python's arguments to the core's parameters; what does not fit is a `ValueError`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sunup_engine_core::params::{Codec, CodecName, Extension, MediaKind, ParamError, TrackParams};
use sunup_engine_core::srtp::{Keys, MasterKey, Profile};

/// (payload type, name, clock rate, rtx payload type or 0).
pub type CodecTuple = (i64, String, i64, i64);
/// (id, uri).
pub type ExtensionTuple = (i64, String);

/// A sentence of the core as a `ValueError`.
pub fn refused(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A number that must fit a smaller type.
pub fn narrow<T: TryFrom<i64>>(what: &str, number: i64) -> PyResult<T> {
    T::try_from(number).map_err(|_| refused(format!("{what} is out of range: {number}")))
}

/// The codecs of a section.
pub fn codecs(tuples: Vec<CodecTuple>) -> PyResult<Vec<Codec>> {
    tuples
        .into_iter()
        .map(|(payload_type, name, clock_rate, rtx)| {
            let rtx = narrow("rtx payload type", rtx)?;
            Ok(Codec {
                payload_type: narrow("payload type", payload_type)?,
                name: CodecName::parse(&name).map_err(refused)?,
                clock_rate: narrow("clock rate", clock_rate)?,
                rtx_payload_type: (rtx != 0).then_some(rtx),
            })
        })
        .collect()
}

/// The header extensions of a section.
pub fn extensions(tuples: Vec<ExtensionTuple>) -> PyResult<Vec<Extension>> {
    tuples
        .into_iter()
        .map(|(id, uri)| {
            Ok(Extension {
                id: narrow("extension id", id)?,
                uri,
            })
        })
        .collect()
}

/// The m-section that a peer sends.
pub fn track_params(
    kind: &str,
    mid: String,
    codec_tuples: Vec<CodecTuple>,
    extension_tuples: Vec<ExtensionTuple>,
    rids: Vec<String>,
    ssrcs: Vec<(i64, i64)>,
) -> PyResult<TrackParams> {
    let ssrcs = ssrcs
        .into_iter()
        .map(|(ssrc, rtx)| {
            let rtx = narrow("rtx ssrc", rtx)?;
            Ok((narrow("ssrc", ssrc)?, (rtx != 0).then_some(rtx)))
        })
        .collect::<PyResult<_>>()?;
    let params = TrackParams {
        kind: media_kind(kind)?,
        mid,
        codecs: codecs(codec_tuples)?,
        extensions: extensions(extension_tuples)?,
        rids,
        ssrcs,
    };
    params.validate().map_err(refused)?;
    Ok(params)
}

/// "audio", "video" or "screen".
pub fn media_kind(kind: &str) -> PyResult<MediaKind> {
    MediaKind::parse(kind).map_err(|error: ParamError| refused(error))
}

/// SRTP keys of both directions.
pub fn keys(
    profile: i64,
    local_key: &[u8],
    local_salt: &[u8],
    remote_key: &[u8],
    remote_salt: &[u8],
) -> PyResult<Keys> {
    let profile = u16::try_from(profile)
        .ok()
        .and_then(Profile::from_number)
        .ok_or_else(|| refused(format!("no SRTP profile has the number {profile}")))?;
    let local = MasterKey {
        key: local_key.to_vec(),
        salt: local_salt.to_vec(),
    };
    let remote = MasterKey {
        key: remote_key.to_vec(),
        salt: remote_salt.to_vec(),
    };
    Keys::new(profile, local, remote).map_err(refused)
}
