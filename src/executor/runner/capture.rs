//! Output as it is kept: numbered, stamped, cut at lines, head and tail.
//!
//! Bytes pass through here: open line → batch → ready. Once the head half of the allowance
//! is used they go to the tail ring instead, which is added when the attempt has ended.
//! Wherever they are cut, characters stay whole: the beginning of one waits in its stream's
//! open line for the rest. Nothing here waits; [`super::pump`] does the waiting.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::Instant;

use super::limits::{
    BATCH_AGE_MAX, BATCH_BYTES_MAX, CHUNKS_PER_HALF_MAX, FIRST_BATCH_AGE_MAX, SAME_CHUNK_MICROS,
};
use super::mask::Masker;
use super::tail::{Piece, Tail};
use super::utf8::whole_characters;
use crate::model::LogStream;

/// A piece of output of one stream: whole lines where possible, whole characters where the
/// bytes are UTF-8, at most 16 KiB, any bytes.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Counted from 0 within the attempt, without gaps.
    pub seq: u32,
    /// Where it came from.
    pub stream: LogStream,
    /// When the node had it, in microseconds of the given clock; never runs backwards.
    pub at_micros: i64,
    /// Not necessarily UTF-8.
    pub bytes: Bytes,
}

/// The output of one attempt on its way out.
pub(super) struct Capture {
    clock: fn() -> i64,
    last_at: i64,
    next_seq: u32,
    seen: u64,
    /// What keeps secrets out of stdout and stderr.
    maskers: [Masker; 2],
    /// Unfinished lines of stdout and stderr; past the head, unfinished characters.
    open_lines: [Vec<u8>; 2],
    head_bytes_left: usize,
    head_chunks_left: usize,
    tail: Tail,
    batch: Vec<Piece>,
    batch_bytes: usize,
    ready: VecDeque<Vec<Chunk>>,
    flush_at: Option<Instant>,
    flushed_once: bool,
}

impl Capture {
    pub(super) fn new(clock: fn() -> i64, output_max: usize, masker: &Masker) -> Self {
        Self {
            clock,
            last_at: i64::MIN,
            next_seq: 0,
            seen: 0,
            maskers: [masker.clone(), masker.clone()],
            open_lines: [Vec::new(), Vec::new()],
            head_bytes_left: output_max - output_max / 2,
            head_chunks_left: CHUNKS_PER_HALF_MAX,
            tail: Tail::new(output_max / 2),
            batch: Vec::new(),
            batch_bytes: 0,
            ready: VecDeque::new(),
            flush_at: None,
            flushed_once: false,
        }
    }

    /// Takes what a stream just gave. `stream` is not [`LogStream::System`].
    pub(super) fn feed(&mut self, stream: LogStream, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let masker = &mut self.maskers[index(stream)];
        if masker.is_idle() {
            self.take(stream, bytes);
        } else {
            let masked = masker.feed(bytes);
            self.take(stream, &masked);
        }
    }

    fn take(&mut self, stream: LogStream, bytes: &[u8]) {
        let at = self.now();
        let mut text = std::mem::take(&mut self.open_lines[index(stream)]);
        text.extend_from_slice(bytes);
        let mut from = 0;
        while !self.head_closed()
            && let Some(length) = whole_lines(&text[from..])
        {
            self.accept(stream, at, &text[from..from + length]);
            from += length;
        }
        if self.head_closed() {
            let end = from + whole_characters(&text[from..]);
            self.tail.push(stream, at, &text[from..end]);
            from = end;
        }
        text.drain(..from);
        self.open_lines[index(stream)] = text;
        self.arm();
    }

    /// A line by the runner itself; not counted against the allowance.
    pub(super) fn note(&mut self, text: &str) {
        let at = self.now();
        let text = self.maskers[0].text(text);
        self.add(LogStream::System, at, format!("{text}\n").as_bytes());
        self.arm();
    }

    /// When [`Self::flush`] is due.
    pub(super) fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Sends on what waited long enough, unfinished lines too.
    pub(super) fn flush(&mut self) {
        let at = self.now();
        self.flush_open_lines(at, whole_characters);
        self.seal();
        self.flush_at = None;
        self.flushed_once = true;
    }

    /// The attempt is over: everything that is kept becomes ready. Returns bytes seen and
    /// whether some were left out.
    pub(super) fn finish(&mut self) -> (u64, bool) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let held = self.maskers[index(stream)].finish();
            self.take(stream, &held);
        }
        let at = self.now();
        // What is no whole character by now never becomes one.
        self.flush_open_lines(at, <[u8]>::len);
        let (pieces, left_out) = self.tail.take();
        if left_out > 0 {
            self.note(&format!("… {left_out} bytes left out …"));
        }
        self.head_bytes_left = usize::MAX;
        self.head_chunks_left = usize::MAX;
        for piece in pieces {
            let mut rest = piece.bytes.as_slice();
            while !rest.is_empty() {
                let length = whole_lines(rest).unwrap_or(rest.len());
                self.add(piece.stream, piece.at, &rest[..length]);
                rest = &rest[length..];
            }
        }
        self.seal();
        self.flush_at = None;
        (self.seen, left_out > 0)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn next_ready(&mut self) -> Option<Vec<Chunk>> {
        self.ready.pop_front()
    }

    /// Nobody listens: forget what is ready, keep counting.
    pub(super) fn discard_ready(&mut self) {
        self.ready.clear();
    }

    fn now(&mut self) -> i64 {
        self.last_at = self.last_at.max((self.clock)());
        self.last_at
    }

    fn head_closed(&self) -> bool {
        self.head_bytes_left == 0 || self.head_chunks_left == 0
    }

    fn arm(&mut self) {
        let waiting = self.batch_bytes > 0 || self.open_lines.iter().any(|line| !line.is_empty());
        if waiting && self.flush_at.is_none() {
            let age = if self.flushed_once { BATCH_AGE_MAX } else { FIRST_BATCH_AGE_MAX };
            self.flush_at = Some(Instant::now() + age);
        }
    }

    /// Gives up the unfinished lines, as much of each as `length` says.
    fn flush_open_lines(&mut self, at: i64, length: fn(&[u8]) -> usize) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let mut line = std::mem::take(&mut self.open_lines[index(stream)]);
            let rest = line.split_off(length(&line));
            self.open_lines[index(stream)] = rest;
            if !line.is_empty() {
                self.accept(stream, at, &line);
            }
        }
    }

    /// Head or tail: whichever the allowance says.
    fn accept(&mut self, stream: LogStream, at: i64, bytes: &[u8]) {
        if self.head_closed() {
            self.tail.push(stream, at, bytes);
            return;
        }
        if bytes.len() <= self.head_bytes_left {
            self.head_bytes_left -= bytes.len();
            self.add(stream, at, bytes);
        } else {
            let length = cut(bytes, self.head_bytes_left);
            self.head_bytes_left = 0;
            self.add(stream, at, &bytes[..length]);
            self.tail.push(stream, at, &bytes[length..]);
        }
        if self.head_closed() {
            // From here on the other stream's bytes pass its open line by: empty it first.
            self.flush_open_lines(at, whole_characters);
        }
    }

    fn add(&mut self, stream: LogStream, at: i64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.batch_bytes + bytes.len() > BATCH_BYTES_MAX {
            self.seal();
        }
        self.batch_bytes += bytes.len();
        match self.batch.last_mut() {
            Some(last) if last.stream == stream && at - last.at <= SAME_CHUNK_MICROS => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => {
                self.head_chunks_left = self.head_chunks_left.saturating_sub(1);
                self.batch.push(Piece { stream, at, bytes: bytes.to_vec() });
            }
        }
    }

    fn seal(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.batch_bytes = 0;
        let mut chunks = Vec::with_capacity(self.batch.len());
        for Piece { stream, at, bytes } in self.batch.drain(..) {
            let seq = self.next_seq;
            self.next_seq += 1;
            chunks.push(Chunk { seq, stream, at_micros: at, bytes: bytes.into() });
        }
        self.ready.push_back(chunks);
    }
}

fn index(stream: LogStream) -> usize {
    usize::from(stream == LogStream::Stderr)
}

/// How much of `bytes` can go as one chunk: whole lines, or a full chunk of an endless one;
/// `None` when it is the beginning of a line that may still end.
fn whole_lines(bytes: &[u8]) -> Option<usize> {
    if bytes.len() >= BATCH_BYTES_MAX {
        return Some(cut(bytes, BATCH_BYTES_MAX));
    }
    last_line_end(bytes)
}

/// The best place to cut within `max` bytes: after a line, else between characters.
fn cut(bytes: &[u8], max: usize) -> usize {
    let within = &bytes[..max.min(bytes.len())];
    last_line_end(within).unwrap_or_else(|| whole_characters(within))
}

fn last_line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
}

#[cfg(test)]
mod tests;
