use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;

/// Answers renewals as it was told, in turn; then says nothing any more.
#[derive(Default)]
struct Store {
    answers: Mutex<Vec<Result<bool, String>>>,
    asked: Mutex<Vec<Instant>>,
}

impl Locks for Store {
    fn take<'a>(
        &'a self,
        _lock: &'a LockOrder,
    ) -> BoxFuture<'a, Result<Result<u64, String>, String>> {
        async { Ok(Ok(1)) }.boxed()
    }

    fn renew<'a>(&'a self, _lock: &'a LockOrder) -> BoxFuture<'a, Result<bool, String>> {
        self.asked.lock().unwrap().push(Instant::now());
        let mut answers = self.answers.lock().unwrap();
        let next = (!answers.is_empty()).then(|| answers.remove(0));
        async move {
            match next {
                Some(answer) => answer,
                None => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn free<'a>(&'a self, _lock: &'a LockOrder) -> BoxFuture<'a, Result<(), String>> {
        std::future::pending().boxed()
    }
}

/// A lock of 30 s, and when it was lost, in seconds from its begin.
async fn lost_after(answers: Vec<Result<bool, String>>) -> (u64, Vec<u64>) {
    let (store, began) = (Arc::new(Store::default()), Instant::now());
    *store.answers.lock().unwrap() = answers;
    let (url, key, holder) = (String::new(), "k".to_owned(), "me".to_owned());
    let order = LockOrder { url, guarded: false, key, holder, ttl: Duration::from_secs(30) };
    let locks: Arc<dyn Locks> = store.clone();
    let lock = Locked { locks, order, known: began, kill: true, lost: AtomicBool::default() };
    let (cancel, cancelled) = watch::channel(false);
    lock.watch(&cancel).await;
    assert!(lock.is_lost() && *cancelled.borrow());
    let asked = store.asked.lock().unwrap();
    (began.elapsed().as_secs(), asked.iter().map(|at| (*at - began).as_secs()).collect())
}

fn silent() -> Result<bool, String> {
    Err("nobody is there".to_owned())
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_each_third_and_lost_when_redis_has_freed_it() {
    assert_eq!(lost_after(vec![Ok(false)]).await, (10, vec![10]), "it is another's");
    assert_eq!(lost_after(vec![Ok(true), Ok(true)]).await, (50, vec![10, 20, 30]), "no answer");
    let tries = lost_after(vec![silent(), silent(), Ok(true), Ok(false)]).await;
    assert_eq!(tries, (25, vec![10, 12, 15, 25]), "tried again soon");
    let (after, tries) = lost_after(vec![silent(); 100]).await;
    assert_eq!((after, tries.last()), (30, Some(&30)), "it was ours until here, and no longer");
}

#[tokio::test(start_paused = true)]
async fn an_end_is_not_told_late_for_a_lock_that_is_not_freed() {
    let (url, key, holder) = (String::new(), "k".to_owned(), "me".to_owned());
    let order = LockOrder { url, guarded: false, key, holder, ttl: Duration::from_secs(30) };
    let (locks, known) = (Arc::new(Store::default()), Instant::now());
    let lock = Locked { locks, order, known, kill: false, lost: AtomicBool::default() };
    lock.free().await;
    assert_eq!(known.elapsed(), FREE_WITHIN);
}
