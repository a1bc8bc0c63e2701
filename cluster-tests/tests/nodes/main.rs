//! Everything that is tried on real nodes, but for elections and for faults of three: in one
//! program, so that what waits for one of these does so beside another.

mod alerts;
mod backfills;
mod backup;
mod duties;
mod forming;
mod heartbeats;
mod lab;
mod locks;
mod logins;
mod monitors;
mod one_node;
mod outward;
mod planned;
mod pool;
mod pushes;
mod queues;
mod secrets;
mod sinks;
mod start_stop;
mod stateful_set;
mod templates;
mod tls;
mod triggers;
mod workflows;
