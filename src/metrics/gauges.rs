//! What is read off when a page is asked for. Made anew each time, so that what is gone (a
//! peer, a queue, leadership) is gone from the page as well.

use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Opts, Registry};

use super::Error;
use super::facts::kept;

/// The gauges of one page.
#[derive(Default)]
pub struct Gauges(Registry);

impl Gauges {
    /// A value.
    ///
    /// # Errors
    /// A bug: a name that is taken, or is none.
    pub fn one(&self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        kept(&self.0, &gauge)
    }

    /// Values with labels. Without any there is no metric.
    ///
    /// # Errors
    /// A bug: a name that is taken, or is none.
    pub fn many<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [&str; N],
        values: impl IntoIterator<Item = ([String; N], f64)>,
    ) -> Result<(), Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), &labels)?;
        for (of, value) in values {
            gauge.with_label_values(&of).set(value);
        }
        kept(&self.0, &gauge)
    }

    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }
}
