//! The program itself: its settings, what it tells the service manager, its log.

mod config;
mod https;
mod notify;
mod process;
mod running;
mod sealed;
#[cfg(feature = "otel")]
mod traces;
