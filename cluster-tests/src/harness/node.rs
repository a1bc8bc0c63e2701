//! One node of a cluster: how it is started, its process now, and those before.

use std::path::PathBuf;

use super::disk::Disk;
use super::process::{Daemon, Launch};
use super::shim::Control;
use crate::history::Boot;
use crate::moment::Moment;

/// A node.
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) launch: Launch,
    /// Of its REST interface.
    pub(super) url: String,
    pub(super) data: PathBuf,
    pub(super) control: Option<Control>,
    pub(super) disk: Option<Disk>,
    pub(super) daemon: Option<Daemon>,
    pub(super) boots: Vec<Boot>,
}

impl Node {
    /// Starts its process, unless it runs.
    pub(super) fn spawn(&mut self) {
        if self.runs() {
            return;
        }
        self.gone();
        let spawned = Moment::now();
        self.daemon = Some(self.launch.spawn());
        let node = self.index;
        self.boots.push(Boot { node, spawned, ready: None, ended: None, gone: None, how: "" });
    }

    /// Whether its process is there.
    pub(super) fn runs(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Daemon::runs)
    }

    /// Takes down that its process is about to end.
    pub(super) fn ending(&mut self, how: &'static str) {
        if let Some(boot) = self.boots.last_mut()
            && boot.ended.is_none()
        {
            boot.ended = Some(Moment::now());
            boot.how = how;
        }
    }

    /// Takes down that its process has ended, by whatever.
    pub(super) fn gone(&mut self) {
        self.daemon = None;
        if let Some(boot) = self.boots.last_mut()
            && boot.gone.is_none()
        {
            boot.gone = Some(Moment::now());
            // By itself: some time between.
            boot.ended.get_or_insert(boot.spawned);
        }
    }
}
