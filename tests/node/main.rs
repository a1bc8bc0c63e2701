//! The program itself: its settings, what it tells the service manager, its log.

mod config;
mod process;
mod running;
mod service_manager;
#[cfg(feature = "otel")]
mod traces;
