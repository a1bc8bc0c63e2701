//! The settings as a file, each with where it came from, and without secrets.

use std::fmt::Write;

use super::default_slots;
use super::table::{Form, row};

/// A setting as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file.
    pub key: &'static str,
    /// Its text and where that came from; none: it was not given. Of a secret the text is empty.
    pub value: Option<(String, String)>,
    /// It is never shown.
    pub secret: bool,
}

/// The settings as text that can be used as a configuration file.
pub(super) fn print(settings: &[Setting]) -> String {
    let mut text = String::new();
    // A table goes on to the end of a file.
    let (tables, plain): (Vec<_>, Vec<_>) =
        settings.iter().partition(|setting| row(setting.key).form == Form::Labels);
    for setting in plain.into_iter().filter(|setting| row(setting.key).in_file) {
        let Setting { key, value, secret } = setting;
        let slots = default_slots().to_string();
        let default = if *key == "slots" { Some(slots.as_str()) } else { row(key).default };
        let _ = match (value, default) {
            (Some((_, at)), _) if *secret => writeln!(text, "# {key} is hidden    # {at}"),
            (Some((value, at)), _) => writeln!(text, "{key} = {}    # {at}", toml(key, value)),
            (None, Some(default)) => {
                writeln!(text, "{key} = {}    # default", toml(key, default))
            }
            (None, None) => writeln!(text, "# {key} is not set"),
        };
    }
    for Setting { value, .. } in tables {
        let Some((labels, at)) = value else { continue };
        let _ = writeln!(text, "\n[labels]    # {at}");
        for (key, value) in labels.split(',').filter_map(|label| label.split_once('=')) {
            let _ = writeln!(text, "{} = {}", quoted(key.trim()), quoted(value.trim()));
        }
    }
    text
}

fn toml(key: &str, text: &str) -> String {
    match row(key).form {
        Form::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
        }
        Form::Switch => matches!(text, "on" | "true" | "1" | "yes").to_string(),
        Form::Number => text.to_string(),
        Form::Text | Form::Labels | Form::Secret | Form::Section => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
