//! This node's attempts.

pub mod runner;
