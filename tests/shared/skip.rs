//! Tests that can't be run here say so, where it is seen and counted.

use std::io::Write;

/// Writes `SKIPPED what: why` on a line of its own to the real standard error, which test
/// programs do not capture; `.ci/run` counts these lines.
pub fn skipped(what: &str, why: &str) {
    let why = why.replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {what}: {}", why.trim());
}
