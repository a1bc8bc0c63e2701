//! CronAPI: a clustered job scheduler managed entirely over REST.

// Tests may panic; what serves may not: it answers with an error.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::too_many_lines))]

pub mod adapters;
pub mod api;
pub mod backup;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod consensus;
pub mod executor;
pub mod machine;
pub mod metrics;
pub mod model;
pub mod node;
pub mod offline;
pub mod schedule;
pub mod scheduler;
pub mod service;
pub mod storage;
pub mod trace;
pub mod vault;
pub mod wire;
