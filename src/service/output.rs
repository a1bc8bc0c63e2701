//! Captured output of runs.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::paging::bound;
use super::{Action, Caller, Error, Paging, RunFilter, Service, Which};
use crate::machine::command::OutputChunk;
use crate::machine::history::{OutputRow, output_key, output_key_parts, output_prefix, unpack};
use crate::model::{LogStream, RunId, RunStatus, Timestamp};
use crate::storage::{Direction, Scan};

/// A place in the output of a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct LogPosition {
    /// The attempt, from 1.
    pub attempt: u32,
    /// Order within the attempt, from 0.
    pub seq: u32,
}

/// A piece of output as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    /// Where it stands.
    pub place: LogPosition,
    /// When it was read, by the node's clock.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// Any bytes; characters are whole where they are UTF-8.
    pub bytes: Vec<u8>,
}

/// A piece of output. It may hold several lines, or end within one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// The attempt.
    pub attempt: u32,
    /// Order within the attempt.
    pub seq: u32,
    /// When it was read, by the node's clock.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// A part of the output of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// In order.
    pub pieces: Vec<LogPiece>,
    /// The run is closed and this is the end of its output.
    pub closed: bool,
    /// For what follows; none: nothing was ever written. While the run is open, more may
    /// follow even when nothing does now.
    pub next: Option<LogPosition>,
}

/// The output of one of a job's runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RunLog {
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub status: RunStatus,
    /// Start of its last attempt.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it was closed.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// Its output.
    pub lines: Vec<LogLine>,
}

/// Bytes in one page, past which it ends.
const PAGE_BYTES_MAX: usize = bound(1024 * 1024, 100);
/// Rows read at a time.
const ROWS: usize = bound(64, 2);
/// Runs whose output one request for a job's output shows.
const RUNS_MAX: usize = 20;

impl Service {
    /// Up to `limit` pieces of a run's output after `after`.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn output(
        &self,
        c: &Caller,
        id: RunId,
        after: Option<LogPosition>,
        limit: usize,
    ) -> Result<LogPage, Error> {
        let limit = checked(limit)?;
        // Before its output: a run that is closed by now has all of it there.
        let ended = self.run_for(c, Action::ReadJobs, id).await?.status.is_terminal();
        let history = self.consensus().history();
        let mut scan = Scan::prefix(&output_prefix(id), Direction::Forward, ROWS);
        if let Some(LogPosition { attempt, seq }) = after {
            // The piece may stand within a row: begin with the row that holds it.
            let holds = Scan {
                from: output_key(id, attempt, 0),
                to: [output_key(id, attempt, seq), vec![0]].concat(),
                direction: Direction::Backward,
                limit: 1,
            };
            let row = history.scan(holds).await?.pop();
            scan.from = row.map_or_else(|| output_key(id, attempt, seq), |(key, _)| key);
        }
        let mut page = LogPage { pieces: Vec::new(), closed: false, next: after };
        let mut bytes = 0;
        loop {
            let rows = history.scan(scan.clone()).await?;
            let (full, last) = (rows.len() == ROWS, rows.last().map(|(key, _)| key.clone()));
            for (key, value) in rows {
                for piece in pieces_of(&key, &value)? {
                    if after.is_some_and(|after| piece.place <= after) {
                        continue;
                    }
                    if page.pieces.len() == limit || bytes >= PAGE_BYTES_MAX {
                        return Ok(page);
                    }
                    bytes += piece.bytes.len();
                    page.next = Some(piece.place);
                    page.pieces.push(piece);
                }
            }
            match last {
                Some(last) if full => scan = scan.after(&last),
                _ => break,
            }
        }
        page.closed = ended;
        Ok(page)
    }

    /// The output of a job's latest runs, newest first, up to `limit` pieces in all. Of a
    /// run that has more, the end.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn job_logs(
        &self,
        c: &Caller,
        which: impl Into<Which<'_>>,
        limit: usize,
    ) -> Result<Vec<RunLog>, Error> {
        let mut left = checked(limit)?;
        let Which { name, deleted } = which.into();
        let job = Some(name.to_string());
        let filter = RunFilter { job, deleted, ..RunFilter::default() };
        let runs = self.runs(c, filter, Paging { limit: RUNS_MAX, cursor: None }).await?;
        let mut logs = Vec::new();
        for run in runs.items {
            if left == 0 {
                break;
            }
            let lines = self.tail(run.id, left).await?;
            left -= lines.len();
            let (status, started_at, finished_at) = (run.status, run.started_at, run.finished_at);
            logs.push(RunLog { run_id: run.id, status, started_at, finished_at, lines });
        }
        Ok(logs)
    }

    /// The last pieces of a run's output, in order.
    async fn tail(&self, id: RunId, limit: usize) -> Result<Vec<LogLine>, Error> {
        let mut scan = Scan::prefix(&output_prefix(id), Direction::Backward, ROWS);
        let (mut newest_first, mut bytes) = (Vec::new(), 0);
        loop {
            let rows = self.consensus().history().scan(scan.clone()).await?;
            let (full, last) = (rows.len() == ROWS, rows.last().map(|(key, _)| key.clone()));
            for (key, value) in rows {
                for piece in pieces_of(&key, &value)?.into_iter().rev() {
                    bytes += piece.bytes.len();
                    newest_first.push(LogLine::from(piece));
                }
                if newest_first.len() >= limit || bytes >= PAGE_BYTES_MAX {
                    break;
                }
            }
            match last {
                Some(last) if full && newest_first.len() < limit && bytes < PAGE_BYTES_MAX => {
                    scan = scan.after(&last);
                }
                _ => break,
            }
        }
        newest_first.truncate(limit);
        newest_first.reverse();
        Ok(newest_first)
    }

    /// Follows the index of the last applied entry: what was read before may have changed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.consensus().applied()
    }
}

impl From<LogPiece> for LogLine {
    fn from(piece: LogPiece) -> Self {
        let LogPiece { place: LogPosition { attempt, seq }, at, stream, bytes } = piece;
        let text = String::from_utf8(bytes);
        let text = text.unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
        LogLine { attempt, seq, at, stream, text }
    }
}

fn checked(limit: usize) -> Result<usize, Error> {
    Paging { limit, cursor: None }.limit()
}

fn pieces_of(key: &[u8], value: &[u8]) -> Result<Vec<LogPiece>, Error> {
    let (attempt, _) = output_key_parts(key)
        .ok_or_else(|| Error::Internal("a row of output has a key of another shape".into()))?;
    let chunks: OutputRow = unpack(value)?;
    let piece = |chunk: OutputChunk| LogPiece {
        place: LogPosition { attempt, seq: chunk.seq },
        at: chunk.at,
        stream: chunk.stream,
        bytes: chunk.bytes,
    };
    Ok(chunks.into_iter().map(piece).collect())
}
