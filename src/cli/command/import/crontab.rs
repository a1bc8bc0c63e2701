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
    /// What follows the first `%`: what it reads.
    pub(super) input: Option<String>,
    /// A `-` before it: cron does not log it.
    pub(super) unlogged: bool,
    /// The comments directly above it.
    pub(super) comment: String,
}

/// Each line that means something, with its number.
pub(super) fn lines(text: &str, system: bool) -> Vec<(usize, Line)> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let bare = line.trim();
        if let Some(said) = bare.strip_prefix('#') {
            comment.push(said.trim());
            continue;
        }
        if bare.is_empty() {
            comment.clear();
            continue;
        }
        let mut line = variable(bare).unwrap_or_else(|| entry(bare, system));
        if let Line::Entry(entry) = &mut line {
            let said: Vec<&str> = comment.drain(..).filter(|line| !line.is_empty()).collect();
            // A line that was switched off is no comment on the one below it.
            let about = said.iter().all(|line| !looks_like_entry(line));
            entry.comment = if about { said.join(" ") } else { String::new() };
        }
        comment.clear();
        found.push((at + 1, line));
    }
    found
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
    if rest.is_empty() {
        let needed = match (count, system) {
            (1, true) => "a word such as @daily, a user and a command",
            (1, false) => "a word such as @daily and a command",
            (_, true) => "five fields of time, a user and a command",
            (_, false) => "five fields of time and a command",
        };
        return Line::Faulty(format!("a line has {needed}"));
    }
    let (command, input) = split_input(rest);
    if command.trim().is_empty() {
        return Line::Faulty("there is no command before %".to_owned());
    }
    let user = if system { fields.pop().map(str::to_owned) } else { None };
    let expr = fields.join(" ");
    let command = command.trim_end().to_owned();
    Line::Entry(Entry { expr, user, command, input, unlogged, comment: String::new() })
}

/// The first `%` ends the command, further ones are ends of lines of what it reads; `\%` is
/// the sign itself.
fn split_input(text: &str) -> (String, Option<String>) {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let last = parts.len() - 1;
        match c {
            '\\' if rest.peek() == Some(&'%') => parts[last].extend(rest.next()),
            '%' => parts.push(String::new()),
            other => parts[last].push(other),
        }
    }
    let command = parts.remove(0);
    (command, (!parts.is_empty()).then(|| parts.join("\n") + "\n"))
}
