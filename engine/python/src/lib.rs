//! The Python face of the engine: converts arguments, releases the GIL, drains events.

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
fn _engine(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
