//! CronAPI: a clustered job scheduler managed entirely over REST.

#![deny(unsafe_code)]

pub mod api;
pub mod clock;
pub mod consensus;
pub mod executor;
pub mod machine;
pub mod model;
pub mod schedule;
pub mod scheduler;
pub mod service;
pub mod storage;
pub mod wire;
