//! CronAPI: a clustered job scheduler.

#![forbid(unsafe_code)]

pub mod consensus;
pub mod machine;
pub mod storage;
pub mod wire;
