//! Settings: flags over environment over file over defaults. Every fault is told at once.
//!
//! Owns: where each setting may come from, what it may be, and what it is unless told. Does not
//! own: what a setting does.
//!
//! ```text
//! Flags ─┐
//! Env   ─┼─ sources ──> each setting's text, and where it came from ──> Config | every Fault
//! File  ─┘                                └──> print
//! ```
//!
//! To add a setting: a field of `Flags`, `File` (and its key in `FILE_KEYS`) and `Config`, its
//! line in `Sources::config`, its default in `print`, docs/configuration.md.

mod calls;
mod cluster;
mod file;
mod jobs;
mod oidc;
mod print;
mod rest;
mod sources;
mod spelling;

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
pub use cluster::ClusterFlags;
pub(crate) use cluster::host_name;
pub use jobs::JobSettings;
pub use print::Setting;
pub use rest::RestFlags;
use sources::Sources;

/// Address of REST unless told.
const LISTEN: &str = "127.0.0.1:8000";

/// What the command line gave; each beats the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// What concerns REST.
    #[command(flatten)]
    pub rest: RestFlags,
    /// What concerns other nodes.
    #[command(flatten)]
    pub cluster: ClusterFlags,
    /// Data directory [env: DATABASE_PATH] [default: cron_state.db]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Folder that nodes of this machine share; each takes the first data directory in it that is
    /// free, instead of --data [env: CRONAPI_DATA_POOL]
    #[arg(long, value_name = "DIR")]
    pub data_pool: Option<String>,
    /// Labels of this node, such as region=eu,disk=ssd [env: CRONAPI_LABELS]
    #[arg(long, value_name = "KEY=VALUE,…")]
    pub labels: Option<String>,
    /// Attempts at a time on this node [env: CRONAPI_SLOTS] [default: 2 x cores]
    #[arg(long, value_name = "N")]
    pub slots: Option<String>,
    /// Address at which metrics and health are told to everybody who reaches it
    /// [env: CRONAPI_METRICS_LISTEN] [default: none: metrics need a token]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// How long a stop waits for running attempts [env: CRONAPI_DRAIN] [default: 25s]
    #[arg(long, value_name = "DURATION")]
    pub drain: Option<String>,
    /// Whether starts are planned ahead of their time, `on` or `off`
    /// [env: CRONAPI_PLAN_AHEAD] [default: on]
    #[arg(long, value_name = "ON|OFF")]
    pub plan_ahead: Option<String>,
    /// Whether events are kept in the history, `on` or `off`
    /// [env: CRONAPI_EVENTS_KEEP] [default: off]
    #[arg(long, value_name = "ON|OFF")]
    pub events_keep: Option<String>,
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
    /// What HTTPS is served with; none: HTTP.
    pub tls: Option<CertificateFiles>,
    /// Proxies that are believed when they say who asks.
    pub proxies: Proxies,
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
        let mut sources = Sources::new(env);
        if let Some((path, at)) = sources.text("--config", &flags.config, "CRONAPI_CONFIG", None) {
            sources.read_file(Path::new(&path), &at);
        }
        let config = sources.config(flags);
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
        let mut sources = Sources::new(env);
        if let Some((path, at)) = sources.text("--config", &None, "CRONAPI_CONFIG", None) {
            sources.read_file(Path::new(&path), &at);
        }
        let mut file = std::mem::take(&mut sources.file);
        // Whether it may is for the node to say.
        let flags = RestFlags { allow_http: true, ..RestFlags::default() };
        let rest = sources.rest(&flags, &mut file);
        if sources.faults.is_empty() { Ok(rest) } else { Err(sources.faults) }
    }
}

impl Sources<'_> {
    fn vault(&mut self, file: Option<String>) -> Option<Arc<Vault>> {
        let (text, at) = self.secret("CRONAPI_SECRETS_KEY", "secrets_key_file", file)?;
        match Vault::parse(&text.0) {
            Ok(vault) => Some(Arc::new(vault)),
            Err(error) => {
                self.fault(at, error.to_string());
                None
            }
        }
    }

    fn config(&mut self, flags: &Flags) -> Config {
        let mut file = std::mem::take(&mut self.file);
        let cluster = self.cluster(&flags.cluster, &mut file);
        let (listen, tls) = self.rest(&flags.rest, &mut file);
        let proxies = self.proxies(&flags.rest, &mut file);
        let data = self.text("--data", &flags.data, "DATABASE_PATH", file.data);
        let metrics = self.text(
            "--metrics-listen",
            &flags.metrics_listen,
            "CRONAPI_METRICS_LISTEN",
            file.metrics_listen,
        );
        let metrics_jobs = self.metrics_jobs(file.metrics_jobs);
        let pool = self.text("--data-pool", &flags.data_pool, "CRONAPI_DATA_POOL", file.data_pool);
        if pool.is_some() && cluster.join.is_empty() {
            self.fault("--join", "is needed with --data-pool: the nodes of a pool are one cluster");
        }
        let slots = file.slots.map(|slots| slots.to_string());
        let slots = self.text("--slots", &flags.slots, "CRONAPI_SLOTS", slots);
        let drain = self.text("--drain", &flags.drain, "CRONAPI_DRAIN", file.drain);
        let ahead = file.plan_ahead.map(|ahead| if ahead { "on" } else { "off" }.to_string());
        let plan_ahead = self.text("--plan-ahead", &flags.plan_ahead, "CRONAPI_PLAN_AHEAD", ahead);
        let keep = file.events_keep.map(|keep| if keep { "on" } else { "off" }.to_string());
        let keep = self.text("--events-keep", &flags.events_keep, "CRONAPI_EVENTS_KEEP", keep);
        let format =
            self.text("--log-format", &flags.log_format, "CRONAPI_LOG_FORMAT", file.log_format);
        let log = self.text("--log", &flags.log, "CRONAPI_LOG", file.log);
        let labels = file.labels.map(|labels| {
            let pair = |(key, value): (&String, &String)| format!("{key}={value}");
            labels.iter().map(pair).collect::<Vec<_>>().join(",")
        });
        let labels = self.text("--labels", &flags.labels, "CRONAPI_LABELS", labels);
        let password = file.admin_password_file;
        let password = self.secret("CRONAPI_ADMIN_PASSWORD", "admin_password_file", password);
        let vault = self.vault(file.secrets_key_file.take());
        let oidc = self.oidc(file.oidc.take()).map(OidcSettings);
        // Last: by now it is known which files have keys in them.
        let jobs = self.jobs([file.isolation, file.job_user, file.limits]);
        Config {
            listen,
            tls,
            proxies,
            cluster_listen: cluster.listen,
            metrics_listen: metrics.map(|given| self.address(Some(given), "127.0.0.1:9090")),
            metrics_jobs,
            advertise: cluster.advertise,
            join: cluster.join,
            voters: cluster.voters,
            cluster_key: cluster.key,
            vault,
            jobs,
            cluster_key_old: cluster.key_old,
            data: PathBuf::from(data.map_or("cron_state.db".into(), |(path, _)| path)),
            data_pool: pool.map(|(path, _)| PathBuf::from(path)),
            labels: labels.map_or_else(Labels::new, |(text, at)| self.labels(&text, &at)),
            slots: self.parse(slots, &default_slots().to_string(), |text| {
                text.parse::<u32>()
                    .ok()
                    .filter(|slots| (1..=10_000).contains(slots))
                    .ok_or_else(|| format!("{text:?} is not a number from 1 to 10000"))
            }),
            calls: self.calls(file.http_deny, file.http_allow),
            drain: self.parse(drain, "25s", Span::parse),
            plan_ahead: self.parse(plan_ahead, "on", on_or_off),
            events_keep: self.parse(keep, "off", on_or_off),
            oidc,
            log_json: self.log_json(format),
            log: log.map_or("info".into(), |(text, _)| text),
            admin_password: password.map(|(password, _)| password),
            move_aside_damaged: flags.move_aside_damaged,
        }
    }

    fn metrics_jobs(&mut self, file: Option<u32>) -> usize {
        let file = file.map(|jobs| jobs.to_string());
        let given = self.text("metrics_jobs", &None, "CRONAPI_METRICS_JOBS", file);
        self.parse(given, "0", |text| {
            text.parse()
                .ok()
                .filter(|jobs| *jobs <= METRICS_JOBS_MAX)
                .ok_or_else(|| format!("{text:?} is not a number from 0 to {METRICS_JOBS_MAX}"))
        })
    }

    fn log_json(&mut self, format: Option<(String, String)>) -> Option<bool> {
        let (text, at) = format?;
        match text.as_str() {
            "json" => Some(true),
            "text" => Some(false),
            _ => {
                self.fault(at, format!("{text:?} is neither text nor json"));
                None
            }
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
}

fn default_slots() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(2 * cores).unwrap_or(u32::MAX).clamp(1, 10_000)
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{text:?} is neither on nor off")),
    }
}
