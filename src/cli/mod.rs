//! The command line.
//!
//! Owns: arguments, exit codes, what goes to standard output (results) and to standard error
//! (talk). Does not own: anything a command does.
//!
//! ```text
//! Arguments ─> Alone: serve, restore, doctor, …      each by itself
//!           └> command: one file each
//!                session: terminal, settings, connection ─> client, stream ─> REST
//!                output: tables, JSON, YAML              ─> standard output
//! ```
//!
//! Exit codes are in `exit.rs`; a node that can't be configured exits with 78, the EX_CONFIG of
//! sysexits.h.
//!
//! Invariants: results go to standard output and nothing else does; no secret is taken from an
//! argument; a token is sent only to the servers it was given for.
//!
//! To add a command that talks to a cluster: `command/mod.rs` says how. To add another: a
//! variant of `Alone`, an arm in its `run`, docs/cli.md.

mod audit_fires;
mod client;
mod command;
mod completion;
mod config;
mod connection;
mod data;
mod definitions;
mod demo;
mod exit;
mod grammar;
mod health;
mod output;
mod plain;
mod session;
mod settings;
mod stream;
mod terminal;
mod yaml;

use std::pin::pin;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser, Subcommand};

use crate::node::{self, config::Flags};
use connection::Where;
use exit::{Code, Failure, Outcome};
use session::Session;
use terminal::{Color, Terminal};

/// A job scheduler managed over REST.
///
/// Examples:
///   cronapi demo                        see it: three nodes, jobs, the page
///   cronapi serve                       start a node
///   cronapi login                       log in to it
///   cronapi apply -f jobs/              create and change jobs
///   cronapi run backup --follow         start one and see what it writes
#[derive(Parser)]
#[command(name = "cronapi", version, arg_required_else_help = true, max_term_width = 100)]
#[command(verbatim_doc_comment, subcommand_required = true)]
struct Arguments {
    #[command(flatten)]
    place: Where,
    /// When output has colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Terminal"
    )]
    color: Color,
    /// Never ask
    #[arg(long, global = true, help_heading = "Terminal")]
    no_input: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Alone(Alone),
    #[command(flatten)]
    Ask(Box<command::Command>),
}

/// What asks no cluster. Servers come first in help, what is seldom wanted last.
#[derive(Subcommand)]
enum Alone {
    /// Start a node
    ///
    /// Example: cronapi serve --data ./state --listen 127.0.0.1:8000
    #[command(display_order = 0)]
    Serve(Box<Flags>),
    /// Show it: three nodes with jobs and their past, and the page, until Ctrl-C
    ///
    /// Example: cronapi demo
    #[command(display_order = 1)]
    Demo(demo::Options),
    /// Look at the settings of a node
    #[command(subcommand, display_order = 2)]
    Config(config::Command),
    /// Make a data directory for a new cluster of a backup
    ///
    /// Example: cronapi restore cluster.backup --data ./restored
    #[command(display_order = 900)]
    Restore(data::restore::Options),
    /// Say what is wrong with a data directory
    ///
    /// Example: cronapi doctor --data ./state
    #[command(display_order = 901)]
    Doctor(data::doctor::Options),
    /// Say whether the node of this machine can serve, by the exit code
    #[command(display_order = 902)]
    Health(health::Options),
    /// Print completions for a shell
    ///
    /// Example: source <(cronapi completion bash)
    #[command(display_order = 903)]
    Completion(completion::Completion),
    /// Print the OpenAPI document of the REST API
    #[command(display_order = 904)]
    Openapi,
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let read = Arguments::from_arg_matches(&grammar::whole().get_matches());
    let Arguments { place, color, no_input, command } = read.unwrap_or_else(|e| e.exit());
    let terminal = Terminal::new(color, no_input);
    match command {
        Command::Ask(command) => ended(ask(*command, &Session::new(terminal, place))),
        Command::Alone(_) if place.is_given() => {
            let text = "--server, --context and --ca are for commands that ask a server";
            ended(Err(Failure::usage(text)))
        }
        Command::Alone(command) => command.run(&terminal),
    }
}

impl Alone {
    fn run(self, terminal: &Terminal) -> ExitCode {
        match self {
            Alone::Serve(flags) => serve(&flags),
            Alone::Demo(options) => ended(demo::run(&options, terminal)),
            Alone::Config(command) => config::run(&command),
            Alone::Restore(options) => ended(data::restore::run(&options)),
            Alone::Doctor(options) => ended(data::doctor::run(&options)),
            Alone::Health(options) => health::run(&options),
            Alone::Completion(completion) => ended(completion.run()),
            Alone::Openapi => ended(output::line(&crate::api::openapi()).map(|()| 0)),
        }
    }
}

/// Carries a command out, until it is done or Ctrl-C comes.
fn ask(command: command::Command, session: &Session) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(format!("no async runtime: {error}")))?;
    runtime.block_on(async {
        let mut outcome = pin!(command.run(session));
        loop {
            tokio::select! {
                // The command first: what it reads before it waits is ended by the system's Ctrl-C.
                biased;
                outcome = &mut outcome => return outcome,
                _ = tokio::signal::ctrl_c() => {
                    if !session.not_for_us.take() {
                        return Ok(Code::Interrupted as u8);
                    }
                }
            }
        }
    })
}

/// Tells of a failure, and gives the exit code.
fn ended(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cronapi: {}", plain::visible(&failure.to_string()));
            ExitCode::from(failure.code as u8)
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
