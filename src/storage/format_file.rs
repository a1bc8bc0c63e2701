//! `FORMAT`: whose a data directory is, and what a program must be able to read to use it.
//!
//! JSON, so that people and scripts can read it. Its last field, `check`, is the checksum of all
//! bytes before its value: a wrong node id would vote twice, a wrong cluster id would part a node
//! from its own. Directories from before format 5 have none until it is next written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;

use super::directory_error::{DirectoryError, unwritable};
use super::identity::{FORMAT, Identity};
use super::sled::sync_directory;

/// The name of the file.
const FILE: &str = "FORMAT";
const UNFINISHED: &str = "FORMAT.unfinished";
/// From this format on the checksum must be there.
const FORMAT_OF_CHECK: u32 = 5;
/// What stands before the checksum, and after it.
const BEFORE: &[u8] = b",\n  \"check\": \"";
const AFTER: &[u8] = b"\"\n}\n";

/// Reads whose directory it is; none: nobody's yet.
pub(super) fn read_identity(path: &Path) -> Result<Option<Identity>, DirectoryError> {
    let damaged = |reason: String| DirectoryError::Damaged { path: path.to_owned(), reason };
    let text = match fs::read(path.join(FILE)) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            // Without the file the directory must be new, or we would claim someone else's.
            let known = ["wal", "log", "state", "checkpoints"].map(|name| path.join(name));
            return match known.iter().find(|place| place.exists()) {
                Some(place) => {
                    let place = place.display();
                    Err(damaged(format!("its {FILE} file is missing, but {place} exists")))
                }
                None => Ok(None),
            };
        }
        Err(source) => {
            return Err(DirectoryError::Unwritable { path: path.to_owned(), source });
        }
    };
    let wrong = |what: &str| damaged(format!("its {FILE} file: {what}"));
    let checked = match checked(&text) {
        Some(true) => true,
        Some(false) => return Err(wrong("it does not match its checksum")),
        None => false,
    };
    // The version alone is read first: the rest may mean something else in a newer one.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let unreadable = |e: serde_json::Error| wrong(&e.to_string());
    let found = serde_json::from_slice::<Version>(&text).map_err(unreadable)?.format;
    if found > FORMAT {
        let path = path.to_owned();
        return Err(DirectoryError::Newer { path, found, newest: FORMAT });
    }
    let identity: Identity = serde_json::from_slice(&text).map_err(unreadable)?;
    if !checked && (found >= FORMAT_OF_CHECK || identity.wal) {
        return Err(wrong("its checksum is missing"));
    }
    Ok(Some(identity))
}

/// Whether the checksum is right; none: there is none.
fn checked(text: &[u8]) -> Option<bool> {
    let key = b"\"check\"";
    let there = text.windows(key.len()).any(|window| window == key);
    let right = || {
        let digits = text.strip_suffix(AFTER)?;
        let (content, digits) = digits.split_at_checked(digits.len().checked_sub(8)?)?;
        let right = content.ends_with(BEFORE) && digits == checksum(content).as_bytes();
        right.then_some(())
    };
    there.then(|| right().is_some())
}

fn checksum(content: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(content))
}

/// Writes it. On return it is durable.
pub(super) fn write_identity(path: &Path, identity: &Identity) -> Result<(), DirectoryError> {
    let failed = |source| DirectoryError::Unwritable { path: path.to_owned(), source };
    let unfinished = path.join(UNFINISHED);
    let write = || {
        let mut file = File::create(&unfinished)?;
        file.write_all(&text_of(identity)?)?;
        file.sync_data()?;
        fs::rename(&unfinished, path.join(FILE))
    };
    write().map_err(failed)?;
    sync_directory(path).map_err(|e| unwritable(path, e))
}

fn text_of(identity: &Identity) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(identity)?;
    // The closing brace and the line's end before it.
    text.truncate(text.len().saturating_sub(2));
    text.extend_from_slice(BEFORE);
    let checksum = checksum(&text);
    text.extend_from_slice(checksum.as_bytes());
    text.extend_from_slice(AFTER);
    Ok(text)
}
