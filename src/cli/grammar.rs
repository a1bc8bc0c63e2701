//! Commands and flags as they are shown: examples first, and flags only where they count.

use clap::{Arg, Args, Command, CommandFactory, Subcommand};

use super::connection::Where;
use super::{Alone, Arguments};

/// What begins the examples in the text of a command.
const EXAMPLES: &str = "Example";
/// Before all else but what the command does.
const EXAMPLES_FIRST: &str =
    "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// The whole command line.
pub(super) fn whole() -> Command {
    // Those that ask no server don't show how to find one.
    let place = Where::augment_args(Command::new(""));
    let flags: Vec<Arg> = place.get_arguments().map(|flag| flag.clone().hide(true)).collect();
    let alone = Alone::augment_subcommands(Command::new(""));
    let mut whole = Arguments::command();
    for name in alone.get_subcommands().map(Command::get_name) {
        whole = whole.mut_subcommand(name, |command| command.args(&flags));
    }
    examples_first(whole)
}

/// Takes the examples out of the text of a command, and of those below it, and shows them first
/// in its short help too.
fn examples_first(command: Command) -> Command {
    let mut command = command.mut_subcommands(examples_first);
    let Some(text) = command.get_long_about().map(ToString::to_string) else { return command };
    let Some(at) = text.find(EXAMPLES) else { return command };
    let (said, examples) = (text[..at].trim_end(), text[at..].trim_end());
    let examples = match examples.split_once(": ") {
        Some(("Example", line)) => format!("Example:\n  {line}"),
        _ => examples.to_owned(),
    };
    // What an example does stands behind it: these lines are not broken.
    command = command.before_help(examples).help_template(EXAMPLES_FIRST);
    if command.get_about().is_some_and(|about| about.to_string() == said) {
        return command.long_about(None::<&str>);
    }
    let said = said.to_owned();
    command.long_about(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        whole().debug_assert();
    }

    #[test]
    fn examples_come_before_usage_in_both_helps() {
        for flag in ["-h", "--help"] {
            let told = whole().try_get_matches_from(["cronapi", "run", flag]).unwrap_err();
            let told = told.to_string();
            let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part} in {told}"));
            assert!(at("Start a job now") < at("Examples:\n  cronapi run backup\n"), "{told}");
            assert!(at("Examples:") < at("Usage:"), "{told}");
            assert_eq!(told.matches("Examples:").count(), 1, "{told}");
        }
    }
}
