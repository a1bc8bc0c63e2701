//! The command line.
//!
//! Owns: arguments, exit codes, what goes to standard output (results) and to standard error
//! (talk). Does not own: anything a command does.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, and of sysexits.h 69 no answer from a server
//! (EX_UNAVAILABLE), 77 refused by one (EX_NOPERM), 78 bad configuration (EX_CONFIG).
//!
//! To add a command: a variant of `Command`, an arm in `main`, docs/cli.md.

mod audit_fires;
mod config;
mod data;
mod health;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::node::{self, config::Flags};

/// A job scheduler managed over REST.
#[derive(Parser)]
#[command(name = "cronapi", version, arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a node
    ///
    /// Example: cronapi serve --data ./state --listen 127.0.0.1:8000
    Serve(Box<Flags>),
    /// Look at the settings of a node
    #[command(subcommand)]
    Config(config::Command),
    /// Check that every nominal time of a live cluster has exactly one outcome
    ///
    /// Example: cronapi audit-fires --url http://127.0.0.1:8000 --user admin --since 24h
    AuditFires(audit_fires::Options),
    /// Say whether the node of this machine can serve, by the exit code
    Health(health::Options),
    /// Take a backup of a live cluster, or check one
    ///
    /// Example: cronapi backup cluster.backup --url http://127.0.0.1:8000 --user admin
    Backup(data::backup::Options),
    /// Make a data directory for a new cluster of a backup
    ///
    /// Example: cronapi restore cluster.backup --data ./restored
    Restore(data::restore::Options),
    /// Say what is wrong with a data directory
    ///
    /// Example: cronapi doctor --data ./state
    Doctor(data::doctor::Options),
    /// Print the OpenAPI document of the REST API
    Openapi,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(flags) => serve(&flags),
        Command::Config(command) => config::run(&command),
        Command::AuditFires(options) => audit_fires::run(options),
        Command::Health(options) => health::run(&options),
        Command::Backup(options) => data::backup::run(&options),
        Command::Restore(options) => data::restore::run(&options),
        Command::Doctor(options) => data::doctor::run(&options),
        Command::Openapi => {
            println!("{}", crate::api::openapi());
            ExitCode::SUCCESS
        }
    }
}

fn serve(flags: &Flags) -> ExitCode {
    let loaded = config::load(flags);
    config::complain(&loaded);
    let Ok(config) = loaded.outcome else { return ExitCode::from(config::EX_CONFIG) };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cronapi: no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    // Within the runtime: spans are sent from there.
    let _within = runtime.enter();
    let change = match node::telemetry::start(&config.log, config.log_json) {
        Ok(change) => change,
        Err(error) => {
            eprintln!("cronapi: {error}");
            return ExitCode::from(config::EX_CONFIG);
        }
    };
    node::telemetry::note_panics();
    let again = flags.clone();
    let mut reload = node::Reload::new(loaded.settings, move || config::load(&again));
    reload.hook(&["log"], move |config| change(&config.log));
    let served = runtime.block_on(node::serve(config, reload));
    #[cfg(feature = "otel")]
    crate::trace::end();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cronapi: {failure}");
            ExitCode::FAILURE
        }
    }
}
