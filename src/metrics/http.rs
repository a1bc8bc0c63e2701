//! Requests.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use super::Error;
use super::facts::{kept, options};

const DURATION: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0];

/// What is counted of requests.
pub struct Http {
    requests: IntCounterVec,
    duration: HistogramVec,
    streams: IntGauge,
}

impl Http {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let requests = IntCounterVec::new(
            Opts::new("cronapi_http_requests_total", "Requests that were answered."),
            &["method", "route", "status"],
        )?;
        let duration = HistogramVec::new(
            options(
                "cronapi_http_request_duration_seconds",
                "Time from a request's head to the head of its answer.",
                DURATION,
            ),
            &["method", "route"],
        )?;
        let streams = IntGauge::new("cronapi_sse_clients", "Open streams of events and output.")?;
        kept(registry, &requests)?;
        kept(registry, &duration)?;
        kept(registry, &streams)?;
        Ok(Self { requests, duration, streams })
    }

    /// A request was answered. `route` is one of the interface's own, never what was asked for.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut digits = [0; 3];
        let status = digits_of(status, &mut digits);
        self.requests.with_label_values(&[method, route, status]).inc();
        self.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// A stream begins; it ends when what this gives is dropped.
    pub fn stream(&self) -> Stream {
        self.streams.inc();
        Stream(self.streams.clone())
    }
}

/// An open stream.
pub struct Stream(IntGauge);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The three digits of a status.
fn digits_of(status: u16, into: &mut [u8; 3]) -> &str {
    for (place, power) in into.iter_mut().zip([100, 10, 1]) {
        *place = b'0' + (status / power % 10) as u8;
    }
    std::str::from_utf8(into).unwrap_or_default()
}
