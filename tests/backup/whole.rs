//! A backup is of one index, whatever happens meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use cronapi::backup::Part;
use cronapi::machine::history;
use cronapi::model::{AuditRecord, RunId};
use cronapi::offline::{verify, verify_outside};

use crate::fixture::{busy, furnished, open, restore, restoring, rows, take, take_changed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_node_has_every_row_up_to_its_index_and_none_after() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("file"));
    let node = furnished(&data).await;
    let (stop, task) = busy(&node);
    let mut applied = node.applied();
    let begun = *applied.borrow();
    applied.wait_for(|now| *now > begun + 200).await.unwrap();
    let mut takes = Vec::new();
    for n in 0..5 {
        let file = file.with_extension(n.to_string());
        takes.push((take(&node, &file, None).await, file));
    }
    stop.store(true, Ordering::Relaxed);
    assert!(task.await.unwrap() > 100);
    assert!(*applied.borrow() > takes.last().unwrap().0, "it went on meanwhile");
    for (index, file) in takes {
        let checked = verify(&file, None, &mut |_| {}).unwrap();
        assert_eq!(checked.header.index, index);
        let copy = dir.path().join(format!("restored-{index}"));
        restore(&file, &copy);
        let node = open(&copy).await;
        // The numbers that the state has are those of the rows that are there, no hole, no more.
        let closed = checked.header.counts.closed_runs;
        let feed: Vec<RunId> = rows(&node, b"f")
            .await
            .iter()
            .flat_map(|(_, row)| history::unpack::<Vec<RunId>>(row).unwrap())
            .collect();
        let runs: BTreeMap<Vec<u8>, Vec<u8>> = rows(&node, b"r").await.into_iter().collect();
        assert_eq!(feed.len() as u64, closed + 1, "and the one that the restore closed");
        assert_eq!(runs.len(), feed.len());
        assert!(feed.iter().all(|id| runs.contains_key(&history::run_key(*id))));
        let audit = rows(&node, b"a")
            .await
            .into_iter()
            .flat_map(|(_, row)| history::unpack::<Vec<AuditRecord>>(&row).unwrap());
        let seqs: Vec<u64> = audit.map(|record| record.seq).collect();
        let last = checked.header.counts.audit + 1;
        assert!(seqs.iter().copied().eq(1..=last), "{} of {last}", seqs.len());
        node.shutdown().await.unwrap();
    }
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("file"));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    node.shutdown().await.unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let copy = dir.path().join("copy");
    for at in [0, 9, 40, bytes.len() / 3, bytes.len() / 2, bytes.len() - 40, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&file, &damaged).unwrap();
        assert!(verify(&file, None, &mut |_| {}).is_err(), "byte {at}");
        assert!(verify_outside(&file).is_err(), "byte {at}");
        let refused = cronapi::offline::restore(&restoring(&file, &copy), &mut |_| {});
        assert!(refused.is_err() && !copy.exists(), "byte {at}");
    }
    std::fs::write(&file, &bytes[..bytes.len() - 33]).unwrap();
    let refused = verify(&file, None, &mut |_| {}).err().unwrap().to_string();
    assert!(refused.contains("cut short") && refused.contains("file"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_backup_needs_its_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("file"));
    let node = furnished(&data).await;
    take(&node, &file, Some("a long passphrase")).await;
    node.shutdown().await.unwrap();
    assert!(verify_outside(&file).unwrap().sealed.is_some());
    assert!(verify(&file, None, &mut |_| {}).is_err());
    assert!(verify(&file, Some("another one"), &mut |_| {}).is_err());
    verify(&file, Some("a long passphrase"), &mut |_| {}).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_is_not_as_it_was_written_is_no_sound_backup() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("file"));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    verify(&file, None, &mut |_| {}).unwrap();
    let of_audit = |key: &[u8]| key.first() == Some(&b'a');
    let forged = |part| match part {
        Part::Rows(mut rows) => {
            for row in rows.iter_mut().filter(|row| of_audit(&row.key)) {
                let mut block: Vec<AuditRecord> = history::unpack(&row.value).unwrap();
                for record in block.iter_mut().filter(|record| record.seq == 3) {
                    record.target = "another".into();
                }
                row.value = rmp_serde::to_vec_named(&block).unwrap().into();
            }
            Part::Rows(rows)
        }
        other => other,
    };
    take_changed(&node, &file, None, forged).await;
    let told = verify(&file, None, &mut |_| {}).err().unwrap().to_string();
    assert!(told.contains("record 3 is not as it was written"), "{told}");
    let without = |part| match part {
        Part::Rows(mut rows) => {
            rows.retain(|row| !of_audit(&row.key));
            Part::Rows(rows)
        }
        other => other,
    };
    take_changed(&node, &file, None, without).await;
    let told = verify(&file, None, &mut |_| {}).err().unwrap().to_string();
    assert!(told.contains("record 1 is missing"), "{told}");
    node.shutdown().await.unwrap();
}
