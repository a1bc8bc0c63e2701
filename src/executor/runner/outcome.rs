//! What an attempt hands back.

use std::time::Duration;

use super::limits::ERROR_CHARS_MAX;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Exit status 0, or an expected HTTP status.
    Succeeded,
    /// Anything else that ended by itself, or could not be started.
    Failed,
    /// Stopped because its time was over.
    TimedOut,
    /// Stopped because it was asked to.
    Cancelled,
}

/// The record of one attempt. Fields that do not apply, or are not known, are `None`.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// Exit status of the process.
    pub exit_code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// Status of the HTTP response.
    pub http_status: Option<u16>,
    /// One sentence for people; `None` exactly when the attempt succeeded.
    pub error: Option<String>,
    /// The JSON result.
    pub result: Option<serde_json::Value>,
    /// Processor time, user and system, of the process and the children it waited for.
    pub cpu_ms: Option<u64>,
    /// Resident memory of its largest process; `None` when it was too short to be seen.
    pub peak_rss_bytes: Option<u64>,
    /// How long the server asked to be left alone, when the call failed.
    pub retry_after: Option<Duration>,
    /// Bytes of output seen, kept or not.
    pub output_bytes: u64,
    /// Whether output was left out.
    pub output_cut: bool,
}

impl Outcome {
    /// An outcome with nothing but how it ended and why.
    pub(super) fn ended(ended: Ended, error: Option<String>) -> Self {
        Self {
            ended,
            exit_code: None,
            signal: None,
            http_status: None,
            error,
            result: None,
            cpu_ms: None,
            peak_rss_bytes: None,
            retry_after: None,
            output_bytes: 0,
            output_cut: false,
        }
    }

    /// A failure before or beside the attempt's own work.
    pub fn failed(error: impl Into<String>) -> Self {
        Self::ended(Ended::Failed, Some(error.into()))
    }
}

/// Cuts an error at [`ERROR_CHARS_MAX`] characters.
pub(super) fn shorten(text: String) -> String {
    match text.char_indices().nth(ERROR_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
