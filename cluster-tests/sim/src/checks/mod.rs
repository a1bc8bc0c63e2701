//! What must hold of a world, a file for each property.

pub mod liveness;

use crate::plan::Plan;
use crate::record::Record;

/// Everything that is broken.
pub fn all(_plan: &Plan, record: &Record) -> Vec<String> {
    record.locked().found.clone()
}
