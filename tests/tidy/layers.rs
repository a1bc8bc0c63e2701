//! Which module may import which. docs/architecture.md shows the same as a picture.

use regex::Regex;

use super::source::{File, Tree, line_of, shipped};

/// A part of `src`, and the top-level modules it may import. The longest path that fits a
/// file counts, so a line may be narrower than the one of its module.
const MAY_IMPORT: [(&str, &[&str]); 29] = [
    ("trace", &["model"]),
    ("model", &[]),
    ("metrics", &["model"]),
    ("causes", &[]),
    ("chance", &[]),
    ("clock", &["model"]),
    ("trust", &[]),
    ("schedule", &["model"]),
    ("machine", &["model"]),
    ("machine/prepare", &["model", "schedule"]),
    ("machine/plan", &["model", "schedule"]),
    ("wire", &["model", "machine"]),
    ("storage", &["model", "chance"]),
    ("backup", &["model", "wire"]),
    ("vault", &["model"]),
    ("consensus", CONSENSUS),
    ("offline", &["model", "chance", "clock", "machine", "wire", "storage", "consensus", "backup"]),
    ("scheduler", &["model", "clock", "machine", "consensus", "storage"]),
    ("executor", &["model", "clock", "trace", "machine", "consensus", "storage", "vault"]),
    ("executor/runner", &["model", "causes", "clock", "trust"]),
    ("adapters", ADAPTERS),
    ("service", SERVICE),
    ("api", &["model", "trace", "metrics", "service"]),
    ("node", PARTS),
    // `audit-fires` works out nominal times by itself, or it would have to believe the server.
    ("cli", CLI),
    ("core", ALL),
    ("raft", ALL),
    ("lib", ALL),
    ("main", ALL),
];

const ALL: &[&str] = &["*"];

/// What the log is made of.
const CONSENSUS: &[&str] =
    &["model", "causes", "chance", "clock", "metrics", "machine", "wire", "storage", "backup"];

const CLI: &[&str] =
    &["model", "causes", "clock", "trust", "trace", "schedule", "api", "node", "backup", "offline"];

/// What goes out of the cluster is made of.
const ADAPTERS: &[&str] = &[
    "model",
    "causes",
    "clock",
    "trust",
    "metrics",
    "machine",
    "storage",
    "consensus",
    "vault",
    "executor",
];

/// What use cases are made of.
const SERVICE: &[&str] = &[
    "model",
    "causes",
    "clock",
    "trust",
    "metrics",
    "schedule",
    "machine",
    "consensus",
    "storage",
    "executor",
    "adapters",
    "backup",
    "vault",
];

/// What the composition root puts together.
const PARTS: &[&str] = &[
    "model",
    "clock",
    "metrics",
    "trace",
    "machine",
    "storage",
    "consensus",
    "scheduler",
    "executor",
    "service",
    "api",
    "adapters",
    "vault",
];

/// What is used in one place only: a path, where it may stand, and why.
const CONFINED: [(&str, &[&str], &str); 9] = [
    (r"\bopenraft\s*::", &["src/consensus/"], "the consensus library stays replaceable"),
    (r"(^|[^\w:])sled\s*::", &["src/storage/sled.rs"], "the engine stays replaceable"),
    (r"\bopentelemetry\w*\s*::", &["src/trace/"], "traces stay optional"),
    (r"\bprometheus\s*::", &["src/metrics/"], "the metrics library stays replaceable"),
    (r"\baxum\s*::", &["src/api/", "src/node/"], "only the edge knows HTTP"),
    (r"\brcgen\s*::", &["src/consensus/transport/identity.rs"], "one way to be of the cluster"),
    (r"\bSystemTime\s*::\s*now", &["src/clock.rs"], "time comes from the clock"),
    (r"\b(Utc|Local)\s*::\s*now", &["src/clock.rs"], "time comes from the clock"),
    (
        r"\bthread_rng\b|\brand\s*::",
        &["src/consensus/runtime.rs"],
        "chance comes from the system, never into the machine",
    ),
];

/// Imports that point back.
pub fn imports(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in tree.sources() {
        let Some((_, may)) = line_for(file) else { continue };
        if may.contains(&"*") {
            continue;
        }
        let own = parts(file)[0].clone();
        for (module, line) in imported(file) {
            if module != own && !may.contains(&module.as_str()) && is_module(tree, &module) {
                breaches.push(format!("{}:{line}: imports {module}", file.path));
            }
        }
    }
    breaches
}

/// Top-level modules without a line in [`MAY_IMPORT`].
pub fn unknown(tree: &Tree) -> Vec<String> {
    let lost = tree.sources().filter(|file| line_for(file).is_none());
    lost.map(|file| file.path.clone()).collect()
}

/// Things outside the one place they belong to.
pub fn confined(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (pattern, places, why) in CONFINED {
        let pattern = Regex::new(pattern).unwrap();
        for file in tree.sources() {
            if places.iter().any(|place| file.path.starts_with(place)) {
                continue;
            }
            let code = shipped(&file.text);
            for found in pattern.find_iter(&code) {
                let (line, what) = (line_of(&code, found.start()), found.as_str().trim());
                breaches.push(format!("{}:{line}: {what} ({why})", file.path));
            }
        }
    }
    breaches
}

/// `src/machine/plan/due.rs` is `machine`, `plan`, `due`.
fn parts(file: &File) -> Vec<String> {
    let path = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|part| *part != "mod").map(String::from).collect()
}

fn line_for(file: &File) -> Option<(&'static str, &'static [&'static str])> {
    let path = parts(file).join("/");
    MAY_IMPORT
        .into_iter()
        .filter(|(place, _)| path == *place || path.starts_with(&format!("{place}/")))
        .max_by_key(|(place, _)| place.len())
}

/// Whether `crate::name` is a module, and not something that lib.rs passes on.
fn is_module(tree: &Tree, name: &str) -> bool {
    let known = MAY_IMPORT.iter().any(|(place, _)| *place == name);
    known || tree.get(&format!("src/{name}.rs")).is_some()
}

/// The first step of every path from the root of the crate, with its line: `crate::a`,
/// `crate::{a, b::c}`, and as many `super::` as lead there.
fn imported(file: &File) -> Vec<(String, usize)> {
    let code = shipped(&file.text);
    let depth = parts(file).len();
    let path = Regex::new(r"\b(?:crate|((?:super\s*::\s*)+))(?:::)?\s*(\w+|\{)").unwrap();
    let mut found = Vec::new();
    for hit in path.captures_iter(&code) {
        let supers = hit.get(1).map_or(depth, |chain| chain.as_str().matches("super").count());
        if supers < depth {
            continue;
        }
        let first = hit.get(2).unwrap();
        let line = line_of(&code, first.start());
        if first.as_str() == "{" {
            let names = group(&code[first.end()..]);
            found.extend(names.into_iter().map(|name| (name, line)));
        } else {
            found.push((first.as_str().to_string(), line));
        }
    }
    found
}

/// First steps inside `{a::{b, c}, d}`, of which the first brace is gone.
fn group(rest: &str) -> Vec<String> {
    let (mut names, mut name, mut depth, mut taken) = (Vec::new(), String::new(), 0, false);
    for c in rest.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                taken = false;
            }
            ':' => taken = true,
            c if depth == 0 && !taken && (c.is_alphanumeric() || c == '_') => name.push(c),
            _ => {}
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn an_import_that_points_back_is_found() {
    let breaches = |path: &str, text: &str| imports(&Tree::of(&[(path, text)])).len();
    assert_eq!(breaches("src/model/job.rs", "use crate::machine::State;"), 1);
    assert_eq!(breaches("src/model/job.rs", "use super::super::machine::State;"), 1);
    assert_eq!(breaches("src/model/job.rs", "use super::machine::State; // crate::node"), 0);
    assert_eq!(breaches("src/machine/apply/jobs.rs", "use crate::schedule::Schedule;"), 1);
    assert_eq!(breaches("src/machine/state/mod.rs", "fn f() { crate::clock::now(); }"), 1);
    assert_eq!(breaches("src/machine/prepare/timing.rs", "use crate::schedule::Schedule;"), 0);
    assert_eq!(breaches("src/wire/mod.rs", "use crate::{model::{Job, Run}, storage::Kv};"), 1);
    assert_eq!(breaches("src/wire/mod.rs", "#[cfg(test)]\nmod tests { use crate::node::A; }"), 0);
    assert_eq!(breaches("src/executor/runner/mod.rs", "use crate::consensus::Handle;"), 1);
    assert_eq!(breaches("src/node/mod.rs", "use crate::api;"), 0);
}

#[test]
fn what_left_its_place_is_found() {
    let breaches = |path: &str, text: &str| confined(&Tree::of(&[(path, text)])).len();
    assert_eq!(breaches("src/storage/log.rs", "let db = sled::open(p);"), 1);
    assert_eq!(breaches("src/storage/log.rs", "use super::sled::SledKv; // sled::open"), 0);
    assert_eq!(breaches("src/service/mod.rs", "use openraft::Raft; use axum::Router;"), 2);
    assert_eq!(breaches("src/machine/plan/due.rs", "let t = SystemTime::now();"), 1);
    assert_eq!(breaches("src/clock.rs", "let t = SystemTime::now();"), 0);
    assert_eq!(unknown(&Tree::of(&[("src/extras/mod.rs", "")])).len(), 1);
}
