//! Settings: flags over environment over file over defaults. Every fault is told at once.
//!
//! Owns: where each setting may come from, and what it may be. Does not own: what settings there
//! are and their defaults (`table`), what a setting does.
//!
//! ```text
//! Flags ─┐
//! Env   ─┼─ a row each ──> each setting's text, and where it came from ──> Config | every Fault
//! File  ─┘                                └──> print
//! ```
//!
//! To add a setting: its row in `table`, and the field of `Config` with its reader.

mod calls;
mod cluster;
mod file;
mod flags;
mod heartbeat;
mod jobs;
mod oidc;
mod print;
mod rest;
mod sources;
mod spelling;
mod table;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::api::{CertificateFiles, Proxies};
use crate::model::Span;
use crate::model::limits::METRICS_JOBS_MAX;
use crate::model::placement::Labels;
use crate::service::access::OidcOptions;
use crate::vault::Vault;

pub use calls::Calls;
pub(crate) use cluster::host_name;
pub use flags::Flags;
pub use heartbeat::Heartbeat;
pub use jobs::JobSettings;
pub use print::Setting;
use sources::Sources;
pub use table::markdown;

/// Attempts at a time on a node, at most.
const SLOTS_MAX: u32 = 10_000;

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of REST.
    pub listen: SocketAddr,
    /// What HTTPS is served with; none: HTTP.
    pub tls: Option<CertificateFiles>,
    /// Proxies that are believed when they say who asks.
    pub proxies: Proxies,
    /// Where people find this cluster in a browser.
    pub public_url: String,
    /// Whether that was given, and is no guess.
    pub public_url_given: bool,
    /// Address at which other nodes are answered; port 0 is any free one.
    pub cluster_listen: SocketAddr,
    /// `host:port` at which other nodes reach this one; none: the cluster address that was bound.
    pub advertise: Option<String>,
    /// `host:port` of nodes of the cluster, in the order given.
    pub join: Vec<String>,
    /// Voters wanted.
    pub voters: usize,
    /// What nodes of this cluster know and nobody else does; none: it is in the data directory.
    pub cluster_key: Option<Secret>,
    /// Address of metrics without a token.
    pub metrics_listen: Option<SocketAddr>,
    /// Jobs with series of their own, at most.
    pub metrics_jobs: usize,
    /// What secrets are sealed with; none: this node keeps none.
    pub vault: Option<Arc<Vault>>,
    /// What that was before, while it is replaced node by node.
    pub cluster_key_old: Option<Secret>,
    /// Data directory.
    pub data: PathBuf,
    /// The pool in which the data directory is found; none: `data` is it.
    pub data_pool: Option<PathBuf>,
    /// Labels of this node.
    pub labels: Labels,
    /// Attempts at a time.
    pub slots: u32,
    /// Where HTTP jobs may go.
    pub calls: Calls,
    /// How long a stop waits for running attempts.
    pub drain: Span,
    /// As leader, this node decides fires shortly before they are due.
    pub plan_ahead: bool,
    /// Events are kept in the history of the cluster.
    pub events_keep: bool,
    /// Where files of sinks are.
    pub sink_dir: Option<PathBuf>,
    /// The Redis of sinks that name none.
    pub redis_url: Option<Secret>,
    /// The monitor elsewhere that the cluster tells that it can decide.
    pub heartbeat: Option<Heartbeat>,
    /// Logs as JSON lines; none: when standard error is no terminal.
    pub log_json: Option<bool>,
    /// Filter of the logs.
    pub log: String,
    /// Login by a provider.
    pub oidc: Option<OidcSettings>,
    /// What jobs run in.
    pub jobs: JobSettings,
    /// Password of the first admin.
    pub admin_password: Option<Secret>,
    /// Start empty when the data is damaged.
    pub move_aside_damaged: bool,
}

/// A text that does not show in logs.
#[derive(Clone)]
pub struct Secret(pub String);

/// A login provider; its secret does not show in logs.
#[derive(Clone)]
pub struct OidcSettings(pub OidcOptions);

impl std::fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Oidc").field(&self.0.issuer).finish()
    }
}

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

/// Where settings come from besides the flags; tests give their own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What was found: settings, whether they can be used or not.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, or every setting that can't be used.
    pub outcome: Result<Config, Vec<Fault>>,
    /// Each setting, with where it came from.
    pub settings: Vec<Setting>,
    /// What somebody had better look at.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// The settings as a file, each with its source, without secrets.
    pub fn print(&self) -> String {
        print::print(&self.settings)
    }
}

impl Config {
    /// Puts the settings together.
    ///
    /// # Errors
    /// Every setting that can't be used.
    pub fn load(flags: &Flags, env: Env<'_>) -> Result<Config, Vec<Fault>> {
        Config::look(flags, env, &[]).outcome
    }

    /// The same, and tells what was found where. `names` are the variables that there are.
    pub fn look(flags: &Flags, env: Env<'_>, names: &[String]) -> Loaded {
        let mut sources = Sources::open(flags, env);
        let config = sources.config();
        spelling::look(&mut sources, names);
        let Sources { faults, warnings, settings, .. } = sources;
        let outcome = if faults.is_empty() { Ok(config) } else { Err(faults) };
        Loaded { outcome, settings, warnings }
    }
}

impl Config {
    /// Only where a node listens for REST, and with what: for a question to it.
    ///
    /// # Errors
    /// The settings that can't be used.
    pub fn rest(env: Env<'_>) -> Result<(SocketAddr, Option<CertificateFiles>), Vec<Fault>> {
        // Whether it may is for the node to say.
        let flags = Flags::default().with("allow_http", "on");
        let mut sources = Sources::open(&flags, env);
        let rest = sources.rest();
        if sources.faults.is_empty() { Ok(rest) } else { Err(sources.faults) }
    }
}

impl<'a> Sources<'a> {
    /// With the file, if there is one.
    fn open(flags: &'a Flags, env: Env<'a>) -> Sources<'a> {
        let mut sources = Sources::new(flags, env);
        if let Some((path, at)) = sources.get("config") {
            sources.read_file(Path::new(&path), &at);
        }
        sources
    }

    fn vault(&mut self) -> Option<Arc<Vault>> {
        let (text, at) = self.secret("secrets_key")?;
        match Vault::parse(&text.0) {
            Ok(vault) => Some(Arc::new(vault)),
            Err(error) => {
                self.fault(at, error.to_string());
                None
            }
        }
    }

    fn config(&mut self) -> Config {
        let cluster = self.cluster();
        let (listen, tls) = self.rest();
        let (public_url, public_url_given) = self.public_url(listen, tls.is_some());
        let data_pool = self.get("data_pool").map(|(path, _)| PathBuf::from(path));
        if data_pool.is_some() && cluster.join.is_empty() {
            self.fault("--join", "is needed with --data-pool: the nodes of a pool are one cluster");
        }
        let slots = self.get("slots");
        Config {
            listen,
            tls,
            proxies: self.read("trusted_proxies", Proxies::parse),
            public_url,
            public_url_given,
            cluster_listen: cluster.listen,
            metrics_listen: self.metrics_listen(),
            metrics_jobs: self.number("metrics_jobs", 0, METRICS_JOBS_MAX),
            advertise: cluster.advertise,
            join: cluster.join,
            voters: cluster.voters,
            cluster_key: cluster.key,
            vault: self.vault(),
            cluster_key_old: cluster.key_old,
            data: self.read("data", |path| Ok(PathBuf::from(path))),
            data_pool,
            labels: self.labels(),
            slots: self.parse(slots, &default_slots().to_string(), |text| {
                sources::number(text, 1, SLOTS_MAX)
            }),
            calls: self.calls(),
            drain: self.read("drain", Span::parse),
            plan_ahead: self.switch("plan_ahead"),
            events_keep: self.switch("events_keep"),
            sink_dir: self.get("sink_dir").map(|(path, _)| PathBuf::from(path)),
            redis_url: self.secret("redis_url").map(|(url, _)| url),
            heartbeat: self.heartbeat(),
            oidc: self.oidc().map(OidcSettings),
            log_json: self.log_json(),
            log: self.read("log", |text| Ok(text.to_owned())),
            admin_password: self.secret("admin_password").map(|(password, _)| password),
            move_aside_damaged: self.flags.get("move_aside_damaged").is_some(),
            // Last: by now it is known which files have keys in them.
            jobs: self.jobs(),
        }
    }

    fn metrics_listen(&mut self) -> Option<SocketAddr> {
        let (text, at) = self.get("metrics_listen")?;
        sources::address(&text).map_err(|detail| self.fault(at, detail)).ok()
    }

    fn log_json(&mut self) -> Option<bool> {
        let (text, at) = self.get("log_format")?;
        match text.as_str() {
            "json" => Some(true),
            "text" => Some(false),
            _ => {
                self.fault(at, format!("{text:?} is neither text nor json"));
                None
            }
        }
    }

    fn labels(&mut self) -> Labels {
        let mut labels = Labels::new();
        let Some((text, at)) = self.get("labels") else { return labels };
        for item in text.split(',').filter(|item| !item.trim().is_empty()) {
            match item.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    labels.insert(key.trim().to_string(), value.trim().to_string());
                }
                _ => self.fault(&at, format!("{item:?} is not a label such as region=eu")),
            }
        }
        labels
    }
}

fn default_slots() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(2 * cores).unwrap_or(u32::MAX).clamp(1, SLOTS_MAX)
}
