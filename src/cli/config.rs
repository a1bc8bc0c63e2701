//! `cronapi config`: what a node would be started with, without starting it.

use std::process::ExitCode;

use clap::Subcommand;

use super::output;
use crate::node::Config;
use crate::node::config::{Flags, Loaded};

/// Bad configuration, of sysexits.h.
pub(super) const EX_CONFIG: u8 = 78;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Print the settings in force, each with where it came from; secrets are left out
    ///
    /// What is printed can be used as a configuration file.
    /// Example: cronapi config print --config /etc/cronapi/cronapi.toml
    Print(Box<Flags>),
    /// Say whether a node can be started with these settings
    ///
    /// Example: cronapi config check --config /etc/cronapi/cronapi.toml
    Check(Box<Flags>),
}

/// The settings of this process: flags, its environment, its file.
pub(super) fn load(flags: &Flags) -> Loaded {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let names: Vec<String> = names.collect();
    Config::look(flags, &|name| std::env::var(name).ok(), &names)
}

/// Says what is wrong, on standard error.
pub(super) fn complain(loaded: &Loaded) {
    for warning in &loaded.warnings {
        eprintln!("cronapi: warning: {warning}");
    }
    for fault in loaded.outcome.as_ref().err().into_iter().flatten() {
        eprintln!("cronapi: {fault}");
    }
}

pub(super) fn run(command: &Command) -> ExitCode {
    let (Command::Print(flags) | Command::Check(flags)) = command;
    let loaded = load(flags);
    complain(&loaded);
    let told = match (command, &loaded.outcome) {
        (_, Err(_)) => return ExitCode::from(EX_CONFIG),
        (Command::Print(_), Ok(_)) => output::text(&loaded.print()),
        (Command::Check(_), Ok(_)) => output::line("The settings can be used."),
    };
    super::ended(told.map(|()| 0))
}
