//! A text looked for in captured output: in that of one run, or of the newest runs of a job.
//!
//! Output is read piece by piece and looked at line by line; a line may stand in several pieces,
//! and lines of both streams between each other. An answer reads a bounded number of bytes and
//! runs; where it stops its cursor goes on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::paging::{Question, bound};
use super::{Action, Caller, Error, LogPiece, LogPosition, Paging, RunFilter, Service, Which};
use crate::model::limits::{HITS_MAX, SEARCH_LEN_MAX};
use crate::model::{LogStream, RunId, RunStatus, Timestamp};

/// Bytes of output read for one answer.
const BYTES_MAX: usize = bound(16 * 1024 * 1024, 200);
/// Runs of a job looked at for one answer.
const RUNS_MAX: usize = bound(200, 3);
/// Runs of a job listed at a time.
const RUNS_PAGE: usize = bound(50, 2);
/// Pieces read at a time.
const PIECES: usize = bound(1_000, 3);
/// A line that is longer is looked at in parts of this many bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Characters of a line that are shown around a hit.
const SHOWN_MAX: usize = 400;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    text: String,
    exact: bool,
}

impl Wanted {
    /// `exact`: capital and small letters differ.
    ///
    /// # Errors
    /// `Malformed`: nothing, more than 200 characters, or more than a line.
    pub fn new(text: String, exact: bool) -> Result<Self, Error> {
        let length = text.chars().count();
        if length == 0 || length > SEARCH_LEN_MAX || text.contains('\n') {
            return Err(Error::Malformed(format!(
                "must be a text of 1 to {SEARCH_LEN_MAX} characters in one line"
            )));
        }
        let text = if exact { text } else { text.to_lowercase() };
        Ok(Wanted { text, exact })
    }

    /// The line, or of a long one the part around the first hit.
    fn shown_in(&self, line: &str) -> Option<String> {
        let folded = if self.exact { None } else { Some(line.to_lowercase()) };
        let at = folded.as_deref().unwrap_or(line).find(&self.text)?;
        if line.len() <= SHOWN_MAX {
            return Some(line.to_owned());
        }
        // Small letters may be longer or shorter than capital ones: as near as that.
        let before = line.floor_char_boundary(at.saturating_sub(SHOWN_MAX / 4).min(line.len()));
        let cut: String = line[before..].chars().take(SHOWN_MAX).collect();
        Some(cut)
    }
}

/// A line of output that holds what is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogHit {
    /// The run.
    pub run_id: RunId,
    /// Where the run is.
    pub status: RunStatus,
    /// When the run was fired.
    pub fired_at: Timestamp,
    /// The attempt.
    pub attempt: u32,
    /// The piece in which the line begins.
    pub seq: u32,
    /// When that was read.
    pub at: Timestamp,
    /// Where the line came from.
    pub stream: LogStream,
    /// The line; of a long one the part around the hit.
    pub text: String,
}

/// Lines that were found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogHits {
    /// Of a job the newest run first; within a run in order.
    pub items: Vec<LogHit>,
    /// Runs whose output was read to its end, or as far as this answer goes.
    pub runs: u64,
    /// Bytes of output that were read.
    pub bytes: u64,
    /// To look further; null: all was looked at.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Where an answer stopped in the output of a run.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Spot {
    /// Behind this piece; none: at its beginning.
    after: Option<LogPosition>,
    /// Hits from there on that were given already.
    given: usize,
}

/// Where an answer stopped in the runs of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    /// The page of runs.
    page: Option<String>,
    /// The run in it.
    run: RunId,
    /// Where in that; none: it is done.
    spot: Option<Spot>,
}

struct Looking<'a> {
    wanted: &'a Wanted,
    limit: usize,
    /// Hits that were given already.
    given: usize,
    found: LogHits,
}

/// What a hit tells of its run.
#[derive(Clone, Copy)]
struct Of(RunId, RunStatus, Timestamp);

/// The beginning of a line whose end has not come yet.
struct Begun {
    seq: u32,
    at: Timestamp,
    bytes: Vec<u8>,
}

/// Lines that have begun, of each attempt and stream.
type Open = BTreeMap<(u32, LogStream), Begun>;

impl Service {
    /// Lines of a run's output that hold a text.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn search_run(
        &self,
        c: &Caller,
        id: RunId,
        wanted: &Wanted,
        p: Paging,
    ) -> Result<LogHits, Error> {
        let question = Question::new(&("search run", id, wanted));
        let spot = question.after::<Spot>(&p)?.unwrap_or_default();
        let mut looking = Looking::new(wanted, p.limit)?;
        let run = self.run_for(c, Action::ReadJobs, id).await?;
        let stopped = self.look_in(c, &mut looking, Of(id, run.status, run.fired_at), spot).await?;
        looking.found.runs = 1;
        looking.found.next_cursor = stopped.and_then(|spot| question.cursor(&spot));
        Ok(looking.found)
    }

    /// Lines of the output of a job's runs that hold a text: of open runs first, then of closed
    /// ones, each the newest first.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn search_job(
        &self,
        c: &Caller,
        which: Which<'_>,
        wanted: &Wanted,
        p: Paging,
    ) -> Result<LogHits, Error> {
        let (job, deleted) = (Some(which.name.to_owned()), which.deleted);
        let question = Question::new(&("search job", &job, deleted, wanted));
        let mut place = question.after::<Place>(&p)?;
        let mut looking = Looking::new(wanted, p.limit)?;
        let filter = RunFilter { job, deleted, ..RunFilter::default() };
        let mut cursor = place.as_ref().and_then(|place| place.page.clone());
        loop {
            let paging = Paging { limit: RUNS_PAGE, cursor: cursor.clone() };
            let page = self.runs(c, filter.clone(), paging).await?;
            let mut runs = page.items.as_slice();
            let mut spot = Spot::default();
            if let Some(place) = place.take()
                && let Some(at) = runs.iter().position(|run| run.id == place.run)
            {
                runs = &runs[at + usize::from(place.spot.is_none())..];
                spot = place.spot.unwrap_or_default();
            }
            for run in runs {
                let of = Of(run.id, run.status, run.fired_at);
                let stopped = self.look_in(c, &mut looking, of, std::mem::take(&mut spot)).await?;
                looking.found.runs += 1;
                let enough = looking.full() || looking.found.runs >= RUNS_MAX as u64;
                if stopped.is_some() || enough {
                    let place = Place { page: cursor, run: run.id, spot: stopped };
                    looking.found.next_cursor = question.cursor(&place);
                    return Ok(looking.found);
                }
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(looking.found),
            }
        }
    }

    /// Looks through the output of a run from `spot` on; where it stopped before the end.
    async fn look_in(
        &self,
        c: &Caller,
        looking: &mut Looking<'_>,
        of: Of,
        mut spot: Spot,
    ) -> Result<Option<Spot>, Error> {
        let mut open = Open::new();
        let mut after = spot.after;
        looking.given = spot.given;
        loop {
            let page = self.output(c, of.0, after, PIECES).await?;
            let last = page.pieces.is_empty() || page.closed;
            for piece in page.pieces {
                after = Some(piece.place);
                spot.given += looking.piece(of, piece, &mut open);
                if looking.found.items.len() >= looking.limit {
                    return Ok(Some(spot));
                }
                if open.is_empty() {
                    // Between lines: from here it can go on.
                    spot = Spot { after, given: 0 };
                    looking.given = 0;
                    if looking.full() {
                        return Ok(Some(spot));
                    }
                }
            }
            if last {
                let left = std::mem::take(&mut open);
                spot.given +=
                    left.iter().map(|(whose, line)| looking.line(of, *whose, line)).sum::<usize>();
                let full = looking.found.items.len() >= looking.limit;
                return Ok(full.then_some(spot));
            }
        }
    }
}

impl<'a> Looking<'a> {
    fn new(wanted: &'a Wanted, limit: usize) -> Result<Self, Error> {
        if !(1..=HITS_MAX).contains(&limit) {
            return Err(Error::Malformed(format!("limit must be from 1 to {HITS_MAX}")));
        }
        let found = LogHits { items: Vec::new(), runs: 0, bytes: 0, next_cursor: None };
        Ok(Looking { wanted, limit, given: 0, found })
    }

    fn full(&self) -> bool {
        self.found.items.len() >= self.limit || self.found.bytes >= BYTES_MAX as u64
    }

    /// Looks at what a piece completes; how many hits it gave.
    fn piece(&mut self, of: Of, piece: LogPiece, open: &mut Open) -> usize {
        self.found.bytes += piece.bytes.len() as u64;
        let (attempt, seq, at) = (piece.place.attempt, piece.place.seq, piece.at);
        let mut given = 0;
        // The lines of an attempt that is over have no more to come.
        while let Some(entry) = open.first_entry().filter(|entry| entry.key().0 < attempt) {
            let (whose, line) = entry.remove_entry();
            given += self.line(of, whose, &line);
        }
        let whose = (attempt, piece.stream);
        for part in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = open.entry(whose).or_insert_with(|| Begun { seq, at, bytes: Vec::new() });
            line.bytes.extend_from_slice(part);
            let whole = part.ends_with(b"\n") || line.bytes.len() >= LINE_BYTES_MAX;
            if let Some(line) = whole.then(|| open.remove(&whose)).flatten() {
                given += self.line(of, whose, &line);
            }
        }
        given
    }

    /// Looks at a line; how many hits it gave: 1 or none.
    fn line(&mut self, of: Of, (attempt, stream): (u32, LogStream), line: &Begun) -> usize {
        if self.found.items.len() >= self.limit {
            return 0;
        }
        let whole = String::from_utf8_lossy(&line.bytes);
        let Some(text) = self.wanted.shown_in(whole.trim_end_matches(['\n', '\r'])) else {
            return 0;
        };
        if self.given > 0 {
            self.given -= 1;
            return 0;
        }
        let (Of(run_id, status, fired_at), seq, at) = (of, line.seq, line.at);
        self.found.items.push(LogHit { run_id, status, fired_at, attempt, seq, at, stream, text });
        1
    }
}
