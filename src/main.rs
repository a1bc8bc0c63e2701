//! The `cronapi` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    cronapi::cli::main()
}
