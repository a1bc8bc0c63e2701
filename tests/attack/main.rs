//! What somebody who means harm would try, against a node in memory behind the whole router.

#[path = "../shared/skip.rs"]
mod skip;

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../api/fixture.rs"]
mod fixture;

#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../node/process.rs"]
mod process;

mod bodies;
mod bounds;
mod costs;
mod cut_off;
mod headers;
mod injection;
mod isolation;
mod operations;
mod rights;
mod roles;
mod tokens;
