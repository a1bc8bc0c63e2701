//! Where HTTP attempts may not go.
//!
//! Whoever may write a job chooses its URL, and the node may reach what they may not: cloud
//! metadata services hand out the machine's credentials to whoever asks from inside. The
//! rule is applied to addresses, at connect time, so a name that resolves to a forbidden
//! address, or changes its mind between check and use, is caught as well.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Unspecified and link-local addresses, and the metadata services that live elsewhere.
const DENIED: [&str; 8] = [
    "0.0.0.0/8",
    "::/128",
    "169.254.0.0/16",
    "fe80::/10",
    // AWS over IPv6, Alibaba Cloud, Azure, Oracle Cloud.
    "fd00:ec2::254/128",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
];

/// What is denied when the operator says nothing. Loopback and private networks are not:
/// calling the services next door is what the runner is for.
pub(in super::super) fn default_deny() -> Vec<IpNet> {
    DENIED.iter().filter_map(|net| net.parse().ok()).collect()
}

/// The denied networks.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) deny: Vec<IpNet>,
}

/// An address was denied.
#[derive(Debug)]
pub(super) struct Denied(pub(super) IpAddr);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} is denied to HTTP jobs on this node", self.0)
    }
}

impl Error for Denied {}

impl Guard {
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let meant = carried(address);
        let denied = |net: &IpNet| net.contains(&address) || net.contains(&meant);
        if self.deny.iter().any(denied) { Err(Denied(address)) } else { Ok(()) }
    }

    /// Addresses written in the URL never reach the resolver.
    pub(super) fn check_url(&self, url: &reqwest::Url) -> Result<(), Denied> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.parse().map_or(Ok(()), |address| self.check(address))
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, or through NAT64 or 6to4.
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let octets = v6.octets();
    let from =
        |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => from(12).into(),
        [0x2002, ..] => from(2).into(),
        _ => address.to_canonical(),
    }
}

/// Resolves through the system, then drops what is denied.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in found {
                match guard.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(denied) => refused = Some(denied),
                }
            }
            match refused {
                Some(denied) if allowed.is_empty() => Err(denied.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_denied_however_it_is_written_and_neighbours_are_not() {
        let guard = Guard { deny: default_deny() };
        assert_eq!(guard.deny.len(), DENIED.len());
        let denied = [
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::1]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://0.0.0.0:8000/",
            "http://[::]/",
        ];
        for url in denied {
            assert!(guard.check_url(&url.parse().expect(url)).is_err(), "{url}");
        }
        let allowed =
            ["http://127.0.0.1/", "http://10.1.2.3/", "http://[::1]/", "https://example.org/"];
        for url in allowed {
            assert!(guard.check_url(&url.parse().expect(url)).is_ok(), "{url}");
        }
    }
}
