//! The newest entries of the log in memory: what apply and replication read.

use std::collections::VecDeque;

use openraft::EntryPayload;

use super::types::Entry;

/// Memory kept beyond the entries that are not durable yet.
const MEMORY_MAX: usize = 32 * 1024 * 1024;
/// What a command takes beside its bytes: it is kept decoded too.
const COMMAND_MEMORY: usize = 1024;

/// The memory that an entry takes, about.
fn memory(entry: &Entry, bytes: usize) -> usize {
    let commands = match &entry.payload {
        EntryPayload::Normal(payload) => payload.batch.commands().len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 1,
    };
    2 * bytes + commands * COMMAND_MEMORY
}

/// Consecutive entries up to the end of the log.
#[derive(Default)]
pub(super) struct Tail {
    entries: VecDeque<(Entry, usize)>,
    memory: usize,
}

impl Tail {
    /// Adds the next entry, whose record has this many bytes.
    pub fn push(&mut self, entry: Entry, bytes: usize) {
        self.memory += memory(&entry, bytes);
        self.entries.push_back((entry, bytes));
    }

    /// Drops the oldest entries over the bound, but none above `durable`: the log on disk does
    /// not have those yet.
    pub fn shrink(&mut self, durable: Option<u64>) {
        while self.memory > MEMORY_MAX
            && let Some((oldest, bytes)) = self.entries.front()
            && Some(oldest.log_id.index) <= durable
        {
            self.memory -= memory(oldest, *bytes);
            self.entries.pop_front();
        }
    }

    /// Drops the entries from `since` on.
    pub fn truncate(&mut self, since: u64) {
        while let Some((newest, bytes)) = self.entries.back()
            && newest.log_id.index >= since
        {
            self.memory -= memory(newest, *bytes);
            self.entries.pop_back();
        }
    }

    /// Drops the entries up to `upto`.
    pub fn purge(&mut self, upto: u64) {
        while let Some((oldest, bytes)) = self.entries.front()
            && oldest.log_id.index <= upto
        {
            self.memory -= memory(oldest, *bytes);
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
