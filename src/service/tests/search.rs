use serde_json::json;

use super::world::{World, admin, only, scoped};
use crate::machine::command::{Op, OutputChunk};
use crate::model::LogStream::{Stderr, Stdout};
use crate::model::{Role, RunId, RunStatus};
use crate::service::{Error, LogHit, Paging, Wanted, Which};

fn text(text: &str) -> Wanted {
    Wanted::new(text.to_owned(), false).unwrap()
}

async fn in_run(world: &World, id: RunId, wanted: &Wanted, limit: usize) -> Vec<LogHit> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for _ in 0..200 {
        let paging = Paging { limit, cursor };
        let page = world.service.search_run(&admin(), id, wanted, paging).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("it does not come to an end");
}

async fn in_job(world: &World, wanted: &Wanted, limit: usize) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for _ in 0..200 {
        let (which, paging) = (Which { name: "a", deleted: false }, Paging { limit, cursor });
        let page = world.service.search_job(&admin(), which, wanted, paging).await.unwrap();
        all.extend(page.items.into_iter().map(|hit| hit.text));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("it does not come to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_found_wherever_its_pieces_are_cut() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let id = world.trigger("a").await.id;
    world.start(id, &[]).await;
    let (attempt, fence, at) = world.held(id);
    let piece = |seq, stream, text: &str| {
        let bytes = text.as_bytes().to_vec();
        OutputChunk { seq, stream, at, bytes }
    };
    let chunks = vec![
        piece(0, Stdout, "first\nconnec"),
        piece(1, Stderr, "warning: Connection "),
        piece(2, Stdout, "tion refused\nother\n"),
        piece(3, Stderr, "REFUSED\n"),
        piece(4, Stdout, "refused 1\nrefused 2\nrefused 3\nno end, refused"),
    ];
    world.does(Op::Output { run: id, attempt, fence, chunks }).await.unwrap();
    let wanted = [
        "connection refused",
        "warning: Connection REFUSED",
        "refused 1",
        "refused 2",
        "refused 3",
        "no end, refused",
    ];
    for limit in 1..=8 {
        let found = in_run(&world, id, &text("refused"), limit).await;
        let texts: Vec<&str> = found.iter().map(|hit| hit.text.as_str()).collect();
        assert_eq!(texts, wanted, "{limit} at a time");
        assert_eq!((found[0].seq, found[1].seq, found[2].seq), (0, 1, 4), "where they begin");
    }
    let exact = Wanted::new("REFUSED".into(), true).unwrap();
    assert_eq!(in_run(&world, id, &exact, 9).await.len(), 1);
    assert!(in_run(&world, id, &text("absent"), 9).await.is_empty());
    let stranger = scoped(Role::Viewer, only("b"));
    let paging = Paging { limit: 5, cursor: None };
    let hidden = world.service.search_run(&stranger, id, &text("refused"), paging).await;
    assert!(matches!(hidden, Err(Error::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runs_of_a_job_are_searched_from_the_newest_on_in_bounded_parts() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass", "overlap": "allow"})).await;
    // One stays open, older than those that end.
    let open = world.trigger("a").await.id;
    world.start(open, &["hit of the open one\n"]).await;
    let mut wanted = Vec::new();
    for n in 0..9 {
        world.tick();
        let id = world.trigger("a").await.id;
        // Longer than what one answer reads.
        let long = "x".repeat(150);
        let (one, two) = (format!("hit {n} one\n"), format!("hit {n} two\n{long}\n"));
        world.start(id, &["nothing\n", &two, &one]).await;
        world.end(id, RunStatus::Succeeded).await;
        wanted.push([format!("hit {n} two"), format!("hit {n} one")]);
    }
    let mut all = vec!["hit of the open one".to_owned()];
    all.extend(wanted.into_iter().rev().flatten());
    for limit in [1, 2, 3, 500] {
        assert_eq!(in_job(&world, &text("hit"), limit).await, all, "{limit} at a time");
    }
    for wrong in ["", "two\nlines", &"x".repeat(201)] {
        assert!(matches!(Wanted::new(wrong.into(), false), Err(Error::Malformed(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_line_the_part_around_the_hit_is_shown() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let id = world.trigger("a").await.id;
    let line = format!("{}needle{}\n", "ä".repeat(3_000), "b".repeat(3_000));
    world.start(id, &[&line]).await;
    let found = in_run(&world, id, &text("NEEDLE"), 5).await;
    assert!(found[0].text.contains("needle") && found[0].text.chars().count() <= 400);
}
