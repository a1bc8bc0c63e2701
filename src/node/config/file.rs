//! The configuration file: each key on its line, and every fault at once.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::model::job::unknown_field;

use super::sources::Sources;

/// The file.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) tls_cert: Option<String>,
    pub(super) tls_key: Option<String>,
    pub(super) tls_client_ca: Option<String>,
    pub(super) allow_http: Option<bool>,
    pub(super) trusted_proxies: Option<Vec<String>>,
    pub(super) cluster_listen: Option<String>,
    pub(super) advertise: Option<String>,
    pub(super) join: Option<Vec<String>>,
    pub(super) voters: Option<u32>,
    pub(super) cluster_key_file: Option<String>,
    pub(super) secrets_key_file: Option<String>,
    pub(super) cluster_key_old_file: Option<String>,
    pub(super) data: Option<String>,
    pub(super) data_pool: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) metrics_listen: Option<String>,
    pub(super) metrics_jobs: Option<u32>,
    pub(super) slots: Option<u32>,
    pub(super) http_deny: Option<Vec<String>>,
    pub(super) http_allow: Option<Vec<String>>,
    pub(super) drain: Option<String>,
    pub(super) plan_ahead: Option<bool>,
    pub(super) events_keep: Option<bool>,
    pub(super) log_format: Option<String>,
    pub(super) log: Option<String>,
    pub(super) isolation: Option<String>,
    pub(super) job_user: Option<String>,
    pub(super) limits: Option<String>,
    pub(super) admin_password_file: Option<String>,
    pub(super) oidc: Option<toml::Table>,
}

const FILE_KEYS: &[&str] = &[
    "listen",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "allow_http",
    "trusted_proxies",
    "cluster_listen",
    "advertise",
    "join",
    "voters",
    "cluster_key_file",
    "secrets_key_file",
    "cluster_key_old_file",
    "data",
    "data_pool",
    "labels",
    "metrics_listen",
    "metrics_jobs",
    "slots",
    "http_deny",
    "http_allow",
    "drain",
    "plan_ahead",
    "events_keep",
    "log_format",
    "log",
    "isolation",
    "job_user",
    "limits",
    "admin_password_file",
    "oidc",
];

impl Sources<'_> {
    pub(super) fn read_file(&mut self, path: &Path, at: &str) {
        let shown = path.display().to_string();
        self.kept.push(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(at, format!("{shown}: {error}")),
        };
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(&text);
            format!("{shown}:{}", 1 + before.matches('\n').count())
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            self.fault(place(error.span().map_or(0, |span| span.start)), error.message());
        }
        let span = table.span();
        let mut good = DeTable::new();
        for (key, value) in table.into_inner() {
            let (name, at) = (key.get_ref().to_string(), place(key.span().start));
            let at = format!("{at}: {name}");
            if !FILE_KEYS.contains(&name.as_str()) {
                self.fault(at, unknown_field(&name, FILE_KEYS));
                continue;
            }
            // Each by itself: a table is given up at its first fault.
            let mut alone = DeTable::new();
            alone.insert(key.clone(), value.clone());
            match read(Spanned::new(span.clone(), alone)) {
                Ok(_) => drop(good.insert(key, value)),
                Err(error) => self.fault(at.clone(), error.message()),
            }
            self.places.insert(name, at);
        }
        if let Ok(file) = read(Spanned::new(span, good)) {
            self.file = file;
        }
    }
}

fn read(table: Spanned<DeTable<'_>>) -> Result<File, toml::de::Error> {
    File::deserialize(Deserializer::from(table))
}
