//! Processes and the way to talk to them.
//!
//! Owns: every process that is started here, until it is gone; temporary folders; the REST
//! client. Does not own: what is tested.
//!
//! `process.rs` is one process, `cluster.rs` its restarts on the same data, `sandbox.rs` the
//! folder all of it lives in and the sweep that leaves nothing behind.

pub mod binary;
pub mod client;
pub mod cluster;
pub mod process;
pub mod receiver;
pub mod sandbox;

pub use client::{Answer, Client};
pub use cluster::Cluster;
pub use process::{Daemon, Exit, Launch};
pub use receiver::Receiver;
pub use sandbox::Sandbox;
