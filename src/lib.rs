//! CronAPI: a clustered job scheduler managed entirely over REST.

pub mod clock;
pub mod machine;
pub mod model;
pub mod schedule;
