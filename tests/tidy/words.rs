//! Words that have no place in a finished tree.

use regex::Regex;

use super::source::{File, Tree, code, line_of, shipped};

/// Work that is not done, in any text; and tests that do not run.
pub fn unfinished(tree: &Tree) -> Vec<String> {
    // In two pieces, or this file would breach its own rule.
    let later = ["TO", "DO|FIX", "ME|XX", "X"].concat();
    let later = Regex::new(&format!(r"\b({later})\b")).unwrap();
    let stubs = Regex::new(r"\b(todo|unimplemented)!|#\[\s*ignore\b").unwrap();
    let mut breaches = Vec::new();
    for file in tree.files.iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        breaches.extend(found(file, &file.text, &later));
        if file.path.ends_with(".rs") {
            breaches.extend(found(file, &code(&file.text), &stubs));
        }
    }
    breaches
}

/// Tests that say that they were skipped where nobody sees it: test programs keep what is printed.
pub fn unseen(tree: &Tree) -> Vec<String> {
    let printed = Regex::new(r#"print(ln)?!\(\s*"[^"]*SKIPPED"#).unwrap();
    let rust = tree.files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.flat_map(|file| found(file, &file.text, &printed)).collect()
}

/// Panics in what ships.
pub fn panics(tree: &Tree) -> Vec<String> {
    let panics = Regex::new(r"\.(unwrap|expect|unwrap_err|expect_err)\(|\bpanic!").unwrap();
    tree.sources().flat_map(|file| found(file, &shipped(&file.text), &panics)).collect()
}

/// Paths of the machine that somebody works on.
pub fn machines(tree: &Tree) -> Vec<String> {
    let place = ["/(work", "space|root|mnt|Users|home/[a-z]+|tmp/wt|wo", r"rk)/[\w.]"].concat();
    let place = Regex::new(&format!(r#"(^|[\s"'`(=:]){place}"#)).unwrap();
    tree.files.iter().flat_map(|file| found(file, &file.text, &place)).collect()
}

/// Words that docs/contributing.md has others for, in what ships and in documents.
pub fn replaced(tree: &Tree) -> Vec<String> {
    let page = tree.get("docs/contributing.md").map_or("", |file| &file.text);
    let Some((_, table)) = page.split_once("| not | but |\n|---|---|\n") else {
        return vec!["docs/contributing.md has no table of words".into()];
    };
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let words: Vec<String> = rows.filter_map(|row| row.split('|').nth(1)).map(plain).collect();
    let words = Regex::new(&format!(r"(?i)\b({})\b", words.join("|"))).unwrap();
    let read = |file: &&File| {
        let page = file.path.starts_with("docs/") && !file.path.starts_with("docs/adr/");
        let other = file.path != "docs/contributing.md" && file.path.ends_with(".md");
        let source = file.path.starts_with("src/") && file.path.ends_with(".rs");
        (page && other) || file.path == "README.md" || source
    };
    tree.files.iter().filter(read).flat_map(|file| found(file, &file.text, &words)).collect()
}

fn plain(word: &str) -> String {
    regex::escape(word.trim())
}

fn found(file: &File, text: &str, pattern: &Regex) -> Vec<String> {
    pattern
        .find_iter(text)
        .map(|hit| format!("{}:{}: {}", file.path, line_of(text, hit.start()), hit.as_str().trim()))
        .collect()
}

#[test]
fn what_is_left_for_later_is_found() {
    let breaches = |path: &str, text: &str| unfinished(&Tree::of(&[(path, text)])).len();
    assert_eq!(breaches("docs/a.md", ["later: TO", "DO"].concat().as_str()), 1);
    assert_eq!(breaches("src/a.rs", "fn a() { todo!() }\n#[ignore]\nfn b() {}"), 2);
    assert_eq!(breaches("src/a.rs", "// todo!() would be wrong\nlet x = \"#[ignore]\";"), 0);
}

#[test]
fn what_is_skipped_unseen_is_found() {
    let breaches = |text: &str| unseen(&Tree::of(&[("tests/a.rs", text)])).len();
    // In pieces, or this file would breach its own rule.
    let print = ["epri", "ntln!("].concat();
    assert_eq!(breaches(&format!("{print}\"\\n*** SKIPPED it ***\")")), 1);
    assert_eq!(breaches(&format!("{print}\n    \"SKIPPED it: {{why}}\",")), 1);
    assert_eq!(breaches("skipped(\"it\", \"SKIPPED\"); println!(\"{why}\")"), 0);
}

#[test]
fn words_that_have_others_are_found() {
    let table = "| not | but |\n|---|---|\n| wish | proposal |\n| unless told | by default |\n\nx";
    let breaches = |path: &str, text: &str| {
        replaced(&Tree::of(&[("docs/contributing.md", table), (path, text)])).len()
    };
    assert_eq!(breaches("src/a.rs", "// A Wish is kept, unless told otherwise"), 2);
    assert_eq!(breaches("docs/a.md", "wishful"), 0);
    assert_eq!(breaches("docs/adr/1.md", "a wish"), 0);
    assert_eq!(replaced(&Tree::of(&[("src/a.rs", "")])).len(), 1, "the table is there");
}

#[test]
fn panics_are_found_in_what_ships() {
    let breaches = |path: &str, text: &str| panics(&Tree::of(&[(path, text)])).len();
    assert_eq!(breaches("src/a.rs", "a.unwrap(); b.expect(\"x\"); panic!()"), 3);
    assert_eq!(breaches("src/a.rs", "a.unwrap_or_default(); expect(b); // .unwrap()"), 0);
    assert_eq!(breaches("src/a.rs", "#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }"), 0);
    assert_eq!(breaches("src/a/tests.rs", "a.unwrap();"), 0);
}

#[test]
fn paths_of_one_machine_are_found() {
    let breaches = |text: &str| machines(&Tree::of(&[("docs/a.md", text)])).len();
    assert_eq!(breaches(&["see /ho", "me/ann/notes"].concat()), 1);
    assert_eq!(breaches("`/var/lib/cronapi`, /tmp/x, https://example.com/home/a"), 0);
}
