//! Names that say nothing about a thing, in files, modules, types and functions; and names of
//! schemas that two types have.

use std::collections::BTreeMap;

use regex::Regex;

use super::source::{Tree, code, line_of, shipped};

const BANNED: [&str; 7] = ["manager", "helper", "helpers", "util", "utils", "common", "misc"];

pub fn banned(tree: &Tree) -> Vec<String> {
    let item = Regex::new(r"\b(fn|struct|enum|union|trait|type|mod|macro_rules!)\s+(\w+)").unwrap();
    let mut breaches = Vec::new();
    for file in &tree.files {
        let empty = |part: &&str| is_empty(part.split('.').next().unwrap_or_default());
        if let Some(part) = file.path.split('/').find(empty) {
            breaches.push(format!("{}: {part}", file.path));
        }
        if !file.path.ends_with(".rs") {
            continue;
        }
        let code = code(&file.text);
        for found in item.captures_iter(&code) {
            if is_empty(&found[2]) {
                let line = line_of(&code, found.get(2).unwrap().start());
                breaches.push(format!("{}:{line}: {}", file.path, &found[2]));
            }
        }
    }
    breaches
}

fn is_empty(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| BANNED.contains(&word.as_str())) || name.starts_with("handle_")
}

/// `LogWriter`, `log_writer` and `log-writer` are `log`, `writer`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            words.last_mut().unwrap().extend(c.to_lowercase());
        }
    }
    words
}

/// Types whose schemas have one name: the document of the interface would have one of them alone.
pub fn schemas(tree: &Tree) -> Vec<String> {
    let derived = r"(?s)ToSchema[^\n]*\)\].{0,300}?\n(?:pub(?:\([^)]*\))? )?(?:enum|struct) (\w+)";
    let written = r"impl utoipa::ToSchema for (\w+)";
    let both = [Regex::new(derived).unwrap(), Regex::new(written).unwrap()];
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("src/")) {
        let text = shipped(&file.text);
        for found in both.iter().flat_map(|kind| kind.captures_iter(&text)) {
            seen.entry(found[1].to_owned()).or_default().push(&file.path);
        }
    }
    let twice = seen.into_iter().filter(|(_, files)| files.len() > 1);
    twice.map(|(name, files)| format!("{name}: {}", files.join(", "))).collect()
}

#[test]
fn two_types_with_one_schema_are_found() {
    let derive = "#[derive(Clone, utoipa::ToSchema)]\n#[serde(untagged)]\npub enum After {}\n";
    let written = "impl utoipa::ToSchema for After {}\n";
    let other = "#[derive(utoipa::ToSchema)]\nstruct Before {}\n";
    let breaches = |files: &[(&str, &str)]| schemas(&Tree::of(files)).len();
    assert_eq!(breaches(&[("src/a.rs", derive), ("src/b.rs", written)]), 1);
    assert_eq!(breaches(&[("src/a.rs", derive), ("src/b.rs", other)]), 0);
}

#[test]
fn empty_names_are_found() {
    let breaches = |path: &str, text: &str| banned(&Tree::of(&[(path, text)])).len();
    assert_eq!(breaches("src/utils.rs", ""), 1);
    assert_eq!(breaches("src/common/mod.rs", ""), 1);
    assert_eq!(
        breaches("src/a.rs", "struct JobManager; fn handle_put() {} mod test_helpers {}"),
        3
    );
    assert_eq!(breaches("src/handle.rs", "struct Handle; fn shape() {} // a helper"), 0);
}
