//! What the texts of a workflow refer to: `${tasks.list.result.files}`.

use serde_json::Value;

/// A `${…}` of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// Something of a task: its name, and what.
    Task(&'a str, &'a str),
    /// The item of a task with `over`, or its number.
    Item,
    /// A parameter, or a fact of the workflow's run.
    Own,
    /// There is no such thing.
    Unknown(&'a str),
}

impl<'a> Reference<'a> {
    fn of(path: &'a str) -> Self {
        let (root, rest) = path.split_once('.').unwrap_or((path, ""));
        match root {
            "tasks" => {
                let (task, rest) = rest.split_once('.').unwrap_or((rest, ""));
                let what = rest.split('.').next().unwrap_or_default();
                match what {
                    "result" | "status" | "run_id" | "count" if !task.is_empty() => {
                        Reference::Task(task, what)
                    }
                    _ => Reference::Unknown(path),
                }
            }
            "item" | "index" => Reference::Item,
            "parameters" | "run_id" | "nominal_time" | "job" => Reference::Own,
            _ => Reference::Unknown(path),
        }
    }
}

/// Every `${…}` in the texts of `value`, with where it stands. `$${` is none.
pub fn references<'a>(
    value: &'a Value,
    pointer: &str,
    found: &mut impl FnMut(&str, Reference<'a>),
) {
    match value {
        Value::String(text) => in_text(text, &mut |it| found(pointer, it)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                references(item, &format!("{pointer}/{at}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                references(item, &format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

pub(super) fn in_text<'a>(text: &'a str, found: &mut impl FnMut(Reference<'a>)) {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, inner) = (&rest[..at], &rest[at + 2..]);
        rest = inner;
        if before.ends_with('$') {
            continue;
        }
        if let Some((path, after)) = inner.split_once('}') {
            found(Reference::of(path));
            rest = after;
        }
    }
}
