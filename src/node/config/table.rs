//! Every setting on its row: its flag, variable, key in the file and default, and what is said
//! of it.
//!
//! Owns: what settings there are. Flags, the file, `config print`, the variables that are known
//! and the table of docs/configuration.md are made from it. Does not own: what a value may be (the
//! reader of each), what a setting does.
//!
//! To add a setting: its row here, and the field of `Config` with its reader. Then
//! `UPDATE_EXPECT=1 cargo test --test documents settings` writes its line of the docs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

/// How a value is written in the file. Elsewhere each is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A text.
    Text,
    /// A number, without quotes.
    Number,
    /// True or false; `on` or `off` elsewhere.
    Switch,
    /// A list of texts; a text with commas elsewhere.
    List,
    /// A table of texts; `key=value` with commas elsewhere.
    Labels,
    /// Never in the file itself: `<key>_file` there and `<variable>_FILE` name one that holds it.
    Secret,
    /// A section with fields of its own.
    Section,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// What it is called, and its key in the file unless `form` says otherwise.
    pub(super) key: &'static str,
    /// The variable; none: it has none.
    pub(super) variable: Option<&'static str>,
    /// What the help calls the value of its flag; empty: the flag takes none; none: no flag.
    pub(super) flag: Option<&'static str>,
    /// What the help says of the flag.
    pub(super) help: &'static str,
    pub(super) form: Form,
    /// It can be set in the file.
    pub(super) in_file: bool,
    /// What holds unless it is given, as a text.
    pub(super) default: Option<&'static str>,
    /// The same in words, where it is no text.
    pub(super) words: &'static str,
    /// What the docs say of it.
    pub(super) about: &'static str,
}

impl Row {
    const fn new(key: &'static str, variable: Option<&'static str>, form: Form) -> Row {
        let (flag, default, words) = (None, None, "none");
        Row { key, variable, flag, help: "", form, in_file: true, default, words, about: "" }
    }

    const fn text(key: &'static str, variable: &'static str) -> Row {
        Row::new(key, Some(variable), Form::Text)
    }

    const fn number(key: &'static str, variable: &'static str) -> Row {
        Row::new(key, Some(variable), Form::Number)
    }

    const fn switch(key: &'static str, variable: &'static str) -> Row {
        Row::new(key, Some(variable), Form::Switch)
    }

    const fn list(key: &'static str, variable: &'static str) -> Row {
        Row::new(key, Some(variable), Form::List)
    }

    const fn secret(key: &'static str, variable: &'static str) -> Row {
        Row::new(key, Some(variable), Form::Secret)
    }

    const fn flag(self, value: &'static str, help: &'static str) -> Row {
        Row { flag: Some(value), help, ..self }
    }

    const fn default(self, text: &'static str) -> Row {
        Row { default: Some(text), ..self }
    }

    const fn words(self, words: &'static str) -> Row {
        Row { words, ..self }
    }

    const fn not_in_file(self) -> Row {
        Row { in_file: false, ..self }
    }

    const fn about(self, about: &'static str) -> Row {
        Row { about, ..self }
    }

    /// `data-pool` of `data_pool`.
    pub(super) fn long(&self) -> &'static str {
        LONG.get(self.key).map_or(self.key, String::as_str)
    }

    /// Its key in the file.
    pub(super) fn file_key(&self) -> Option<String> {
        match self.form {
            _ if !self.in_file => None,
            Form::Secret => Some(format!("{}_file", self.key)),
            _ => Some(self.key.to_owned()),
        }
    }

    /// The variables that are read for it.
    pub(super) fn variables(&self) -> impl Iterator<Item = String> {
        let file = (self.form == Form::Secret).then_some("_FILE");
        let variable = self.variable;
        ["", file.unwrap_or("")]
            .into_iter()
            .take(1 + usize::from(file.is_some()))
            .filter_map(move |end| Some(format!("{}{end}", variable?)))
    }
}

/// Names of flags; they live as long as the program, as those of the library do.
static LONG: LazyLock<BTreeMap<&'static str, String>> =
    LazyLock::new(|| TABLE.iter().map(|row| (row.key, row.key.replace('_', "-"))).collect());

/// The row of a setting. Its readers are ours, and the tests ask for each.
pub(super) fn row(key: &str) -> &'static Row {
    match TABLE.iter().find(|row| row.key == key) {
        Some(row) => row,
        None => unreachable!("{key} has no row"),
    }
}

/// Every setting, in the order of the docs and of the help.
pub(super) const TABLE: &[Row] = &[
    Row::text("listen", "CRONAPI_LISTEN")
        .flag("HOST:PORT", "Address of REST and the API documentation")
        .default("127.0.0.1:8000")
        .about("address of REST, `host:port` with a numeric host"),
    Row::text("tls_cert", "CRONAPI_TLS_CERT")
        .flag("FILE", "Certificate of REST, PEM: HTTPS instead of HTTP")
        .about(
            "certificate of REST and those that lead to its authority, PEM: HTTPS instead of HTTP",
        ),
    Row::text("tls_key", "CRONAPI_TLS_KEY")
        .flag("FILE", "Its private key, PEM")
        .about("its private key, PEM"),
    Row::text("tls_client_ca", "CRONAPI_TLS_CLIENT_CA")
        .flag("FILE", "Authorities, PEM: clients must show a certificate of one")
        .about(
            "authorities, PEM: every client must show a certificate of one of them, beside its \
             token",
        ),
    Row::switch("allow_http", "CRONAPI_ALLOW_HTTP")
        .flag(
            "",
            "Serve HTTP at an address that other machines reach, behind a proxy that speaks TLS",
        )
        .default("off")
        .about(
            "serve HTTP at an address that other machines reach: behind a proxy that speaks TLS; \
             `true` and `false` are taken too",
        ),
    Row::text("public_url", "CRONAPI_PUBLIC_URL")
        .flag("URL", "Where people find this cluster in a browser, for links in notices")
        .words("the address of REST")
        .about("where people find this cluster in a browser: links in notices begin so"),
    Row::list("trusted_proxies", "CRONAPI_TRUSTED_PROXIES")
        .flag("NETWORK,…", "Proxies that are believed when they say who asks")
        .about(
            "proxies, as networks, that are believed when they say who asks: \
             [security.md](security.md#between-clients-and-a-node)",
        ),
    Row::text("cluster_listen", "CRONAPI_CLUSTER_LISTEN")
        .flag("HOST:PORT", "Address at which other nodes are answered")
        .default("127.0.0.1:8001")
        .about("address at which other nodes are answered; port 0 is any free one"),
    Row::text("advertise", "CRONAPI_ADVERTISE")
        .flag(
            "HOST:PORT",
            "How other nodes reach this one; `:PORT` is under the name of this machine",
        )
        .words("the cluster address")
        .about(
            "`host:port` at which other nodes reach this one; needed when `--cluster-listen` is \
             `0.0.0.0` or `[::]`; `:port` is under the host name of this machine",
        ),
    Row::list("join", "CRONAPI_JOIN")
        .flag("HOST:PORT,…", "Nodes of the cluster to be part of")
        .about("nodes of the cluster to be part of, `host:port,…`: [clustering.md](clustering.md)"),
    Row::number("voters", "CRONAPI_VOTERS")
        .default("3")
        .about("voters wanted, 1 to 7; an odd number"),
    Row::secret("cluster_key", "CRONAPI_CLUSTER_KEY")
        .words("the file `cluster-key` in the data directory, made at the first start")
        .about("what the nodes of this cluster know and nobody else does, at least 16 characters"),
    Row::secret("secrets_key", "CRONAPI_SECRETS_KEY").words("none: no secrets").about(
        "32 random bytes in base64, the same on all nodes; two with a comma while one takes the \
         place of the other: [security.md](security.md#secrets)",
    ),
    Row::secret("cluster_key_old", "CRONAPI_CLUSTER_KEY_OLD").about(
        "what the key was before, while it is replaced node by node: \
         [security.md](security.md#a-new-cluster-key)",
    ),
    Row::text("data", "DATABASE_PATH")
        .flag("DIR", "Data directory")
        .default("cron_state.db")
        .about(
            "data directory; one process at a time. It and its files are closed to other accounts \
             (0700, 0600) at each start; a directory that holds anything else is refused",
        ),
    Row::text("data_pool", "CRONAPI_DATA_POOL")
        .flag(
            "DIR",
            "Folder that nodes of this machine share; each takes the first data directory in it \
             that is free, instead of --data",
        )
        .about(
            "a folder that several nodes of one machine share: each takes a data directory in it \
             that is free, instead of `--data`. Needs `--join`: \
             [clustering.md](clustering.md#nodes-that-are-all-alike)",
        ),
    Row::new("labels", Some("CRONAPI_LABELS"), Form::Labels)
        .flag("KEY=VALUE,…", "Labels of this node, such as region=eu,disk=ssd")
        .about("what jobs can ask for with `placement`: `region=eu,disk=ssd`"),
    Row::list("http_deny", "CRONAPI_HTTP_DENY").about(
        "networks that HTTP jobs do not reach, beside those that none reaches: \
         [runners.md](runners.md#where-requests-may-not-go)",
    ),
    Row::list("http_allow", "CRONAPI_HTTP_ALLOW")
        .about("networks that they reach although they are denied"),
    Row::list("push_allow", "CRONAPI_PUSH_ALLOW").about(
        "push services beside those of the common browsers, such as `https://push.example.org`: \
         [notifications.md](notifications.md#push)",
    ),
    Row::text("metrics_listen", "CRONAPI_METRICS_LISTEN")
        .flag(
            "HOST:PORT",
            "Address at which metrics and health are told to everybody who reaches it",
        )
        .words("none: metrics need a token")
        .about(
            "address at which metrics and health are told without a token: \
             [metrics.md](metrics.md)",
        ),
    Row::number("metrics_jobs", "CRONAPI_METRICS_JOBS")
        .default("0")
        .about("jobs with metrics of their own, 0 to 10,000"),
    Row::number("slots", "CRONAPI_SLOTS")
        .flag("N", "Attempts at a time on this node")
        .words("2 × cores")
        .about("attempts at a time on this node, 1 to 10,000"),
    Row::text("drain", "CRONAPI_DRAIN")
        .flag("DURATION", "How long a stop waits for running attempts")
        .default("25s")
        .about("how long a stop waits for running attempts"),
    Row::switch("plan_ahead", "CRONAPI_PLAN_AHEAD")
        .flag("ON|OFF", "Whether starts are planned ahead of their time, `on` or `off`")
        .default("on")
        .about(
            "whether this node, as leader, decides fires up to 3 s before they are due: \
             [clustering.md](clustering.md#starts-planned-ahead)",
        ),
    Row::switch("events_keep", "CRONAPI_EVENTS_KEEP")
        .flag("ON|OFF", "Whether events are kept in the history, `on` or `off`")
        .default("off")
        .about(
            "whether the cluster keeps events in its history, so that streams go on after a \
             restart and at another node: [api.md](api.md#streams). One node that says `on` is \
             enough",
        ),
    Row::text("sink_dir", "CRONAPI_SINK_DIR")
        .flag("DIR", "Directory that sinks of the type file write to on this node")
        .words("none: this node writes no such sink")
        .about("directory that this node writes files of sinks to: [sinks.md](sinks.md#files)"),
    Row::secret("redis_url", "REDIS_URL").about(
        "the Redis of sinks, triggers and locks that name no address: \
             [sinks.md](sinks.md#redis)",
    ),
    Row::secret("heartbeat_url", "CRONAPI_HEARTBEAT_URL").about(
        "a monitor elsewhere that the leader calls while a majority follows it: \
         [monitors.md](monitors.md#who-watches-cronapi)",
    ),
    Row::text("heartbeat_every", "CRONAPI_HEARTBEAT_EVERY")
        .default("1m")
        .about("how often it is called, 1 s to 1 day"),
    Row::text("log", "CRONAPI_LOG")
        .flag("FILTER", "What is logged, such as info or cronapi=debug")
        .default("info")
        .about("what is logged: a level, or `cronapi=debug`"),
    Row::text("log_format", "CRONAPI_LOG_FORMAT")
        .flag("FORMAT", "`text` or `json`")
        .words("`text` on a terminal, else `json`")
        .about("`text` or `json`"),
    Row::text("config", "CRONAPI_CONFIG")
        .flag("FILE", "TOML file with these settings")
        .not_in_file()
        .about("the file, TOML"),
    Row::new("move_aside_damaged", None, Form::Switch)
        .flag("", "Move a damaged data directory aside and start empty, as a new cluster")
        .not_in_file()
        .words("off")
        .about("rename a damaged data directory and start empty, as a new cluster"),
    Row::secret("admin_password", "CRONAPI_ADMIN_PASSWORD")
        .words("made up, shown once")
        .about("password of the first admin, 8 to 512 bytes"),
    Row::text("isolation", "CRONAPI_ISOLATION").default("best-effort").about(
        "what keeps jobs from the node and each other: `require` refuses to start without all of \
         it, `off` takes none ([security.md](security.md#what-keeps-jobs-apart))",
    ),
    Row::text("job_user", "CRONAPI_JOB_USER")
        .words("`cronapi-job`, else `nobody`")
        .about("of a node that is root: the account of jobs that name none"),
    Row::text("limits", "CRONAPI_LIMITS")
        .words("`memory=` 90 % of the machine, `processes=1024`")
        .about(
            "what an attempt may use at most: `memory=2GiB,processes=200,open_files=1024,\
             file_size=10GiB,cpu=1h,cpus=1.5`; `memory=none`; `cpus` holds where [attempts have \
             cgroups](security.md#bounds)",
        ),
    Row::secret("oidc.client_secret", "CRONAPI_OIDC_CLIENT_SECRET")
        .about("what this cluster shows its provider"),
    Row::new("oidc", None, Form::Section).about("[login by a provider](#login-by-a-provider)"),
];

/// The table of docs/configuration.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "| flag | environment | in the file | default | meaning |\n|---|---|---|---|---|\n",
    );
    let code = |word: &str| format!("`{word}`");
    for row in TABLE {
        let flag = row.flag.map_or(String::new(), |_| code(&format!("--{}", row.long())));
        let variables: Vec<String> = row.variables().map(|name| code(&name)).collect();
        let key = row.file_key().map_or(String::new(), |key| match row.form {
            Form::List => format!("list `{key}`"),
            Form::Labels => format!("table `{key}`"),
            Form::Section => format!("section `{key}`"),
            _ => code(&key),
        });
        let default = row.default.map_or_else(|| row.words.to_owned(), code);
        let about = match row.form {
            Form::Secret => {
                format!("{}. `…_FILE` and the file name a file that holds it", row.about)
            }
            _ => row.about.to_owned(),
        };
        let variables = variables.join(", ");
        let _ = writeln!(text, "| {flag} | {variables} | {key} | {default} | {about} |");
    }
    text
}
