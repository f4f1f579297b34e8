//! The Python face of the engine: converts arguments and events, releases the GIL, nothing else.
//!
//! What each method means stands in `sfu/_engine.pyi`, which is checked against this module. Ids,
//! ICE credentials and SSRCs are made here, on the calling thread, so that every command returns at
//! once.

mod convert;
mod engine;
mod event;

use pyo3::prelude::*;
use sunup_engine_core::srtp::Profile;

#[pymodule(gil_used = false)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SOURCE_DIGEST", env!("SUNUP_SOURCE_DIGEST"))?;
    for (name, kind) in event::KINDS {
        module.add(name, kind)?;
    }
    for (name, profile) in [
        ("PROFILE_AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
        ("PROFILE_AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
        ("PROFILE_AES128_CM_SHA1_80", Profile::Aes128CmSha1_80),
    ] {
        module.add(name, profile.number())?;
    }
    module.add("WorkerDied", module.py().get_type::<engine::WorkerDied>())?;
    module.add_class::<engine::Engine>()
}
