//! `GET /cluster/backup`: who may take one, and what it is.

use axum::body::Body;
use axum::http::Request;
use cronapi::backup::{Decoder, Part, Piece};
use cronapi::model::Role;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::fixture::{Node, request};

fn backup(node: &Node) -> Request<Body> {
    request(&node.admin, "GET", "/cluster/backup", &[], None)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gets_everything_at_one_index_and_it_is_written_down() {
    let node = Node::start().await;
    for name in ["a", "b", "c"] {
        node.with_job(name).await;
    }
    let answer = node.send(backup(&node)).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut decoder = Decoder::new(None);
    let pieces = decoder.push(&answer.body).unwrap();
    let amount = decoder.finish().unwrap();
    let Some(Piece::Header(header)) = pieces.first() else { panic!("no header") };
    assert_eq!((header.counts.jobs, header.counts.users), (3, 1));
    assert_eq!(header.cluster_id, node.consensus.status().cluster_id);
    assert!(answer.header("content-disposition").contains(&header.index.to_string()));
    let rows = pieces.iter().filter_map(|piece| match piece {
        Piece::Part(Part::Rows(rows)) => Some(rows.len() as u64),
        _ => None,
    });
    assert_eq!(rows.sum::<u64>(), amount.rows);
    assert!(amount.rows >= 4, "versions and audit");
    let audit = node.get("/audit?action=backup.take").await.expect(200).json();
    assert_eq!(audit["items"][0]["actor"], "admin", "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may() {
    let node = Node::start().await;
    for role in [Role::Viewer, Role::Runner, Role::Operator] {
        let token = node.with_user(role.as_str(), role).await;
        let answer = node.call_as(&token, "GET", "/cluster/backup", None).await.expect(403);
        assert_eq!(answer.code(), "forbidden");
    }
    node.send(Request::get("/cluster/backup").body(Body::empty()).unwrap()).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gives_one_at_a_time_and_another_when_that_is_gone() {
    let node = Node::start().await;
    node.with_job("a").await;
    // Its body is not read, so it is under way.
    let first = node.router.clone().oneshot(backup(&node)).await.unwrap();
    assert_eq!(first.status(), 200);
    let second = node.send(backup(&node)).await.expect(409);
    assert_eq!(second.code(), "backup-running");
    let body = first.into_body().collect().await.unwrap().to_bytes();
    let mut decoder = Decoder::new(None);
    decoder.push(&body).unwrap();
    decoder.finish().unwrap();
    // Its end is sent a moment before it is over.
    let ended = async {
        while node.send(backup(&node)).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), ended).await.unwrap();
}
