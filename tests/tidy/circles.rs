//! Files that import each other in a circle can't be understood, or moved, one by one.
//!
//! A name that a parent passes on (`pub use child::Name`) counts as the child's; passing on is no
//! import. What is written without a `use` counts when it begins with `crate::` or `super::`.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::source::{File, Tree, shipped};

/// Files that are in a circle yet, without `src/` and `.rs`. This list only shrinks.
const IN_CIRCLES: &[&str] = &[
    "api/definitions/mod",
    "api/document",
    "api/headers",
    "api/jobs",
    "api/write",
    "cli/command/get",
    "cli/command/incidents",
    "cli/command/jobs",
    "cli/command/kinds",
    "cli/command/pick",
    "cli/output/columns",
    "cli/output/table",
    "executor/runner/node",
    "executor/runner/process/mod",
    "machine/apply/alerts",
    "machine/apply/outbox",
    "machine/apply/windows",
    "machine/needs",
    "machine/prepare/mod",
    "model/alert",
    "model/backfill",
    "model/fields",
    "model/job",
    "model/job/needs",
    "model/kind",
    "model/kind/channel",
    "model/kind/monitor",
    "model/kind/queue",
    "model/kind/rule",
    "model/kind/settings",
    "model/kind/sink",
    "model/kind/trigger",
    "model/kind/window",
    "model/run",
    "model/workflow",
    "node/config/mod",
    "node/config/print",
    "node/config/sources",
    "schedule/field",
    "schedule/special",
    "service/access/oidc/mod",
    "service/access/oidc/provider",
    "service/definitions/live",
    "service/definitions/mod",
    "service/definitions/view",
    "service/listing",
    "service/monitors",
    "service/past",
];

type Path = Vec<String>;

struct Module {
    path: Path,
    file: String,
    code: String,
    /// What it imports, and whether it passes that on.
    uses: Vec<(Path, bool)>,
}

struct Modules(BTreeMap<Path, Module>);

/// Files in a circle that are not known to be, and known ones that are in none.
pub fn breaches(tree: &Tree) -> Vec<String> {
    against(tree, IN_CIRCLES)
}

fn against(tree: &Tree, known: &[&str]) -> Vec<String> {
    let modules = Modules::of(tree);
    let mut found = BTreeSet::new();
    let mut told = Vec::new();
    for circle in modules.circles() {
        let files: Vec<&str> = circle.iter().map(|path| modules.name(path)).collect();
        found.extend(files.iter().map(|file| file.to_string()));
        let new: Vec<&str> = files.iter().copied().filter(|file| !known.contains(file)).collect();
        if !new.is_empty() {
            told.push(format!("{} (of {})", new.join(", "), files.join(", ")));
        }
    }
    let open = known.iter().filter(|file| !found.contains(**file));
    told.extend(open.map(|file| format!("{file} is in no circle any more: take it off the list")));
    told
}

impl Modules {
    fn of(tree: &Tree) -> Modules {
        let roots = ["lib", "main", "core", "raft"];
        let read = |file: &File| {
            let name = file.path.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
            let parts = name.split('/').filter(|part| *part != "mod").map(String::from);
            let path: Path = parts.collect();
            let root = path.len() == 1 && roots.contains(&path[0].as_str());
            let build = name.ends_with("build");
            (!root && !build).then(|| {
                let code = shipped(&file.text);
                (path.clone(), Module { path, file: name, code, uses: Vec::new() })
            })
        };
        let mut modules = Modules(tree.sources().filter_map(read).collect());
        let uses: Vec<_> = modules.0.values().map(|module| modules.uses_of(module)).collect();
        for (module, uses) in modules.0.values_mut().zip(uses) {
            module.uses = uses;
        }
        modules
    }

    fn name(&self, path: &Path) -> &str {
        self.0.get(path).map_or("", |module| &module.file)
    }

    fn uses_of(&self, module: &Module) -> Vec<(Path, bool)> {
        let import = Regex::new(r"(pub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);").unwrap();
        let written = Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
        let mut uses = Vec::new();
        for found in import.captures_iter(&module.code) {
            let passed_on = found.get(1).is_some();
            let names = expanded(&found[2]);
            uses.extend(names.iter().filter_map(|n| Some((self.whole(module, n)?, passed_on))));
        }
        let rest = import.replace_all(&module.code, "");
        let names = written.find_iter(&rest).filter_map(|n| self.whole(module, n.as_str()));
        uses.extend(names.map(|name| (name, false)));
        uses
    }

    /// A path from the root; none: of another crate.
    fn whole(&self, module: &Module, name: &str) -> Option<Path> {
        let mut parts: Vec<&str> = name.split("::").collect();
        let mut base = module.path.clone();
        match parts[0] {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                let up = parts.iter().take_while(|part| **part == "super").count();
                base.truncate(base.len().saturating_sub(up));
                parts.drain(1..up);
            }
            child => {
                base.push(child.to_owned());
                if !self.0.contains_key(&base) {
                    return None;
                }
            }
        }
        base.extend(parts.drain(1..).map(String::from));
        Some(base)
    }

    /// The file that a name comes from.
    fn home(&self, path: &Path, depth: usize) -> Option<&Module> {
        let length = (1..=path.len()).rev().find(|n| self.0.contains_key(&path[..*n]))?;
        let module = &self.0[&path[..length]];
        let Some(name) = path.get(length).filter(|_| depth < 6) else { return Some(module) };
        let passed_on = module.uses.iter().filter(|(_, passed_on)| *passed_on);
        for (from, _) in passed_on.filter(|(from, _)| from != path) {
            match from.last().map(String::as_str) {
                Some(last) if last == name => return self.home(from, depth + 1),
                Some("*") => {
                    let whole = self.0.get(&from[..from.len() - 1]);
                    let defines = Regex::new(&format!(
                        r"\b(struct|enum|fn|trait|type|const|static|macro_rules!)\s+{name}\b"
                    ));
                    let defines = defines.unwrap();
                    if whole.is_some_and(|whole| defines.is_match(&whole.code)) {
                        return whole;
                    }
                }
                _ => {}
            }
        }
        Some(module)
    }

    fn imports_of(&self, module: &Module) -> BTreeSet<&Path> {
        let own_child = |path: &Path| path.starts_with(&module.path);
        let used = module.uses.iter().filter(|(path, passed_on)| !(*passed_on && own_child(path)));
        let homes = used.filter_map(|(path, _)| self.home(path, 0));
        homes.map(|home| &home.path).filter(|path| **path != module.path).collect()
    }

    /// The groups of files of which each reaches each.
    fn circles(&self) -> Vec<Vec<Path>> {
        let edges: BTreeMap<&Path, BTreeSet<&Path>> =
            self.0.values().map(|module| (&module.path, self.imports_of(module))).collect();
        let reached: BTreeMap<&Path, BTreeSet<&Path>> =
            edges.keys().map(|from| (*from, reach(&edges, from))).collect();
        let mut circles: BTreeSet<Vec<Path>> = BTreeSet::new();
        for (from, to) in &reached {
            let both = to.iter().filter(|other| reached[**other].contains(*from));
            let circle: Vec<Path> = both.map(|path| (*path).clone()).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }
}

fn reach<'a>(edges: &BTreeMap<&'a Path, BTreeSet<&'a Path>>, from: &Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Path> = edges[from].iter().copied().collect();
    while let Some(path) = next.pop() {
        if reached.insert(path) {
            next.extend(edges[path].iter().copied());
        }
    }
    reached
}

/// `a::{b, c::{d, e as f}}` is `a::b`, `a::c::d`, `a::c::e`.
fn expanded(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let plain = tree.split(" as ").next().unwrap_or_default().trim();
        return if plain.is_empty() { Vec::new() } else { vec![plain.to_owned()] };
    };
    let (prefix, rest) = tree.split_at(open);
    let inside = &rest[1..rest.rfind('}').unwrap_or(rest.len())];
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[begin..]);
    let names = parts.into_iter().flat_map(expanded);
    names.map(|name| format!("{prefix}{name}")).collect()
}

#[test]
fn a_circle_is_found_and_a_list_only_shrinks() {
    let files = [
        ("src/lib.rs", "pub mod a;"),
        ("src/a/mod.rs", "mod b; mod c; pub use b::B;\nuse crate::d::D;"),
        ("src/a/b.rs", "use super::c::C;"),
        ("src/a/c.rs", "fn c(b: super::B) {}"),
        ("src/d.rs", "pub struct D;\n#[cfg(test)]\nmod tests { use crate::a::b::B; }"),
    ];
    let tree = Tree::of(&files);
    assert_eq!(against(&tree, &[]), ["a/b, a/c (of a/b, a/c)"]);
    assert_eq!(against(&tree, &["a/b", "a/c"]), [""; 0]);
    assert_eq!(
        against(&tree, &["a/b", "a/c", "d"]),
        ["d is in no circle any more: take it off the list"]
    );
    let names = ["a::b", "a::c::d", "a::c::e"];
    assert_eq!(expanded("a::{b, c::{d, e as f}}"), names);
}
