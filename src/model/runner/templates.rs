//! Where templates may stand in a runner, and where a value would become code.

use std::collections::BTreeMap;

use super::{Runner, Setting};
use crate::model::invalid::Invalid;
use crate::model::template::{Source, has_hole, has_item, parse};

/// What is told of a hole in what is read as code.
const NOT_IN_CODE: &str = "is code, and a value put into it would become code too: use argv, where \
    a value stays one argument, or read $CRONAPI_PARAMS";
/// Programs that read an argument as code, after one of these flags.
const INTERPRETERS: [(&str, &str); 14] = [
    ("sh", "c"),
    ("bash", "c"),
    ("dash", "c"),
    ("ash", "c"),
    ("ksh", "c"),
    ("zsh", "c"),
    ("fish", "c"),
    ("su", "c"),
    ("python", "c"),
    ("perl", "eE"),
    ("ruby", "e"),
    ("node", "ep"),
    ("php", "r"),
    ("lua", "e"),
];

/// A text that takes templates: where it stands, itself, and whether secrets may go into it.
struct Place<'a> {
    pointer: String,
    text: &'a str,
    secrets: bool,
}

impl Runner {
    /// The texts that take templates.
    fn templates(&self) -> Vec<Place<'_>> {
        let place = |pointer: String, text, secrets| Place { pointer, text, secrets };
        let mut places = Vec::new();
        match self {
            Runner::Python { code: _, env } => {
                places.extend(settings("env", env, false));
            }
            Runner::Shell { command: _, argv, env, cwd, user: _, pipefail: _, stdin: _ } => {
                let argv = argv.iter().flatten().enumerate();
                places.extend(argv.map(|(at, it)| place(format!("runner/argv/{at}"), it, false)));
                places.extend(settings("env", env, false));
                places.extend(cwd.iter().map(|it| place("runner/cwd".into(), it, false)));
            }
            Runner::Http { method: _, url, headers, body, expect_status: _, hmac_secret: _ } => {
                places.push(place("runner/url".into(), url, false));
                places.extend(settings("headers", headers, true));
                places.extend(body.iter().map(|it| place("runner/body".into(), it, true)));
            }
        }
        places.retain(|place| place.text.contains("{{"));
        places
    }

    /// What of its templates needs a format of its own: the first pointer, if any.
    pub(in crate::model) fn new_templates(&self) -> Option<String> {
        let http = matches!(self, Runner::Http { .. });
        // Of a request, only names without filters were known before.
        let old = |place: &Place<'_>| {
            let known = |source: &Source<'_>| match source {
                Source::Trigger | Source::Item(_) => false,
                Source::NominalTime(moved) => *moved == 0,
                _ => true,
            };
            http && parse(place.text).is_ok_and(|template| {
                template.holes().all(|hole| !hole.text.contains('|') && known(&hole.source))
            })
        };
        self.templates().into_iter().find(|place| !old(place)).map(|place| place.pointer)
    }

    pub(super) fn check_templates(&self, faults: &mut Vec<Invalid>) {
        for place in self.templates() {
            if let Err(why) = parse(place.text) {
                faults.push(Invalid::new(place.pointer, why));
            }
        }
        self.check_code(has_hole, faults);
    }

    /// Refuses items in what is read as code: of a task that has some.
    pub(in crate::model) fn check_items(&self, faults: &mut Vec<Invalid>) {
        self.check_code(has_item, faults);
    }

    fn check_code(&self, has: fn(&str) -> bool, faults: &mut Vec<Invalid>) {
        match self {
            Runner::Python { code, env: _ } => refuse_in_code("runner/code", code, has, faults),
            Runner::Shell { command, argv, stdin, .. } => {
                let line = command.as_deref().unwrap_or_default();
                refuse_in_code("runner/command", line, has, faults);
                check_argv(argv.as_deref().unwrap_or_default(), has, faults);
                if stdin.as_deref().is_some_and(has) {
                    let detail = "is given as it stands: leave it out to read the parameters as \
                                  JSON, or use argv or $CRONAPI_PARAMS";
                    faults.push(Invalid::new("runner/stdin", detail));
                }
            }
            Runner::Http { url, .. } => {
                let after = url.find("://").map_or(url.len(), |at| at + 3);
                let host = url.get(after..).unwrap_or_default();
                let host = host.split(['/', '?', '#', '\\']).next().unwrap_or_default();
                if host.contains("{{") {
                    let detail = "takes templates after the host only: a value must not choose it";
                    faults.push(Invalid::new("runner/url", detail));
                }
            }
        }
    }

    /// Refuses an item where there is none.
    pub(in crate::model) fn refuse_items(&self, faults: &mut Vec<Invalid>) {
        for place in self.templates() {
            let Ok(template) = parse(place.text) else { continue };
            if template.holes().any(|hole| matches!(hole.source, Source::Item(_))) {
                let detail = "there is an item only in a task of a workflow that has over; write \
                              {{\"{{\"}} for '{{' itself";
                faults.push(Invalid::new(place.pointer, detail));
            }
        }
    }

    /// Refuses a parameter that is a secret where it would be seen: in arguments, the environment,
    /// a URL.
    pub(in crate::model) fn check_secret_templates(
        &self,
        is_secret: impl Fn(&str) -> bool,
        faults: &mut Vec<Invalid>,
    ) {
        for place in self.templates().into_iter().filter(|place| !place.secrets) {
            let Ok(template) = parse(place.text) else { continue };
            let named = template.holes().find_map(|hole| match hole.source {
                Source::Parameter(path) if is_secret(path) => Some(path),
                _ => None,
            });
            if let Some(path) = named {
                let detail = format!(
                    "would show {path}, which is a secret: read it from standard input or from the \
                     file that $CRONAPI_PARAMS_FILE names; a request takes it in headers and body"
                );
                faults.push(Invalid::new(place.pointer, detail));
            }
        }
    }
}

/// The texts among some settings.
fn settings<'a>(
    field: &'static str,
    settings: &'a BTreeMap<String, Setting>,
    secrets: bool,
) -> impl Iterator<Item = Place<'a>> {
    settings.iter().filter_map(move |(name, setting)| {
        let pointer = format!("runner/{field}/{}", escaped(name));
        Some(Place { pointer, text: setting.text()?, secrets })
    })
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Refuses a hole in what is read as code.
pub(in crate::model) fn not_in_code(pointer: &str, code: &str, faults: &mut Vec<Invalid>) {
    refuse_in_code(pointer, code, has_hole, faults);
}

fn refuse_in_code(pointer: &str, code: &str, has: fn(&str) -> bool, faults: &mut Vec<Invalid>) {
    if has(code) {
        faults.push(Invalid::new(pointer, NOT_IN_CODE));
    }
}

/// A value may be an argument, but neither choose the program nor be code for one.
fn check_argv(argv: &[String], has: fn(&str) -> bool, faults: &mut Vec<Invalid>) {
    if argv.first().is_some_and(|program| has(program)) {
        let detail =
            "names the program, which no value may choose: name it, and pass values after it";
        faults.push(Invalid::new("runner/argv/0", detail));
    }
    let mut flags = None;
    let mut is_code = false;
    for (at, text) in argv.iter().enumerate() {
        if is_code {
            refuse_in_code(&format!("runner/argv/{at}"), text, has, faults);
        }
        let name = text.rsplit('/').next().unwrap_or_default();
        let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = INTERPRETERS.iter().find(|(program, _)| *program == name);
        flags = known.map(|(_, flags)| *flags).or(flags);
        let short = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
        is_code = flags.is_some_and(|flags| {
            short.is_some_and(|short| short.contains(|c: char| flags.contains(c)))
                || ["--eval", "--command", "--print"].contains(&text.as_str())
        });
    }
}
