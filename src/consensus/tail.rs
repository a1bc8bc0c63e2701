//! The newest entries of the log in memory: what apply and replication read.

use std::collections::VecDeque;

use super::types::Entry;

/// Bytes kept beyond the entries that are not durable yet.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// Consecutive entries up to the end of the log.
#[derive(Default)]
pub(super) struct Tail {
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

impl Tail {
    /// Adds the next entry, whose record has this many bytes.
    pub fn push(&mut self, entry: Entry, bytes: usize) {
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
    }

    /// Drops the oldest entries over the bound, but none above `durable`: the log on disk does
    /// not have those yet.
    pub fn shrink(&mut self, durable: Option<u64>) {
        while self.bytes > BYTES_MAX
            && let Some((oldest, bytes)) = self.entries.front()
            && Some(oldest.log_id.index) <= durable
        {
            self.bytes -= bytes;
            self.entries.pop_front();
        }
    }

    /// Drops the entries from `since` on.
    pub fn truncate(&mut self, since: u64) {
        while let Some((newest, bytes)) = self.entries.back()
            && newest.log_id.index >= since
        {
            self.bytes -= bytes;
            self.entries.pop_back();
        }
    }

    /// Drops the entries up to `upto`.
    pub fn purge(&mut self, upto: u64) {
        while let Some((oldest, bytes)) = self.entries.front()
            && oldest.log_id.index <= upto
        {
            self.bytes -= bytes;
            self.entries.pop_front();
        }
    }

    /// The index of the oldest entry held.
    pub fn first(&self) -> Option<u64> {
        self.entries.front().map(|(entry, _)| entry.log_id.index)
    }

    /// The entries with `from <= index < to`, until `bytes_max` is passed.
    pub fn range(&self, from: u64, to: u64, bytes_max: usize) -> Vec<Entry> {
        let Some(first) = self.first() else {
            return Vec::new();
        };
        let skip = from.saturating_sub(first) as usize;
        let mut bytes = 0;
        let wanted = self.entries.iter().skip(skip);
        let wanted = wanted.take_while(|(entry, size)| {
            let room = bytes < bytes_max;
            bytes += size;
            room && entry.log_id.index < to
        });
        wanted.map(|(entry, _)| entry.clone()).collect()
    }
}
