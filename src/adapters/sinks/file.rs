//! The type `file`: JSON lines, in a file of this node.
//!
//! The file is opened anew for each batch, so that it can be moved away by whoever rotates files.
//! What is told to be there was synced first. A line that a crash left half is cut off by
//! the next who begins: it was never told to be there.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::model::Name;

/// Read at a time to find the end of the last whole line.
const BLOCK: u64 = 64 * 1024;

/// A file that lines are added to.
#[derive(Clone)]
pub(super) struct Lines {
    folder: PathBuf,
    path: PathBuf,
}

impl Lines {
    /// The file of a sink, in a folder of its cluster. It is made when there is none.
    pub async fn open(directory: &Path, cluster: &str, sink: &Name) -> Result<Self, String> {
        // Neither name has a slash in it, nor only dots.
        let folder = directory.join(cluster);
        let path = folder.join(format!("{sink}.jsonl"));
        let lines = Lines { folder, path };
        let opened = lines.clone();
        off_thread(move || opened.mend()).await?;
        Ok(lines)
    }

    /// Adds text, and has it durable.
    pub async fn append(&self, text: Vec<u8>) -> Result<(), String> {
        let lines = self.clone();
        off_thread(move || {
            let mut file = lines.locked()?;
            let new = file.metadata().map_err(|e| lines.told("read", &e))?.len() == 0;
            file.write_all(&text).map_err(|e| lines.told("written", &e))?;
            file.sync_data().map_err(|e| lines.told("synced", &e))?;
            if new {
                let folder = File::open(&lines.folder);
                let synced = folder.and_then(|folder| folder.sync_all());
                synced.map_err(|e| lines.told("synced", &e))?;
            }
            Ok(())
        })
        .await
    }

    /// The file, for this process alone.
    fn locked(&self) -> Result<File, String> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&self.path).map_err(|e| self.told("opened", &e))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(format!("{} is no file", self.path.display()));
        }
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(format!("another process writes {}", self.path.display()))
            }
            Err(std::fs::TryLockError::Error(e)) => Err(self.told("locked", &e)),
        }
    }

    /// Cuts off what follows the last whole line.
    fn mend(&self) -> Result<(), String> {
        let made = DirBuilder::new().recursive(true).mode(0o750).create(&self.folder);
        made.map_err(|e| self.told("made", &e))?;
        let mut file = self.locked()?;
        let whole = whole_lines(&mut file).map_err(|e| self.told("read", &e))?;
        let Some(whole) = whole else { return Ok(()) };
        tracing::warn!(file = %self.path.display(), "a line that was left half is cut off");
        let cut = file.set_len(whole).and_then(|()| file.sync_all());
        cut.map_err(|e| self.told("mended", &e))
    }

    fn told(&self, what: &str, error: &std::io::Error) -> String {
        format!("{} can't be {what}: {error}", self.path.display())
    }
}

/// How long it would be with whole lines only; none: it is.
fn whole_lines(file: &mut File) -> std::io::Result<Option<u64>> {
    let len = file.metadata()?.len();
    let mut end = len;
    while end > 0 {
        let from = end.saturating_sub(BLOCK);
        let mut block = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        Read::by_ref(file).take(end - from).read_to_end(&mut block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            let whole = from + at as u64 + 1;
            return Ok((whole < len).then_some(whole));
        }
        end = from;
    }
    Ok((len > 0).then_some(0))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(format!("what writes the file has ended: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(directory: &Path) -> Lines {
        Lines::open(directory, "c1", &Name::parse("audit").unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_line_that_was_left_half_is_cut_off_and_whole_ones_stay() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("c1/audit.jsonl");
        let long = vec![b'x'; 3 * BLOCK as usize];
        for (left, whole) in [
            (b"".to_vec(), b"".to_vec()),
            (b"half".to_vec(), b"".to_vec()),
            (b"one\n".to_vec(), b"one\n".to_vec()),
            (b"one\nhalf".to_vec(), b"one\n".to_vec()),
            ([b"one\n".to_vec(), long.clone()].concat(), b"one\n".to_vec()),
            (long, b"".to_vec()),
        ] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, left).unwrap();
            let lines = lines(place.path()).await;
            lines.append(b"next\n".to_vec()).await.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), [whole, b"next\n".to_vec()].concat());
        }
    }

    #[tokio::test]
    async fn a_file_that_was_moved_away_is_made_anew_and_a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("c1/audit.jsonl");
        let lines = lines(place.path()).await;
        lines.append(b"one\n".to_vec()).await.unwrap();
        std::fs::rename(&path, place.path().join("old")).unwrap();
        lines.append(b"two\n".to_vec()).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two\n");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(place.path().join("old"), &path).unwrap();
        assert!(lines.append(b"three\n".to_vec()).await.unwrap_err().contains("can't be opened"));
        assert_eq!(std::fs::read(place.path().join("old")).unwrap(), b"one\n");
    }

    #[tokio::test]
    async fn what_another_process_writes_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let lines = lines(place.path()).await;
        let other = File::open(place.path().join("c1/audit.jsonl")).unwrap();
        other.lock().unwrap();
        let told = lines.append(b"one\n".to_vec()).await.unwrap_err();
        assert!(told.contains("another process writes"), "{told}");
        drop(other);
        lines.append(b"one\n".to_vec()).await.unwrap();
    }
}
