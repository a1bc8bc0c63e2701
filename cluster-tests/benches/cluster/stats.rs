//! Medians and quantiles.

use hdrhistogram::Histogram;

/// The median, the least and the most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of some values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |at: usize| values.get(at).copied().unwrap_or_default();
        Spread { median: at(values.len() / 2), least: at(0), most: at(values.len().max(1) - 1) }
    }
}

/// Microseconds at a quantile, as milliseconds.
pub fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

/// p50, p99 and the most, in milliseconds.
pub fn quantiles(histogram: &Histogram<u64>) -> String {
    let (half, most_all) = (ms(histogram, 0.5), ms(histogram, 0.99));
    format!("{half:>9.2} {most_all:>9.2} {:>9.2}", histogram.max() as f64 / 1_000.0)
}

/// The head of what [`quantiles`] gives.
pub const QUANTILES: &str = "   p50 ms    p99 ms    max ms";

/// One more, in microseconds; what is negative counts as none.
pub fn record(histogram: &mut Histogram<u64>, micros: i64) {
    // It resizes by itself, so it takes every value.
    let _ = histogram.record(micros.max(0).unsigned_abs());
}

/// An empty one.
pub fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_max(60_000_000, 3).expect("the bounds are sound");
    histogram.auto(true);
    histogram
}
