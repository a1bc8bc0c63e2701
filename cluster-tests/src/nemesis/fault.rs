//! What can be done to a cluster.

use std::fmt;
use std::time::Duration;

/// A node, as far as a plan can name it: who leads is known only when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The one with this number.
    Node(usize),
    /// Whoever leads then; that number when nobody does.
    Leader(usize),
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Killed, and started again after a while.
    Kill(Who),
    /// Killed, started, killed `after` so long whether it was ready or not, started.
    KillTwice {
        /// Whom.
        who: Who,
        /// From the second start to the second kill.
        after: Duration,
    },
    /// Asked to stop, and started again after a while.
    Stop(Who),
    /// Stopped in its tracks, and let go.
    Freeze(Who),
    /// No packet to or from the others.
    Isolate(Who),
    /// No packet between these nodes and the rest.
    Part(Vec<usize>),
    /// No packet from one node to another; the other way they pass.
    OneWay {
        /// From this one.
        from: Who,
        /// To this one; the next, when it is the same.
        to: usize,
    },
    /// Some packets of every link are lost.
    Loss {
        /// Of a hundred.
        percent: u8,
    },
    /// Packets of every link take longer.
    Delay {
        /// By so much.
        ms: u16,
        /// And up to so much more.
        jitter_ms: u16,
    },
    /// A node's clock shows another time.
    Clock {
        /// Whose.
        who: Who,
        /// By how much, forward or back.
        seconds: i64,
    },
    /// A node has no room on its disk; it is started again if it gives up.
    DiskFull(Who),
    /// Each sync of a node takes longer.
    SlowSync {
        /// Whose.
        who: Who,
        /// By so much.
        ms: u16,
    },
    /// A node is killed, taken out, and comes back as a new one.
    Replace(usize),
    /// Another node joins, and leaves again.
    Grow,
    /// Every node is asked to stop and started again, one after the other.
    Rolling,
    /// Leadership passes on.
    Transfer,
    /// A node is killed and comes back with nothing, under the address it had.
    Wipe(usize),
}

/// A fault and its time, counted from the begin of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the begin.
    pub at: Duration,
    /// How long it lasts; what takes its own time has no use for it.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "{at:>6.1} s  {:?} for {lasts:.1} s", self.fault)
    }
}

/// Kinds of faults, as a command line names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// `kill -9`
    Kill,
    /// SIGTERM and a new start
    Stop,
    /// SIGSTOP and SIGCONT
    Freeze,
    /// the leader cut off
    Leader,
    /// random halves
    Halves,
    /// packets lost one way
    OneWay,
    /// packets lost at random
    Loss,
    /// slow links
    Delay,
    /// clock steps of an hour
    Clock,
    /// a full disk
    DiskFull,
    /// slow syncs
    SlowSync,
    /// members leave and join
    Churn,
    /// a rolling restart
    Rolling,
    /// leadership passes on
    Transfer,
}

impl Kind {
    /// All that leave clocks alone, and so leave every rule in force.
    pub const MIX: [Kind; 13] = [
        Kind::Kill,
        Kind::Leader,
        Kind::Stop,
        Kind::Freeze,
        Kind::Halves,
        Kind::OneWay,
        Kind::Loss,
        Kind::Delay,
        Kind::Churn,
        Kind::DiskFull,
        Kind::SlowSync,
        Kind::Rolling,
        Kind::Transfer,
    ];

    /// Whether it is done to links.
    pub fn needs_lab(self) -> bool {
        use Kind::{Delay, Halves, Leader, Loss, OneWay};
        matches!(self, Leader | Halves | OneWay | Loss | Delay)
    }

    /// Whether it is done to the clock or the syncs of a process.
    pub fn needs_shim(self) -> bool {
        matches!(self, Kind::Clock | Kind::SlowSync)
    }

    /// Whether it makes no sense with one node.
    pub fn needs_others(self) -> bool {
        self.needs_lab() || matches!(self, Kind::Churn | Kind::Transfer)
    }
}
