//! The examples in the documents are definitions that the program takes.

#[path = "shared/skip.rs"]
mod skip;

use std::path::Path;

use cronapi::clock::{Clock, System};
use cronapi::executor::runner::sign;
use cronapi::machine::prepare::check;
use cronapi::model::kind::channel::ChannelType;
use cronapi::model::{JobSpec, Kind, Timestamp};
use cronapi::node::Config;
use cronapi::node::config::{self, Flags};
use serde_json::{Map, Value, json};
use skip::skipped;

/// Fenced blocks of `kind` in a page, with the line each begins at.
fn blocks(page: &str, kind: &str) -> Vec<(usize, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(path).expect("the page");
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in (1..).zip(text.lines()) {
        match open.take() {
            Some(block) if line.trim() == "```" => found.push(block),
            Some((start, block)) => open = Some((start, block + line + "\n")),
            None if line.trim() == format!("```{kind}") => open = Some((at, String::new())),
            None => {}
        }
    }
    found
}

fn now() -> Timestamp {
    Timestamp::parse("2026-06-01T12:00:00Z").expect("an instant")
}

#[test]
fn definitions_in_the_manual_are_accepted() {
    let examples = blocks("jobs.md", "json");
    assert!(examples.len() > 10, "the page has lost its examples");
    let mut shown = Map::new();
    for (line, text) in examples {
        let given: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        let spec = JobSpec::from_map(given.clone())
            .unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        check(&spec, now(), now()).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        shown.extend(given);
    }
    let fields = JobSpec::from_map(serde_json::from_str(r#"{"name": "a", "?": 1}"#).expect("JSON"));
    let told = fields.expect_err("no field").remove(0).detail;
    let (_, names) = told.split_once("the fields are ").expect("the list of fields");
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join("jobs.md"))
            .expect("the page");
    let missing: Vec<&str> = names
        .split(", ")
        .filter(|name| {
            ![format!("`{name}`"), format!("`{name}.")].iter().any(|text| page.contains(text))
        })
        .collect();
    assert!(missing.is_empty(), "docs/jobs.md does not explain {missing:?}");
    let unshown: Vec<&str> = names
        .split(", ")
        .filter(|name| !shown.contains_key(*name) && !["enabled", "is_async"].contains(name))
        .collect();
    assert!(unshown.is_empty(), "docs/jobs.md has no example of {unshown:?}");
}

#[test]
fn workflows_in_the_manual_are_accepted() {
    for (line, text) in blocks("workflows.md", "json") {
        let given: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        let spec = JobSpec::from_map(given).unwrap_or_else(|e| panic!("line {line}: {e:?}"));
        assert!(spec.is_workflow(), "line {line}");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workflows.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let odd = r#"{"name": "a", "tasks": [{"name": "t", "?": 1}]}"#;
    let faults = JobSpec::from_map(serde_json::from_str(odd).expect("JSON")).expect_err("no field");
    let told = &faults[0].detail;
    let (_, names) = told.split_once("expected one of ").expect("the list of fields");
    for name in names.split(", ") {
        assert!(page.contains(name), "docs/workflows.md does not explain {name}");
    }
}

#[test]
fn runners_and_queues_in_the_manual_are_accepted() {
    let runners = blocks("runners.md", "json");
    assert!(runners.len() >= 3, "the page has lost its examples");
    for (line, text) in runners {
        for runner in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            let runner = runner.unwrap_or_else(|e| panic!("line {line}: {e}"));
            let Value::Object(job) = json!({ "name": "shown", "runner": runner }) else { continue };
            JobSpec::from_map(job).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        }
    }
    for (line, text) in blocks("queues.md", "json") {
        let queue: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        let read = Kind::Queue.read(queue.clone());
        read.unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        let page = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join("queues.md"),
        );
        let page = page.expect("the page");
        for field in Kind::Queue.fields().iter().filter(|field| **field != "name") {
            assert!(page.contains(&format!("| `{field}` |")), "queues.md does not explain {field}");
        }
    }
}

#[test]
fn sinks_in_the_manual_are_accepted() {
    let mut shown = 0;
    for (line, text) in blocks("sinks.md", "json") {
        let map: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        // A line of a file is none.
        if map.contains_key("position") {
            continue;
        }
        Kind::Sink.read(map).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        shown += 1;
    }
    assert_eq!(shown, 5, "one of each type, and one with the state");
}

#[test]
fn triggers_in_the_manual_are_accepted() {
    let all = blocks("triggers.md", "json");
    for (line, text) in &all {
        let map: Map<String, Value> =
            serde_json::from_str(text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        Kind::Trigger.read(map).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
    }
    assert_eq!(all.len(), 1);
}

#[test]
fn monitors_in_the_manual_are_accepted_and_every_field_is_explained() {
    for (line, text) in blocks("monitors.md", "json") {
        let monitor: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        let read = Kind::Monitor.read(monitor);
        read.unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
    }
    for (line, text) in blocks("monitors.md", "yaml") {
        let read = serde_saphyr::from_str(&text);
        let mut map: Map<String, Value> = read.unwrap_or_else(|e| panic!("line {line}: {e}"));
        map.remove("kind");
        Kind::Rule.read(map).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join("monitors.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for field in Kind::Monitor.fields().iter().filter(|field| **field != "name") {
        assert!(page.contains(&format!("`{field}`")), "monitors.md does not explain {field}");
    }
}

#[test]
fn windows_in_the_manual_are_accepted_and_every_field_is_explained() {
    let mut shown = 0;
    for (line, text) in blocks("notifications.md", "json") {
        let map: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        if map.contains_key("reason") {
            Kind::Window.read(map).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
            shown += 1;
        }
    }
    assert_eq!(shown, 2, "one that comes again, and one that does not");
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join("notifications.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for field in Kind::Window.fields().iter().filter(|field| **field != "name") {
        assert!(page.contains(&format!("`{field}`")), "notifications.md does not explain {field}");
    }
}

#[test]
fn channels_in_the_manual_are_accepted_and_its_program_verifies_a_signature() {
    let shown = blocks("notifications.md", "json");
    let mut types = std::collections::BTreeSet::new();
    for (line, text) in shown {
        let channel: Map<String, Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("line {line}: {e}"));
        let Some(of) = channel.get("type").and_then(Value::as_str) else { continue };
        types.insert(of.to_owned());
        let read = Kind::Channel.read(channel);
        read.unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
    }
    let all = ChannelType::ALL.map(|of| of.as_str().to_owned());
    assert_eq!(types, all.into_iter().collect(), "an example of each type");
    for (line, text) in blocks("notifications.md", "yaml") {
        for text in text.split("---\n") {
            let read = serde_saphyr::from_str(text);
            let mut map: Map<String, Value> = read.unwrap_or_else(|e| panic!("line {line}: {e}"));
            let kind = map.remove("kind").unwrap_or_else(|| json!("job"));
            let kind = Kind::called(kind.as_str().expect("a word")).expect("a kind");
            kind.read(map).unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        }
    }
    let (_, program) = blocks("notifications.md", "python").remove(0);
    let body = b"{\"reason\": \"\xc3\xbc\"}";
    let now = System.now().micros() / 1_000_000;
    let signed = sign("s3cret", now, body).expect("signed");
    let asked = format!(
        "{program}\nimport sys\nbody = sys.stdin.buffer.read()\n\
         right = is_genuine(b's3cret', '{signed}', body)\n\
         wrong = is_genuine(b's3cret', '{signed}', body + b'.')\n\
         sys.exit(0 if right and not wrong else 1)"
    );
    let mut python = std::process::Command::new("python3");
    let Ok(mut python) = python.args(["-c", &asked]).stdin(std::process::Stdio::piped()).spawn()
    else {
        skipped("the signature in docs/notifications.md", "there is no python3");
        return;
    };
    std::io::Write::write_all(&mut python.stdin.take().expect("a pipe"), body).expect("written");
    assert!(python.wait().expect("ended").success(), "the signature is not verified");
}

/// `UPDATE_EXPECT=1 cargo test --test documents settings` writes it anew.
#[test]
fn the_table_of_settings_is_that_of_the_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(&path).expect("the page");
    let begin = text.find("| flag |").expect("the table");
    let end = begin + text[begin..].find("\n\n").expect("its end") + 1;
    let wanted = [&text[..begin], &config::markdown(), &text[end..]].concat();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, wanted).expect("written");
    } else {
        assert!(text == wanted, "UPDATE_EXPECT=1 cargo test --test documents settings writes it");
    }
}

#[test]
fn the_example_of_a_configuration_file_is_accepted() {
    for (line, text) in blocks("configuration.md", "toml") {
        let folder = tempfile::tempdir().expect("a folder");
        let password = folder.path().join("password");
        std::fs::write(&password, "correct horse").expect("written");
        let file = folder.path().join("cronapi.toml");
        let key = folder.path().join("key");
        std::fs::write(&key, "the key of a whole cluster").expect("written");
        let text = text
            .replace("/run/secrets/admin", &password.to_string_lossy())
            .replace("/run/secrets/oidc", &password.to_string_lossy())
            .replace("/run/secrets/cluster", &key.to_string_lossy());
        std::fs::write(&file, text).expect("written");
        let flags = Flags::default().with("config", file.to_string_lossy());
        let config = Config::load(&flags, &|_| None)
            .unwrap_or_else(|faults| panic!("line {line}: {faults:?}"));
        let whole = config.admin_password.is_some() && config.labels.len() == 2;
        let provider = config.oidc.is_some_and(|oidc| oidc.0.roles.len() == 3);
        assert!(whole || provider, "line {line}");
    }
}

/// Every definition in a text of YAML documents.
fn definitions(place: &str, text: &str) -> Vec<JobSpec> {
    let maps: Vec<Map<String, Value>> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert!(!maps.is_empty(), "{place}: no definition in it");
    let read = |map: Map<String, Value>| {
        let spec = JobSpec::from_map(map).unwrap_or_else(|faults| panic!("{place}: {faults:?}"));
        check(&spec, now(), now()).unwrap_or_else(|f| panic!("{place}: {f:?}"));
        spec
    };
    maps.into_iter().map(read).collect()
}

#[test]
fn the_examples_are_accepted_and_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let page = std::fs::read_to_string(folder.join("README.md")).expect("the page");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file == "README.md" {
            continue;
        }
        assert!(page.contains(&format!("]({file})")), "examples/README.md does not list {file}");
        let text = std::fs::read_to_string(&path).expect("an example");
        names.extend(definitions(&file, &text).iter().map(|spec| spec.name.to_string()));
    }
    assert!(names.len() >= 10, "{names:?}");
    names.sort();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn definitions_in_yaml_in_the_manual_and_the_readme_are_accepted() {
    let mut found = 0;
    for page in ["recipes.md", "tour.md", "cli.md", "workflows.md", "../README.md"] {
        for (line, text) in blocks(page, "yaml") {
            found += definitions(&format!("{page}, line {line}"), &text).len();
        }
    }
    assert!(found >= 16, "{found} definitions");
}
