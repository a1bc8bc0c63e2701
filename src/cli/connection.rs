//! Which servers a command asks, and with which token.

use std::path::PathBuf;

use reqwest::Url;

use super::exit::{Code, Failure};
use super::settings::{Context, Settings, Tokens};

/// Where the servers are, as flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Where {
    /// Servers to ask; the next when one is away [env: CRONAPI_SERVER]
    #[arg(
        long,
        alias = "url",
        global = true,
        value_name = "URL,…",
        value_delimiter = ',',
        help_heading = "Connection"
    )]
    pub(super) server: Vec<String>,
    /// A context made by `cronapi login` [env: CRONAPI_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub(super) context: Option<String>,
    /// Certificates to trust beside the system's, a PEM file [env: CRONAPI_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub(super) ca: Option<PathBuf>,
}

/// As whom, for this command only.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AsUser {
    /// Log in as this user for this command only, with the password in CRONAPI_PASSWORD
    #[arg(long = "user", value_name = "NAME", help_heading = "Connection")]
    pub(super) user: Option<String>,
}

/// Which servers, and with which token.
pub(super) struct Connection {
    pub(super) servers: Vec<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) tokens: Option<Tokens>,
    /// The context whose tokens these are.
    pub(super) context: Option<String>,
    /// The token is that of CRONAPI_TOKEN.
    pub(super) from_variable: bool,
}

const LOCAL: &str = "http://127.0.0.1:8000";

impl Where {
    /// Whether any of it was given as a flag.
    pub(super) fn is_given(&self) -> bool {
        !self.server.is_empty() || self.context.is_some() || self.ca.is_some()
    }

    /// Flags, then variables, then the context, then this machine. A token goes only to the
    /// servers that it was given for: that of a context to the servers of that context.
    pub(super) fn connect(
        &self,
        settings: &Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Connection, Failure> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        // A context that is asked for by a flag stands over every variable.
        let env = |name: &str| if self.context.is_some() { None } else { variable(name) };
        let contexts = settings.contexts()?;
        let asked = self.context.clone().or_else(|| variable("CRONAPI_CONTEXT"));
        let name = asked.clone().or_else(|| contexts.current.clone());
        let context = name.as_ref().and_then(|name| contexts.contexts.get(name));
        if let (Some(name), None) = (&asked, context) {
            return Err(unknown(name, contexts.contexts.keys()));
        }
        let mut servers = self.server.clone();
        if servers.is_empty()
            && let Some(list) = env("CRONAPI_SERVER")
        {
            servers = list.split(',').map(|url| url.trim().to_owned()).collect();
        }
        if servers.is_empty() {
            servers = context.map_or_else(|| vec![LOCAL.to_owned()], |c| c.servers.clone());
        }
        let servers = servers.iter().map(|url| checked(url)).collect::<Result<Vec<_>, _>>()?;
        let ours = |context: &Context| servers.iter().all(|url| context.servers.contains(url));
        let ca = self.ca.clone().or_else(|| env("CRONAPI_CA").map(PathBuf::from));
        let ca = ca.or_else(|| context.filter(|c| ours(c)).and_then(|c| c.ca.clone()));
        if let Some(token) = env("CRONAPI_TOKEN") {
            let access = token.trim().to_owned();
            if access.is_empty() || !access.bytes().all(|byte| byte.is_ascii_graphic()) {
                let text = "CRONAPI_TOKEN holds a character that no token has";
                return Err(Failure::usage(text)
                    .advise("set it to the token alone, as `cronapi token create` shows it"));
            }
            let (tokens, context) = (Some(Tokens { access, refresh: None }), None);
            return Ok(Connection { servers, ca, tokens, context, from_variable: true });
        }
        let context = name.filter(|_| context.is_some_and(ours));
        let tokens = context.as_deref().map(|name| settings.tokens(name)).transpose()?.flatten();
        Ok(Connection { servers, ca, tokens, context, from_variable: false })
    }
}

/// There is no such context.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Failure {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let failure = Failure::new(Code::NotFound, format!("there is no context {name}"));
    match known.as_slice() {
        [] => failure.advise("make one with `cronapi login` or `cronapi context set`"),
        known => failure.advise(format!("there are: {}", known.join(", "))),
    }
}

/// The URL of a server, without a slash at its end.
pub(super) fn checked(url: &str) -> Result<String, Failure> {
    let bare = url.trim_end_matches('/');
    let usable = Url::parse(bare).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.query().is_none()
            && url.password().is_none()
            && url.username().is_empty()
    });
    if usable {
        return Ok(bare.to_owned());
    }
    Err(Failure::usage(format!("{url:?} is no server; write it as http://host:8000")))
}

/// Whether what is sent there can be read on the way.
pub(super) fn is_open(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let near =
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    url.scheme() == "http" && !near
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::settings::Contexts;
    use super::*;

    struct World {
        _folder: tempfile::TempDir,
        settings: Settings,
    }

    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let settings = Settings::locate(&|name| (name == "HOME").then(|| home.clone()));
        let context = |url: &str| Context { servers: vec![url.into()], ..Context::default() };
        let contexts =
            BTreeMap::from([("a".into(), context("http://a")), ("b".into(), context("http://b"))]);
        settings.save(&Contexts { current: Some("a".into()), contexts }).unwrap();
        for name in ["a", "b"] {
            let tokens = Tokens { access: format!("of {name}"), refresh: None };
            settings.keep(name, Some(tokens)).unwrap();
        }
        World { _folder: folder, settings }
    }

    fn connect(flags: &[&str], env: &[(&str, &str)]) -> Result<(String, String), Failure> {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            place: Where,
        }
        let world = world();
        let line = Line::parse_from(std::iter::once(&"x").chain(flags));
        let variable = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let found = line.place.connect(&world.settings, &variable)?;
        Ok((found.servers.join(","), found.tokens.map_or(String::new(), |tokens| tokens.access)))
    }

    #[test]
    fn flags_before_variables_before_the_context() {
        let (token, server) = (("CRONAPI_TOKEN", "t"), ("CRONAPI_SERVER", "http://e/,http://f"));
        let context = ("CRONAPI_CONTEXT", "b");
        type Row<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], (&'a str, &'a str));
        let rows: [Row<'_>; 8] = [
            (&[], &[], ("http://a", "of a")),
            (&[], &[context], ("http://b", "of b")),
            (&[], &[token], ("http://a", "t")),
            (&[], &[server, token], ("http://e,http://f", "t")),
            (&["--context", "b"], &[server, token], ("http://b", "of b")),
            (&["--server", "http://c"], &[server, token], ("http://c", "t")),
            // The token of a context is not for other servers.
            (&["--server", "http://c"], &[], ("http://c", "")),
            (&["--server", "http://a"], &[], ("http://a", "of a")),
        ];
        for (flags, env, expected) in rows {
            let found = connect(flags, env).unwrap();
            assert_eq!((found.0.as_str(), found.1.as_str()), expected, "{flags:?} {env:?}");
        }
        assert_eq!(connect(&["--context", "c"], &[]).unwrap_err().code, Code::NotFound);
        assert_eq!(connect(&["--server", "ftp://a"], &[]).unwrap_err().code, Code::Usage);
    }

    #[test]
    fn plain_http_is_open_but_to_this_machine() {
        for url in ["https://a", "http://localhost:1", "http://127.0.0.1", "http://[::1]:8000"] {
            assert!(!is_open(url), "{url}");
        }
        assert!(is_open("http://10.0.0.1:8000"));
    }
}
