//! CronAPI: a clustered job scheduler managed entirely over REST.

pub mod executor;
