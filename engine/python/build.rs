//! Puts the digest of the workspace's sources into the module.

use std::path::Path;

fn main() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies inside the workspace");
    let sources = sunup_engine_digest::sources(workspace).expect("the sources can be listed");
    for (name, path) in &sources {
        println!("cargo:rerun-if-changed={}", path.display());
        // A new file changes its folder.
        if let (true, Some(folder)) = (name.contains('/'), path.parent()) {
            println!("cargo:rerun-if-changed={}", folder.display());
        }
    }
    let digest = sunup_engine_digest::source_digest(workspace).expect("the sources can be read");
    println!("cargo:rustc-env=SUNUP_SOURCE_DIGEST={digest}");
}
