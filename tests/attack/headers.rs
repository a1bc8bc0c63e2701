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
    let (mut refused, mut taken, mut harmless) = (0, 0, 0);
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
            // A repeat of these does something again; of the others it changes nothing more.
            let again = ["/auth/keys/rotate", "/secrets/rotate", "/tokens"];
            if header == "Idempotency-Key" && !(method == "POST" && again.contains(&to.path)) {
                harmless += 1;
                continue;
            }
            let sent = request(&node.admin, &method, &path, &with, to.body.clone());
            let answer = node.send(sent).await;
            let place = format!("{method} {path} {header}: {}", answer.status);
            assert_eq!(answer.status.as_u16(), 400, "{place}");
            assert_eq!(answer.code(), "invalid-header", "{place}");
            refused += 1;
        }
    }
    assert!(refused > 30 && taken > 20, "{refused} refused, {taken} taken");
    assert!(harmless < 16, "{harmless} operations take a key without a use for it");
    let absent = "/cluster/nodes/123456789012345";
    let key = [("Idempotency-Key", "k")];
    let answer = node.send(request(&node.admin, "DELETE", absent, &key, None)).await;
    assert_eq!(answer.status.as_u16(), 404, "a key is no reason to refuse: {}", answer.code());
}
