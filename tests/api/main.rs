//! The REST interface, in process: a node in memory behind the whole router.

#[path = "../shared/skip.rs"]
mod skip;

mod access;
mod alerts;
mod audit;
mod backfills;
mod backup;
mod channels;
mod clients;
mod deleted;
mod document;
mod examples;
mod fixture;
mod health;
mod input;
mod jobs;
mod kinds;
mod metrics;
mod monitors;
mod oidc;
mod over_time;
mod page;
mod provider;
mod pushes;
mod secrets;
mod sent_back;
mod server;
mod sinks;
mod streams;
mod tls;
mod triggers;
mod workflows;
