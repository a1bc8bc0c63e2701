//! Which rows events tell of, and those of before, read from the history.

use std::sync::Arc;

use serde_json::Value;

use super::row::Rows;
use crate::adapters::sinks::line::Line;
use crate::consensus::Handle;
use crate::machine::State;
use crate::machine::history::{ledger_key, run_key, unpack};
use crate::model::{JobNo, JobUid, LedgerRow, Name, Run};
use crate::storage::{Direction, Pair, Scan};

/// Rows of the history that are read and written at a time: each may have a large result.
pub(in crate::adapters::sinks) const PIECE: usize = 128;

/// Reads the history of this node.
pub(in crate::adapters::sinks) struct Reader {
    /// Whose history it is.
    pub consensus: Handle,
    /// Only of these jobs; empty: of all.
    pub jobs: Vec<String>,
    /// What addresses of pages begin with.
    pub pages: String,
}

/// A piece of the history of before.
pub(in crate::adapters::sinks) struct Piece {
    /// What is to be written.
    pub rows: Rows,
    /// After which key the next piece begins; none: this is the last one.
    pub next: Option<Vec<u8>>,
}

impl Reader {
    /// The piece of the history of before that begins after the key `done`; empty: at its begin.
    ///
    /// # Errors
    /// The history can't be read.
    pub async fn piece(&self, done: &[u8]) -> Result<Piece, String> {
        // Rows of the ledger come first, as their letter does.
        let of_runs = done.first() == Some(&b'r');
        let prefix: &[u8] = if of_runs { b"r" } else { b"l" };
        let mut scan = Scan::prefix(prefix, Direction::Forward, PIECE);
        if !done.is_empty() {
            scan = scan.after(done);
        }
        let found = self.consensus.history().scan(scan).await;
        let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
        let next = match found.last() {
            Some((last, _)) if found.len() == PIECE => Some(last.clone()),
            _ if of_runs => None,
            _ => Some(b"r".to_vec()),
        };
        Ok(Piece { rows: self.rows_of(&found, of_runs)?, next })
    }

    fn rows_of(&self, found: &[Pair], of_runs: bool) -> Result<Rows, String> {
        let state = self.consensus.state();
        let mut rows = Rows::default();
        for (key, value) in found {
            if of_runs {
                let run: Run = read(value)?;
                if self.takes(&run.job) {
                    rows.run(&run, &self.pages);
                }
            } else {
                let no = key.get(1..5).and_then(|no| no.try_into().ok()).map(u32::from_be_bytes);
                let job = no.and_then(|no| job_of(&state, no));
                if let Some((uid, name)) = job.filter(|(_, name)| self.takes(name)) {
                    rows.ledger(uid, &name, &read(value)?);
                }
            }
        }
        Ok(rows)
    }

    fn takes(&self, job: &Name) -> bool {
        self.jobs.is_empty() || self.jobs.iter().any(|wanted| wanted == job.as_str())
    }

    /// Rows of the runs whose end these lines tell, at most [`PIECE`] of them; and what the lines
    /// say of those that are gone: retention was faster, and nothing else is known.
    ///
    /// # Errors
    /// The history can't be read.
    pub async fn ended(&self, lines: &[&Line]) -> Result<(Rows, Vec<Value>), String> {
        let ended = lines.iter().filter_map(|line| Some((line.ended()?, line)));
        let (keys, lines): (Vec<Vec<u8>>, Vec<&&Line>) =
            ended.map(|(id, line)| (run_key(id), line)).unzip();
        let found = self.consensus.history().get_all(Arc::from(keys)).await;
        let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
        let (mut rows, mut gone) = (Rows::default(), Vec::new());
        for (line, value) in lines.into_iter().zip(found) {
            match value {
                Some(value) => rows.run(&read(&value)?, &self.pages),
                None => gone.push(line.of_run()),
            }
        }
        Ok((rows, gone))
    }

    /// Rows of the nominal times that lines say were skipped.
    ///
    /// # Errors
    /// The history can't be read.
    pub async fn times(&self, lines: &[Line]) -> Result<Rows, String> {
        let state = self.consensus.state();
        let mut keys = Vec::new();
        for (name, at) in lines.iter().filter_map(Line::skipped) {
            // One of several jobs that had the name, if it was given again.
            let present = state.job(name.as_str()).map(|job| (job.no, job.uid));
            let before = state.graves.named(name).map(|grave| (grave.no, grave.uid));
            for (no, uid) in present.into_iter().chain(before) {
                keys.push((ledger_key(no, at), uid, name, at));
            }
        }
        drop(state);
        let wanted: Vec<Vec<u8>> = keys.iter().map(|(key, ..)| key.clone()).collect();
        let found = self.consensus.history().get_all(Arc::from(wanted)).await;
        let found = found.map_err(|e| format!("the history can't be read: {e}"))?;
        let mut rows = Rows::default();
        for ((_, uid, name, at), value) in keys.into_iter().zip(found) {
            let Some(value) = value else { continue };
            let row: LedgerRow = read(&value)?;
            if row.nominal_time == at {
                rows.ledger(uid, name, &row);
            }
        }
        Ok(rows)
    }
}

/// The identity and the name of a job, also of one that was deleted.
fn job_of(state: &State, no: JobNo) -> Option<(JobUid, Name)> {
    let present = state.jobs.get(&no).map(|job| (job.uid, job.spec.name.clone()));
    present.or_else(|| state.graves.by_no.get(&no).map(|grave| (grave.uid, grave.name.clone())))
}

fn read<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    unpack(value).map_err(|e| format!("a row of the history can't be read: {e}"))
}
