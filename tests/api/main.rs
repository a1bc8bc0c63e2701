//! The REST interface, in process: a node in memory behind the whole router.

mod access;
mod audit;
mod document;
mod fixture;
mod input;
mod jobs;
mod server;
mod streams;
