//! Why an attempt is stopped before its end.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::outcome::{Ended, Outcome};
use super::spec::CancelToken;

/// The reason; it wins over whatever status the stopped work still hands back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    TimedOut,
    Cancelled,
}

impl Stop {
    pub(super) fn ended(self) -> Ended {
        match self {
            Self::TimedOut => Ended::TimedOut,
            Self::Cancelled => Ended::Cancelled,
        }
    }

    pub(super) fn sentence(self, timeout: Option<Duration>) -> String {
        match (self, timeout) {
            (Self::TimedOut, Some(timeout)) => format!("timed out after {timeout:?}"),
            (Self::TimedOut, None) => "timed out".to_owned(),
            (Self::Cancelled, _) => "cancelled".to_owned(),
        }
    }

    pub(super) fn outcome(self, timeout: Option<Duration>) -> Outcome {
        Outcome::ended(self.ended(), Some(self.sentence(timeout)))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
        })
    }
}

/// Time-out and cancel, whichever comes first.
pub(super) struct StopSignal<'a> {
    /// `None`: unlimited, or so far away that the clock can't hold it.
    deadline: Option<Instant>,
    cancel: &'a mut CancelToken,
}

impl<'a> StopSignal<'a> {
    /// The time starts now.
    pub(super) fn new(timeout: Option<Duration>, cancel: &'a mut CancelToken) -> Self {
        Self { deadline: timeout.and_then(|t| Instant::now().checked_add(t)), cancel }
    }

    /// Dropping the future loses nothing.
    pub(super) async fn wait(&mut self) -> Stop {
        let cancelled = async {
            if self.cancel.wait_for(|cancelled| *cancelled).await.is_err() {
                pending::<()>().await;
            }
        };
        let over = async {
            match self.deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = cancelled => Stop::Cancelled,
            () = over => Stop::TimedOut,
        }
    }
}
