//! Pipelines that fail when any of their commands does: which shell of this node can do that.
//!
//! The dash of Debian and Ubuntu, their `/bin/sh`, can't. There a line with a pipe is run by
//! bash, started so that it behaves as their `sh` in what scripts rely on: `echo` takes
//! backslash escapes, `set -e` holds in command substitutions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What lines are run with by default.
pub(super) const SH: &str = "/bin/sh";
const BASHES: [&str; 3] = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"];
/// Options that make of bash what scripts for dash expect.
const LIKE_SH: [&str; 4] = ["-O", "xpg_echo", "-O", "inherit_errexit"];

/// What a job is told whose pipelines can't be watched.
pub(super) const WANTING: &str = "this node has no shell with pipefail: a pipeline ends with the \
     status of its last command, whatever the others do";

/// What a line is run by, so that its pipelines fail with any of their commands.
pub(super) enum Pipefail {
    /// By `/bin/sh` itself.
    Sh,
    /// By bash, when there is a pipe in it.
    Bash(PathBuf),
    /// By nothing here.
    Nothing,
}

impl Pipefail {
    /// Asks the shells. Blocks for the start of one or two.
    pub(super) fn detect() -> Self {
        if fails_in_the_middle(Command::new(SH)) {
            return Pipefail::Sh;
        }
        let mut bashes = BASHES.iter().map(PathBuf::from);
        let found = bashes.find(|bash| {
            let mut command = Command::new(bash);
            command.args(LIKE_SH);
            fails_in_the_middle(command)
        });
        found.map_or(Pipefail::Nothing, Pipefail::Bash)
    }

    /// The shell for this line and its options, up to `-c`.
    pub(super) fn shell(&self, line: &str) -> Vec<OsString> {
        let with = |options: &[&str]| options.iter().map(OsString::from).collect::<Vec<_>>();
        match self {
            Pipefail::Bash(bash) if has_pipe(line) => {
                let options = [&LIKE_SH[..], &["-o", "pipefail"]].concat();
                [vec![bash.into()], with(&options)].concat()
            }
            Pipefail::Sh => with(&[SH, "-o", "pipefail"]),
            Pipefail::Bash(_) | Pipefail::Nothing => with(&[SH]),
        }
    }

    /// Whether the line has a pipeline that nothing here can watch.
    pub(super) fn is_wanting(&self, line: &str) -> bool {
        matches!(self, Pipefail::Nothing) && has_pipe(line)
    }
}

fn fails_in_the_middle(mut shell: Command) -> bool {
    shell.args(["-o", "pipefail", "-c", "exit 3 | exit 0"]).env_clear();
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.code() == Some(3))
}

/// Whether there may be a pipe in it: a bar that is not half of `||`.
fn has_pipe(line: &str) -> bool {
    line.replace("||", "").contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_a_bar_of_its_own() {
        for (line, pipe) in [("a | b", true), ("a|b", true), ("a || b", false), ("a", false)] {
            assert_eq!(has_pipe(line), pipe, "{line}");
        }
        assert!(has_pipe("a || b | c"));
    }

    #[test]
    fn the_shell_of_a_line() {
        let words = |pipefail: &Pipefail, line| {
            let words = pipefail.shell(line);
            words.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(&Pipefail::Sh, "a | b"), "/bin/sh -o pipefail");
        let bash = Pipefail::Bash("/bin/bash".into());
        assert_eq!(words(&bash, "a && b"), "/bin/sh");
        assert!(words(&bash, "a | b").starts_with("/bin/bash -O xpg_echo"));
        assert_eq!(words(&Pipefail::Nothing, "a | b"), "/bin/sh");
        assert!(Pipefail::Nothing.is_wanting("a | b") && !Pipefail::Nothing.is_wanting("a"));
        assert!(!bash.is_wanting("a | b"));
    }
}
