//! The REST interface, in process: a node in memory behind the whole router.

mod access;
mod audit;
mod backup;
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
mod oidc;
mod over_time;
mod page;
mod provider;
mod secrets;
mod sent_back;
mod server;
mod streams;
mod tls;
