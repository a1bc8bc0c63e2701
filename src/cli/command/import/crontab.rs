//! The lines of a crontab, as Vixie cron and its heirs read them.

/// A line that means something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `NAME = value`: for the lines below it.
    Variable { name: String, value: String },
    /// A schedule and what it starts.
    Entry(Entry),
    /// It can't be read.
    Faulty(String),
}

/// A schedule and what it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Five fields, or `@daily`.
    pub(super) expr: String,
    /// Who runs it, in a crontab of the system.
    pub(super) user: Option<String>,
    pub(super) command: String,
    /// What it reads: what follows the first `%`, mostly nothing.
    pub(super) input: String,
    /// `\\%` is in it, which crons read in two ways.
    pub(super) doubtful: bool,
    /// A `-` before it: cron does not log it.
    pub(super) unlogged: bool,
    /// The comments directly above it.
    pub(super) comment: String,
}

/// Each line that means something, with its number. Only what is carried out must be UTF-8.
pub(super) fn lines(text: &[u8], system: bool) -> Vec<(usize, Line)> {
    let mut found = Vec::new();
    let mut comment: Vec<String> = Vec::new();
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        if let Some(said) = line.strip_prefix(b"#") {
            comment.push(String::from_utf8_lossy(said).trim().to_owned());
            continue;
        }
        if line.trim_ascii_end().is_empty() {
            comment.clear();
            continue;
        }
        let mut line = match std::str::from_utf8(line) {
            Ok(line) => variable(line.trim_end()).unwrap_or_else(|| entry(line, system)),
            Err(error) => Line::Faulty(not_utf8(line, error.valid_up_to())),
        };
        if let Line::Entry(entry) = &mut line {
            let said: Vec<String> = comment.drain(..).filter(|line| !line.is_empty()).collect();
            // A line that was switched off is no comment on the one below it.
            let about = said.iter().all(|line| !looks_like_entry(line));
            entry.comment = if about { said.join(" ") } else { String::new() };
        }
        comment.clear();
        found.push((at + 1, line));
    }
    found
}

fn not_utf8(line: &[u8], at: usize) -> String {
    let byte = line.get(at).copied().unwrap_or_default();
    format!(
        "byte {} of it is 0x{byte:02X}, which is no UTF-8; write the file in UTF-8, for example \
         with `iconv -f ISO-8859-1 -t UTF-8`",
        at + 1
    )
}

fn looks_like_entry(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().take(6).collect();
    let of_time = |field: &&str| {
        !field.is_empty() && field.chars().all(|c| c.is_ascii_digit() || "*,-/".contains(c))
    };
    line.starts_with('@') || (fields.len() == 6 && fields[..5].iter().all(of_time))
}

/// `NAME = value`, with quotes around either or neither.
fn variable(line: &str) -> Option<Line> {
    let (name, value) = line.split_once('=')?;
    let name = unquoted(name.trim());
    let mut of_name = name.chars();
    let first = of_name.next()?;
    let usable = (first.is_ascii_alphabetic() || first == '_')
        && of_name.all(|c| c.is_ascii_alphanumeric() || c == '_');
    usable
        .then(|| Line::Variable { name: name.to_owned(), value: unquoted(value.trim()).to_owned() })
}

fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}

fn entry(line: &str, system: bool) -> Line {
    let (unlogged, mut fields, rest) = cut(line, system);
    if rest.is_empty() {
        let count = if line.trim_start_matches('-').trim_start().starts_with('@') { 1 } else { 5 };
        let needed = match (count, system) {
            (1, true) => "a word such as @daily, a user and a command",
            (1, false) => "a word such as @daily and a command",
            (_, true) => "five fields of time, a user and a command",
            (_, false) => "five fields of time and a command",
        };
        return Line::Faulty(format!("a line has {needed}"));
    }
    let Parts { command, input, doubtful } = parts(rest);
    if command.trim().is_empty() {
        return Line::Faulty("there is no command before %".to_owned());
    }
    let user = if system { fields.pop().map(str::to_owned) } else { None };
    let expr = fields.join(" ");
    let comment = String::new();
    Line::Entry(Entry { expr, user, command, input, doubtful, unlogged, comment })
}

/// Whether a `-` stands before a line, its fields, and the rest of it: the command and its input.
pub(super) fn cut(line: &str, system: bool) -> (bool, Vec<&str>, &str) {
    let (unlogged, line) = match line.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, line),
    };
    let count = if line.starts_with('@') { 1 } else { 5 };
    let (mut fields, mut rest) = (Vec::new(), line);
    for _ in 0..count + usize::from(system) {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        fields.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    (unlogged, fields, rest)
}

/// What is carried out, and what it reads.
struct Parts {
    command: String,
    input: String,
    doubtful: bool,
}

/// As do_command.c of Vixie's cron: the first `%` without a backslash ends the command, `\%` is
/// the sign itself, and a backslash before anything else stays, with what it stands before.
fn parts(text: &str) -> Parts {
    let (mut command, mut escaped, mut input) = (String::new(), false, "");
    for (at, c) in text.char_indices() {
        if escaped {
            if c == '%' {
                command.pop();
            }
            escaped = false;
        } else if c == '%' {
            input = &text[at + 1..];
            break;
        } else {
            escaped = c == '\\';
        }
        command.push(c);
    }
    let doubtful = text.contains("\\\\%");
    // A blank behind a backslash is part of a word.
    let bare = command.trim_end();
    let command = if bare.ends_with('\\') { command.clone() } else { bare.to_owned() };
    Parts { command, input: given(input), doubtful }
}

/// What follows the `%`, as it is read: `%` ends a line, `\%` is the sign itself, and the last
/// line has an end. Nothing at all stays nothing.
fn given(text: &str) -> String {
    let (mut out, mut escaped, mut open) = (String::new(), false, false);
    for c in text.chars() {
        let c = match c {
            '%' if !escaped => '\n',
            other => {
                if escaped && other != '%' {
                    out.push('\\');
                }
                other
            }
        };
        escaped = c == '\\';
        if !escaped {
            out.push(c);
            open = c != '\n';
        }
    }
    if escaped {
        out.push('\\');
    }
    if open {
        out.push('\n');
    }
    out
}
