//! CronAPI: a clustered job scheduler managed entirely over REST.

// Tests may panic; what serves may not: it answers with an error.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::too_many_lines))]
// What only some adapters need stays where the others have it.
#![cfg_attr(
    not(all(feature = "redis", feature = "postgres", feature = "mongodb")),
    allow(dead_code, unused_variables)
)]

pub use cronapi_core::{causes, chance, clock, machine, model, schedule};
pub use cronapi_raft::{backup, consensus, metrics, offline, storage, trust, vault, wire};

pub mod adapters;
pub mod api;
pub mod cli;
pub mod executor;
pub mod node;
pub mod scheduler;
pub mod service;
pub mod trace;
