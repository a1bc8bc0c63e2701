//! The graph of chains and dependencies: refused at write when it has a circle or leads
//! through too many jobs. An edge leads from a job to one that its end may start.

use std::collections::BTreeMap;

use crate::machine::reply::Rejection;
use crate::model::{JobSpec, Name, limits};

use super::Cx;

impl Cx<'_> {
    /// Whether the graph stays sound with `spec` in place of the job of that name.
    pub(super) fn check_graph(&self, spec: &JobSpec) -> Result<(), Rejection> {
        // Only a new edge can make a circle or a longer way. Those from jobs that name this
        // one were there before it.
        let present = self.s.job(spec.name.as_str());
        let had = |reference: &(&str, usize, &Name)| {
            present.is_some_and(|job| {
                job.spec.references().any(|r| (r.0, r.2) == (reference.0, reference.2))
            })
        };
        if spec.references().all(|reference| had(&reference)) {
            return Ok(());
        }
        let mut down = BTreeMap::new();
        let mut path = vec![spec.name.clone()];
        let below = self.longest(spec, &spec.name, true, &mut path, &mut down)?;
        let above = self.longest(spec, &spec.name, false, &mut path, &mut BTreeMap::new())?;
        let depth = below + above + 1;
        let most = limits::CHAIN_DEPTH_MAX as u32;
        if depth > most { Err(Rejection::TooDeep { depth, most }) } else { Ok(()) }
    }

    /// Jobs on the longest way from `at`, itself left out. `path` is the way so far.
    fn longest(
        &self,
        spec: &JobSpec,
        at: &Name,
        downward: bool,
        path: &mut Vec<Name>,
        known: &mut BTreeMap<Name, u32>,
    ) -> Result<u32, Rejection> {
        if let Some(depth) = known.get(at) {
            return Ok(*depth);
        }
        let most = limits::CHAIN_DEPTH_MAX as u32;
        if path.len() as u32 > most {
            return Err(Rejection::TooDeep { depth: path.len() as u32, most });
        }
        let mut longest = 0;
        for next in self.neighbours(spec, at, downward) {
            if next == spec.name {
                let field = circle_field(spec, path, downward);
                let mut path: Vec<String> = path.iter().map(Name::to_string).collect();
                path.push(next.to_string());
                if !downward {
                    path.reverse();
                }
                return Err(Rejection::Cycle { field, path });
            }
            path.push(next.clone());
            longest = longest.max(1 + self.longest(spec, &next, downward, path, known)?);
            path.pop();
        }
        known.insert(at.clone(), longest);
        Ok(longest)
    }

    /// Where edges lead from `at` (or, upward, where they come from), with `spec` counting
    /// for the job of its name.
    fn neighbours(&self, spec: &JobSpec, at: &Name, downward: bool) -> Vec<Name> {
        let mut names = Vec::new();
        let own = |name: &Name| match *name == spec.name {
            true => Some(spec),
            false => self.s.job(name.as_str()).map(|job| &*job.spec),
        };
        if let Some(here) = own(at) {
            let edges = here.references().filter(|edge| (edge.0 == "dependencies") != downward);
            names.extend(edges.map(|(_, _, target)| target.clone()));
        }
        for no in self.s.naming_as(at, downward) {
            let there = self.s.jobs.get(&no).map(|job| &job.spec.name);
            names.extend(there.filter(|there| **there != spec.name).cloned());
        }
        let mut edges = spec.references();
        if edges.any(|(field, _, to)| to == at && (field == "dependencies") == downward) {
            names.push(spec.name.clone());
        }
        names
    }
}

/// The field of `spec` that a circle runs through.
fn circle_field(spec: &JobSpec, path: &[Name], downward: bool) -> String {
    let (first, last) = (path.get(1), path.last());
    let (out, into) = if downward { (first, last) } else { (last, first) };
    spec.references()
        .find(
            |(field, _, to)| {
                if *field == "dependencies" { Some(*to) == into } else { Some(*to) == out }
            },
        )
        .map_or_else(
            || "name".into(),
            |(field, at, _)| match field {
                "tasks" => format!("tasks/{at}/job"),
                _ => format!("{field}/{at}"),
            },
        )
}
