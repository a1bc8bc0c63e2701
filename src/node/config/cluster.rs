//! The settings that concern other nodes.

use std::net::{IpAddr, SocketAddr};

use crate::model::limits::CLUSTER_KEY_LEN_MIN;

use super::Secret;
use super::sources::Sources;

/// What came of it.
pub(super) struct Cluster {
    pub(super) listen: SocketAddr,
    pub(super) advertise: Option<String>,
    pub(super) join: Vec<String>,
    pub(super) voters: usize,
    pub(super) key: Option<Secret>,
    pub(super) key_old: Option<Secret>,
}

impl Sources<'_> {
    pub(super) fn cluster(&mut self) -> Cluster {
        let listen = self.address("cluster_listen");
        let (advertise, join) = (self.get("advertise"), self.get("join"));
        if listen.ip().is_unspecified() && advertise.is_none() {
            let detail = format!("is needed: other nodes can't reach this one at {listen}");
            self.fault("--advertise", detail);
        }
        let key = self.cluster_key();
        let key_old = self.cluster_key_old(key.is_some());
        Cluster {
            listen,
            advertise: advertise.and_then(|(text, at)| self.advertised(&text, &at)),
            join: join.map_or(Vec::new(), |(text, at)| self.joined(&text, &at)),
            voters: self.number("voters", 1, 7),
            key,
            key_old,
        }
    }

    fn advertised(&mut self, text: &str, at: &str) -> Option<String> {
        let text = text.trim();
        // Nodes that are started alike say only the port.
        let found = match text.strip_prefix(':') {
            Some(_) => dialled(&format!("{}{text}", host_name())),
            None => dialled(text),
        };
        found.map_err(|detail| self.fault(at, detail)).ok()
    }

    fn joined(&mut self, text: &str, at: &str) -> Vec<String> {
        let mut join = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match dialled(item) {
                Ok(addr) if join.contains(&addr) => {}
                Ok(addr) => join.push(addr),
                Err(detail) => self.fault(at, detail),
            }
        }
        join
    }

    /// The key; none: the one in the data directory, where one is made at the first start.
    fn cluster_key(&mut self) -> Option<Secret> {
        let (key, at) = self.secret("cluster_key")?;
        self.long_enough(&key, &at);
        Some(key)
    }

    /// The key before, which other nodes may still have while it is replaced.
    fn cluster_key_old(&mut self, has_key: bool) -> Option<Secret> {
        let (key, at) = self.secret("cluster_key_old")?;
        self.long_enough(&key, &at);
        if !has_key {
            self.fault(at, "is what CRONAPI_CLUSTER_KEY was before: give the new one as that");
        }
        Some(key)
    }

    fn long_enough(&mut self, key: &Secret, at: &str) {
        let length = key.0.chars().count();
        if length < CLUSTER_KEY_LEN_MIN {
            let detail = format!("has {length} characters; at least {CLUSTER_KEY_LEN_MIN}");
            self.fault(at, detail);
        }
    }
}

/// The name of this machine, as it knows itself.
pub(crate) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A `host:port` that can be dialled: a name, an IPv4 address, or an IPv6 address in brackets.
fn dialled(text: &str) -> Result<String, String> {
    let refused = || Err(format!("{text:?} is not host:port, such as node1.example:8001"));
    let Some((host, port)) = text.rsplit_once(':') else { return refused() };
    let address = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => match inside.parse() {
            Ok(address) => Some(IpAddr::V6(address)),
            Err(_) => return refused(),
        },
        None => host.parse().ok().map(IpAddr::V4),
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if address.is_none() && (host.is_empty() || !host.chars().all(name)) {
        return refused();
    }
    if address.is_some_and(|address| address.is_unspecified()) {
        return Err(format!("{text:?} is where to listen, nothing that can be dialled"));
    }
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(text.to_string()),
        _ => refused(),
    }
}
