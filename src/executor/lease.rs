//! The node's lease: until when the leader has surely not given this node up.

use std::future::pending;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The instant until which it holds.
pub(super) type Lease = watch::Receiver<Instant>;

/// Whether it holds now.
pub(super) fn holds(lease: &Lease) -> bool {
    Instant::now() < *lease.borrow()
}

/// Resolves when [`holds`] is no longer what it was. Dropping the future loses nothing.
pub(super) async fn turned(lease: &mut Lease, held: bool) {
    if !held {
        if lease.wait_for(|until| Instant::now() < *until).await.is_err() {
            pending::<()>().await;
        }
        return;
    }
    while holds(lease) {
        let until = *lease.borrow_and_update();
        // Renewed, or taken back; once nobody does either, its end stands.
        let changed = async {
            if lease.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep_until(until) => {}
            () = changed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn it_turns_when_it_has_run_out_and_when_it_is_renewed() {
        let now = Instant::now();
        let (renew, mut lease) = watch::channel(now + Duration::from_millis(1));
        turned(&mut lease, true).await;
        assert!(!holds(&lease));
        renew.send_replace(now + HOUR);
        turned(&mut lease, false).await;
        assert!(holds(&lease));
    }

    #[tokio::test]
    async fn a_lease_that_holds_does_not_turn_and_one_that_is_over_waits_to_be_renewed() {
        let now = Instant::now();
        let (renew, mut lease) = watch::channel(now + HOUR);
        renew.send_replace(now + 2 * HOUR);
        assert!(turned(&mut lease, true).now_or_never().is_none());
        let (mut other, taken_back) = (lease.clone(), async { renew.send_replace(now) });
        // Polled in this order, so the change comes while it waits.
        tokio::join!(turned(&mut other, true), taken_back);
        assert!(turned(&mut lease, false).now_or_never().is_none());
        drop(renew);
        assert!(turned(&mut lease, false).now_or_never().is_none(), "nobody renews it");
    }
}
