//! Nodes at the same index hold the same history, to the byte.

use std::collections::BTreeMap;

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut by_index = BTreeMap::new();
    let mut broken = Vec::new();
    for read in &history.inner.finals {
        let (first, rows) = by_index.entry(read.index).or_insert((&read.node, read.rows));
        if *rows != read.rows {
            broken.push(format!("{first} and {} differ at {}", read.node, read.index));
        }
    }
    broken
}
