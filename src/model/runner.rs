//! What carries out an attempt: a Python function, a shell command, an HTTP call.

mod templates;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::limits::RUNNER_ENTRIES_MAX;
use super::secret::{SecretRef, Setting};
pub(super) use templates::not_in_code;

/// What carries out the runs of a job; docs/runners.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Runner {
    /// A Python module; `job_function`, else its first function, is called.
    Python {
        /// The source text.
        #[schema(max_length = 65536)]
        code: String,
        /// Environment variables beside those of the run: texts, which may be templates, or
        /// `{"secret": "name"}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, Setting>,
    },
    /// A command line for `/bin/sh -c`, or an argument list.
    Shell {
        /// A line for `/bin/sh -c`. Give this or `argv`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        command: Option<String>,
        /// Program and arguments, no shell in between; arguments may be templates. Give this or
        /// `command`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false, min_items = 1)]
        argv: Option<Vec<String>>,
        /// Environment variables beside those of the run: texts, which may be templates, or
        /// `{"secret": "name"}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        env: BTreeMap<String, Setting>,
        /// Working directory; may be a template.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        cwd: Option<String>,
        /// Account to run as; only an admin may set it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        user: Option<String>,
        /// With `command`: a pipeline fails when any of its commands does, not the last alone;
        /// true by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        pipefail: Option<bool>,
        /// What it reads from standard input; empty: nothing. Default: the parameters as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        stdin: Option<String>,
    },
    /// One HTTP request.
    Http {
        /// Method; default: GET.
        #[serde(default = "get")]
        method: String,
        /// Absolute `http` or `https` URL; may be a template after its host.
        url: String,
        /// Headers beside the default ones; values may be templates, or `{"secret": "name"}`.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, Setting>,
        /// Body; may be a template. Default: the parameters as JSON.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        body: Option<String>,
        /// Statuses that count as success: numbers or ranges such as `"200-299"`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        expect_status: Vec<Expect>,
        /// Signs the body with HMAC-SHA256.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(nullable = false)]
        hmac_secret: Option<String>,
    },
}

fn get() -> String {
    "GET".into()
}

/// One status or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Expect {
    /// One status.
    Code(u16),
    /// A range such as `200-299`, both ends included.
    Range(String),
}

impl Expect {
    /// The range, both ends included; none when the text is not one.
    pub fn bounds(&self) -> Option<(u16, u16)> {
        let (low, high) = match self {
            Expect::Code(code) => (*code, *code),
            Expect::Range(text) => match text.split_once('-') {
                Some((low, high)) => (low.trim().parse().ok()?, high.trim().parse().ok()?),
                None => text.trim().parse().map(|code| (code, code)).ok()?,
            },
        };
        (100 <= low && low <= high && high <= 599).then_some((low, high))
    }
}

impl Runner {
    /// `python`, `shell` or `http`.
    pub fn kind(&self) -> &'static str {
        match self {
            Runner::Python { .. } => "python",
            Runner::Shell { .. } => "shell",
            Runner::Http { .. } => "http",
        }
    }

    /// The account an attempt asks to run as.
    pub fn user(&self) -> Option<&str> {
        match self {
            Runner::Shell { user, .. } => user.as_deref(),
            _ => None,
        }
    }

    /// The places of secrets, each with where it stands.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let (field, settings) = match self {
            Runner::Python { env, .. } | Runner::Shell { env, .. } => ("env", env),
            Runner::Http { headers, .. } => ("headers", headers),
        };
        let mut places = Vec::new();
        for (name, setting) in settings {
            if let Setting::Secret(place) = setting {
                places.push((format!("runner/{field}/{name}"), place));
            }
        }
        places
    }

    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        self.check_templates(faults);
        match self {
            Runner::Python { code, env } => {
                if code.trim().is_empty() {
                    faults.push(Invalid::new("runner/code", "is empty; give Python source"));
                } else if code.contains('\0') {
                    faults.push(Invalid::new("runner/code", "holds a NUL character"));
                }
                check_env(env, faults);
            }
            Runner::Shell { command, argv, env, cwd, pipefail, .. } => {
                check_shell(command.as_deref(), argv.as_deref(), cwd.as_deref(), faults);
                if pipefail.is_some() && command.is_none() {
                    let detail = "belongs to command: argv runs without a shell";
                    faults.push(Invalid::new("runner/pipefail", detail));
                }
                check_env(env, faults);
            }
            Runner::Http { method, url, headers, expect_status, .. } => {
                check_http(method, url, headers, expect_status, faults);
            }
        }
    }
}

fn check_shell(
    command: Option<&str>,
    argv: Option<&[String]>,
    cwd: Option<&str>,
    faults: &mut Vec<Invalid>,
) {
    match (command, argv) {
        (Some(_), Some(_)) => {
            faults.push(Invalid::new("runner/argv", "give command or argv, not both"));
        }
        (None, None) => faults.push(Invalid::new("runner/command", "give command or argv")),
        (Some(line), None) if line.trim().is_empty() => {
            faults.push(Invalid::new("runner/command", "is empty"));
        }
        (None, Some(list)) if list.first().is_none_or(String::is_empty) => {
            faults.push(Invalid::new("runner/argv", "needs a program as its first item"));
        }
        _ => {}
    }
    let texts = command.into_iter().chain(argv.into_iter().flatten().map(String::as_str));
    if texts.chain(cwd).any(|text| text.contains('\0')) {
        faults.push(Invalid::new("runner", "holds a NUL character, which no command can"));
    }
    if cwd.is_some_and(|path| !path.starts_with('/')) {
        faults.push(Invalid::new("runner/cwd", "must be an absolute path"));
    }
}

fn check_env(env: &BTreeMap<String, Setting>, faults: &mut Vec<Invalid>) {
    if env.len() > RUNNER_ENTRIES_MAX {
        let most = RUNNER_ENTRIES_MAX;
        faults.push(Invalid::new("runner/env", format!("has over {most} variables")));
    }
    for (key, value) in env {
        let value = value.fixed();
        if key.is_empty() || key.contains(['=', '\0']) || value.contains('\0') {
            let detail = "a variable's name is not empty and has no = and no NUL";
            faults.push(Invalid::new("runner/env", format!("{key:?}: {detail}")));
        } else if key.starts_with("CRONAPI_") {
            let detail = "names that begin with CRONAPI_ are set by the scheduler";
            faults.push(Invalid::new("runner/env", format!("{key:?}: {detail}")));
        }
    }
}

fn check_http(
    method: &str,
    url: &str,
    headers: &BTreeMap<String, Setting>,
    expect: &[Expect],
    faults: &mut Vec<Invalid>,
) {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if !methods.contains(&method) {
        let detail = format!("must be one of {}, in capitals", methods.join(", "));
        faults.push(Invalid::new("runner/method", detail));
    }
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    let plain = url.chars().all(|c| !c.is_control() && c != ' ');
    if !plain || url.len() > 8_192 || rest.is_none_or(|r| r.is_empty() || r.starts_with('/')) {
        faults.push(Invalid::new(
            "runner/url",
            "must be an absolute http:// or https:// URL with a host and without spaces",
        ));
    }
    if headers.len() > RUNNER_ENTRIES_MAX {
        let most = RUNNER_ENTRIES_MAX;
        faults.push(Invalid::new("runner/headers", format!("has over {most} headers")));
    }
    for (name, value) in headers {
        let value = value.fixed();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) || value.contains(['\r', '\n', '\0']) {
            let detail = "a header's name is an RFC 9110 token and its value is one line";
            faults.push(Invalid::new("runner/headers", format!("{name:?}: {detail}")));
        }
    }
    for (at, name) in headers.keys().enumerate() {
        let before = headers.keys().take(at).find(|before| before.eq_ignore_ascii_case(name));
        if let Some(before) = before {
            let detail = format!("{name:?} and {before:?} are one header: give it once");
            faults.push(Invalid::new("runner/headers", detail));
        }
    }
    for (at, item) in expect.iter().enumerate() {
        if item.bounds().is_none() {
            let detail = "must be a status from 100 to 599 or a range such as \"200-299\"";
            faults.push(Invalid::new(format!("runner/expect_status/{at}"), detail));
        }
    }
}
