//! Exit codes, and why a command could not do its work.

use std::fmt;
use std::io;

use reqwest::StatusCode;
use serde_json::Value;

/// How a command ends. docs/cli.md has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// It failed.
    Failed = 1,
    /// It was asked wrongly.
    Usage = 2,
    /// There is no such thing.
    NotFound = 3,
    /// The login, or a right, is missing.
    Access = 4,
    /// It can't be done as things stand: it exists, or changed meanwhile.
    Conflict = 5,
    /// No server answers, or the cluster has no leader.
    Unavailable = 6,
    /// It took longer than was allowed.
    Timeout = 7,
    /// The run that was waited for did not succeed.
    RunFailed = 10,
    /// Ctrl-C.
    Interrupted = 130,
}

/// Why a command could not do its work, and what to do about it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Code,
    text: String,
    advice: Option<String>,
}

impl Failure {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Failure { code, text: text.into(), advice: None }
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        Failure::new(Code::Failed, text)
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Failure::new(Code::Usage, text)
    }

    /// What to do about it, on a line of its own.
    #[must_use]
    pub(super) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same, where the usual advice does not fit.
    #[must_use]
    pub(super) fn without_advice(mut self) -> Self {
        self.advice = None;
        self
    }

    /// The same, saying what it is about.
    #[must_use]
    pub(super) fn of(mut self, what: &str) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    /// Whether the same may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::Timeout)
    }

    /// Whether somebody stopped reading our output: nothing to complain about.
    pub(super) fn is_closed_pipe(&self) -> bool {
        self.text == CLOSED_PIPE
    }

    /// What an answer with an error status says.
    pub(super) fn of_answer(status: StatusCode, body: &[u8]) -> Self {
        let problem: Option<Value> = serde_json::from_slice(body).ok();
        let text = |key: &str| problem.as_ref().and_then(|p| p[key].as_str()).map(str::to_owned);
        let code = match (status.as_u16(), text("code").as_deref()) {
            (401 | 403, _) => Code::Access,
            (404, Some("no-route")) => Code::Failed,
            (404, _) => Code::NotFound,
            (409 | 412, _) => Code::Conflict,
            (408, _) => Code::Timeout,
            (429 | 502 | 503 | 504, _) => Code::Unavailable,
            (400, _) => Code::Usage,
            _ => Code::Failed,
        };
        let mut said = text("detail").or_else(|| text("title")).unwrap_or_else(|| {
            format!("the server answered {status}, and not as CronAPI does; is it one?")
        });
        let faults = problem.as_ref().and_then(|p| p["errors"].as_array());
        for fault in faults.into_iter().flatten().filter(|_| faults.is_some_and(|f| f.len() > 1)) {
            let part = |key: &str| fault[key].as_str().unwrap_or_default();
            said.push_str(&format!("\n  {}: {}", part("pointer"), part("detail")));
        }
        let failure = Failure::new(code, said);
        match status.as_u16() {
            401 => failure.advise("log in with `cronapi login`, or set CRONAPI_TOKEN"),
            403 => failure.advise("`cronapi whoami` shows what you may; an admin can widen it"),
            412 => failure.advise("it was changed meanwhile: look at it anew and repeat"),
            429 => failure.advise("wait a moment and repeat"),
            502..=504 => failure.advise("`cronapi cluster status` shows the state of the nodes"),
            _ => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.advice.as_ref().map_or(Ok(()), |advice| write!(f, "\n  {advice}"))
    }
}

const CLOSED_PIPE: &str = "the output is closed";

/// Writing what was asked for failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::failed(CLOSED_PIPE),
            _ => Failure::failed(format!("the output can't be written: {error}")),
        }
    }
}

/// What a command that was carried out exits with.
pub(super) type Outcome = Result<u8, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_exit_codes() {
        let code = |status: u16, body: &str| {
            Failure::of_answer(StatusCode::from_u16(status).unwrap(), body.as_bytes()).code
        };
        let rows = [
            (400, Code::Usage),
            (401, Code::Access),
            (403, Code::Access),
            (404, Code::NotFound),
            (409, Code::Conflict),
            (412, Code::Conflict),
            (422, Code::Failed),
            (429, Code::Unavailable),
            (500, Code::Failed),
            (503, Code::Unavailable),
        ];
        for (status, expected) in rows {
            assert_eq!(code(status, "{}"), expected, "{status}");
        }
        assert_eq!(code(404, r#"{"code":"no-route"}"#), Code::Failed);
    }

    #[test]
    fn a_failure_says_every_fault_and_what_to_do() {
        let body = r#"{"detail":"2 fields","errors":[{"pointer":"/a","detail":"x"},
            {"pointer":"/b","detail":"y"}]}"#;
        let said = Failure::of_answer(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(said.to_string(), "2 fields\n  /a: x\n  /b: y");
        let said = Failure::of_answer(StatusCode::UNAUTHORIZED, br#"{"detail":"who?"}"#);
        assert!(said.to_string().contains("cronapi login"), "{said}");
    }
}
