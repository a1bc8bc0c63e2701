//! Troubles of the cluster itself: of nodes and of sinks. And what is told once, and is no trouble.
//!
//! A part of the cluster has an incident of its own with each rule that tells of it, however the
//! rule groups jobs. It is over when the part is well again, or is gone.

use std::collections::BTreeSet;

use crate::machine::state::{FORMAT_OF_ALERTS, IncidentKey};
use crate::model::limits::SINK_BEHIND;
use crate::model::{JobNo, Name, NodeId, Part, Trouble};

use super::Cx;
use super::alerts::{Came, Subject, Well};

impl Cx<'_> {
    fn part_trouble(&mut self, part: &Part, what: Trouble, detail: &str) {
        if self.s.format() < FORMAT_OF_ALERTS {
            return;
        }
        let Some(name) = name_of(part) else { return };
        let subject = Subject { no: 0, part: Some(part), name: &name, tags: &[], own: None };
        self.tell(&subject, &Came { what, run: None, detail: Some(detail), times: 1 });
    }

    fn part_well(&mut self, part: &Part) {
        let Some(name) = name_of(part) else { return };
        let well = Well { what: Trouble::Recovered, name: &name, no: 0, run: None };
        self.push_over((0, Some(part.clone())), Some(&well));
        for key in self.incidents_of(part) {
            self.end_incident(&key, Some(&well), None);
        }
    }

    fn part_leaves(&mut self, part: &Part, why: &str) {
        self.push_over((0, Some(part.clone())), None);
        for key in self.incidents_of(part) {
            self.end_incident(&key, None, Some(why));
        }
    }

    fn incidents_of(&self, part: &Part) -> Vec<IncidentKey> {
        self.s.alerts.of_part(part).cloned().collect()
    }

    pub(super) fn tell_node_lost(&mut self, id: NodeId, why: &str) {
        self.part_trouble(&Part::Node(id), Trouble::NodeLost, why);
    }

    pub(super) fn tell_node_back(&mut self, id: NodeId) {
        self.part_well(&Part::Node(id));
    }

    pub(super) fn node_leaves_incidents(&mut self, id: NodeId) {
        self.part_leaves(&Part::Node(id), "its node was removed");
    }

    /// Of a cluster before no node is here.
    pub(super) fn nodes_leave_incidents(&mut self, why: &str) {
        let parts = self.s.alerts.by_part.iter().map(|(part, _)| part);
        let nodes = parts.filter(|part| matches!(part, Part::Node(_)));
        let nodes: BTreeSet<Part> = nodes.cloned().collect();
        for node in &nodes {
            self.part_leaves(node, why);
        }
    }

    /// A sink's writer has reported: `fault` is new where it says so.
    pub(super) fn judge_sink(&mut self, name: &Name, fault: Option<&str>, new: bool, behind: u64) {
        let part = Part::Sink(name.clone());
        let open = self.s.alerts.of_part(&part).next().is_some();
        match fault {
            Some(fault) if new => self.part_trouble(&part, Trouble::SinkBehind, fault),
            Some(_) => {}
            None if open && behind <= SINK_BEHIND / 10 => self.part_well(&part),
            None if !open && behind > SINK_BEHIND => {
                let detail = format!("it does not have {behind} events yet");
                self.part_trouble(&part, Trouble::SinkBehind, &detail);
            }
            None => {}
        }
    }

    pub(super) fn sink_leaves_incidents(&mut self, name: &Name, why: &str) {
        self.part_leaves(&Part::Sink(name.clone()), why);
    }

    /// Tells of something that is over as it happens: an incident that is not open for a moment.
    pub(super) fn announce(&mut self, no: JobNo, what: Trouble, detail: &str) {
        if self.s.format() < FORMAT_OF_ALERTS {
            return;
        }
        let Some(job) = self.job(no) else { return };
        let (name, tags) = (&job.spec.name, &job.spec.tags[..]);
        let own = job.spec.notify.as_deref().filter(|notify| notify.on.contains(&what));
        let subject = Subject { no, part: None, name, tags, own };
        let came = Came { what, run: None, detail: Some(detail), times: 1 };
        for terms in self.terms(&subject, &came) {
            let mut incident = self.begun_with(&terms, &subject, &came);
            self.newest(&mut incident, &subject, &came);
            self.tell_first(&terms, &mut incident);
            self.keep_incident(&terms.key, incident, None);
        }
        self.push_once(&subject, &came);
    }
}

/// What a part is called in a message.
fn name_of(part: &Part) -> Option<Name> {
    match part {
        Part::Node(id) => Name::parse(&format!("node-{id}")).ok(),
        Part::Sink(name) => Some(name.clone()),
    }
}
