//! How a node starts and stops: passwords, refusals to start, drains, leftovers, secrets.

#[path = "start_stop/drain.rs"]
mod drain;
#[path = "start_stop/first_admin.rs"]
mod first_admin;
#[path = "start_stop/refusals.rs"]
mod refusals;
#[path = "start_stop/secrets.rs"]
mod secrets;
