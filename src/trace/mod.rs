//! Where spans stand in traces, and their way to a collector.
//!
//! Owns: the OpenTelemetry libraries, which are there with the feature `otel` only. Does not own:
//! which spans there are: those are `tracing`'s, opened where the work is done.
//!
//! ```text
//! traceparent ─> request ─> write                      the node that was asked
//!                   └> the run's traceparent ─> run    the node that carries it out
//!                                                └> TRACEPARENT of the child
//! ```
//!
//! Without the feature a request's `traceparent` goes to its run as it came. With it, but
//! without `OTEL_EXPORTER_OTLP_ENDPOINT`, likewise: nothing is recorded or sent.
//!
//! To add a span: `tracing::info_span!` or, if its place in the log is not wanted,
//! `debug_span!`, with `.instrument`; no attribute may hold a secret or a parameter.

#[cfg(feature = "otel")]
mod otel;

use crate::model::TraceParent;

/// Makes `span` a child of what happens elsewhere.
#[cfg_attr(not(feature = "otel"), allow(unused_variables))]
pub fn under(span: &tracing::Span, parent: Option<&TraceParent>) {
    #[cfg(feature = "otel")]
    otel::under(span, parent);
}

/// What is handed on from within `span`: its own place, or `given` when it has none.
#[cfg_attr(not(feature = "otel"), allow(unused_variables))]
pub fn place(span: &tracing::Span, given: Option<TraceParent>) -> Option<TraceParent> {
    #[cfg(feature = "otel")]
    if let Some(own) = otel::place(span) {
        return Some(own);
    }
    given
}

#[cfg(feature = "otel")]
pub use otel::{end, layer};
