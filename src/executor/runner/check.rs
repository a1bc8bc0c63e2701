//! Checking Python source before it is accepted: does it compile?

use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::limits::CHECK_TIMEOUT;
use super::node::RunnerEnv;
use super::process::stdin_file;
use super::python::FLAGS;

/// Compiles standard input, runs nothing, and prints the first fault as JSON.
const CHECK: &str = "import sys, warnings
warnings.simplefilter('ignore')
code = sys.stdin.buffer.read().decode()
try:
    compile(code, '<job>', 'exec', 0, True)
except SyntaxError as e:
    found = [e.lineno or 1, e.offset or 1, e.msg]
except (ValueError, MemoryError, RecursionError) as e:
    found = [1, 1, str(e) or type(e).__name__]
else:
    sys.exit(0)
import json
print(json.dumps(found))";

/// Where and why Python source does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SyntaxFault {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// Python's own words.
    pub message: String,
}

#[derive(Deserialize)]
struct Found(i64, i64, String);

/// Refuses source that does not compile. Costs one start of the interpreter. Source that
/// could not be judged (no interpreter, or none that answers in time) is accepted: the
/// attempt will tell.
///
/// # Errors
/// The first fault.
pub async fn check_python(env: &RunnerEnv, code: &str) -> Result<(), SyntaxFault> {
    let Some(python) = &env.python else {
        return Ok(());
    };
    let Ok(stdin) = stdin_file::with(code.as_bytes()) else {
        return Ok(());
    };
    let mut command = Command::new(python);
    command.args(FLAGS).arg("-S").arg("-c").arg(CHECK);
    command.env_clear().stdin(Stdio::from(stdin)).stderr(Stdio::null()).kill_on_drop(true);
    let Ok(Ok(output)) = timeout(CHECK_TIMEOUT, command.output()).await else {
        return Ok(());
    };
    let Ok(Found(line, column, message)) = serde_json::from_slice(&output.stdout) else {
        return Ok(());
    };
    let counted = |number: i64| u32::try_from(number.max(1)).unwrap_or(u32::MAX);
    Err(SyntaxFault { line: counted(line), column: counted(column), message })
}
