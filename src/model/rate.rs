//! How often something may be tried: a bucket of tries that refills at a steady pace.

use super::span::Span;
use super::time::Timestamp;

/// The shape of a bucket. What is in one is told by a single instant, the one at which it is
/// full again (GCRA); no instant: it is full.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Tries in a row.
    pub burst: u32,
    /// Time after which one more is allowed.
    pub every: Span,
}

impl Rate {
    /// How long an empty bucket takes to be full.
    pub const fn depth(&self) -> Span {
        Span::from_millis(self.every.millis() * self.burst as u64)
    }

    /// The bucket after one more try; the error: it is empty, for so long.
    ///
    /// # Errors
    /// The time until a try is allowed.
    pub fn take(&self, full_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Span> {
        // A clock that was set back must not lock anybody out.
        let full_at = full_at.unwrap_or(now).min(now.plus(self.depth()));
        let then = full_at.max(now).plus(self.every);
        let over = then.since(now).millis().saturating_sub(self.depth().millis());
        if over > 0 {
            return Err(Span::from_secs(over.div_ceil(1_000)));
        }
        Ok(then)
    }
}
