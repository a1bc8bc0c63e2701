//! What somebody who means harm would try, against a node in memory behind the whole router.

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../api/fixture.rs"]
mod fixture;

mod bodies;
mod cut_off;
mod injection;
mod operations;
mod roles;
mod tokens;
