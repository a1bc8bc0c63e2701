//! How CronAPI agrees and keeps: the log of a cluster, what is stored, backups, and what is done
//! with a data directory while no node runs on it.

// Tests may panic; what serves may not: it answers with an error.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::too_many_lines))]

use cronapi_core::{causes, chance, clock, machine, model};

pub mod backup;
pub mod consensus;
pub mod metrics;
pub mod offline;
pub mod storage;
pub mod trust;
pub mod vault;
pub mod wire;
