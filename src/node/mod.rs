//! The composition root: configuration, wiring, the order of start and stop.
//!
//! Owns: what a process is made of and when each part begins and ends. Does not own any
//! decision: those are in the parts.
//!
//! ```text
//! start: telemetry, configuration, storage and log, first admin, leftovers of an earlier
//!        boot, "this boot is up", scheduler, executor, REST
//! stop:  readiness goes, no more attempts here, scheduler, running attempts, REST, log
//! ```
//!
//! To add a setting: `config`, docs/configuration.md.

mod banner;
mod blocked;
mod bootstrap;
mod certificates;
pub mod cluster_key;
pub mod config;
mod failure;
mod files;
mod job_space;
mod notify;
mod presence;
mod reload;
mod running;
mod serve;
mod signals;
pub mod telemetry;

pub use config::Config;
pub use failure::Failure;
pub use presence::Presence;
pub use reload::Reload;
pub use serve::serve;
