//! How many attempts are being carried out, as against only reported.

use tokio::sync::watch;

/// Counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Busy(watch::Sender<usize>);

/// Counts one while it is held.
pub(super) struct One(watch::Sender<usize>);

impl Busy {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(super) fn one(&self) -> One {
        self.0.send_modify(|count| *count += 1);
        One(self.0.clone())
    }

    /// Resolves once none is carried out.
    pub async fn over(&self) {
        // The sender is here: it can't be closed.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn it_is_over_when_the_last_is_dropped() {
        let busy = Busy::new();
        busy.over().await;
        let (one, two) = (busy.one(), busy.one());
        drop(one);
        let still = tokio::time::timeout(Duration::from_millis(1), busy.over());
        assert!(still.await.is_err());
        drop(two);
        busy.over().await;
    }
}
