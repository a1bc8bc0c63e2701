//! Reads a backup whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Error, file};
use crate::backup::{Amount, Decoder, Header, Part, Piece};
use crate::consensus::offline::{Gathering, Picture};
use crate::machine::{history, invariants};
use crate::wire::proto::HistoryRow;

/// Bytes read at a time.
const READ_BYTES: usize = 1024 * 1024;

/// A backup that is in order.
pub struct Verified {
    /// What it says of itself.
    pub header: Header,
    /// How much it holds.
    pub amount: Amount,
}

/// Checks everything: checksums, the digest, that all of it can be read and fits together.
/// `progress` is told how many bytes were read.
///
/// # Errors
/// See [`Error`]; the first thing that is wrong.
pub fn verify(
    path: &Path,
    passphrase: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, Error> {
    let inside = |what: String| Error::Inside { path: path.to_owned(), what };
    let mut audit = Audit::default();
    let mut rows = |rows: Vec<HistoryRow>| {
        for row in &rows {
            history::check_row(&row.key, &row.value).map_err(inside)?;
            audit.see(row).map_err(inside)?;
        }
        Ok(())
    };
    let (header, picture, amount) = read(path, passphrase, progress, &mut rows)?;
    if picture.index != header.index {
        let what = format!("it says entry {}, and is of {}", header.index, picture.index);
        return Err(inside(what));
    }
    if let Some(broken) = invariants::check(&picture.state).into_iter().next() {
        return Err(inside(format!("its state is not in order: {broken}")));
    }
    audit.ends(picture.state.counters.audit).map_err(inside)?;
    Ok(Verified { header, amount })
}

/// The audit has no hole and ends where the state says.
#[derive(Default)]
struct Audit {
    next: Option<u64>,
}

impl Audit {
    fn see(&mut self, row: &HistoryRow) -> Result<(), String> {
        if row.key.first() != Some(&b'a') {
            return Ok(());
        }
        let block: Vec<crate::model::AuditRecord> =
            history::unpack(&row.value).map_err(|e| e.to_string())?;
        for record in block {
            if self.next.is_some_and(|next| next != record.seq) {
                return Err(format!("its audit has a hole before record {}", record.seq));
            }
            self.next = Some(record.seq + 1);
        }
        Ok(())
    }

    fn ends(&self, last: u64) -> Result<(), String> {
        match self.next {
            Some(next) if next != last + 1 => {
                Err(format!("its audit ends at record {}, and there were {last}", next - 1))
            }
            _ => Ok(()),
        }
    }
}

/// Checks what can be without the passphrase: checksums and the digest.
///
/// # Errors
/// See [`Error`].
pub fn verify_outside(path: &Path) -> Result<Header, Error> {
    let failed = |source| Error::Backup { path: path.to_owned(), source };
    let mut decoder = Decoder::new(None).outside_only();
    let mut header = None;
    each_chunk(path, |chunk| {
        for piece in decoder.push(chunk).map_err(failed)? {
            if let Piece::Header(read) = piece {
                header = Some(read);
            }
        }
        Ok(())
    })?;
    decoder.finish().map_err(failed)?;
    header.ok_or_else(|| Error::Inside { path: path.to_owned(), what: "it has no header".into() })
}

/// Reads a file; its rows go to `rows` as they come.
pub(super) fn read(
    path: &Path,
    passphrase: Option<&str>,
    progress: &mut dyn FnMut(u64),
    rows: &mut dyn FnMut(Vec<HistoryRow>) -> Result<(), Error>,
) -> Result<(Header, Picture, Amount), Error> {
    let failed = |source| Error::Backup { path: path.to_owned(), source };
    let mut decoder = Decoder::new(passphrase);
    let (mut header, mut gathering, mut bytes) = (None, Gathering::default(), 0);
    each_chunk(path, |chunk| {
        for piece in decoder.push(chunk).map_err(failed)? {
            match piece {
                Piece::Header(read) => header = Some(read),
                Piece::Part(Part::Checkpoint(piece)) => gathering.add(&piece),
                Piece::Part(Part::Rows(new)) => rows(new)?,
            }
        }
        bytes += chunk.len() as u64;
        progress(bytes);
        Ok(())
    })?;
    let amount = decoder.finish().map_err(failed)?;
    let inside = |what: String| Error::Inside { path: path.to_owned(), what };
    let header = header.ok_or_else(|| inside("it has no header".to_owned()))?;
    let picture = gathering.finish().map_err(|e| inside(e.to_string()))?;
    Ok((header, picture, amount))
}

fn each_chunk(path: &Path, mut take: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut from = File::open(path).map_err(|e| file(path, e))?;
    let mut chunk = vec![0; READ_BYTES];
    loop {
        match from.read(&mut chunk).map_err(|e| file(path, e))? {
            0 => return Ok(()),
            read => take(&chunk[..read])?,
        }
    }
}
