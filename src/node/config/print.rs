//! The settings as a file, each with where it came from, and without secrets.

use std::fmt::Write;

use super::default_slots;

/// A setting as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key in the file.
    pub key: String,
    /// Its text and where that came from; none: it was not given. Of a secret the text is empty.
    pub value: Option<(String, String)>,
    /// It is never shown.
    pub secret: bool,
}

/// What holds unless it is given, of settings that have a default.
const DEFAULTS: &[(&str, &str)] = &[
    ("listen", "127.0.0.1:8000"),
    ("allow_http", "off"),
    ("cluster_listen", "127.0.0.1:8001"),
    ("voters", "3"),
    ("data", "cron_state.db"),
    ("metrics_jobs", "0"),
    ("drain", "25s"),
    ("plan_ahead", "on"),
    ("events_keep", "off"),
    ("log", "info"),
    ("isolation", "best-effort"),
];
/// Keys that are true or false in a file, and `on` or `off` elsewhere.
const SWITCHES: &[&str] = &["plan_ahead", "events_keep", "allow_http"];
/// Keys whose values are written without quotes.
const BARE: &[&str] = &["voters", "slots", "metrics_jobs"];

/// The settings as text that can be used as a configuration file.
pub(super) fn print(settings: &[Setting]) -> String {
    let mut text = String::new();
    // A table goes on to the end of a file.
    let (tables, plain): (Vec<_>, Vec<_>) = settings.iter().partition(|s| s.key == "labels");
    for setting in plain.into_iter().filter(|setting| setting.key != "config") {
        let Setting { key, value, secret } = setting;
        let default = DEFAULTS.iter().find(|(known, _)| known == key).map(|(_, text)| *text);
        let slots = default_slots().to_string();
        let default = if key == "slots" { Some(slots.as_str()) } else { default };
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
    match key {
        "join" | "trusted_proxies" | "http_deny" | "http_allow" => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            format!("[{}]", items.map(quoted).collect::<Vec<_>>().join(", "))
        }
        _ if SWITCHES.contains(&key) => matches!(text, "on" | "true" | "1" | "yes").to_string(),
        _ if BARE.contains(&key) => text.to_string(),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
