//! What CronAPI decides, without a clock of its own, threads, disks or sockets: the nouns of the
//! model, nominal times, and the machine that every node applies alike.

// Tests may panic; what serves may not: it answers with an error.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(not(test), deny(clippy::too_many_lines))]

pub mod causes;
pub mod chance;
pub mod clock;
pub mod machine;
pub mod model;
pub mod schedule;
