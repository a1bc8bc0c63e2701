//! `cronapi audit-fires`: each rule can fail, and a real node passes them all.

mod live;
mod rules;
mod stub;
