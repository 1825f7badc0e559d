//! What a checkpoint consists of, to recognise one that is not whole.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CheckpointError;

/// The files of a checkpoint with their hashes, written last.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) step: usize,
    files: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
    sha256: String,
}

impl Manifest {
    pub(super) const FILE: &str = "manifest.json";
    const FORMAT: u32 = 1;

    pub(super) fn new(step: usize) -> Self {
        Self { format: Self::FORMAT, step, files: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, content: &[u8]) {
        let sha256 = hex(&Sha256::digest(content));
        self.files.push(Entry { name: name.to_owned(), bytes: content.len() as u64, sha256 });
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.name == name)
    }

    /// Reads the manifest of a checkpoint and compares every file with it.
    pub(super) fn check(directory: &Path, step: usize) -> Result<Self, CheckpointError> {
        let damaged = |reason: String| CheckpointError::Damaged {
            path: directory.to_owned(),
            reason: format!("{reason}; the one before it is taken"),
        };
        let text = fs::read(directory.join(Self::FILE))
            .map_err(|error| damaged(format!("{} cannot be read: {error}", Self::FILE)))?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("{} is not valid: {error}", Self::FILE)))?;
        if manifest.format != Self::FORMAT {
            let (found, known) = (manifest.format, Self::FORMAT);
            return Err(damaged(format!("its format is {found}, and {known} is known")));
        }
        if manifest.step != step {
            let found = manifest.step;
            return Err(damaged(format!("its manifest is of step {found}")));
        }
        for file in &manifest.files {
            let (bytes, sha256) = digest(&directory.join(&file.name))
                .map_err(|error| damaged(format!("{} cannot be read: {error}", file.name)))?;
            if bytes != file.bytes {
                let expected = file.bytes;
                return Err(damaged(format!(
                    "{} has {bytes} bytes in place of {expected}",
                    file.name
                )));
            }
            if sha256 != file.sha256 {
                return Err(damaged(format!("{} has another hash than was saved", file.name)));
            }
        }
        Ok(manifest)
    }
}

/// Returns the length and the hash of a file.
fn digest(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut bytes) = (File::open(path)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, hex(&hash.finalize()))),
            read => {
                hash.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes all
        text
    })
}
