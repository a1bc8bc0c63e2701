//! `edit`: a definition in the editor of the user.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use super::super::client::Request;
use super::super::definitions;
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::session::{Session, variable};
use super::diff::unified;
use super::kinds::{Thing, with_kind};

/// Change a definition in an editor.
#[derive(Debug, clap::Args)]
pub struct Edit {
    /// The job; or another definition, such as queue/slow
    name: String,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
}

impl Edit {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let thing = Thing::parse(&self.name)?;
        let (path, told) = (thing.path(), thing.told());
        let answer = client.send(Request::get(&path)).await;
        let (job, etag) = match answer {
            Ok(answer) => (answer.json()?, answer.etag()),
            Err(failure) => {
                return thing.found(&client, Err(failure)).await.map(|_| 0);
            }
        };
        let before = definitions::of_answer(thing.kind, &job);
        let shown = with_kind(thing.kind, Value::Object(before.clone()));
        let text = definitions::yaml(&shown)?;
        let editor = variable("VISUAL").or_else(|| variable("EDITOR"));
        if editor.is_none() && !session.terminal.asks() {
            let text = "there is no terminal for an editor";
            return Err(Failure::usage(text).advise(
                "set EDITOR; or `cronapi get job NAME -o yaml`, change it, `cronapi apply`",
            ));
        }
        let editor = editor.unwrap_or_else(|| "vi".to_owned());
        let (edited, file) = in_editor(&editor, &thing.name, &text)?;
        // Whoever pressed Ctrl-C meant the editor, as in vi.
        session.not_for_us.set(true);
        // Whatever goes wrong from here on: the work is not lost.
        let kept = || -> Result<String, Failure> {
            let (_, path) = file.keep().map_err(|error| Failure::failed(error.to_string()))?;
            Ok(path.display().to_string())
        };
        let mend = |path: String| {
            format!("your text is in {path}; mend it, then: cronapi apply -f {path}")
        };
        let mut parsed = match definitions::parse("the edited text", &edited) {
            Ok(parsed) => parsed,
            Err(failure) => return Err(failure.advise(mend(kept()?))),
        };
        let (Some(after), true) = (parsed.pop(), parsed.is_empty()) else {
            return Err(Failure::usage("one definition is edited at a time").advise(mend(kept()?)));
        };
        if after.fields == before {
            session.say("nothing was changed");
            return Ok(0);
        }
        if (after.kind, &after.name) != (thing.kind, &thing.name) {
            let what = thing.kind.as_str();
            let text = format!("a {what} can't be renamed: its history belongs to its name");
            return Err(Failure::usage(text).advise(mend(kept()?)));
        }
        if session.terminal.asks() && !self.yes {
            let color = session.terminal.color();
            output::text(&unified(&self.name, &before, &after.fields, color)?)?;
            if let Err(failure) = session.terminal.confirm("Write it?", false) {
                return Err(failure.advise(mend(kept()?)));
            }
        }
        let request = Request::new(Method::PUT, path).json(&Value::Object(after.fields));
        let request = request.header("if-match", etag.unwrap_or_else(|| "*".to_owned())).once()?;
        match client.fetch(request).await {
            Ok(job) => {
                session.say(format!("{told} is version {}", job["version"]));
                Ok(0)
            }
            Err(failure) if failure.code == Code::Conflict => {
                let text = format!("{told} was changed meanwhile; nothing was written");
                Err(Failure::new(Code::Conflict, text).advise(begin_again(&self.name, &kept()?)))
            }
            Err(failure) => Err(failure.advise(mend(kept()?))),
        }
    }
}

/// What to do with a text that was written for an earlier version: to apply it would take the
/// other change back.
fn begin_again(name: &str, path: &str) -> String {
    format!(
        "your text is in {path}; `cronapi diff -f {path}` shows what the cluster has now and your \
         text has not; `cronapi edit {name}` begins from what it is now"
    )
}

/// What the user made of a text, and the file it is in.
fn in_editor(
    editor: &str,
    name: &str,
    text: &str,
) -> Result<(String, tempfile::NamedTempFile), Failure> {
    let fail = |error: std::io::Error| Failure::failed(format!("no file to edit: {error}"));
    let mut file = tempfile::Builder::new()
        .prefix(&format!("cronapi-{name}-"))
        .suffix(".yaml")
        .tempfile()
        .map_err(fail)?;
    file.write_all(text.as_bytes()).map_err(fail)?;
    file.flush().map_err(fail)?;
    let path: PathBuf = file.path().to_owned();
    // As git does: the variable may hold arguments. Ctrl-C is for the editor, not for the shell.
    let line = format!("trap : INT; {editor} \"$@\"");
    let status = Command::new("/bin/sh").arg("-c").arg(line).arg(editor).arg(&path).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            return Err(Failure::failed(format!(
                "{editor} ended with {status}; nothing was written"
            ))
            .advise("set EDITOR to another editor"));
        }
        Err(error) => return Err(Failure::failed(format!("{editor} can't be started: {error}"))),
    }
    let edited = std::fs::read_to_string(&path).map_err(fail)?;
    Ok((edited, file))
}
