//! Where a setting's text comes from, and the faults that were met on the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;

use crate::model::job::unknown_field;

use super::{Env, Fault, Secret};

/// The file.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) cluster_listen: Option<String>,
    pub(super) advertise: Option<String>,
    pub(super) join: Option<Vec<String>>,
    pub(super) voters: Option<u32>,
    pub(super) cluster_key_file: Option<String>,
    pub(super) data: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) slots: Option<u32>,
    pub(super) drain: Option<String>,
    pub(super) plan_ahead: Option<bool>,
    pub(super) log_format: Option<String>,
    pub(super) log: Option<String>,
    pub(super) admin_password_file: Option<String>,
}

const FILE_KEYS: [&str; 14] = [
    "listen",
    "cluster_listen",
    "advertise",
    "join",
    "voters",
    "cluster_key_file",
    "data",
    "labels",
    "slots",
    "drain",
    "plan_ahead",
    "log_format",
    "log",
    "admin_password_file",
];

/// What settings are read from.
pub(super) struct Sources<'a> {
    env: Env<'a>,
    pub(super) faults: Vec<Fault>,
    pub(super) file: File,
}

impl<'a> Sources<'a> {
    pub(super) fn new(env: Env<'a>) -> Self {
        Self { env, faults: Vec::new(), file: File::default() }
    }

    pub(super) fn fault(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(Fault { at: at.into(), detail: detail.into() });
    }

    /// The value of a setting, and where it came from.
    pub(super) fn text(
        &self,
        flag: &str,
        given: &Option<String>,
        variable: &str,
        file: Option<String>,
    ) -> Option<(String, String)> {
        given
            .clone()
            .map(|text| (text, flag.to_string()))
            .or_else(|| Some((self.variable(variable)?, variable.to_string())))
            .or_else(|| {
                let key = flag.trim_start_matches('-').replace('-', "_");
                Some((file?, in_the_file(&key)))
            })
    }

    /// A variable; an empty one is not set.
    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|text| !text.is_empty())
    }

    pub(super) fn parse<T>(
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

    /// An address to listen on.
    pub(super) fn address(&mut self, given: Option<(String, String)>, default: &str) -> SocketAddr {
        self.parse(given, default, |text| {
            text.parse().map_err(|_| format!("{text:?} is not an address such as {default}"))
        })
    }

    /// A secret and where it came from: `variable`, else the file that `variable_FILE` or `key`
    /// in the configuration file names.
    pub(super) fn secret(
        &mut self,
        variable: &str,
        key: &str,
        file: Option<String>,
    ) -> Option<(Secret, String)> {
        if let Some(text) = self.variable(variable) {
            return Some((Secret(text), variable.to_string()));
        }
        let named = format!("{variable}_FILE");
        let (path, at) = match self.variable(&named) {
            Some(path) => (path, named),
            None => (file?, in_the_file(key)),
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Some((Secret(text.trim_end_matches(['\r', '\n']).to_string()), at)),
            Err(error) => {
                self.fault(at, format!("{path}: {error}"));
                None
            }
        }
    }

    pub(super) fn read_file(&mut self, path: &Path, at: &str) {
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
}

fn in_the_file(key: &str) -> String {
    format!("{key} in the configuration file")
}
