//! Programs of the system, run to their end.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program with `input`; gives what it wrote to standard output.
///
/// # Errors
/// It is not there, or did not succeed: with what it said.
pub fn run(words: &[&str], input: &str) -> Result<String, String> {
    let told = words.join(" ");
    let (program, args) = words.split_first().ok_or("no program")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{told}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|error| format!("{told}: {error}"))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("{told}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{told}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
