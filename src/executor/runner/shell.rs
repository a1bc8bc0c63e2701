//! The shell runner: a line for `/bin/sh -c`, or a program and its arguments.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::env::split_paths;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Attempt;
use super::environment::Environment;
use super::limits::ARGUMENT_BYTES_MAX;
use super::node::RunnerEnv;
use super::outcome::{Ended, Outcome};
use super::pipefail::{self, Pipefail, SH};
use super::process::account::Account;
use super::process::{Deadlines, Launch, Program, drive, stdin_file};
use super::shell_result::ResultFile;
use super::spec::ShellCommand;
use super::start::Start;

/// The shell part of a [`super::What`].
pub(super) struct Call<'a> {
    pub(super) command: &'a ShellCommand,
    pub(super) pipefail: bool,
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) cwd: Option<&'a str>,
    pub(super) user: Option<&'a str>,
    /// Instead of the parameters.
    pub(super) stdin: Option<&'a str>,
}

/// # Errors
/// A sentence, when the command could not be started.
pub(super) async fn run(
    call: Call<'_>,
    attempt: Attempt<'_>,
    started: impl Start,
) -> Result<Outcome, String> {
    let given = attempt.given();
    let Attempt { spec, params, secret, cancel, pump, node, .. } = attempt;
    let account = match call.user {
        Some(name) => Some(node.account(name)?),
        None => node.isolation.account().cloned(),
    };
    let mut env = call.env.clone();
    env.extend(spec.filled.env.clone());
    let mut environment =
        Environment::build(&node.inherited, &spec.context, params, &env, account.as_ref())?;
    let passed = environment.params_file(params, secret)?;
    if let Some(note) = &environment.note {
        pump.capture.note(note);
    }
    if let ShellCommand::Line(line) = call.command
        && call.pipefail
        && node.pipefail.is_wanting(line)
    {
        pump.capture.note(pipefail::WANTING);
    }
    let mut program = program(&call, environment, &node.pipefail)?;
    program.passed = passed;
    let result = ResultFile::name(node.results_dir.as_deref(), account.as_ref())?;
    if let Some(result) = &result {
        program.env.insert("CRONAPI_RESULT".into(), result.path().into());
    }
    let stdin = stdin_file::with(call.stdin.unwrap_or(given).as_bytes())?;
    let limits = spec.limits.within(&node.limits);
    let launch = Launch { program, stdin, account, limits, node };
    let deadlines = Deadlines { timeout: spec.timeout, kill_grace: spec.kill_grace, cancel };
    let exit = drive(launch, deadlines, pump, started).await?;
    let mut outcome = exit.outcome(spec.timeout);
    match result.map_or(Ok(None), |file| file.take(spec.result_max)) {
        Ok(found) if outcome.ended == Ended::Succeeded => outcome.result = found,
        Ok(_) => {}
        Err(why) => pump.capture.note(&why),
    }
    Ok(outcome)
}

fn program(
    call: &Call<'_>,
    environment: Environment,
    pipefail: &Pipefail,
) -> Result<Program, String> {
    let cwd = call.cwd.map(Path::new);
    if let Some(cwd) = cwd {
        match fs::metadata(cwd) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(format!("working directory {} is a file", cwd.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(format!("working directory {} does not exist", cwd.display()));
            }
            Err(e) => return Err(format!("working directory {}: {e}", cwd.display())),
        }
    }
    let (file, argv) = match call.command {
        ShellCommand::Line(line) => {
            argument(line)?;
            let line = unix_lines(line);
            let mut words = match call.pipefail {
                true => pipefail.shell(&line),
                false => vec![SH.into()],
            };
            let file = PathBuf::from(&words[0]);
            words.extend(["-c", &*line, SH].map(OsString::from));
            (file, words)
        }
        ShellCommand::Argv(argv) => {
            let Some(program) = argv.first() else {
                return Err("the list of arguments is empty: it must name a program".to_owned());
            };
            argv.iter().try_for_each(|text| argument(text))?;
            let file = find(program, cwd, &environment)?;
            (file, argv.iter().map(OsString::from).collect())
        }
    };
    let cwd = cwd.map(Path::to_owned);
    Ok(Program { file, argv, env: environment.vars, cwd, passed: None })
}

/// A script that was written with Windows line ends throughout, with those of a shell: its
/// commands would end in a carriage return, and be found nowhere.
fn unix_lines(line: &str) -> Cow<'_, str> {
    let windows = line.matches("\r\n").count();
    if windows > 0 && windows == line.matches('\n').count() {
        Cow::Owned(line.replace("\r\n", "\n"))
    } else {
        Cow::Borrowed(line)
    }
}

fn argument(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("the command holds a NUL character".to_owned());
    }
    if text.len() > ARGUMENT_BYTES_MAX {
        return Err(format!(
            "the command has {} bytes in one argument; the system takes {ARGUMENT_BYTES_MAX}",
            text.len()
        ));
    }
    Ok(())
}

/// The program's file. A name with a slash is taken from the working directory, any other
/// from the child's own `PATH`. Looking here, and not in the spawn, gives a clear error and
/// keeps the spawn on the standard library's fast path.
fn find(program: &str, cwd: Option<&Path>, environment: &Environment) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = cwd.map_or_else(|| PathBuf::from(program), |cwd| cwd.join(program));
        return Ok(path);
    }
    let path = environment.get("PATH").cloned().unwrap_or_default();
    let runs = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|f| f.is_file() && f.permissions().mode() & 0o111 != 0)
    };
    split_paths(&path)
        .map(|folder| folder.join(program))
        .find(runs)
        .ok_or_else(|| format!("program {program:?} was not found in PATH ({})", path.display()))
}

impl RunnerEnv {
    fn account(&self, name: &str) -> Result<Account, String> {
        if !self.allow_user {
            return Err(format!("running as user {name:?} is not allowed on this node"));
        }
        if !rustix::process::geteuid().is_root() {
            return Err(format!("running as user {name:?} needs a daemon that runs as root"));
        }
        Account::find(name)
    }
}
