//! The program itself: its settings, what it tells the service manager, its log.

#[path = "../shared/skip.rs"]
mod skip;

mod cluster_key;
mod config;
mod crowds;
mod demo;
mod front;
mod https;
mod notify;
mod process;
mod running;
mod sealed;
#[cfg(feature = "otel")]
mod traces;
