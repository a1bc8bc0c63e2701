//! What the command was asked.

use clap::ValueEnum;

use crate::model::{Name, Span, Timestamp};

use super::super::connection::AsUser;
use super::super::exit::Failure;

/// Check the ledger of a live cluster.
#[derive(Debug, clap::Args)]
pub struct Options {
    #[command(flatten)]
    pub(super) who: AsUser,
    /// A job to check; may be repeated [default: all that may be seen]
    #[arg(long, value_name = "NAME")]
    job: Vec<String>,
    /// Nominal times from here on: RFC 3339, or how long ago, such as 24h
    /// [default: as far as retention kept them]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Nominal times up to here: RFC 3339, or how long ago [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How far the clocks of nodes may be apart
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    skew: String,
    /// How the findings are shown
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: Output,
}

/// How the findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Clone, Copy)]
enum When {
    At(Timestamp),
    Ago(Span),
}

impl When {
    fn parse(text: &str) -> Result<When, String> {
        if let Ok(ago) = Span::parse(text) {
            return Ok(When::Ago(ago));
        }
        Timestamp::parse(text).map(When::At)
    }

    fn at(self, now: Timestamp) -> Timestamp {
        match self {
            When::At(at) => at,
            When::Ago(ago) => now.minus(ago),
        }
    }
}

/// What is wanted, before the cluster's time is known.
pub(super) struct Asked {
    jobs: Vec<String>,
    since: Option<When>,
    until: Option<When>,
    skew: Span,
}

/// What is wanted.
pub(super) struct Wanted {
    /// Empty: all.
    pub(super) jobs: Vec<String>,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) skew: Span,
}

impl Asked {
    pub(super) fn at(self, now: Timestamp) -> Wanted {
        let Asked { jobs, since, until, skew } = self;
        let since = since.map_or(Timestamp::ZERO, |when| when.at(now));
        Wanted { jobs, since, until: until.map_or(now, |when| when.at(now)), skew }
    }
}

impl Options {
    /// What is to be read.
    pub(super) fn read(&self) -> Result<Asked, Failure> {
        let wrong = |flag: &str, why: String| Failure::usage(format!("{flag}: {why}"));
        let when = |flag: &str, text: &Option<String>| {
            let read = text.as_deref().map(When::parse).transpose();
            read.map_err(|why| wrong(flag, why))
        };
        for name in &self.job {
            Name::parse(name).map_err(|why| wrong("--job", why))?;
        }
        Ok(Asked {
            since: when("--since", &self.since)?,
            until: when("--until", &self.until)?,
            skew: Span::parse(&self.skew).map_err(|why| wrong("--skew", why))?,
            jobs: self.job.clone(),
        })
    }
}
