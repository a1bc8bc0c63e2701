//! What each operation that takes a body needs at least, so that whoever may not is refused before
//! the body is read. The use case judges again, by what the body says. `tests/attack` holds this
//! table against all operations.

use axum::http::Method;

use crate::model::Kind;
use crate::service::{Action, manages};

/// Routes of which every write needs the same.
const ALIKE: &[(&str, Action)] = &[
    ("/apply", Action::ManageJobs),
    ("/jobs", Action::ManageJobs),
    ("/jobs/{name}", Action::ManageJobs),
    ("/jobs/{name}/pause", Action::ManageJobs),
    ("/jobs/{name}/resume", Action::ManageJobs),
    ("/jobs/{name}/run", Action::TriggerJobs),
    ("/jobs/{name}/runs", Action::TriggerJobs),
    ("/jobs/{name}/backfills", Action::ManageJobs),
    ("/workflows", Action::ManageJobs),
    ("/backfills/{id}", Action::ManageJobs),
    ("/backfills/{id}/pause", Action::ManageJobs),
    ("/backfills/{id}/resume", Action::ManageJobs),
    ("/backfills/{id}/cancel", Action::ManageJobs),
    ("/channels/{name}/test", Action::ManageOutside),
    ("/sinks/{name}/pause", Action::ManageOutside),
    ("/sinks/{name}/resume", Action::ManageOutside),
    ("/sinks/{name}/rewind", Action::ManageOutside),
    ("/triggers/{name}/pause", Action::ManageOutside),
    ("/triggers/{name}/resume", Action::ManageOutside),
    ("/triggers/{name}/rewind", Action::ManageOutside),
    ("/monitors/{name}/pause", Action::ManageAlerts),
    ("/monitors/{name}/resume", Action::ManageAlerts),
    ("/monitors/{name}/key", Action::ManageAlerts),
    ("/runs/{id}/pause", Action::ManageJobs),
    ("/runs/{id}/resume", Action::ManageJobs),
    ("/runs/{id}/cancel", Action::ManageJobs),
    ("/runs/{id}/retry", Action::ManageJobs),
    ("/incidents/{id}/acknowledge", Action::ManageAlerts),
    ("/notices/{seq}/retry", Action::ManageAlerts),
    ("/schedules/preview", Action::ReadJobs),
    ("/cluster/nodes/{id}", Action::ManageCluster),
    ("/cluster/transfer", Action::ManageCluster),
    ("/secrets/{name}", Action::ManageSecrets),
    ("/secrets/rotate", Action::ManageSecrets),
    ("/users", Action::ManageUsers),
    ("/users/{name}", Action::ManageUsers),
    ("/users/{name}/role", Action::ManageUsers),
    ("/users/{name}/password", Action::ManageUsers),
    ("/users/{name}/revoke", Action::ManageUsers),
    ("/auth/keys/rotate", Action::ManageUsers),
];

/// What a write under `route` needs; none: whoever is known may send it.
pub(super) fn needed(method: &Method, route: &str) -> Option<Action> {
    if method.is_safe() {
        return None;
    }
    let route = route.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(route);
    let alike = ALIKE.iter().find(|(known, _)| *known == route).map(|(_, action)| *action);
    alike.or_else(|| {
        let base = route.strip_prefix('/')?;
        let plural = base.strip_suffix("/{name}").unwrap_or(base);
        Kind::plain().find(|kind| kind.plural() == plural).map(manages)
    })
}
