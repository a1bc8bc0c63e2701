use std::sync::{Arc, mpsc};

use bytes::Bytes;

use super::super::{Fatal, KvLog, Log, LogWriter, Mark, Profile, Wal, Write};
use super::both;

/// The same test's log in memory, in the engine, and of its own; the directory lives as long as
/// the guard.
fn logs() -> (tempfile::TempDir, Vec<Log>) {
    let (dir, kvs) = both(Profile::Log);
    let wal = Wal::create(&dir.path().join("wal"), 1, Arc::new(())).unwrap();
    let mut logs: Vec<Log> = kvs.into_iter().map(KvLog::over).collect();
    logs.push(Arc::new(wal));
    (dir, logs)
}

struct Fixture {
    log: Log,
    writer: LogWriter,
    fatal: Fatal,
}

impl Fixture {
    fn new(log: Log, purged: Option<u64>) -> Self {
        let fatal = Fatal::default();
        let writer =
            LogWriter::start(Arc::clone(&log), purged, fatal.clone(), &Arc::default()).unwrap();
        Self { log, writer, fatal }
    }

    async fn write(&self, write: Write) -> bool {
        let (sender, receiver) = mpsc::channel();
        let done = Box::new(move |outcome: Result<(), _>| sender.send(outcome.is_ok()).unwrap());
        self.writer.write(write, Some(done)).await;
        tokio::task::spawn_blocking(move || receiver.recv().unwrap()).await.unwrap()
    }

    async fn append(&self, indexes: std::ops::Range<u64>, size: impl Fn(u64) -> usize) {
        let entries = indexes.map(|i| (i, Bytes::from(vec![i as u8; size(i)]))).collect();
        assert!(self.write(Write::Append { entries }).await);
    }

    fn indexes(&self, from: u64, to: u64) -> Vec<u64> {
        self.log.read(from, to, usize::MAX).unwrap().into_iter().map(|(i, _)| i).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_any_size_come_back_whole() {
    let (_dir, logs) = logs();
    for log in logs {
        let fixture = Fixture::new(log, None);
        let size = |i| [0, 1, 64_999, 65_000, 65_001, 200_000][i as usize % 6];
        fixture.append(0..700, size).await;
        let found = fixture.log.read(0, u64::MAX, usize::MAX).unwrap();
        assert_eq!(found.len(), 700);
        for (i, (index, bytes)) in found.iter().enumerate() {
            assert_eq!((i as u64, size(*index)), (*index, bytes.len()));
            assert!(bytes.iter().all(|byte| *byte == i as u8));
        }
        assert_eq!(fixture.log.last_index().unwrap(), Some(699));
        let some = fixture.log.read(4, 700, 100_000).unwrap();
        assert_eq!(some.len(), 2, "it stops once the bound is passed");
        assert_eq!(fixture.log.read(5, 700, 1).unwrap().len(), 1, "but not before the first");
        fixture.log.health().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_and_purge_leave_no_hole() {
    let (_dir, logs) = logs();
    for log in logs {
        let fixture = Fixture::new(Arc::clone(&log), None);
        fixture.append(0..1000, |i| if i % 50 == 0 { 70_000 } else { 10 }).await;
        assert!(fixture.write(Write::Truncate { since: 900 }).await);
        assert_eq!(fixture.log.last_index().unwrap(), Some(899));
        fixture.append(900..910, |_| 5).await;
        let mark = Bytes::from_static(b"700");
        assert!(fixture.write(Write::Purge { upto: 700, mark }).await);
        assert_eq!(fixture.log.mark(Mark::Purged).unwrap().unwrap(), "700");
        assert_eq!(fixture.indexes(701, u64::MAX), (701..910).collect::<Vec<_>>());
        assert!(fixture.write(Write::Stop).await);
        // A restart sweeps on from the mark.
        let again = Fixture::new(log, Some(700));
        let mut tries = 0;
        // What lies below the mark is nobody's to read: half an entry may be left of it.
        let swept = || again.log.read(0, 701, usize::MAX).is_ok_and(|left| left.is_empty());
        while !swept() && tries < 100 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            tries += 1;
        }
        assert_eq!(again.indexes(0, u64::MAX), (701..910).collect::<Vec<_>>());
        assert!(!again.fatal.is_raised());
    }
}
