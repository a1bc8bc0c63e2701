//! Processes and the way to talk to them.
//!
//! Owns: every process that is started here, until it is gone; temporary folders; the REST
//! client. Does not own: what is tested.
//!
//! `process.rs` is one process, `node.rs` its restarts on the same data, `cluster.rs` several
//! of them, `control.rs` what is done to them. They stand on a `ground.rs`: addresses on the
//! loopback interface, or the network of `lab.rs`, whose links can be cut. `shim.rs` tampers
//! with the clock and the syncs of a node, `disk.rs` gives it a disk that can be full.
//! `redis.rs` is a real Redis beside them, `postgres.rs` a real PostgreSQL, `mongo.rs` something
//! that speaks as MongoDB does. `sandbox.rs` is the folder all of it lives in and the sweep that
//! leaves nothing behind.
//!
//! To add something that is done to a node: a function in `control.rs`, its end in `heal`.

pub mod binary;
pub mod client;
pub mod cluster;
mod command;
mod control;
pub mod disk;
pub mod ground;
pub mod lab;
pub mod mongo;
mod node;
pub mod postgres;
pub mod process;
pub mod receiver;
pub mod redis;
pub mod sandbox;
pub mod shim;
pub mod sink;
pub mod skip;

pub use client::{Answer, Client};
pub use cluster::{Cluster, Shape};
pub use ground::Place;
pub use mongo::Mongo;
pub use postgres::Postgres;
pub use process::{Daemon, Exit, Launch};
pub use receiver::Receiver;
pub use redis::Redis;
pub use sandbox::Sandbox;
pub use skip::skipped;
