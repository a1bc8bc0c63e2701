//! The use cases over a real log in memory. A test's world decides fires and reports
//! attempts itself, as the leader and a node would.

mod explain;
mod jobs;
mod ledger;
mod lists;
mod output;
mod over_time;
mod permits;
mod runs;
mod search;
mod submit;
mod system;
mod world;
