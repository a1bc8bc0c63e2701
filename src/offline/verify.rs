//! Reads a backup whole.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{Error, file};
use crate::backup::{Amount, Decoder, Header, Part, Piece};
use crate::consensus::offline::{Gathering, Picture};
use crate::machine::chain::Walk;
use crate::machine::{history, invariants};
use crate::model::AuditRecord;
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

/// Checks everything: checksums, the digest, that all of it can be read and fits together, and
/// that no record of the audit is missing or changed.
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
    let mut walk = Walk::default();
    let mut rows = |rows: Vec<HistoryRow>| {
        for row in &rows {
            history::check_row(&row.key, &row.value).map_err(inside)?;
            walk_on(&mut walk, row).map_err(inside)?;
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
    let (last, head) = (picture.state.counters.audit, picture.state.audit_hash);
    walk.ends(last, &head).map_err(|what| inside(in_the_audit(what)))?;
    Ok(Verified { header, amount })
}

/// Takes the audit's records, if the row is of them.
fn walk_on(walk: &mut Walk, row: &HistoryRow) -> Result<(), String> {
    if row.key.first() != Some(&b'a') {
        return Ok(());
    }
    let block: Vec<AuditRecord> = history::unpack(&row.value).map_err(|e| e.to_string())?;
    block.iter().try_for_each(|record| walk.step(record)).map_err(in_the_audit)
}

fn in_the_audit(what: String) -> String {
    format!("its audit is not in order: {what}")
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
