//! Results: tables for people, the API's own objects for programs.
//!
//! Owns: the formats, columns, colours, how a time is written. Does not own: what is shown
//! (the commands), nor talk beside the results (`terminal`).
//!
//! To add a column: a line in `columns.rs`. To add a format: a variant of [`Format`], its arm
//! in [`Output::list`] and [`Output::one`], a row in docs/cli.md.

pub(super) mod columns;
mod table;
pub(super) mod when;

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::exit::Failure;
use super::plain::{colored, visible};
use super::terminal::Terminal;
use crate::model::Timestamp;
pub(super) use columns::Columns;
pub(super) use table::{Cell, Tone, plain};

/// How results are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table, narrowed to the terminal.
    #[default]
    Table,
    /// A table with every column.
    Wide,
    /// The API's answer.
    Json,
    /// The same as YAML.
    Yaml,
    /// Names or ids, one a line.
    Name,
    /// The API's objects, one a line.
    Jsonl,
}

/// The flag for it.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct As {
    /// How results are shown
    #[arg(short = 'o', long = "output", value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
}

/// Where and how results are written.
pub(super) struct Output {
    pub(super) format: Format,
    pub(super) color: bool,
    /// Times as people say them, columns that fit.
    pub(super) person: bool,
    pub(super) now: Timestamp,
    layout: RefCell<table::Layout>,
}

impl Output {
    pub(super) fn new(format: Format, terminal: &Terminal) -> Self {
        let (color, person) = (terminal.color(), terminal.stdout);
        Output { format, color, person, now: crate::clock::now(), layout: RefCell::default() }
    }

    /// From now on, times are told from this one.
    pub(super) fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Shows the items of a list; `answer` is what the API said.
    pub(super) fn list(&self, answer: &Value, columns: &Columns) -> Result<(), Failure> {
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        match self.format {
            Format::Json => line(&pretty(answer)),
            Format::Yaml => text(&super::definitions::yaml(answer)?),
            Format::Jsonl | Format::Name => {
                items.iter().try_for_each(|item| self.one(item, columns))
            }
            Format::Table | Format::Wide => text(&table::render(self, items, columns, true)),
        }
    }

    /// Shows one thing.
    pub(super) fn one(&self, item: &Value, columns: &Columns) -> Result<(), Failure> {
        match self.format {
            Format::Json => line(&pretty(item)),
            Format::Jsonl => line(&item.to_string()),
            Format::Yaml => text(&super::definitions::yaml(item)?),
            Format::Name => line(&(columns.name)(item)),
            Format::Table | Format::Wide => {
                text(&table::render(self, std::slice::from_ref(item), columns, true))
            }
        }
    }

    /// Shows one more of what was listed before.
    pub(super) fn row(&self, item: &Value, columns: &Columns) -> Result<(), Failure> {
        match self.format {
            Format::Table | Format::Wide => {
                text(&table::render(self, std::slice::from_ref(item), columns, false))
            }
            Format::Yaml => {
                line("---")?;
                self.one(item, columns)
            }
            Format::Json => line(&item.to_string()),
            _ => self.one(item, columns),
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// Writes a result, with the end of a line.
pub(super) fn line(line: &str) -> Result<(), Failure> {
    text(&format!("{line}\n"))
}

/// Writes a result; to a terminal, without what would command it.
pub(super) fn text(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        bytes(colored(text).as_bytes())
    } else {
        bytes(text.as_bytes())
    }
}

/// Writes a text that others wrote; to a terminal, without its colours too.
pub(super) fn foreign(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() {
        bytes(visible(text).as_bytes())
    } else {
        bytes(text.as_bytes())
    }
}

/// Writes a result as it is.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}
