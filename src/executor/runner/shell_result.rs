//! The JSON result of a shell job: what it writes to the file named by `CRONAPI_RESULT`.
//!
//! The file does not exist until the job writes it, so a job without a result costs one
//! failed open. It is read with suspicion: the job could have put anything there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::process::account::Account;
use crate::model::integers::read_json;

/// Makes the folder of the results empty: private, but passable for other users' jobs.
///
/// # Errors
/// When it can't be made or emptied.
pub(super) fn prepare_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o711).create(folder)?;
    let made = fs::symlink_metadata(folder)?;
    if !made.is_dir() || made.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} is somebody else's", folder.display())));
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711))
}

/// Where one attempt may leave its result; removed when dropped.
pub(super) struct ResultFile(PathBuf);

impl ResultFile {
    /// `None` when the node has no folder for results.
    pub(super) fn name(
        folder: Option<&Path>,
        account: Option<&Account>,
    ) -> Result<Option<Self>, String> {
        let Some(folder) = folder else {
            return Ok(None);
        };
        // Not to be guessed by another attempt.
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|e| format!("no name for the result's file: {e}"))?;
        let file = Self(folder.join(format!("{:032x}.json", u128::from_be_bytes(name))));
        if let Some(account) = account {
            // The folder is not writable for others: their file must be there already.
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.0);
            let made = made.map_err(|e| format!("can't prepare the result's file: {e}"))?;
            account.give(&made)?;
        }
        Ok(Some(file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The result, if the job left one of at most `max` bytes.
    ///
    /// # Errors
    /// A sentence for the output, when what it left can't be used.
    pub(super) fn take(self, max: usize) -> Result<Option<serde_json::Value>, String> {
        // Never through a symbolic link, and never waiting for the writer of a FIFO.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("the result was refused: {e}")),
            Ok(file) => file,
        };
        let text = read(&file, max)?;
        if text.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        read_json(&text).map(Some).map_err(|why| format!("the result was refused: {why}"))
    }
}

impl Drop for ResultFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn read(file: &File, max: usize) -> Result<Vec<u8>, String> {
    let unread = |e: io::Error| format!("the result was refused: {e}");
    if !file.metadata().map_err(unread)?.is_file() {
        return Err("the result was refused: not a plain file".to_owned());
    }
    let mut text = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut text).map_err(unread)?;
    if text.len() > max {
        return Err(format!("the result was refused: larger than {max} bytes"));
    }
    Ok(text)
}
