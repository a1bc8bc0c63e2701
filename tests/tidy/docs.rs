//! Documents that are whole: headers, headings, the index, links.

use std::collections::BTreeSet;

use regex::Regex;

use super::source::Tree;

/// Lines of the header of a `mod.rs`, at most.
const HEADER_LINES_MAX: usize = 40;

pub fn headers(tree: &Tree) -> Vec<String> {
    let adding = Regex::new(r"(?i)\bto (add|change)\b").unwrap();
    let mut breaches = Vec::new();
    for file in tree.sources().filter(|file| file.path.ends_with("/mod.rs")) {
        let header: Vec<&str> =
            file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let text = header.join("\n");
        if !text.contains("Owns") {
            breaches.push(format!("{}: does not say what it \"Owns\"", file.path));
        }
        if !adding.is_match(&text) {
            breaches.push(format!("{}: has no \"To add …\" line", file.path));
        }
        if header.len() > HEADER_LINES_MAX {
            breaches.push(format!("{}: a header of {} lines", file.path, header.len()));
        }
    }
    breaches
}

/// Problem codes stand in the table of `src/api/problem.rs`, before their status.
pub fn problems(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.get("docs/errors.md") else { return Vec::new() };
    let Some(table) = tree.get("src/api/problem.rs") else { return Vec::new() };
    let first = |heading: String| heading.split(' ').next().unwrap_or_default().replace('`', "");
    let headings: BTreeSet<String> = headings(&page.text).map(first).collect();
    let row = Regex::new(r#"\(\s*"([a-z0-9-]+)",\s*[1-5]\d\d\b"#).unwrap();
    let codes: BTreeSet<String> =
        row.captures_iter(&table.text).map(|found| found[1].to_string()).collect();
    if codes.is_empty() {
        return vec!["src/api/problem.rs has no table of (code, status, ..)".into()];
    }
    codes.into_iter().filter(|code| !headings.contains(code)).collect()
}

pub fn limits(tree: &Tree) -> Vec<String> {
    let Some(source) = tree.get("src/model/limits.rs") else { return vec!["no limits".into()] };
    let page = tree.get("docs/limits.md").map_or("", |page| page.text.as_str());
    let name = Regex::new(r"pub const (\w+):").unwrap();
    let word = |name: &str| format!("`{name}`");
    let names = name.captures_iter(&source.text).map(|found| found[1].to_string());
    names.filter(|name| !page.contains(&word(name))).collect()
}

pub fn index(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.get("docs/README.md") else { return vec!["no docs/README.md".into()] };
    let linked: BTreeSet<String> = targets(&page.text)
        .map(|target| resolve(&page.path, target.split('#').next().unwrap_or_default()))
        .collect();
    // A picture is on some page.
    let shown: BTreeSet<String> = tree
        .ending(".md")
        .flat_map(|page| targets(&page.text).map(|target| resolve(&page.path, target)))
        .collect();
    let pages = tree.files.iter().map(|file| &file.path);
    pages
        .filter(|path| path.starts_with("docs/") && *path != "docs/README.md")
        .filter(|path| !linked.contains(*path))
        .filter(|path| !(path.ends_with(".png") && shown.contains(*path)))
        .cloned()
        .collect()
}

pub fn links(tree: &Tree) -> Vec<String> {
    let known: BTreeSet<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
    let mut breaches = Vec::new();
    for page in tree.ending(".md") {
        for target in targets(&page.text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = if path.is_empty() { page.path.clone() } else { resolve(&page.path, path) };
            let folder = format!("{}/", to.trim_end_matches('/'));
            let there =
                known.contains(to.as_str()) || known.iter().any(|file| file.starts_with(&folder));
            let text = tree.get(&to).map_or("", |file| file.text.as_str());
            let anchored = anchor.is_empty()
                || !to.ends_with(".md")
                || headings(text).any(|heading| slug(&heading) == anchor);
            if path.starts_with('/') || !there || !anchored {
                breaches.push(format!("{}: {target}", page.path));
            }
        }
    }
    breaches
}

/// Targets of the links of a page, those in fenced code left out.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    let plain = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    plain.flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()))
}

fn headings(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| line.trim_start_matches('#').trim().trim_matches('`').to_string())
}

/// As the usual renderers make anchors of headings.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || ['-', '_'].contains(c)).collect()
}

fn resolve(from: &str, to: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn headers_that_say_too_little_are_found() {
    let breaches = |text: &str| headers(&Tree::of(&[("src/a/mod.rs", text)])).len();
    assert_eq!(breaches("//! Owns: this.\n//! To add a thing: a file."), 0);
    assert_eq!(breaches("//! A module.\nmod b;"), 2);
}

#[test]
fn what_the_documents_leave_out_is_found() {
    let code = "const TABLE: &[(&str, u16, &str)] = &[(\"no-leader\", 503, \"Wait\")];";
    let page =
        |text| problems(&Tree::of(&[("src/api/problem.rs", code), ("docs/errors.md", text)]));
    assert_eq!(page("# Errors\n## `no-leader` (503)\n").len(), 0);
    assert_eq!(page("# Errors\n").len(), 1);
    let tree = [("src/model/limits.rs", "pub const A_MAX: u32 = 1;"), ("docs/limits.md", "A_MAXI")];
    assert_eq!(limits(&Tree::of(&tree)).len(), 1);
}

#[test]
fn lost_pages_and_dead_links_are_found() {
    let tree = Tree::of(&[
        ("docs/README.md", "[a](a.md) [b](adr/b.md#c-d)\n```\n[x](y.md)\n```\n[u](https://a.b)"),
        ("docs/a.md", "[up](../README.md) [gone](b.md) ![seen](pictures/seen.png)"),
        ("docs/adr/b.md", "# C d\n[self](#nothing)"),
        ("docs/lost.md", ""),
        ("docs/pictures/seen.png", ""),
        ("docs/pictures/unseen.png", ""),
        ("README.md", ""),
    ]);
    assert_eq!(index(&tree), ["docs/lost.md", "docs/pictures/unseen.png"]);
    assert_eq!(links(&tree), ["docs/a.md: b.md", "docs/adr/b.md: #nothing"]);
}
