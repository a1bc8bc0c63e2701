//! The files of the repository, and Rust text without what is not code.

use std::fs;
use std::path::Path;

/// Folders that hold no source of ours.
const SKIPPED: [&str; 6] = ["target", "node_modules", ".git", ".venv", "__pycache__", "dist"];
/// Files of these kinds are read.
const READ: [&str; 13] =
    ["rs", "md", "py", "sh", "toml", "proto", "yml", "yaml", "json", "html", "css", "js", "ts"];

/// One file: its path from the root, with `/`, and its text (empty when it is not text).
pub struct File {
    pub path: String,
    pub text: String,
}

/// Everything in the repository.
pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    pub fn read(root: &Path) -> Tree {
        let mut files = Vec::new();
        walk(root, root, &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.iter().any(|file| file.path == "src/lib.rs"), "no tree at {root:?}");
        Tree { files }
    }

    /// A tree for the tests of the rules.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Tree { files: files.iter().map(file).collect() }
    }

    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    pub fn ending(&self, end: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }

    /// Rust that ends up in the binary.
    pub fn sources(&self) -> impl Iterator<Item = &File> {
        self.ending(".rs").filter(|file| file.path.starts_with("src/") && !file.is_test())
    }
}

impl File {
    pub fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| ["tests", "tests.rs", "benches", "cluster-tests"].contains(&part))
    }
}

fn walk(root: &Path, folder: &Path, into: &mut Vec<File>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let data = name.contains("cron_state.db") || name.contains(".damaged");
        let hidden =
            name.starts_with('.') && ![".ci", ".github", ".cargo"].contains(&name.as_str());
        if hidden || data || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if is_folder {
            walk(root, &path, into);
            continue;
        }
        let within = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let kind = name.rsplit_once('.').map(|(_, kind)| kind);
        let read = kind.is_some_and(|kind| READ.contains(&kind)) || kind.is_none();
        let text = if read { fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        into.push(File { path: within, text });
    }
}

/// The code of a Rust text: comments and the insides of literals are blanked, so that
/// lines and columns stay what they are.
pub fn code(text: &str) -> String {
    let mut out: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < out.len() {
        at = match (out[at], out.get(at + 1)) {
            ('/', Some('/')) => blank(&mut out, at, line_end),
            ('/', Some('*')) => blank(&mut out, at, comment_end),
            ('r', Some('"' | '#')) if !follows_word(&out, at) => {
                let length = raw_end(&out[at..]);
                if length == 0 { at + 1 } else { blank(&mut out, at, |_| length) }
            }
            ('"', _) => blank(&mut out, at, quote_end),
            ('\'', _) => {
                let length = char_end(&out[at..]);
                if length == 0 { at + 1 } else { blank(&mut out, at, |_| length) }
            }
            _ => at + 1,
        };
    }
    out.into_iter().collect()
}

fn blank(out: &mut [char], from: usize, length: impl Fn(&[char]) -> usize) -> usize {
    let until = (from + length(&out[from..])).min(out.len());
    for c in &mut out[from..until] {
        if *c != '\n' {
            *c = ' ';
        }
    }
    until
}

fn follows_word(text: &[char], at: usize) -> bool {
    // `br"…"` is a literal; `for"` is not Rust; `var#` can't be.
    at > 0 && text[at - 1] != 'b' && (text[at - 1].is_alphanumeric() || text[at - 1] == '_')
}

fn line_end(rest: &[char]) -> usize {
    rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
}

fn comment_end(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (at, depth) = (at + 2, depth + 1),
            ('*', Some('/')) => {
                (at, depth) = (at + 2, depth - 1);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn raw_end(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut at = 2 + hashes;
    while at < rest.len() {
        let closes = rest[at] == '"' && rest[at + 1..].iter().take(hashes).all(|c| *c == '#');
        if closes {
            return at + 1 + hashes;
        }
        at += 1;
    }
    at
}

fn quote_end(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Length of a character literal; 0: it is a lifetime.
fn char_end(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => {
            // The escaped character may itself be a quote.
            rest[3..].iter().position(|c| *c == '\'').map_or(0, |at| at + 4)
        }
        (Some(_), Some('\'')) => 3,
        _ => 0,
    }
}

/// As [`code`], and without what only tests compile.
pub fn shipped(text: &str) -> String {
    let mut code: Vec<char> = code(text).chars().collect();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + mark.len() <= code.len() {
        if code[at..at + mark.len()] == mark[..] {
            let end = item_end(&code, at + mark.len());
            at = blank(&mut code, at, |_| end - at);
        } else {
            at += 1;
        }
    }
    code.into_iter().collect()
}

/// Where the item that begins at `from` ends: after its braces, or at `;` or `,`.
fn item_end(code: &[char], from: usize) -> usize {
    let (mut depth, mut braced) = (0_i32, false);
    for (at, c) in code.iter().enumerate().skip(from) {
        match c {
            '(' | '[' | '{' => {
                braced |= *c == '{' && depth == 0;
                depth += 1;
            }
            ')' | ']' | '}' => {
                depth -= 1;
                if depth < 0 || (depth == 0 && braced && *c == '}') {
                    return at + usize::from(depth == 0);
                }
            }
            ';' | ',' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Line of a byte of `text`, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn comments_and_literals_are_no_code() {
    let text =
        "a(\"x // y\\\" crate::z\"); // crate::w\nlet c = '\"'; /* in /* deep */ */ b('\\'')";
    let code = code(text);
    assert!(code.contains("a(") && code.contains("b(") && code.contains("let c ="), "{code}");
    assert!(!code.contains("crate") && !code.contains("deep") && !code.contains('"'), "{code}");
    assert_eq!(code.matches('\n').count(), 1);
    assert!(self::code("r#\"panic!(\"x\")\"#; f::<'a>(x)").ends_with("; f::<'a>(x)"));
}

#[test]
fn what_only_tests_compile_is_not_shipped() {
    let text = "fn a() { b(); }\n#[cfg(test)]\nmod tests { fn c() { d({}); } }\nfn e() {}\n\
                #[cfg(test)]\npub use f::{G, H};\nfn i() {}";
    let shipped = shipped(text);
    assert!(["b()", "fn e()", "fn i()"].iter().all(|kept| shipped.contains(kept)), "{shipped}");
    assert!(!shipped.contains("fn c") && !shipped.contains('G'), "{shipped}");
}
