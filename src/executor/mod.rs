//! This node's attempts: from the state's word that one is ours to the report of its end.
//!
//! Owns: starting what the applied state assigns to this boot of this node, once, and only
//! under a lease (`begun.rs`, `lease.rs`); stopping what it wants stopped; reporting starts,
//! output and ends (`report.rs`).
//!
//! Does not own: which run goes where (`machine::plan`), what an end means
//! (`machine::apply`), how a process or a call is carried out (`runner/`).
//!
//! ```text
//! state ──► worker ── per attempt ──► attempt ──► work: the runners, or a script
//!   ▲                                    │ started, output, ended
//!   └───────────── submit ◄──────────────┘
//! ```
//!
//! Invariants: an attempt is started only if the applied state gives it to this boot, and at
//! most once: its fence is remembered until the state no longer shows it. A report is
//! repeated until the log has answered it; the fence makes a second one harmless.
//!
//! To add a runner: `runner/mod.rs`.

mod attempt;
mod begun;
mod busy;
mod fill;
mod last_check;
mod lease;
mod left_out;
mod lock;
mod locks;
mod order;
mod parts;
mod report;
pub mod runner;
mod work;
mod worker;

pub use busy::Busy;
pub use fill::{job_setting, secret_value};
pub use last_check::LastCheck;
pub use locks::{LockOrder, Locks};
pub use parts::Parts;
pub use work::{Script, Work};
pub use worker::Executor;
