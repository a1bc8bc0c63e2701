//! Where nodes live: addresses of their own on the loopback interface, or the lab.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lab::Lab;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// 127.x.y.z: needs nothing, and links can't be cut.
    Loopback,
    /// Network namespaces: needs root, `ip` and `iptables`.
    Lab,
}

/// A place that was made.
pub enum Ground {
    /// The first three numbers of the addresses, and what the last one begins at.
    Loopback([u8; 3], u8),
    /// The network.
    Lab(Box<Lab>),
}

/// Of the REST interface of each node.
pub const REST_PORT: u16 = 8000;
/// Of the cluster interface of each node.
pub const CLUSTER_PORT: u16 = 8001;
/// Addresses of a cluster on the loopback interface.
const BLOCK: u32 = 8;

impl Ground {
    /// Makes room for `nodes`.
    ///
    /// # Errors
    /// The lab can't be made here: why.
    pub fn new(place: Place, nodes: usize) -> Result<Ground, String> {
        match place {
            Place::Loopback => Ok(loopback()),
            Place::Lab => Ok(Ground::Lab(Box::new(Lab::up(nodes)?))),
        }
    }

    /// The address of a node, from 0.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        let node = u8::try_from(node).unwrap_or(u8::MAX);
        match self {
            Ground::Loopback([a, b, c], first) => Ipv4Addr::new(*a, *b, *c, first + node),
            Ground::Lab(lab) => lab.address(node.into()),
        }
    }

    /// The address of this process, as nodes see it.
    pub fn own_address(&self) -> Ipv4Addr {
        match self {
            Ground::Loopback(..) => Ipv4Addr::LOCALHOST,
            Ground::Lab(lab) => lab.own_address(),
        }
    }

    /// The namespace of a node.
    pub fn namespace(&self, node: usize) -> Option<PathBuf> {
        match self {
            Ground::Loopback(..) => None,
            Ground::Lab(lab) => Some(lab.namespace(node)),
        }
    }

    /// The network whose links can be cut.
    pub fn lab(&self) -> Option<&Lab> {
        match self {
            Ground::Loopback(..) => None,
            Ground::Lab(lab) => Some(lab),
        }
    }
}

/// Addresses that nobody listens at: they follow from the process and a count, so that test
/// programs that run side by side do not meet.
fn loopback() -> Ground {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let number = std::process::id().wrapping_add((count / 31) * 7_919);
        let [_, _, high, low] = number.to_be_bytes();
        // 127.0.x.y is left to others.
        let second = 16 + (high & 0x7f);
        let first = u8::try_from((count % 31 + 1) * BLOCK).unwrap_or(8);
        let ground = Ground::Loopback([127, second, low], first);
        let free = |port| TcpListener::bind((ground.address(0), port)).is_ok();
        if free(REST_PORT) && free(CLUSTER_PORT) {
            return ground;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_on_the_loopback_interface_do_not_share_addresses() {
        let grounds: Vec<Ground> = (0..40).map(|_| loopback()).collect();
        let mut all: Vec<Ipv4Addr> =
            grounds.iter().flat_map(|ground| (0..7).map(|node| ground.address(node))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 280);
        assert!(all.iter().all(|address| address.is_loopback()));
    }
}
