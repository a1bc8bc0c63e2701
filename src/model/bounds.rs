//! What the processes of an attempt may use.

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::limits;
use super::span::Span;

/// Bounds on the processes of an attempt. A node has bounds of its own: the smaller holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Memory in bytes, of each process and of all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 4_194_304)]
    pub memory: Option<u64>,
    /// Processes at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1_000_000)]
    pub processes: Option<u32>,
    /// Open files of each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 16, maximum = 1_000_000)]
    pub open_files: Option<u32>,
    /// Bytes of each file that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub file_size: Option<u64>,
    /// Processor time of each process, in whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cpu: Option<Span>,
}

impl Bounds {
    pub(super) fn check(&self, faults: &mut Vec<Invalid>) {
        let mut fault = |field: &str, detail: String| {
            faults.push(Invalid::new(format!("limits/{field}"), detail));
        };
        let least = limits::MEMORY_BYTES_MIN;
        if self.memory.is_some_and(|bytes| bytes < least) {
            fault("memory", format!("must be {least} bytes or more: no program starts in less"));
        }
        let most = limits::PROCESSES_MAX;
        if self.processes.is_some_and(|n| n == 0 || n > most) {
            fault("processes", format!("must be from 1 to {most}"));
        }
        let (least, most) = (limits::OPEN_FILES_MIN, limits::OPEN_FILES_MAX);
        if self.open_files.is_some_and(|n| n < least || n > most) {
            fault("open_files", format!("must be from {least} to {most}"));
        }
        if self.cpu.is_some_and(|cpu| cpu < Span::from_secs(1) || cpu > limits::SPAN_MAX) {
            fault("cpu", "must be from 1s to ten years".to_owned());
        }
    }
}
