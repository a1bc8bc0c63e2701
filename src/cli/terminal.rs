//! The person at the other end: colour, width, questions, and what is said beside the results.

use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use inquire::{Confirm, InquireError, Password, Text};

use super::exit::{Code, Failure};
use super::plain::visible;

/// When output has colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR or TERM=dumb says otherwise.
    #[default]
    Auto,
    /// In pipes too.
    Always,
    /// Not at all.
    Never,
}

/// What is known of the person's end.
#[derive(Debug)]
pub(super) struct Terminal {
    /// Results go to a terminal.
    pub(super) stdout: bool,
    /// Talk goes to a terminal.
    pub(super) stderr: bool,
    color: bool,
    /// Lines may be written over.
    renews: bool,
    /// Questions may be asked.
    asks: bool,
}

impl Terminal {
    pub(super) fn new(color: Color, no_input: bool) -> Self {
        match color {
            Color::Auto => {}
            Color::Always => ColorChoice::AlwaysAnsi.write_global(),
            Color::Never => ColorChoice::Never.write_global(),
        }
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let stdout = io::stdout().is_terminal();
        let colored = match color {
            Color::Auto => {
                !dumb && anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never
            }
            other => other == Color::Always,
        };
        let stderr = io::stderr().is_terminal();
        let asks = io::stdin().is_terminal() && stderr && !no_input;
        Terminal { stdout, stderr, color: colored, renews: stderr && !dumb, asks }
    }

    /// Whether results have colours.
    pub(super) fn color(&self) -> bool {
        self.color
    }

    /// Whether questions may be asked.
    pub(super) fn asks(&self) -> bool {
        self.asks
    }

    /// Says something beside the results.
    pub(super) fn say(&self, text: impl std::fmt::Display) {
        // Nobody to tell is no reason to stop.
        let _ = writeln!(io::stderr(), "{}", visible(&text.to_string()));
    }

    /// Says how far it is, over what was said so before; nothing where lines only follow lines.
    pub(super) fn renew(&self, text: &str) {
        if self.renews {
            let mut out = io::stderr();
            let _ = write!(out, "\r\x1b[K{}", visible(text));
            let _ = out.flush();
        }
    }

    /// Asks for leave. Without a terminal it is refused: `--yes` gives it.
    pub(super) fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !self.asks {
            let text = format!("{question} There is nobody to ask");
            return Err(Failure::usage(text).advise("give --yes to go ahead"));
        }
        match Confirm::new(question).with_default(false).prompt() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::failed("nothing was changed")),
            Err(error) => Err(unanswered(&error)),
        }
    }

    /// Asks for a line of text.
    pub(super) fn text(&self, question: &str, default: &str) -> Result<String, Failure> {
        let prompt = Text::new(question).with_default(default).prompt();
        prompt.map_err(|error| unanswered(&error))
    }

    /// Asks for a secret, which is not shown; twice when it is a new one.
    pub(super) fn secret(&self, question: &str, new: bool) -> Result<String, Failure> {
        let prompt = Password::new(question);
        let prompt = if new { prompt } else { prompt.without_confirmation() };
        prompt.prompt().map_err(|error| unanswered(&error))
    }
}

fn unanswered(error: &InquireError) -> Failure {
    match error {
        InquireError::OperationCanceled | InquireError::OperationInterrupted => {
            Failure::new(Code::Interrupted, "nothing was changed")
        }
        other => Failure::failed(format!("the terminal can't be asked: {other}")),
    }
}

/// A secret given on standard input: all of it, but the end of the line.
pub(super) fn secret_from_stdin(what: &str) -> Result<String, Failure> {
    let text = io::read_to_string(io::stdin());
    let text = text.map_err(|error| Failure::usage(format!("{what} can't be read: {error}")))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(Failure::usage(format!("{what} on standard input is empty")));
    }
    Ok(secret.to_owned())
}
