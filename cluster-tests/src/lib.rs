//! Tests of whole clusters: real processes, real faults, and a checker that reads what they
//! did from outside.
//!
//! Owns: starting and ending `cronapi` processes, a workload, faults, and the verdict. Does
//! not own: anything of the scheduler; it is driven and read through its public interfaces,
//! and nominal times are computed here a second time, on their own.
//!
//! ```text
//! workload ──REST──► cronapi processes ◄──kill, term── nemesis
//!     │                    │ start attempts
//!     │                    ▼
//!     │               witness files            observe ◄──REST── cronapi
//!     └── what was acknowledged ──► history ◄──────┘
//!                                      │
//!                                   checker ──► violations, with their evidence
//! ```
//!
//! To add a rule: a file in `checker/`, a line in its `RULES`, and a doctored history that
//! breaks it. To add a fault: `nemesis/`.

pub mod checker;
pub mod figures;
pub mod harness;
pub mod history;
pub mod moment;
pub mod nemesis;
pub mod nominal;
pub mod observe;
pub mod random;
pub mod register;
pub mod replicas;
pub mod scenario;
pub mod witness;
pub mod workload;
