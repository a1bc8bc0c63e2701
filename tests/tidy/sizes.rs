//! Lengths of files and lines. Functions over 70 lines are found by clippy.

use super::source::Tree;

const FILE_LINES_MAX: usize = 500;
const FILE_LINES_WARN: usize = 300;
const COLUMNS_MAX: usize = 100;

/// Files over [`FILE_LINES_MAX`] and the length each may have. It may only shrink.
const LONG_FILES: [(&str, usize); 0] = [];

/// Files with lines over [`COLUMNS_MAX`], and how many: texts that can't wrap. The number
/// may only shrink.
const LONG_LINES: [(&str, usize); 0] = [];

#[derive(Default)]
pub struct Found {
    pub breaches: Vec<String>,
    pub warnings: Vec<String>,
}

pub fn files(tree: &Tree) -> Found {
    judge(tree, &LONG_FILES)
}

fn judge(tree: &Tree, allowed: &[(&str, usize)]) -> Found {
    let mut found = Found::default();
    for file in tree.sources() {
        let length = file.text.lines().count();
        let most = allowance(allowed, &file.path).unwrap_or(FILE_LINES_MAX);
        if length > most {
            found.breaches.push(format!("{}: {length} lines", file.path));
        } else if length > FILE_LINES_WARN {
            found.warnings.push(format!("{}: {length} lines", file.path));
        }
    }
    for (path, listed) in allowed {
        let length = tree.get(path).map_or(0, |file| file.text.lines().count());
        if length <= FILE_LINES_MAX {
            found.breaches.push(format!("{path} needs no exception: take it off LONG_FILES"));
        } else if length < *listed {
            found.breaches.push(format!("{path} is down to {length}: lower LONG_FILES"));
        }
    }
    found
}

pub fn lines(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in tree.files.iter().filter(|file| is_code(&file.path)) {
        let long: Vec<(usize, usize)> = (1..)
            .zip(file.text.lines().map(|line| line.chars().count()))
            .filter(|(_, columns)| *columns > COLUMNS_MAX)
            .collect();
        let most = allowance(&LONG_LINES, &file.path).unwrap_or(0);
        if long.len() > most {
            let tell = |(at, columns)| format!("{}:{at}: {columns} columns", file.path);
            breaches.extend(long.into_iter().map(tell));
        } else if long.is_empty() && most > 0 {
            breaches.push(format!("{} needs no exception: take it off LONG_LINES", file.path));
        }
    }
    breaches
}

fn is_code(path: &str) -> bool {
    [".rs", ".py", ".sh", ".proto"].iter().any(|end| path.ends_with(end)) || path == ".ci/run"
}

fn allowance(allowed: &[(&str, usize)], path: &str) -> Option<usize> {
    allowed.iter().find(|(listed, _)| *listed == path).map(|(_, most)| *most)
}

#[test]
fn long_files_and_lines_are_found() {
    let long = "//\n".repeat(501);
    let tree = Tree::of(&[("src/a.rs", &long), ("src/b.rs", &"\n".repeat(301))]);
    let found = judge(&tree, &[]);
    assert_eq!((found.breaches.len(), found.warnings.len()), (1, 1));
    assert!(judge(&tree, &[("src/a.rs", 501)]).breaches.is_empty());
    assert_eq!(judge(&tree, &[("src/a.rs", 600)]).breaches.len(), 1, "only shrinking");
    assert_eq!(judge(&tree, &[("src/a.rs", 501), ("src/b.rs", 501)]).breaches.len(), 1);
    let wide = "x".repeat(101);
    assert_eq!(lines(&Tree::of(&[("src/a.rs", &wide), ("docs/a.md", &wide)])).len(), 1);
}
