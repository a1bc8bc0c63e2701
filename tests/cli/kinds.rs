//! Every kind of definition by the verbs of the command line.

use cronapi::model::Kind;
use serde_json::{Value, json};

use super::place::Place;

/// A kind whose format the cluster has come to: it does by itself, soon after its start.
fn until_known(place: &Place) {
    let kind = Kind::Queue.as_str();
    let probe = json!({"kind": kind, "name": "probe", "concurrency": 1}).to_string();
    loop {
        place.with_input(&["apply", "-y", "-f", "-"], &probe).good();
        let got = place.run(&["get", kind, "probe", "-o", "json"]).good().json();
        if got["version"].is_u64() {
            return;
        }
    }
}

#[test]
fn every_kind_is_applied_shown_compared_and_deleted() {
    let place = Place::logged_in();
    until_known(&place);
    for kind in Kind::ALL {
        let (one, many) = (kind.as_str(), kind.plural());
        let mut fields = kind.example();
        let name = fields["name"].as_str().unwrap().to_owned();
        let word = format!("{one}/{name}");
        fields["kind"] = json!(one);
        let file = place.file("one.json", &fields.to_string());
        let file = file.to_str().unwrap();
        place.run(&["diff", "-f", file]).bad(1, "");
        let plan = place.run(&["apply", "-f", file, "--dry-run", "-o", "json"]).good().json();
        assert_eq!(plan["created"], 1, "{plan}");
        place.run(&["apply", "-y", "-f", file]).good();
        place.run(&["diff", "-f", file]).good();
        for noun in [one, many] {
            let got = place.run(&["get", noun, &name, "-o", "json"]).good().json();
            assert_eq!((&got["name"], &got["version"]), (&json!(name), &json!(1)));
            let list = place.run(&["get", noun, "-o", "name"]).good();
            assert!(list.out.lines().any(|line| line == name), "{list:?}");
        }
        assert!(place.run(&["get", many]).good().out.contains(&name));
        assert!(place.run(&["describe", one, &name]).good().out.contains(&name));
        // What `get` shows can be applied again.
        let shown = place.run(&["get", one, &name, "-o", "yaml"]).good().out;
        let again = place.with_input(&["apply", "-y", "-f", "-", "-o", "json"], &shown).good();
        assert_eq!(again.json()["unchanged"], 1, "{again:?}");
        let mut changed = fields.clone();
        changed.as_object_mut().unwrap().extend(kind.patch().as_object().cloned().unwrap());
        let other = place.file("other.json", &changed.to_string());
        let differs = place.run(&["diff", "-f", other.to_str().unwrap()]).bad(1, "");
        assert!(differs.out.lines().any(|line| line.starts_with('+')), "{differs:?}");
        let editor =
            place.file("editor.sh", &format!("#!/bin/sh\ncp {} \"$1\"\n", other.display()));
        let editor = format!("sh {}", editor.display());
        let edited = place.with_env(&["edit", &word, "-y"], &[("EDITOR", &editor)]).good();
        assert!(edited.err.contains("is version 2"), "{edited:?}");
        let versions = place.run(&["get", "versions", &word, "-o", "json"]).good().json();
        assert_eq!(versions["items"].as_array().unwrap().len(), 2, "{versions}");
        let back = place.run(&["rollback", &word, "-y"]).good();
        assert!(back.err.contains("is version 3, as it was in version 1"), "{back:?}");
        place.run(&["delete", &word, "--yes", "--dry-run"]).good();
        place.run(&["delete", &word, "--yes"]).good();
        let gone = place.run(&["get", one, &name]).bad(3, "");
        assert!(gone.err.contains(&name), "{gone:?}");
    }
}

#[test]
fn a_kind_that_is_none_is_named() {
    let place = Place::logged_in();
    place.run(&["delete", "pod/a", "--yes"]).bad(2, "is no kind of definition");
    let pod: Value = json!({"kind": "Pod", "name": "a"});
    place.with_input(&["apply", "-f", "-"], &pod.to_string()).bad(2, "is not known");
}
