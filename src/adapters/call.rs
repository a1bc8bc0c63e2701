//! What a way of delivery is handed, and how it fails.

use std::time::Duration;

use super::Opened;
use crate::clock::Clock;
use crate::executor::runner::RunnerEnv;
use crate::model::notice::{Message, Text};

/// The receiver may not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether a later try may go better.
    pub retry: bool,
    /// How long the receiver wants to be left alone first.
    pub after: Option<Duration>,
    /// Why, in a sentence without secrets.
    pub detail: String,
}

impl Fault {
    /// One that a later try may mend.
    pub(super) fn passing(detail: impl Into<String>) -> Self {
        Fault { retry: true, after: None, detail: detail.into() }
    }

    /// One that no later try mends.
    pub(super) fn lasting(detail: impl Into<String>) -> Self {
        Fault { retry: false, after: None, detail: detail.into() }
    }
}

impl From<(String, bool)> for Fault {
    fn from((detail, retry): (String, bool)) -> Self {
        Fault { retry, after: None, detail }
    }
}

/// What a way of delivery is handed.
pub(super) struct Call<'a> {
    pub(super) channel: &'a Opened,
    pub(super) message: &'a Message,
    pub(super) text: &'a Text,
    pub(super) env: &'a RunnerEnv,
    pub(super) clock: &'a dyn Clock,
}
