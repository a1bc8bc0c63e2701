//! Definitions in files: YAML of several documents, JSON, folders, standard input.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::exit::{Code, Failure};
use super::yaml;
use crate::model::Kind;
use crate::model::integers::wide_in;

/// What an answer has and a definition has not: left out when an answer is read as one.
const ANSWER_ONLY: [&str; 11] = [
    "uid",
    "version",
    "created_at",
    "updated_at",
    "next_fire_at",
    "last_run",
    "open_runs",
    "unresolved",
    "schedule_text",
    "deleted_at",
    "warnings",
];
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// A definition, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) kind: Kind,
    /// Such as `jobs/backup.yaml, document 2`.
    pub(super) place: String,
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
}

/// Every definition in `files`: files, folders, `-` for standard input. None stands twice.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Definition>, Failure> {
    let mut all = Vec::new();
    for file in files {
        if file.as_os_str() == "-" {
            let text = io::read_to_string(io::stdin())
                .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
            all.extend(parse("standard input", &text)?);
            continue;
        }
        let inside = if file.is_dir() { within(file)? } else { vec![file.clone()] };
        if inside.is_empty() {
            let text = format!("{}: no .yaml, .yml or .json file in it", file.display());
            return Err(Failure::new(Code::NotFound, text));
        }
        for path in inside {
            let text = fs::read_to_string(&path).map_err(|error| {
                let code = match error.kind() {
                    io::ErrorKind::NotFound => Code::NotFound,
                    _ => Code::Failed,
                };
                Failure::new(code, format!("{}: {error}", path.display()))
            })?;
            all.extend(parse(&path.display().to_string(), &text)?);
        }
    }
    let mut places: BTreeMap<(Kind, &str), &str> = BTreeMap::new();
    for definition in &all {
        let key = (definition.kind, definition.name.as_str());
        if let Some(other) = places.insert(key, &definition.place) {
            let (name, place) = (&definition.name, &definition.place);
            let kind = definition.kind.as_str();
            let text = format!("{kind} {name} stands in {other} and in {place}");
            return Err(Failure::usage(text));
        }
    }
    Ok(all)
}

/// Files of definitions in a folder and those below it, in the order of their names.
fn within(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fail = |error: io::Error| Failure::failed(format!("{}: {error}", folder.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        entries.push(entry.map_err(fail)?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            found.extend(within(&path)?);
        } else if path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The definitions in a text.
pub(super) fn parse(place: &str, text: &str) -> Result<Vec<Definition>, Failure> {
    let documents = documents(text).map_err(|why| Failure::usage(format!("{place}: {why}")))?;
    let several = documents.len() > 1;
    let mut found = Vec::new();
    for (at, document) in documents.into_iter().enumerate() {
        let place =
            if several { format!("{place}, document {}", at + 1) } else { place.to_owned() };
        for (at, item) in items(document).into_iter().enumerate() {
            let place = match item.listed {
                true => format!("{place}, item {}", at + 1),
                false => place.clone(),
            };
            found.push(definition(place, item.value)?);
        }
    }
    if found.is_empty() {
        return Err(Failure::usage(format!("{place}: there is no definition in it")));
    }
    Ok(found)
}

struct Item {
    value: Value,
    listed: bool,
}

/// A document is a definition, a list of them, or the answer to a list.
fn items(document: Value) -> Vec<Item> {
    let listed = |list: Vec<Value>| list.into_iter().map(|value| Item { value, listed: true });
    match document {
        Value::Array(list) => listed(list).collect(),
        Value::Object(mut map) if !map.contains_key("name") && map.contains_key("items") => {
            match map.remove("items") {
                Some(Value::Array(list)) => listed(list).collect(),
                _ => vec![Item { value: Value::Object(map), listed: false }],
            }
        }
        value => vec![Item { value, listed: false }],
    }
}

fn definition(place: String, value: Value) -> Result<Definition, Failure> {
    let Value::Object(mut fields) = value else {
        return Err(Failure::usage(format!("{place}: a definition has fields, such as name: a")));
    };
    let kind = kind_of(&place, fields.shift_remove("kind"))?;
    strip(kind, &mut fields);
    match fields.get("name").and_then(Value::as_str) {
        Some(name) => Ok(Definition { kind, name: name.to_owned(), place, fields }),
        None => Err(Failure::usage(format!("{place}: the definition has no name; give it one"))),
    }
}

/// The kind that a definition says it is of, with or without a capital; none: it is a job.
fn kind_of(place: &str, given: Option<Value>) -> Result<Kind, Failure> {
    let Some(given) = given else { return Ok(Kind::Job) };
    let is = |kind: &&Kind| given == kind.as_str() || given == kind.title();
    Kind::ALL.iter().find(is).copied().ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        let text = format!("{place}: kind {given} is not known; there are {}", all.join(", "));
        Failure::usage(text)
    })
}

/// Leaves out what an answer has and a definition has not.
fn strip(kind: Kind, fields: &mut Map<String, Value>) {
    if kind == Kind::Job {
        for key in ANSWER_ONLY {
            fields.shift_remove(key);
        }
        return;
    }
    let live: Vec<&str> = kind.live().into_iter().map(|(name, _)| name).collect();
    let stamps = ["kind", "version", "created_at", "updated_at", "updated_by", "warnings"];
    for key in stamps.into_iter().chain(live) {
        fields.shift_remove(key);
    }
}

/// The definition in the answer about one.
pub(super) fn of_answer(kind: Kind, answer: &Value) -> Map<String, Value> {
    let mut fields = answer.as_object().cloned().unwrap_or_default();
    strip(kind, &mut fields);
    fields
}

/// JSON documents one after the other, else YAML.
fn documents(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with(['{', '[']) {
        let all: Result<Vec<Value>, _> =
            serde_json::Deserializer::from_str(text).into_iter::<Value>().collect();
        if let Ok(all) = all {
            let wide = all.iter().find_map(|value| wide_in(value, text.as_bytes()));
            return wide.map_or(Ok(all), |wide| Err(wide.to_string()));
        }
    }
    yaml::documents(text)
}

/// A value as YAML.
pub(super) fn yaml(value: &Value) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100_000 };
    let mut text = String::new();
    serde_saphyr::to_fmt_writer_with_options(&mut text, value, options)
        .map_err(|error| Failure::failed(format!("it can't be written as YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(text: &str) -> Vec<Value> {
        let all = parse("a.yaml", text).unwrap();
        all.into_iter().map(|one| Value::Object(one.fields)).collect()
    }

    #[test]
    fn yaml_of_several_documents_json_lists_and_answers() {
        let two =
            "kind: Job\nname: a\n---\nname: b\ntags: [on, yes, 'no']\nretry: {on: [failed]}\n";
        let both = [
            json!({"name": "a"}),
            json!({"name": "b", "tags": ["on", "yes", "no"], "retry": {"on": ["failed"]}}),
        ];
        assert_eq!(fields(two), both);
        let ab = [json!({"name": "a"}), json!({"name": "b"})];
        assert_eq!(fields(r#"[{"name":"a"},{"name":"b"}]"#), ab);
        assert_eq!(fields("{\"name\":\"a\"}\n{\"name\":\"b\"}"), ab);
        assert_eq!(fields("- name: a\n- name: b\n"), ab);
        let answer = r#"{"items":[{"name":"a","uid":"x","version":3,"last_run":null}]}"#;
        assert_eq!(fields(answer), [json!({"name": "a"})]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| parse("a.yaml", text).unwrap_err().to_string();
        let rows = [
            ("name: a\n---\nexpr: '* * * * *'\n", "a.yaml, document 2: the definition has no name"),
            ("[{\"name\": 1}]", "a.yaml, item 1: the definition has no name"),
            ("kind: Pod\nname: a", "kind \"Pod\" is not known"),
            ("a: [1\n", "a.yaml: "),
            ("# nothing\n", "there is no definition"),
            ("just text", "a definition has fields"),
            ("name: a\nname: b\n", "a.yaml: "),
        ];
        for (text, part) in rows {
            assert!(told(text).contains(part), "{text:?}: {}", told(text));
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let value = json!({
            "name": "a", "expr": "*/5 * * * *", "enabled": true, "tags": ["on", "1", "null"],
            "code": "def f():\n    print('hi: there')\n\n    return {\"a\": 1}\n",
            "parameters": {
                "n": 1.5, "t": "2026-01-01", "empty": {}, "none": [], "s": "  x ", "big": u64::MAX,
                "zip": "00501", "words": ["1_000", "0o17", "+49", "1e3", ".5", "7", "true", "~"],
            },
            "description": "one\n\ntwo # three\ttab",
            "runner": {"type": "shell", "argv": ["sh", "-c", "echo 'a' \\\n b"]},
        });
        let text = yaml(&value).unwrap();
        assert_eq!(fields(&text), [value], "{text}");
        assert!(text.contains("code: |"), "{text}");
    }

    #[test]
    fn folders_are_read_in_order_and_no_name_stands_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::create_dir(path.join("sub")).unwrap();
        for (file, text) in [
            ("b.yml", "name: b"),
            ("a.json", "{\"name\": \"a\"}"),
            ("sub/c.yaml", "name: c"),
            ("read.me", "name: d"),
            (".e.yaml", "name: e"),
        ] {
            fs::write(path.join(file), text).unwrap();
        }
        let names = |paths: &[PathBuf]| {
            read(paths).map(|all| all.into_iter().map(|one| one.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[path.into()]).unwrap(), ["a", "b", "c"]);
        let twice = names(&[path.into(), path.join("b.yml")]).unwrap_err();
        assert!(twice.to_string().contains("job b stands in"), "{twice}");
        assert_eq!(names(&[path.join("none.yaml")]).unwrap_err().code, Code::NotFound);
    }
}
