//! Flags of the settings, made from their rows.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::table::{Row, TABLE};

/// What the command line gave; each beats the environment and the file.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    given: BTreeMap<&'static str, String>,
}

impl Flags {
    /// The same with one more, as `--key value` would give it.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Flags {
        self.given.insert(key, value.into());
        self
    }

    /// What was given for a setting.
    pub(super) fn get(&self, key: &str) -> Option<&String> {
        self.given.get(key)
    }
}

fn arg(row: &'static Row, value: &'static str) -> Arg {
    let mut help = row.help.to_owned();
    if let Some(variable) = row.variable {
        help += &format!(" [env: {variable}]");
    }
    match (row.default, row.words) {
        (Some(default), _) => help += &format!(" [default: {default}]"),
        (None, "none") => {}
        (None, words) => help += &format!(" [default: {}]", words.replace('`', "")),
    }
    let arg = Arg::new(row.key).long(row.long()).help(help);
    if value.is_empty() {
        arg.action(ArgAction::SetTrue)
    } else {
        arg.action(ArgAction::Set).value_name(value)
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let with_flag = TABLE.iter().filter_map(|row| Some(arg(row, row.flag?)));
        with_flag.fold(command, Command::arg)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for row in TABLE {
            let text = match row.flag {
                None => None,
                Some("") => matches.get_flag(row.key).then(|| "on".to_owned()),
                Some(_) => matches.get_one::<String>(row.key).cloned(),
            };
            if let Some(text) = text {
                self.given.insert(row.key, text);
            }
        }
        Ok(())
    }
}
