//! Names that say nothing about a thing, in files, modules, types and functions.

use regex::Regex;

use super::source::{Tree, code, line_of};

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
