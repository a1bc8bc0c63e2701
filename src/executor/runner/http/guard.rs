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
const DENIED: [&str; 12] = [
    "0.0.0.0/8",
    "::/128",
    "169.254.0.0/16",
    "fe80::/10",
    // Over IPv6: AWS and the pod identities of EKS, Google Cloud, Oracle Cloud, Scaleway, Linode.
    "fd00:ec2::/32",
    "fd20:ce::254/128",
    "fd00:c1::a9fe:a9fe/128",
    "fd00:42::42/128",
    "fd00:a9fe:a9fe::1/128",
    // Alibaba Cloud, Azure, Oracle Cloud.
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
];

/// What is denied when the operator says nothing. Loopback and private networks are not:
/// calling the services next door is what the runner is for.
pub(in super::super) fn default_deny() -> Vec<IpNet> {
    DENIED.iter().filter_map(|net| net.parse().ok()).collect()
}

/// The denied networks, and those that are allowed all the same.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) deny: Vec<IpNet>,
    pub(super) allow: Vec<IpNet>,
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
        fn among(nets: &[IpNet], address: &IpAddr) -> bool {
            nets.iter().any(|net| net.contains(address))
        }
        let denied = |meant: &IpAddr| among(&self.deny, meant) && !among(&self.allow, meant);
        let mut meant = carried(address).into_iter().chain([address]);
        if meant.any(|address| denied(&address)) { Err(Denied(address)) } else { Ok(()) }
    }

    /// Addresses written in the URL never reach the resolver.
    pub(super) fn check_url(&self, url: &reqwest::Url) -> Result<(), Denied> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.parse().map_or(Ok(()), |address| self.check(address))
    }
}

/// The IPv4 addresses that an IPv6 address may stand for, in all the ways there are to carry one:
/// whether a packet is translated so is for the network to say.
fn carried(address: IpAddr) -> Vec<IpAddr> {
    let IpAddr::V6(v6) = address else {
        return Vec::new();
    };
    let octets = v6.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
    let last = at([12, 13, 14, 15]);
    let found = match v6.segments() {
        // The unspecified address and loopback are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        // IPv4-compatible, IPv4-mapped, IPv4-translated.
        [0, 0, 0, 0, 0 | 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] => vec![last],
        // NAT64, with the prefix that everybody has, and with one of the network's own: that is
        // as long as the network likes (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        [0x64, 0xff9b, 1, ..] => {
            vec![last, at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12])]
        }
        // 6to4.
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        // Teredo: of its server, and of the client, inverted.
        [0x2001, 0, ..] => vec![at([4, 5, 6, 7]), Ipv4Addr::from(!u32::from(last))],
        // ISATAP.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => vec![],
    };
    found.into_iter().map(IpAddr::from).collect()
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
        let guard = Guard { deny: default_deny(), allow: Vec::new() };
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
            "http://[fd00:ec2::23]/",
            "http://[fd20:ce::254]/",
            "http://[fd00:c1::a9fe:a9fe]/",
            "http://[fd00:42::42]/",
            "http://[fd00:a9fe:a9fe::1]/",
            "http://[::169.254.169.254]/",
            "http://[::ffff:0:169.254.169.254]/",
            "http://[64:ff9b:1::a9fe:a9fe]/",
            "http://[64:ff9b:1:a9fe:a9:fe00::]/",
            "http://[64:ff9b:1:a9:fe:a9fe::]/",
            "http://[64:ff9b:1:0:a9:fea9:fe00:0]/",
            "http://[2001:0:a9fe:a9fe::1]/",
            "http://[2001:0:1:2:3:4:5601:5601]/",
            "http://[2001:db8::5efe:169.254.169.254]/",
            "http://[64:ff9b::6464:64c8]/",
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

    #[test]
    fn an_operator_denies_more_and_allows_some_of_it() {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().expect(net)).collect();
        let mut deny = default_deny();
        deny.extend::<Vec<IpNet>>(nets(&["0.0.0.0/0", "::/0"]));
        let guard = Guard { deny, allow: nets(&["10.1.0.0/16", "169.254.10.1/32"]) };
        let open = |address: &str| guard.check(address.parse().expect(address)).is_ok();
        assert!(open("10.1.2.3") && open("169.254.10.1"));
        for shut in ["10.2.0.1", "127.0.0.1", "::1", "169.254.169.254", "::ffff:10.2.0.1"] {
            assert!(!open(shut), "{shut}");
        }
    }
}
