//! Headers that make a write conditional or safe to repeat: none is passed over.

use serde_json::Value;

use super::fixture::{Node, request};
use super::operations::{Least, filled, operations};

const RUN: &str = "0190a0a0-0000-7000-8000-000000000000";
const HEADERS: [(&str, &str); 3] =
    [("Idempotency-Key", "k"), ("If-Match", "\"1\""), ("If-None-Match", "*")];

#[tokio::test]
async fn a_write_refuses_each_header_that_its_operation_does_not_take() {
    let node = Node::start().await;
    let document: Value = serde_json::from_str(&cronapi::api::openapi()).unwrap();
    let (mut refused, mut taken) = (0, 0);
    let writes = |method: &str| method != "get";
    let known = |least| least != Least::Anybody;
    for to in operations().into_iter().filter(|to| writes(to.method) && known(to.least)) {
        let parameters = &document["paths"][to.path][to.method]["parameters"];
        let parameters = parameters.as_array().map(Vec::as_slice).unwrap_or_default();
        for (header, value) in HEADERS {
            if parameters.iter().any(|one| one["in"] == "header" && one["name"] == header) {
                taken += 1;
                continue;
            }
            let (method, path) = (to.method.to_uppercase(), filled(to.path, RUN));
            let with = [(header, value)];
            let sent = request(&node.admin, &method, &path, &with, to.body.clone());
            let answer = node.send(sent).await;
            let place = format!("{method} {path} {header}: {}", answer.status);
            assert_eq!(answer.status.as_u16(), 400, "{place}");
            assert_eq!(answer.code(), "invalid-header", "{place}");
            refused += 1;
        }
    }
    assert!(refused > 40 && taken > 20, "{refused} refused, {taken} taken");
}
