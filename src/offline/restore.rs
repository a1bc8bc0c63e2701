//! A new cluster from a backup.

use std::path::Path;

use super::{Error, verify};
use crate::backup::{Amount, Header};
use crate::chance;
use crate::consensus::offline::Rebuilding;
use crate::machine::command::SigningKey;
use crate::machine::prepare::restore::{Origin, restored};
use crate::machine::{Output, apply_entry, invariants};
use crate::model::{Actor, Timestamp};

/// Up to when the old cluster may have fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// It did nothing after the backup was taken.
    Backup,
    /// Up to here.
    At(Timestamp),
}

/// What is restored, and how.
pub struct Restoring<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The new data directory.
    pub data: &'a Path,
    /// Its passphrase, if it is encrypted.
    pub passphrase: Option<&'a str>,
    /// What became of the old cluster.
    pub as_of: AsOf,
    /// Who restores, for the audit.
    pub who: String,
    /// The wall clock.
    pub now: Timestamp,
}

/// What was made.
pub struct Restored {
    /// What the backup said of itself.
    pub header: Header,
    /// How much it held.
    pub amount: Amount,
    /// The new cluster.
    pub cluster: String,
    /// Runs that were open in the backup and are lost now.
    pub lost: u64,
    /// Jobs with nominal times that were skipped.
    pub skipped_jobs: u64,
}

/// Checks the whole file, then makes a data directory of it: that of the first node of a new
/// cluster. `progress` is told how many bytes were read; the file is read twice.
///
/// # Errors
/// See [`Error`]. When the file or the directory is refused nothing was changed; when writing
/// failed, what is in the directory is no data directory yet, and no node starts on it.
pub fn restore(
    restoring: &Restoring<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Restored, Error> {
    let Restoring { file, passphrase, .. } = *restoring;
    let now = restoring.now;
    let checked = verify(file, passphrase, progress)?;
    let as_of = as_of(restoring, &checked.header)?;
    let mut rebuilding = Rebuilding::begin(restoring.data, now.millis())?;
    let mut rows = |rows| rebuilding.rows(rows).map_err(Error::from);
    let (header, picture, amount) = super::verify::read(file, passphrase, progress, &mut rows)?;
    if header != checked.header || amount != checked.amount {
        return Err(Error::Refused("the file was changed while it was read".to_owned()));
    }
    let (mut state, index) = (picture.state, picture.index + 1);
    let open = state.runs.len() as u64;
    let origin = Origin { cluster: header.cluster_id.clone(), index: picture.index, as_of };
    let actor = Actor { name: restoring.who.clone(), from: None, request_id: None, trace: None };
    let command = restored(&state, origin, now, signing_key()?, actor);
    let skipped_jobs = match &command.op {
        crate::machine::Op::Restored(restored) => restored.settled.len() as u64,
        _ => 0,
    };
    let mut output = Output::default();
    let answers = apply_entry(&mut state, index, &[command], &mut output);
    let inside = |what: String| Error::Inside { path: file.to_owned(), what };
    if let Some(Err(rejection)) = answers.into_iter().next() {
        return Err(inside(rejection.to_string()));
    }
    if let Some(broken) = invariants::check(&state).into_iter().next() {
        return Err(inside(format!("the restored state would not be in order: {broken}")));
    }
    let lost = open - state.runs.len() as u64;
    let identity = rebuilding.finish(index, picture.term, &state, output)?;
    Ok(Restored { header, amount, cluster: identity.cluster_id, lost, skipped_jobs })
}

fn as_of(restoring: &Restoring<'_>, header: &Header) -> Result<Option<Timestamp>, Error> {
    match restoring.as_of {
        AsOf::Backup => Ok(None),
        AsOf::At(at) if at > restoring.now => {
            Err(Error::Refused(format!("--as-of {at} lies in the future; leave it out for now")))
        }
        AsOf::At(at) if at < header.log_time => Err(Error::Refused(format!(
            "--as-of {at} is before the backup, which is of {}; give --as-of backup if the old \
             cluster did nothing after it",
            header.log_time
        ))),
        AsOf::At(at) => Ok(Some(at)),
    }
}

fn signing_key() -> Result<SigningKey, Error> {
    let mut words = [0_u64; 6];
    for word in &mut words {
        *word = chance::number().map_err(|e| Error::Refused(e.to_string()))?;
    }
    let [high, low, rest @ ..] = words;
    let id = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    let mut secret = [0; 32];
    for (to, from) in secret.chunks_mut(8).zip(rest) {
        to.copy_from_slice(&from.to_be_bytes());
    }
    Ok(SigningKey::new(uuid::Builder::from_random_bytes(id).into_uuid(), secret))
}
