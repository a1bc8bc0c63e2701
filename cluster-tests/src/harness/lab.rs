//! A small network: each node has a network namespace, joined by a bridge that lives in one
//! of its own. This process has a cable to the bridge too, so that it reaches every node
//! whatever is done to the links between them.
//!
//! Needs root, `ip` and `iptables`. What is done to a link is done where its packets arrive,
//! one direction at a time. There is no netem everywhere, so packets are delayed by a
//! process that holds them, `netdelay`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::binary;
use super::command::run;

/// What happens to packets of one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// None arrives.
    pub cut: bool,
    /// So many of a hundred do not.
    pub loss_percent: u8,
    /// Each arrives so many milliseconds later.
    pub delay_ms: u16,
    /// And up to so many more.
    pub jitter_ms: u16,
}

/// The network; it goes when this is dropped.
pub struct Lab {
    prefix: String,
    net: [u8; 3],
    nodes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// From, to.
    links: BTreeMap<(usize, usize), Link>,
    /// Who holds the packets of a direction.
    holders: BTreeMap<(usize, usize), Child>,
}

/// This process's last number.
const OWN: u8 = 254;
/// The first queue of packets; that of a sender is so much more.
const QUEUE: usize = 16;

impl Lab {
    /// Makes a network of `nodes`.
    ///
    /// # Errors
    /// It can't be made here: what failed.
    pub fn up(nodes: usize) -> Result<Lab, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root".into());
        }
        run(&["iptables", "--version"], "")?;
        let taken = run(&["ip", "-4", "route"], "")?;
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let net = (0..=u8::MAX)
            .map(|more| {
                let [_, _, high, low] = pid.wrapping_add(count * 251).to_be_bytes();
                [10, 64 + (high & 0x7f), low.wrapping_add(more)]
            })
            .find(|[a, b, c]| !taken.contains(&format!("{a}.{b}.{c}.0/")))
            .ok_or("every private network is in use")?;
        let prefix = format!("crn{}x{count}", pid % 10_000_000);
        // From here on, what was made goes with `lab`.
        let lab = Lab { prefix, net, nodes, state: Mutex::default() };
        lab.make()?;
        Ok(lab)
    }

    fn make(&self) -> Result<(), String> {
        let (bridge, own) = (self.bridge(), &self.prefix);
        run(&["ip", "netns", "add", &bridge], "")?;
        let mut lines = String::from("link add br0 type bridge\nlink set br0 up\n");
        for node in 0..self.nodes {
            let name = self.name(node);
            run(&["ip", "netns", "add", &name], "")?;
            let _ = writeln!(lines, "link add v{node} type veth peer name eth0 netns {name}");
            let _ = writeln!(lines, "link set v{node} master br0 up");
        }
        run(&["ip", "-n", &bridge, "-batch", "-"], &lines)?;
        for node in 0..self.nodes {
            let address = self.address(node);
            let lines =
                format!("addr add {address}/24 dev eth0\nlink set lo up\nlink set eth0 up\n");
            run(&["ip", "-n", &self.name(node), "-batch", "-"], &lines)?;
        }
        let own_address = self.own_address();
        let lines = format!(
            "link add {own} type veth peer name own netns {bridge}\n\
             addr add {own_address}/24 dev {own}\nlink set {own} up\n"
        );
        run(&["ip", "-batch", "-"], &lines)?;
        run(&["ip", "-n", &bridge, "link", "set", "own", "master", "br0", "up"], "")?;
        // The first rule shows whether the kernel has them.
        self.write_rules(
            0,
            "-A INPUT -s 192.0.2.77 -m statistic --mode random \
                             --probability 0.5 -j DROP\n",
        )?;
        self.write_rules(0, "")
    }

    fn bridge(&self) -> String {
        format!("{}b", self.prefix)
    }

    fn name(&self, node: usize) -> String {
        format!("{}n{node}", self.prefix)
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, u8::try_from(node + 1).unwrap_or(OWN - 1))
    }

    /// The address of this process.
    pub fn own_address(&self) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, OWN)
    }

    /// The namespace of a node, as a file.
    pub fn namespace(&self, node: usize) -> PathBuf {
        PathBuf::from("/run/netns").join(self.name(node))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `link` happen to what `from` sends to `to`, instead of what happened before.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn set(&self, from: usize, to: usize, link: Link) -> Result<(), String> {
        let mut state = self.state();
        state.links.insert((from, to), link);
        if link.delay_ms > 0 && !state.holders.contains_key(&(from, to)) {
            let holder = self.hold(from, to, link)?;
            state.holders.insert((from, to), holder);
        }
        let rules = self.rules(to, &state.links);
        self.write_rules(to, &rules)?;
        if link.delay_ms == 0
            && let Some(mut holder) = state.holders.remove(&(from, to))
        {
            end(&mut holder);
        }
        Ok(())
    }

    /// Lets a round trip between any two nodes take so many milliseconds, and loses so many of a
    /// hundred packets.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn far_apart(&self, trip_ms: u16, loss_percent: u8) -> Result<(), String> {
        let half = trip_ms / 2;
        for one in 0..self.nodes {
            for other in one + 1..self.nodes {
                // An odd one is longer on the way there.
                for (from, to, delay_ms) in [(one, other, trip_ms - half), (other, one, half)] {
                    self.set(from, to, Link { loss_percent, delay_ms, ..Link::default() })?;
                }
            }
        }
        Ok(())
    }

    /// Cuts all links between a node and the others, both ways.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn isolate(&self, node: usize) -> Result<(), String> {
        self.part(&[node])
    }

    /// Cuts all links between some nodes and the others, both ways.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn part(&self, side: &[usize]) -> Result<(), String> {
        let cut = Link { cut: true, ..Link::default() };
        for near in side.iter().copied() {
            for far in (0..self.nodes).filter(|node| !side.contains(node)) {
                self.set(near, far, cut)?;
                self.set(far, near, cut)?;
            }
        }
        Ok(())
    }

    /// Every link is as it was.
    ///
    /// # Errors
    /// It can't be done here.
    pub fn heal(&self) -> Result<(), String> {
        let touched: Vec<(usize, usize)> = self.state().links.keys().copied().collect();
        for (from, to) in touched {
            self.set(from, to, Link::default())?;
        }
        self.state().links.clear();
        Ok(())
    }

    fn rules(&self, to: usize, links: &BTreeMap<(usize, usize), Link>) -> String {
        let mut rules = String::new();
        for ((from, _), link) in links.iter().filter(|((_, at), _)| *at == to) {
            let sender = format!("-A INPUT -s {}/32", self.address(*from));
            if link.cut {
                let _ = writeln!(rules, "{sender} -j DROP");
            }
            if link.loss_percent > 0 {
                let share = f64::from(link.loss_percent) / 100.0;
                let chance = format!("-m statistic --mode random --probability {share}");
                let _ = writeln!(rules, "{sender} {chance} -j DROP");
            }
            if link.delay_ms > 0 {
                let queue = QUEUE + from;
                let _ = writeln!(rules, "{sender} -j NFQUEUE --queue-num {queue} --queue-bypass");
            }
        }
        rules
    }

    fn write_rules(&self, node: usize, rules: &str) -> Result<(), String> {
        let whole = format!("*filter\n:INPUT ACCEPT [0:0]\n{rules}COMMIT\n");
        let name = self.name(node);
        run(&["ip", "netns", "exec", &name, "iptables-restore", "-w"], &whole).map(drop)
    }

    /// Starts the process that holds packets for a while.
    fn hold(&self, from: usize, to: usize, link: Link) -> Result<Child, String> {
        let queue = (QUEUE + from).to_string();
        let (delay, jitter) = (link.delay_ms.to_string(), link.jitter_ms.to_string());
        let program = binary::beside("netdelay").ok_or("there is no netdelay; run cargo build")?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name(to)]).arg(program);
        command.args([&queue, &delay, &jitter]).stdin(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("netdelay: {error}"))?;
        // It ends at once when the kernel has no queues; packets pass it by until it listens.
        std::thread::sleep(std::time::Duration::from_millis(50));
        match child.try_wait() {
            Ok(None) => Ok(child),
            other => Err(format!("netdelay can't hold packets here: {other:?}")),
        }
    }
}

fn end(child: &mut Child) {
    // An error says that it has ended.
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Lab {
    fn drop(&mut self) {
        for holder in self.state().holders.values_mut() {
            end(holder);
        }
        // Cables go with the namespace of one of their ends. An error says that it was not
        // made, or that a process still lives there, which ends with its owner.
        let _ = run(&["ip", "link", "del", &self.prefix], "");
        for node in 0..self.nodes {
            let _ = run(&["ip", "netns", "del", &self.name(node)], "");
        }
        let _ = run(&["ip", "netns", "del", &self.bridge()], "");
    }
}
