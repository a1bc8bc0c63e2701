//! Addresses of servers in definitions.

use super::{Invalid, limits};

/// What is said of an address whose hosts are in DNS alone.
pub const MONGODB_SRV: &str = "must list the hosts, such as mongodb://one,two,three/database: \
    mongodb+srv:// would have them looked up";

/// What listens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Redis: a user and a password stand in the secret alone.
    Redis,
    /// PostgreSQL: a user may stand in the open.
    Postgres,
    /// What is called over HTTP: no user stands in its address.
    Web,
    /// MongoDB: a user may stand in the open, and there may be several hosts.
    Mongodb,
}

impl Server {
    fn schemes(self) -> &'static [&'static str] {
        match self {
            Server::Redis => &["redis://", "rediss://"],
            Server::Postgres => &["postgres://", "postgresql://"],
            Server::Mongodb => &["mongodb://"],
            Server::Web => &["https://", "http://"],
        }
    }

    /// What is wrong with an address that is not given as a secret.
    pub fn check(self, url: &str, field: &str, faults: &mut Vec<Invalid>) {
        let mut fault = |detail: &str| faults.push(Invalid::new(field, detail));
        if self == Server::Mongodb && url.starts_with("mongodb+srv://") {
            return fault(MONGODB_SRV);
        }
        let schemes = self.schemes();
        let Some(rest) = schemes.iter().find_map(|scheme| url.strip_prefix(scheme)) else {
            return fault(&format!("must begin with {}", schemes.join(" or ")));
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            fault("has no host");
        }
        let who = authority.rsplit_once('@').map(|(who, _)| who);
        let named = !matches!(self, Server::Redis | Server::Web);
        let password = who.is_some_and(|who| !named || who.contains(':'));
        if password || (named && url.to_ascii_lowercase().contains("password=")) {
            fault(
                "must not have a password in it: give the whole address as {\"secret\": \"name\"}",
            );
        }
        if url.len() > limits::SERVER_URL_BYTES_MAX {
            fault(&format!("has over {} bytes", limits::SERVER_URL_BYTES_MAX));
        }
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            fault("has a space or a control character in it");
        }
    }
}
