//! Every node has the same state once it has applied the same entries.

use super::Findings;
use crate::history::{History, Replica};

/// So many characters around the first that differs.
const SHOWN: usize = 300;

pub(super) fn equal(history: &History, findings: &mut Findings) {
    let Some(first) = history.replicas.first() else { return };
    for other in &history.replicas[1..] {
        if other.applied != first.applied {
            let what = format!("nodes {} and {} never applied the same", first.node, other.node);
            let told = format!("indexes {} and {}", first.applied, other.applied);
            findings.add("", what, vec![told]);
            continue;
        }
        for (name, text) in &first.parts {
            let theirs = other.parts.get(name).map_or("", String::as_str);
            if theirs != text {
                let what = format!(
                    "{name} of nodes {} and {} differ at index {}",
                    first.node, other.node, first.applied
                );
                findings.add(
                    "",
                    what,
                    vec![around(first, text, theirs), around(other, theirs, text)],
                );
            }
        }
    }
}

fn around(replica: &Replica, text: &str, other: &str) -> String {
    let same = text.bytes().zip(other.bytes()).take_while(|(one, two)| one == two).count();
    let from = same.saturating_sub(SHOWN / 2);
    let shown: String =
        String::from_utf8_lossy(&text.as_bytes()[from..]).chars().take(SHOWN).collect();
    format!("node {} at byte {same}: …{shown}…", replica.node)
}
