//! Settings: flags over environment over file over defaults. Every fault is told at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::model::Span;
use crate::model::job::unknown_field;
use crate::model::placement::Labels;

/// What the command line gave; each beats the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address of REST and the API documentation [env: CRONAPI_LISTEN] [default: 127.0.0.1:8000]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Data directory [env: DATABASE_PATH] [default: cron_state.db]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Labels of this node, such as region=eu,disk=ssd [env: CRONAPI_LABELS]
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub labels: Option<String>,
    /// Attempts at a time on this node [env: CRONAPI_SLOTS] [default: 2 x cores]
    #[arg(long, value_name = "N")]
    pub slots: Option<String>,
    /// How long a stop waits for running attempts [env: CRONAPI_DRAIN] [default: 25s]
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// `text` or `json` [env: CRONAPI_LOG_FORMAT] [default: text on a terminal, else json]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What is logged, such as info or cronapi=debug [env: CRONAPI_LOG] [default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// TOML file with these settings [env: CRONAPI_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Move a damaged data directory aside and start empty, as a new cluster
    #[arg(long)]
    pub move_aside_damaged: bool,
}

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of REST.
    pub listen: SocketAddr,
    /// Data directory.
    pub data: PathBuf,
    /// Labels of this node.
    pub labels: Labels,
    /// Attempts at a time.
    pub slots: u32,
    /// How long a stop waits for running attempts.
    pub drain: Span,
    /// Logs as JSON lines; none: when standard error is no terminal.
    pub log_json: Option<bool>,
    /// Filter of the logs.
    pub log: String,
    /// Password of the first admin.
    pub admin_password: Option<Secret>,
    /// Start empty when the data is damaged.
    pub move_aside_damaged: bool,
}

/// A text that does not show in logs.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The setting, and where it came from.
    pub at: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.at, self.detail)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    listen: Option<String>,
    data: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    slots: Option<u32>,
    drain: Option<String>,
    log_format: Option<String>,
    log: Option<String>,
    admin_password_file: Option<String>,
}

const FILE_KEYS: [&str; 8] =
    ["listen", "data", "labels", "slots", "drain", "log_format", "log", "admin_password_file"];

/// Where settings come from besides the flags; tests give their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// Every setting that can't be used.
    pub fn load(flags: &Flags, env: Env<'_>) -> Result<Config, Vec<Fault>> {
        let mut sources = Sources { env, faults: Vec::new(), file: File::default() };
        if let Some((path, at)) = sources.text("--config", &flags.config, "CRONAPI_CONFIG", None) {
            sources.read_file(Path::new(&path), &at);
        }
        let config = sources.config(flags);
        if sources.faults.is_empty() { Ok(config) } else { Err(sources.faults) }
    }
}

struct Sources<'a> {
    env: Env<'a>,
    faults: Vec<Fault>,
    file: File,
}

impl Sources<'_> {
    fn config(&mut self, flags: &Flags) -> Config {
        let file = std::mem::take(&mut self.file);
        let listen = self.text("--listen", &flags.listen, "CRONAPI_LISTEN", file.listen);
        let data = self.text("--data", &flags.data, "DATABASE_PATH", file.data);
        let slots = file.slots.map(|slots| slots.to_string());
        let slots = self.text("--slots", &flags.slots, "CRONAPI_SLOTS", slots);
        let drain = self.text("--drain", &flags.drain, "CRONAPI_DRAIN", file.drain);
        let format =
            self.text("--log-format", &flags.log_format, "CRONAPI_LOG_FORMAT", file.log_format);
        let log = self.text("--log", &flags.log, "CRONAPI_LOG", file.log);
        let labels = self.text("--labels", &flags.labels, "CRONAPI_LABELS", None);
        let log_json = match format {
            None => None,
            Some((text, _)) if text == "json" => Some(true),
            Some((text, _)) if text == "text" => Some(false),
            Some((text, at)) => {
                self.fault(at, format!("{text:?} is neither text nor json"));
                None
            }
        };
        Config {
            listen: self.parse(listen, "127.0.0.1:8000", |text| {
                text.parse().map_err(|_| format!("{text:?} is not an address such as 0.0.0.0:8000"))
            }),
            data: PathBuf::from(data.map_or("cron_state.db".into(), |(path, _)| path)),
            labels: match labels {
                Some((text, at)) => self.labels(&text, &at),
                None => file.labels.unwrap_or_default(),
            },
            slots: self.parse(slots, &default_slots().to_string(), |text| {
                text.parse::<u32>()
                    .ok()
                    .filter(|slots| (1..=10_000).contains(slots))
                    .ok_or_else(|| format!("{text:?} is not a number from 1 to 10000"))
            }),
            drain: self.parse(drain, "25s", Span::parse),
            log_json,
            log: log.map_or("info".into(), |(text, _)| text),
            admin_password: self.password(file.admin_password_file),
            move_aside_damaged: flags.move_aside_damaged,
        }
    }

    fn fault(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(Fault { at: at.into(), detail: detail.into() });
    }

    /// The value of a setting, and where it came from.
    fn text(
        &self,
        flag: &str,
        given: &Option<String>,
        variable: &str,
        file: Option<String>,
    ) -> Option<(String, String)> {
        given
            .clone()
            .map(|text| (text, flag.to_string()))
            .or_else(|| {
                let text = (self.env)(variable).filter(|text| !text.is_empty())?;
                Some((text, variable.to_string()))
            })
            .or_else(|| {
                let key = flag.trim_start_matches('-').replace('-', "_");
                Some((file?, format!("{key} in the configuration file")))
            })
    }

    fn parse<T>(
        &mut self,
        given: Option<(String, String)>,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        if let Some((text, at)) = given {
            match read(&text) {
                Ok(value) => return value,
                Err(detail) => self.fault(at, detail),
            }
        }
        match read(default) {
            Ok(value) => value,
            Err(_) => unreachable!("defaults are valid; the tests read each"),
        }
    }

    fn labels(&mut self, text: &str, at: &str) -> Labels {
        let mut labels = Labels::new();
        for item in text.split(',').filter(|item| !item.trim().is_empty()) {
            match item.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    labels.insert(key.trim().to_string(), value.trim().to_string());
                }
                _ => self.fault(at, format!("{item:?} is not a label such as region=eu")),
            }
        }
        labels
    }

    fn read_file(&mut self, path: &Path, at: &str) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(at, format!("{}: {error}", path.display())),
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return self.fault(path.display().to_string(), error.to_string()),
        };
        for key in table.keys().filter(|key| !FILE_KEYS.contains(&key.as_str())) {
            self.fault(format!("{key} in {}", path.display()), unknown_field(key, &FILE_KEYS));
        }
        match table.try_into() {
            Ok(file) => self.file = file,
            Err(error) => self.fault(path.display().to_string(), error.to_string()),
        }
    }

    fn password(&mut self, file: Option<String>) -> Option<Secret> {
        if let Some(text) = (self.env)("CRONAPI_ADMIN_PASSWORD").filter(|text| !text.is_empty()) {
            return Some(Secret(text));
        }
        let path = (self.env)("CRONAPI_ADMIN_PASSWORD_FILE").or(file)?;
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(Secret(text.trim_end_matches(['\r', '\n']).to_string())),
            Err(error) => {
                self.fault("CRONAPI_ADMIN_PASSWORD_FILE", format!("{path}: {error}"));
                None
            }
        }
    }
}

fn default_slots() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(2 * cores).unwrap_or(u32::MAX).clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn nothing_given_is_enough() {
        let config = Config::load(&Flags::default(), &none).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.data, PathBuf::from("cron_state.db"));
        assert!(config.slots >= 2);
    }

    #[test]
    fn flags_beat_environment_beats_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "listen = '127.0.0.1:1'\nslots = 7\ndrain = '1s'\n").unwrap();
        let flags = Flags {
            listen: Some("127.0.0.1:3".into()),
            config: Some(path.to_string_lossy().into()),
            ..Flags::default()
        };
        let env = |name: &str| match name {
            "CRONAPI_LISTEN" => Some("127.0.0.1:2".to_string()),
            "CRONAPI_SLOTS" => Some("9".to_string()),
            _ => None,
        };
        let config = Config::load(&flags, &env).unwrap();
        assert_eq!((config.listen.port(), config.slots, config.drain.secs()), (3, 9, 1));
    }

    #[test]
    fn every_fault_is_told_with_its_source() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        std::fs::write(&path, "lisen = 'x'\ndrain = 'soon'\n").unwrap();
        let flags = Flags { config: Some(path.to_string_lossy().into()), ..Flags::default() };
        let env = |name: &str| match name {
            "CRONAPI_SLOTS" => Some("0".to_string()),
            "CRONAPI_LABELS" => Some("region".to_string()),
            _ => None,
        };
        let faults = Config::load(&flags, &env).unwrap_err();
        let told = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n");
        for want in ["did you mean listen", "drain in the", "CRONAPI_SLOTS", "CRONAPI_LABELS"] {
            assert!(told.contains(want), "{want} in {told}");
        }
    }

    #[test]
    fn a_password_does_not_show() {
        let env =
            |name: &str| (name == "CRONAPI_ADMIN_PASSWORD").then(|| "correct horse".to_string());
        let config = Config::load(&Flags::default(), &env).unwrap();
        assert!(!format!("{config:?}").contains("horse"));
    }
}
