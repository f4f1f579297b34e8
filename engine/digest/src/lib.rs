//! The digest by which a compiled engine knows the sources that it was built from.
//!
//! SHA-256 over the files of the workspace, sorted by path: every `*.rs`, every `Cargo.toml` and
//! `Cargo.lock`, outside of `target`. For each file: its path relative to the workspace with `/` between
//! names, a zero byte, its content, a zero byte. Python computes the same in `sfu.native` and
//! refuses a module that is older than its sources.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The digest in lower-case hexadecimal digits; `workspace` holds the outer `Cargo.toml`.
pub fn source_digest(workspace: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    for (name, path) in sources(workspace)? {
        let content = fs::read(path)?;
        hash.update(name.as_bytes());
        hash.update([0]);
        hash.update(content);
        hash.update([0]);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The files that count, with their names in the digest, sorted by name.
pub fn sources(workspace: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), workspace.to_path_buf())];
    while let Some((prefix, folder)) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if name != "target" {
                    folders.push((format!("{relative}/"), entry.path()));
                }
            } else if name.ends_with(".rs") || name == "Cargo.toml" || name == "Cargo.lock" {
                found.push((relative, entry.path()));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_counts_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("digest-{}", std::process::id()));
        fs::create_dir_all(folder.join("core/src")).unwrap();
        fs::create_dir_all(folder.join("target/debug")).unwrap();
        fs::write(folder.join("Cargo.toml"), "[workspace]").unwrap();
        fs::write(folder.join("core/src/lib.rs"), "//! A").unwrap();
        let first = source_digest(&folder).unwrap();
        fs::write(folder.join("target/debug/made.rs"), "built").unwrap();
        fs::write(folder.join("notes.txt"), "text").unwrap();
        assert_eq!(source_digest(&folder).unwrap(), first);
        fs::write(folder.join("core/src/lib.rs"), "//! B").unwrap();
        assert_ne!(source_digest(&folder).unwrap(), first);
        fs::remove_dir_all(&folder).unwrap();
    }
}
