//! The machine, tested without Raft, disk or tokio: `world.rs` is state, clock, nodes and
//! history; the rest is one file a theme. `property.rs` and `oracle.rs` search at random;
//! both print the seed of a failure, and `CRONAPI_SEED=<n>` repeats it.

mod triggers;
mod world;

mod access;
mod ahead;
mod alerts;
mod backfills;
mod beats;
mod chains;
mod chance;
mod cluster_alerts;
mod definitions;
mod deleted;
mod duties;
mod event_rows;
mod facts;
mod fires;
mod flows;
mod forwarded;
mod gates;
mod golden;
mod instants;
mod lanes;
mod leaders;
mod locks;
mod manual;
mod monitors;
mod needs;
mod nodes;
mod oracle;
mod overlap;
mod places;
mod property;
mod pushes;
mod queues;
mod repeats;
mod restore;
mod retries;
mod schemas;
mod secrets;
mod sinks;
mod templates;
mod windows;
