//! `completion`: what a shell needs to complete commands.

use clap_complete::Shell;

use super::exit::Outcome;
use super::output;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
pub struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> Outcome {
        let mut script = Vec::new();
        let mut command = super::grammar::whole();
        clap_complete::generate(self.shell, &mut command, "cronapi", &mut script);
        output::bytes(&script)?;
        Ok(0)
    }
}
