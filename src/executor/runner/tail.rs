//! The end of an attempt's output: a ring that forgets its oldest bytes.

use std::collections::VecDeque;

use super::limits::{BATCH_BYTES_MAX, CHUNKS_PER_HALF_MAX, SAME_CHUNK_MICROS};
use super::utf8::character_start;
use crate::model::LogStream;

/// Bytes of one stream that arrived together.
pub(super) struct Piece {
    pub(super) stream: LogStream,
    pub(super) at: i64,
    pub(super) bytes: Vec<u8>,
}

/// Holds at most `max` bytes in at most [`CHUNKS_PER_HALF_MAX`] pieces, each of whole
/// characters: what is pushed holds whole ones, and none is forgotten in part.
pub(super) struct Tail {
    max: usize,
    held: usize,
    left_out: u64,
    pieces: VecDeque<Piece>,
}

impl Tail {
    pub(super) fn new(max: usize) -> Self {
        Self { max, held: 0, left_out: 0, pieces: VecDeque::new() }
    }

    pub(super) fn push(&mut self, stream: LogStream, at: i64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // A flood larger than the ring need not pass through it.
        let skipped = character_start(bytes, bytes.len().saturating_sub(self.max));
        self.left_out += skipped as u64;
        let bytes = &bytes[skipped..];
        self.held += bytes.len();
        match self.pieces.back_mut() {
            Some(last)
                if last.stream == stream
                    && at - last.at <= SAME_CHUNK_MICROS
                    && last.bytes.len() + bytes.len() <= BATCH_BYTES_MAX =>
            {
                last.bytes.extend_from_slice(bytes);
            }
            _ => self.pieces.push_back(Piece { stream, at, bytes: bytes.to_vec() }),
        }
        self.forget();
    }

    /// What is held, oldest first, and how many bytes were forgotten.
    pub(super) fn take(&mut self) -> (VecDeque<Piece>, u64) {
        self.held = 0;
        (std::mem::take(&mut self.pieces), self.left_out)
    }

    fn forget(&mut self) {
        while self.held > self.max || self.pieces.len() > CHUNKS_PER_HALF_MAX {
            let excess = self.held.saturating_sub(self.max);
            let Some(first) = self.pieces.front_mut() else {
                return;
            };
            let cut = character_start(&first.bytes, excess);
            let whole = first.bytes.len() <= cut || excess == 0;
            let forgotten = if whole { first.bytes.len() } else { cut };
            if whole {
                self.pieces.pop_front();
            } else {
                first.bytes.drain(..forgotten);
            }
            self.held -= forgotten;
            self.left_out += forgotten as u64;
        }
    }
}
