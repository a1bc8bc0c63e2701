//! Reading a template: where its places are, and what stands in them.

use super::filter::Filter;
use super::{Hole, Part, Source, Template};
use crate::model::span::Span;

/// Filters of one place.
const FILTERS_MAX: usize = 8;
/// Bytes between the braces of one place.
const HOLE_BYTES_MAX: usize = 1_024;
/// The names that are known, as people are told of them.
const NAMES: &str = "params.<name>, job, run_id, attempt, fence, nominal_time, trigger, \
                     in a task with over item";

/// Takes a text apart.
///
/// # Errors
/// A sentence: a place that is not closed, a name or a filter that is not known.
pub fn parse(text: &str) -> Result<Template<'_>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, inner, after)) = next(rest) {
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let inner = inner.ok_or("'{{' is not closed; write {{\"{{\"}} for '{{' itself")?;
        parts.push(match inner.trim() {
            r#""{{""# => Part::Text("{{"),
            inner => Part::Hole(hole(inner)?),
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(Template { parts })
}

/// Whether something in the text reads as a place for a value: one that is known, not any `{{`,
/// which templates of other programs have too.
pub fn has_hole(text: &str) -> bool {
    has(text, |inner| {
        let known = hole(inner.trim()).is_ok_and(|it| !matches!(it.source, Source::Item(_)));
        known || inner.trim_start().starts_with("params.")
    })
}

/// Whether something in the text reads as a place for an item of a task. Elsewhere it is a text as
/// any other, which templates of other programs have too.
pub fn has_item(text: &str) -> bool {
    has(text, |inner| {
        let known = hole(inner.trim()).is_ok_and(|it| matches!(it.source, Source::Item(_)));
        known || inner.trim_start().starts_with("item.")
    })
}

fn has(text: &str, is: impl Fn(&str) -> bool) -> bool {
    let mut rest = text;
    while let Some((_, inner, after)) = next(rest) {
        let Some(inner) = inner else { return false };
        if is(inner) {
            return true;
        }
        rest = after;
    }
    false
}

/// Where the first of these characters stands that is not within a place, or the end.
pub fn ends(text: &str, of: &[char]) -> usize {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let found = rest.find(of).unwrap_or(rest.len());
        match next(rest) {
            Some((before, inner, after)) if before.len() < found => match inner {
                Some(_) => at = text.len() - after.len(),
                None => return text.len(),
            },
            _ => return at + found,
        }
    }
    text.len()
}

/// The next place: what comes before it, what stands in it (none: it is not closed), and what
/// comes after it. A quoted argument may hold anything.
fn next(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let open = text.find("{{")?;
    let (before, inner) = (&text[..open], &text[open + 2..]);
    if let Some(after) = inner.trim_start().strip_prefix(r#""{{""#)
        && let Some(after) = after.trim_start().strip_prefix("}}")
    {
        return Some((before, Some(r#""{{""#), after));
    }
    let (mut quote, mut called, mut escaped) = (None, false, false);
    for (at, byte) in inner.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if called => quote = Some(byte),
            (None, b'(') => called = true,
            (None, b')') => called = false,
            (None, b'}') if inner[at..].starts_with("}}") => {
                return Some((before, Some(&inner[..at]), &inner[at + 2..]));
            }
            _ => {}
        }
    }
    Some((before, None, ""))
}

fn hole(text: &str) -> Result<Hole<'_>, String> {
    if text.len() > HOLE_BYTES_MAX {
        return Err(format!("'{{{{' is followed by over {HOLE_BYTES_MAX} bytes before '}}}}'"));
    }
    let (name, mut rest) = match text.split_once('|') {
        Some((name, rest)) => (name.trim_end(), Some(rest)),
        None => (text, None),
    };
    let source = source(name).ok_or_else(|| {
        format!(
            "{{{{{text}}}}} is not known; there are {NAMES}, each with filters after |; write \
             {{{{\"{{{{\"}}}} for '{{{{' itself"
        )
    })?;
    let mut filters = Vec::new();
    while let Some(text) = rest {
        if filters.len() == FILTERS_MAX {
            return Err(format!("{{{{{name}}}}} has over {FILTERS_MAX} filters"));
        }
        let (filter, after) = filter(text)?;
        filters.push(filter);
        rest = match after.trim_start() {
            "" => None,
            after => Some(after.strip_prefix('|').ok_or_else(|| {
                format!("{{{{{name}}}}} goes on after a filter: write | before the next one")
            })?),
        };
    }
    Ok(Hole { text, source, filters })
}

fn source(name: &str) -> Option<Source<'_>> {
    if let Some(path) = name.strip_prefix("params.") {
        let named = path.split('.').all(|key| !key.trim().is_empty() && !key.contains(['{', '}']));
        return named.then_some(Source::Parameter(path));
    }
    if let Some(path) = name.strip_prefix("item.") {
        let named = path.split('.').all(|key| !key.trim().is_empty() && !key.contains(['{', '}']));
        return named.then_some(Source::Item(Some(path)));
    }
    if let Some(moved) = name.strip_prefix("nominal_time") {
        let moved = moved.trim_start();
        let by = |text: &str| Some(Span::parse(text).ok()?.micros());
        return match (moved.strip_prefix('+'), moved.strip_prefix('-')) {
            _ if moved.is_empty() => Some(Source::NominalTime(0)),
            (Some(later), _) => by(later).map(Source::NominalTime),
            (_, Some(earlier)) => by(earlier).map(|by| Source::NominalTime(-by)),
            _ => None,
        };
    }
    Some(match name {
        "job" => Source::Job,
        "run_id" => Source::RunId,
        "attempt" => Source::Attempt,
        "fence" => Source::Fence,
        "trigger" => Source::Trigger,
        "item" => Source::Item(None),
        _ => return None,
    })
}

/// One filter, and what comes after it.
fn filter(text: &str) -> Result<(Filter, &str), String> {
    let text = text.trim_start();
    let word =
        text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, rest) = text.split_at(word);
    let Some(mut rest) = rest.trim_start().strip_prefix('(') else {
        return Ok((Filter::read(name, Vec::new())?, rest));
    };
    let mut arguments = Vec::new();
    loop {
        let (argument, after) = quoted(rest.trim_start())
            .ok_or_else(|| format!("the arguments of {name} are texts in quotes"))?;
        arguments.push(argument);
        rest = after.trim_start();
        if let Some(after) = rest.strip_prefix(')') {
            return Ok((Filter::read(name, arguments)?, after));
        }
        rest = rest
            .strip_prefix(',')
            .ok_or_else(|| format!("the arguments of {name} are not closed by )"))?;
    }
}

/// A text in quotes of either kind, with `\` before a quote or a `\` in it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (mut inner, mut escaped) = (String::new(), false);
    for (at, sign) in text.char_indices().skip(1) {
        match sign {
            _ if escaped => {
                inner.push(sign);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if sign == quote => return Some((inner, &text[at + 1..])),
            _ => inner.push(sign),
        }
    }
    None
}
