//! The settings that concern where this node may go: for HTTP jobs, and for pushes.

use ipnet::IpNet;

use super::sources::Sources;
use crate::adapters::PushPlaces;

/// Networks that HTTP jobs do not reach, beside those that none does, and those that they reach
/// all the same; push services beside the known ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Denied.
    pub deny: Vec<IpNet>,
    /// Allowed, whatever denies them.
    pub allow: Vec<IpNet>,
    /// Origins of push services.
    pub push: Vec<String>,
}

impl Sources<'_> {
    pub(super) fn calls(&mut self) -> Calls {
        let deny = self.read("http_deny", networks);
        let allow = self.read("http_allow", networks);
        Calls { deny, allow, push: self.read("push_allow", origins) }
    }
}

fn origins(text: &str) -> Result<Vec<String>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(PushPlaces::origin).collect()
}

fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let network = |item: &str| {
        let found =
            item.parse().ok().or_else(|| Some(IpNet::from(item.parse::<std::net::IpAddr>().ok()?)));
        found.ok_or_else(|| format!("{item:?} is no network such as 10.0.0.0/8 or fd00::/8"))
    };
    items.map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_push_services() {
        let read = origins("https://push.example.org, http://127.0.0.1:9000/").unwrap();
        assert_eq!(read, ["https://push.example.org", "http://127.0.0.1:9000"]);
        assert!(origins("push.example.org").unwrap_err().contains("is no origin"));
    }

    #[test]
    fn networks_and_single_addresses() {
        let nets = networks("10.0.0.0/8, fd00::/8,192.168.1.5 ,::1").unwrap();
        let shown: Vec<String> = nets.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "fd00::/8", "192.168.1.5/32", "::1/128"]);
        assert_eq!(networks(""), Ok(Vec::new()));
        for bad in ["10.0.0.0/33", "example.org", "10.0.0"] {
            assert!(networks(bad).unwrap_err().contains("is no network"), "{bad}");
        }
    }
}
