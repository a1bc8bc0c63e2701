//! Who leads, and that somebody does: without a majority, on slow disks, over slow links.

#[path = "elections/clocks.rs"]
mod clocks;
#[path = "elections/disks.rs"]
mod disks;
#[path = "elections/links.rs"]
mod links;
#[path = "elections/majority.rs"]
mod majority;
#[path = "elections/watched.rs"]
mod watched;
