//! Who leads, and that somebody does: without a majority, on slow disks, over slow links.

#[path = "elections/majority.rs"]
mod majority;
