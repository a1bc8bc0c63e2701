//! Everything that is tried on real nodes, but for elections and for faults of three: in one
//! program, so that what waits for one of these does so beside another.

#[path = "alerts.rs"]
mod alerts;
#[path = "backfills.rs"]
mod backfills;
#[path = "backup.rs"]
mod backup;
#[path = "forming.rs"]
mod forming;
#[path = "lab.rs"]
mod lab;
#[path = "logins.rs"]
mod logins;
#[path = "monitors.rs"]
mod monitors;
#[path = "one_node.rs"]
mod one_node;
#[path = "outward.rs"]
mod outward;
#[path = "planned.rs"]
mod planned;
#[path = "pool.rs"]
mod pool;
#[path = "secrets.rs"]
mod secrets;
#[path = "sinks.rs"]
mod sinks;
#[path = "start_stop.rs"]
mod start_stop;
#[path = "stateful_set.rs"]
mod stateful_set;
#[path = "templates.rs"]
mod templates;
#[path = "workflows.rs"]
mod workflows;
