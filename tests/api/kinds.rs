//! Every kind of definition, walked through everything that the kit promises: one test for all of
//! them, jobs too.

use cronapi::machine::Op;
use cronapi::model::kind::Area;
use cronapi::model::{Kind, Role, Scope, User};
use serde_json::{Map, Value, json};

use super::fixture::{Answer, Node, request, user};

/// A kind, and its example.
struct Walk {
    node: Node,
    kind: Kind,
    name: String,
    example: Value,
}

impl Walk {
    async fn of(kind: Kind) -> Walk {
        let example = kind.example();
        let name = example["name"].as_str().unwrap().to_owned();
        Walk { node: Node::start().await, kind, name, example }
    }

    fn all(&self) -> String {
        format!("/{}", self.kind.plural())
    }

    fn one(&self) -> String {
        format!("/{}/{}", self.kind.plural(), self.name)
    }

    /// The example without its name, and with what its patch changes.
    fn changed(&self) -> Value {
        let mut fields = self.example.as_object().cloned().unwrap();
        fields.remove("name");
        fields.extend(self.kind.patch().as_object().cloned().unwrap());
        Value::Object(fields)
    }

    async fn put(&self, headers: &[(&str, &str)], body: Value) -> Answer {
        self.node.with_headers("PUT", &self.one(), headers, Some(body)).await
    }

    async fn audit(&self, verb: &str) -> Vec<Value> {
        let path = format!("/audit?action={}.{verb}", self.kind.as_str());
        let page = self.node.get(&path).await.expect(200).json();
        page["items"].as_array().cloned().unwrap()
    }
}

fn fields_of(answer: &Value, of: &Value) -> Map<String, Value> {
    let names: Vec<&String> = of.as_object().unwrap().keys().collect();
    let kept = answer.as_object().unwrap().iter().filter(|(key, _)| names.contains(key));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[tokio::test]
async fn every_kind_is_created_read_changed_and_deleted() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        node.get(&one).await.expect(404);
        let made = node.post(&walk.all(), walk.example.clone()).await.expect(201);
        assert_eq!((made.header("etag"), made.header("location")), ("\"1\"", &*one));
        assert_eq!(Value::Object(fields_of(&made.json(), &walk.example)), walk.example);
        assert_eq!(node.post(&walk.all(), walk.example.clone()).await.expect(409).code(), "exists");
        let read = node.get(&one).await.expect(200);
        assert_eq!((read.header("etag"), &read.json()["version"]), ("\"1\"", &json!(1)));
        let none_match = [("if-none-match", "\"1\"")];
        node.with_headers("GET", &one, &none_match, None).await.expect(304);
        let list = node.get(&format!("{}?q={}", walk.all(), walk.name)).await.expect(200).json();
        assert_eq!(
            (list["items"].as_array().unwrap().len(), &list["next_cursor"]),
            (1, &json!(null))
        );
        let patched = node.call("PATCH", &one, Some(kind.patch())).await.expect(200);
        assert_eq!(patched.header("etag"), "\"2\"");
        let patch = Value::Object(fields_of(&patched.json(), &kind.patch()));
        assert_eq!(patch, kind.patch());
        let same = walk.put(&[], walk.changed()).await.expect(200);
        assert_eq!(same.header("etag"), "\"2\"", "the same again changes nothing");
        let sent_back = walk.put(&[], same.json()).await.expect(200);
        assert_eq!(sent_back.header("etag"), "\"2\"", "what was read may be sent back");
        node.call("DELETE", &one, None).await.expect(204);
        node.get(&one).await.expect(404);
        assert_eq!(node.call("DELETE", &one, None).await.expect(404).code(), "not-found");
        for verb in ["create", "update", "delete"] {
            let records = walk.audit(verb).await;
            assert_eq!(records.len(), 1, "{kind:?} {verb}: {records:?}");
            assert_eq!(
                (&records[0]["target"], &records[0]["actor"]),
                (&json!(walk.name), &json!("admin"))
            );
            assert!(records[0]["change"].as_object().is_some_and(|change| !change.is_empty()));
        }
    }
}

#[tokio::test]
async fn every_kind_holds_to_conditions() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        let only_new = [("if-none-match", "*")];
        let only_there = [("if-match", "*")];
        walk.put(&only_there, walk.changed()).await.expect(412);
        let made = walk.put(&only_new, walk.changed()).await;
        assert!(made.status.is_success(), "{kind:?}: {}", made.status);
        walk.put(&only_new, walk.changed()).await.expect(412);
        for (stale, status) in [("\"7\"", 412), ("W/\"1\"", 412), ("\"7\", \"1\"", 200), ("1", 400)]
        {
            let put = walk.put(&[("if-match", stale)], walk.changed()).await;
            assert_eq!(put.status.as_u16(), status, "{kind:?} PUT If-Match: {stale}");
            let headers = [("if-match", stale)];
            let patch = node.with_headers("PATCH", &one, &headers, Some(json!({}))).await;
            assert_eq!(patch.status.as_u16(), status, "{kind:?} PATCH If-Match: {stale}");
        }
        for stale in ["\"7\"", "W/\"1\""] {
            let headers = [("if-match", stale)];
            node.with_headers("DELETE", &one, &headers, None).await.expect(412);
        }
        let both = [("if-match", "\"1\""), ("if-none-match", "*")];
        walk.put(&both, walk.changed()).await.expect(400);
        let sent = [("if-match", "\"1\"")];
        let mut another = walk.changed();
        another["version"] = json!(9);
        let refused = walk.put(&[], another).await.expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], "/version", "{refused}");
        let mut another = walk.changed();
        another["name"] = json!("another");
        let refused = walk.put(&[], another).await.expect(422).json();
        assert_eq!(refused["errors"][0]["pointer"], "/name", "{refused}");
        node.with_headers("DELETE", &one, &sent, None).await.expect(204);
    }
}

#[tokio::test]
async fn every_kind_is_tried_without_being_written() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        let dry = |path: &str| format!("{path}?dry_run=true");
        let tried = node.post(&dry(&walk.all()), walk.example.clone()).await.expect(200);
        assert_eq!(tried.header("x-cronapi-dry-run"), "true");
        assert_eq!(Value::Object(fields_of(&tried.json(), &walk.example)), walk.example);
        let tried = node.call("PUT", &dry(&one), Some(walk.changed())).await.expect(200);
        assert_eq!(tried.header("etag"), "\"1\"");
        node.get(&one).await.expect(404);
        node.post(&walk.all(), walk.example.clone()).await.expect(201);
        let tried = node.call("PATCH", &dry(&one), Some(kind.patch())).await.expect(200);
        assert_eq!((tried.header("etag"), tried.header("x-cronapi-dry-run")), ("\"2\"", "true"));
        node.call("DELETE", &dry(&one), None).await.expect(204);
        let stale = [("if-match", "\"9\"")];
        node.with_headers("DELETE", &dry(&one), &stale, None).await.expect(412);
        let still = node.get(&one).await.expect(200);
        assert_eq!(still.header("etag"), "\"1\"");
        assert_eq!(walk.audit("update").await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn every_kind_carries_out_a_repeated_request_once() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        let key = [("idempotency-key", "k")];
        let calls = [
            ("POST", walk.all(), Some(walk.example.clone())),
            ("PUT", one.clone(), Some(walk.changed())),
            ("PATCH", one.clone(), Some(json!({}))),
            ("DELETE", one.clone(), None),
        ];
        for (method, path, body) in &calls {
            let first = node.with_headers(method, path, &key, body.clone()).await;
            assert!(first.status.is_success(), "{kind:?} {method}: {}", first.status);
            let again = node.with_headers(method, path, &key, body.clone()).await;
            let of = |answer: &Answer| (answer.status, answer.header("etag").to_owned());
            assert_eq!(of(&first), of(&again), "{kind:?} {method}");
            assert_eq!(again.header("idempotent-replayed"), "true", "{kind:?} {method}");
            assert_eq!(first.header("idempotent-replayed"), "");
        }
        // What they did is gone, and they are answered as they were.
        for (method, path, body) in &calls[..2] {
            let again = node.with_headers(method, path, &key, body.clone()).await;
            assert!(again.status.is_success(), "{kind:?} {method}: {}", again.status);
        }
        let mut other = walk.changed();
        other["name"] = json!(walk.name);
        let other = Some(other);
        let reused = node.with_headers("POST", &walk.all(), &key, other).await.expect(422);
        assert_eq!(reused.code(), "idempotency-key-reused");
        node.get(&one).await.expect(404);
        for verb in ["create", "update", "delete"] {
            assert_eq!(walk.audit(verb).await.len(), 1, "{kind:?} {verb}");
        }
    }
}

#[tokio::test]
async fn every_kind_keeps_its_versions() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        node.post(&walk.all(), walk.example.clone()).await.expect(201);
        node.call("PATCH", &one, Some(kind.patch())).await.expect(200);
        let page = node.get(&format!("{one}/versions?limit=1")).await.expect(200).json();
        assert_eq!(page["items"][0]["version"], 2);
        let cursor = page["next_cursor"].as_str().unwrap();
        let path = format!("{one}/versions?limit=1&cursor={cursor}");
        let rest = node.get(&path).await.expect(200).json();
        assert_eq!((&rest["items"][0]["version"], &rest["next_cursor"]), (&json!(1), &json!(null)));
        let first = node.get(&format!("{one}/versions/1")).await.expect(200).json();
        assert_eq!(first["definition"], walk.example);
        assert_eq!((&first["by"], &first["verb"]), (&json!("admin"), &json!("create")));
        node.get(&format!("{one}/versions/3")).await.expect(404);
        node.get(&format!("{}/none/versions", walk.all())).await.expect(404);
    }
}

#[tokio::test]
async fn every_kind_stands_in_a_set() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        let item = |mut fields: Value| {
            fields["kind"] = json!(kind.as_str());
            fields["name"] = json!(walk.name);
            fields
        };
        let first = json!({"items": [item(walk.example.clone())]});
        let then = json!({"items": [item(walk.changed()), item(walk.example.clone())]});
        let plan = node.post("/apply?dry_run=true", first.clone()).await.expect(200).json();
        assert_eq!((&plan["items"][0]["action"], &plan["created"]), (&json!("created"), &json!(1)));
        node.get(&one).await.expect(404);
        for (action, version) in [("created", 1), ("unchanged", 1)] {
            let done = node.post("/apply", first.clone()).await.expect(200).json();
            let item = &done["items"][0];
            assert_eq!((&item["action"], &item["version"]), (&json!(action), &json!(version)));
        }
        let twice = node.post("/apply", then).await.expect(207).json();
        assert_eq!(twice["items"][0]["action"], "updated", "{twice}");
        assert_eq!(twice["items"][1]["errors"][0]["pointer"], "/name", "{twice}");
        let shown = &twice["items"][0]["kind"];
        assert_eq!(shown.as_str().unwrap_or("job"), kind.as_str());
        let faulty = json!({"items": [{"kind": kind.as_str(), "name": "b", "zzzzzzzzzz": 1}]});
        let refused = node.post("/apply", faulty).await.expect(207).json();
        assert_eq!(refused["items"][0]["errors"][0]["pointer"], "/zzzzzzzzzz", "{refused}");
        // What an answer shows may be applied.
        let read = node.get(&one).await.expect(200).json();
        let again = node.post("/apply", json!([item(read)])).await.expect(200).json();
        assert_eq!(again["unchanged"], 1, "{again}");
    }
}

#[tokio::test]
async fn what_says_it_is_of_no_known_kind_is_refused_and_the_same_name_may_be_of_several() {
    let node = Node::start().await;
    let set = json!([
        {"kind": "pod", "name": "a"},
        {"kind": 7, "name": "b"},
        {"name": "c"},
        {"kind": "queue", "name": "c", "concurrency": 2},
    ]);
    let done = node.post("/apply", set).await.expect(207).json();
    let of = |at: usize, pointer: &str| done["items"][at].pointer(pointer).cloned();
    for at in [0, 1] {
        assert_eq!(of(at, "/errors/0/pointer"), Some(json!("/kind")), "{done}");
    }
    for at in [2, 3] {
        assert_eq!(of(at, "/action"), Some(json!("created")), "{done}");
    }
}

#[tokio::test]
async fn every_kind_asks_for_the_rights_of_its_area() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let (node, one) = (&walk.node, walk.one());
        node.post(&walk.all(), walk.example.clone()).await.expect(201);
        let least = match kind.area() {
            Area::Jobs | Area::Alerts => Role::Operator,
            Area::Cluster | Area::Outside => Role::Admin,
        };
        for role in [Role::Viewer, Role::Runner, Role::Operator, Role::Admin] {
            let caller = node.with_user(&format!("u{}", role.as_str()), role).await;
            node.call_as(&caller, "GET", &one, None).await.expect(200);
            node.call_as(&caller, "GET", &walk.all(), None).await.expect(200);
            node.call_as(&caller, "GET", &format!("{one}/versions"), None).await.expect(200);
            let may = if role >= least { 200 } else { 403 };
            let put = node.call_as(&caller, "PUT", &one, Some(walk.changed())).await;
            assert_eq!(put.status.as_u16(), may, "{kind:?} as {role:?}");
            let patch = node.call_as(&caller, "PATCH", &one, Some(json!({}))).await;
            assert_eq!(patch.status.as_u16(), may, "{kind:?} as {role:?}");
            if role < least {
                node.call_as(&caller, "DELETE", &one, None).await.expect(403);
                let (all, body) = (walk.all(), Some(walk.example.clone()));
                node.call_as(&caller, "POST", &all, body).await.expect(403);
            }
        }
        // A role that counts for other jobs only.
        let scope = Scope { jobs: vec!["other-*".into()], tags: Vec::new() };
        let eve = User { scope, ..user("eve", Role::Admin) };
        node.submit(Op::CreateUser { user: Box::new(eve), session: None }).await;
        let eve = node.login("eve").await;
        let put = node.call_as(&eve, "PUT", &one, Some(walk.changed())).await;
        assert_eq!(put.expect(403).code(), "forbidden", "{kind:?}");
        node.call_as(&eve, "DELETE", &one, None).await.expect(403);
        let (read, list) = match kind.area() {
            Area::Jobs | Area::Alerts => (404, 0),
            Area::Cluster | Area::Outside => (200, 1),
        };
        let got = node.call_as(&eve, "GET", &one, None).await;
        assert_eq!(got.status.as_u16(), read, "{kind:?}");
        let seen = node.call_as(&eve, "GET", &walk.all(), None).await.expect(200).json();
        assert_eq!(seen["items"].as_array().unwrap().len(), list, "{kind:?}");
    }
}

#[tokio::test]
async fn every_kind_names_each_fault_and_takes_no_more_than_fits() {
    for kind in Kind::ALL {
        let walk = Walk::of(*kind).await;
        let body = json!({"name": "a/b", "zzzzzzzzzz": 1});
        let refused = walk.node.post(&walk.all(), body).await.expect(422).json();
        let pointers: Vec<&str> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect();
        assert!(pointers.contains(&"/name") && pointers.contains(&"/zzzzzzzzzz"), "{refused}");
        let long = json!({"name": "x".repeat(129)});
        walk.node.post(&walk.all(), long).await.expect(422);
        let large = json!({"name": walk.name, "zzzzzzzzzz": "x".repeat(300_000)});
        walk.node.post(&walk.all(), large).await.expect(413);
        let list = format!("{}?limit=1001", walk.all());
        walk.node.get(&list).await.expect(400);
        walk.node.get(&format!("{}?zzzz=1", walk.all())).await.expect(400);
        let caller = request(
            &walk.node.admin,
            "POST",
            &walk.all(),
            &[("if-match", "\"1\"")],
            Some(walk.example.clone()),
        );
        assert_eq!(walk.node.send(caller).await.expect(400).code(), "invalid-header");
    }
}

#[tokio::test]
async fn pages_of_a_kind_hold_all_of_them_once_in_order() {
    // Of some there is one.
    for kind in Kind::plain().filter(|kind| kind.most() > 1) {
        let walk = Walk::of(kind).await;
        for n in 0..7 {
            let mut fields = walk.example.clone();
            fields["name"] = json!(format!("n{n}"));
            walk.node.post(&walk.all(), fields).await.expect(201);
        }
        let (mut path, mut names) = (format!("{}?limit=3", walk.all()), Vec::new());
        loop {
            let page = walk.node.get(&path).await.expect(200).json();
            let items = page["items"].as_array().unwrap();
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("{}?limit=3&cursor={cursor}", walk.all());
        }
        assert_eq!(names, ["n0", "n1", "n2", "n3", "n4", "n5", "n6"]);
        let whole = walk.node.get(&walk.all()).await.expect(200).json();
        assert_eq!(whole["items"].as_array().unwrap().len(), 7);
    }
}

/// Until every member knows kinds, queues are limited as before; the other kinds wait.
#[tokio::test]
async fn in_an_older_cluster_queues_work_as_before_and_other_kinds_wait() {
    let node = Node::start_as(4, |_| {}).await;
    for kind in Kind::plain().filter(|kind| *kind != Kind::Queue) {
        let refused = node.post(&format!("/{}", kind.plural()), kind.example()).await.expect(409);
        assert_eq!(refused.code(), "upgrade-needed");
    }
    let put = node.call("PUT", "/queues/q", Some(json!({"concurrency": 3}))).await.expect(200);
    assert_eq!(
        put.json(),
        json!({"name": "q", "concurrency": 3, "busy": 0, "version": null,
        "created_at": null, "updated_at": null, "updated_by": null, "waiting": 0,
        "oldest_at": null, "next_start_at": null, "blocked": null, "shares": []})
    );
    let rules = json!({"concurrency": 3, "rates": [{"limit": 1, "per": "1m"}]});
    let refused = node.call("PUT", "/queues/q", Some(rules)).await.expect(409);
    assert_eq!(refused.code(), "upgrade-needed", "and not left out in silence");
    let tagged = [("if-match", "\"1\"")];
    node.with_headers("PUT", "/queues/q", &tagged, Some(json!({}))).await.expect(412);
    assert_eq!(node.post("/queues", json!({"name": "q"})).await.expect(409).code(), "exists");
    let patched = node.call("PATCH", "/queues/q", Some(json!({"concurrency": 4}))).await;
    assert_eq!(patched.expect(200).json()["concurrency"], 4);
    let set = json!([{"kind": "queue", "name": "r", "concurrency": 1}]);
    node.post("/apply", set).await.expect(200);
    node.call("DELETE", "/queues/r", None).await.expect(204);
    node.get("/queues/r").await.expect(404);
    node.submit(Op::RaiseFormat { to: 5 }).await;
    let queue = node.get("/queues/q").await.expect(200);
    assert_eq!((queue.header("etag"), &queue.json()["concurrency"]), ("\"1\"", &json!(4)));
}

/// A type of sink that builds of the last release do not know waits, too.
#[tokio::test]
async fn in_an_older_cluster_a_sink_of_a_newer_type_waits() {
    let node = Node::start_as(7, |_| {}).await;
    let sink = |kind: &str| json!({"type": kind, "config": {"url": {"secret": "url"}}});
    node.call("PUT", "/sinks/tables", Some(sink("postgres"))).await.expect(201);
    let refused = node.call("PUT", "/sinks/documents", Some(sink("mongodb"))).await.expect(409);
    assert_eq!(refused.code(), "upgrade-needed");
    let node = Node::start_as(8, |_| {}).await;
    node.call("PUT", "/sinks/documents", Some(sink("mongodb"))).await.expect(201);
}
