use serde_json::json;

use super::world::{World, admin};
use crate::machine::command::{Op, OutputChunk};
use crate::model::LogStream::{self, Stderr, Stdout, System};
use crate::model::RunStatus;
use crate::service::{Error, LogLine, LogPosition};

#[tokio::test(flavor = "multi_thread")]
async fn output_is_read_in_pages_from_any_place() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass", "retry": {"max_attempts": 2}})).await;
    let id = world.trigger("a").await.id;
    let service = &world.service;
    let empty = service.output(&admin(), id, None, 10).await.unwrap();
    assert!(empty.pieces.is_empty() && !empty.closed && empty.next.is_none());
    world.start(id, &["one", "two"]).await;
    // One row with several pieces, as a node sends them.
    let (attempt, fence, at) = world.held(id);
    let piece = |seq, stream, bytes: &[u8]| OutputChunk { seq, stream, at, bytes: bytes.to_vec() };
    let chunks =
        vec![piece(2, Stderr, b"bad \xff"), piece(3, System, b"note"), piece(4, Stdout, b"end")];
    world.does(Op::Output { run: id, attempt, fence, chunks }).await.unwrap();
    let open = service.output(&admin(), id, None, 10).await.unwrap();
    assert_eq!(open.next, Some(LogPosition { attempt: 1, seq: 4 }));
    assert!(!open.closed);
    world.end(id, RunStatus::Failed).await;
    world.clock.advance(crate::model::Span::from_secs(60));
    world.lead().await;
    world.start(id, &["again"]).await;
    world.end(id, RunStatus::Succeeded).await;

    for limit in 1..=7 {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = service.output(&admin(), id, after, limit).await.unwrap();
            assert!(page.pieces.len() <= limit);
            after = page.next;
            all.extend(page.pieces.into_iter().map(LogLine::from));
            if page.closed {
                break;
            }
        }
        let texts: Vec<&str> = all.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one", "two", "bad \u{fffd}", "note", "end", "again"], "{limit}");
        assert_eq!(all[2].stream, LogStream::Stderr);
        assert_eq!((all[3].stream, all[5].attempt, all[5].seq), (LogStream::System, 2, 0));
    }
    let end = Some(LogPosition { attempt: 2, seq: 0 });
    let rest = service.output(&admin(), id, end, 5).await.unwrap();
    assert!(rest.closed && rest.pieces.is_empty() && rest.next == end);
    let refused = service.output(&admin(), id, None, 0).await;
    assert!(matches!(refused, Err(Error::Malformed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_what_is_written_while_it_waits() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let id = world.trigger("a").await.id;
    let service = world.service.clone();
    let follower = tokio::spawn(async move {
        let (mut seen, mut after, mut changed) = (Vec::new(), None, service.changed());
        loop {
            changed.borrow_and_update();
            let page = service.output(&admin(), id, after, 2).await.unwrap();
            after = page.next;
            let none = page.pieces.is_empty();
            seen.extend(page.pieces.into_iter().map(|piece| LogLine::from(piece).text));
            if page.closed {
                return seen;
            }
            if none {
                changed.changed().await.unwrap();
            }
        }
    });
    world.start(id, &["a", "b", "c", "d", "e"]).await;
    world.end(id, RunStatus::Succeeded).await;
    let patience = std::time::Duration::from_secs(20);
    let seen = tokio::time::timeout(patience, follower).await.unwrap().unwrap();
    assert_eq!(seen.concat(), "abcde");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_job_is_that_of_its_latest_runs() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let mut ids = Vec::new();
    for lines in [&["a1", "a2"][..], &["b1", "b2", "b3"], &["c1"]] {
        world.tick();
        let id = world.trigger("a").await.id;
        world.start(id, lines).await;
        world.end(id, RunStatus::Succeeded).await;
        ids.push(id);
    }
    let logs = world.service.job_logs(&admin(), "a", 3).await.unwrap();
    let told: Vec<(_, Vec<&str>)> = logs
        .iter()
        .map(|log| (log.run_id, log.lines.iter().map(|line| line.text.as_str()).collect()))
        .collect();
    assert_eq!(told, [(ids[2], vec!["c1"]), (ids[1], vec!["b2", "b3"])]);
    assert_eq!(world.service.job_logs(&admin(), "a", 1000).await.unwrap().len(), 3);
}
