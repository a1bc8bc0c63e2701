//! What a definition must keep to on its own, whatever the cluster holds.

use crate::model::address::Server;
use crate::model::invalid::Invalid;
use crate::model::limits;
use crate::model::name::Name;
use crate::model::parameters::{Parameters, SecretParameters};
use crate::model::policy;
use crate::model::runner::not_in_code;
use crate::model::secret::Setting;
use crate::model::span::Span;
use crate::model::span_or_auto::SpanOrAuto;

use super::{JobSpec, Target};

impl JobSpec {
    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        self.check_texts(faults);
        self.check_schedule(faults);
        self.check_references(faults);
        match (&self.code, &self.runner) {
            (Some(_), Some(_)) => {
                faults.push(Invalid::new("code", "give code or runner, not both"));
            }
            (Some(code), None) if code.trim().is_empty() => {
                faults.push(Invalid::new("code", "is empty; give Python source or leave it out"));
            }
            (Some(code), None) if code.contains('\0') => {
                faults.push(Invalid::new("code", "holds a NUL character"));
            }
            (Some(code), None) => not_in_code("code", code, faults),
            (None, Some(runner)) => {
                runner.check(faults);
                runner.refuse_items(faults);
            }
            _ => {}
        }
        self.check_tasks(faults);
        self.check_secret_parameters(faults);
        if let Some(retry) = &self.retry {
            policy::check_retry(retry, faults);
        }
        if let Some(misfire) = &self.misfire {
            policy::check_misfire(misfire, faults);
        }
        if let Some(retention) = &self.retention {
            policy::check_retention(retention, faults);
        }
        if let Some(placement) = &self.placement {
            placement.check(faults);
        }
        if let Some(bounds) = &self.limits {
            bounds.check(faults);
        }
        self.check_lock(faults);
        self.check_alerts(faults);
        if let Some(parameters) = &self.parameters
            && let Err(detail) = Parameters::new(parameters.map().clone())
        {
            faults.push(Invalid::new("parameters", detail));
        }
        let bytes = serde_json::to_vec(self).map(|json| json.len()).unwrap_or(usize::MAX);
        let most = match self.is_workflow() {
            true => limits::FLOW_BYTES_MAX,
            false => limits::DEFINITION_BYTES_MAX,
        };
        if bytes > most {
            faults.push(Invalid::new(
                "",
                format!("the definition is {bytes} bytes of JSON; at most {most} fit"),
            ));
        }
    }

    /// Parameters that are secrets: named, and where nobody sees them.
    fn check_secret_parameters(&self, faults: &mut Vec<Invalid>) {
        let Some(schema) = self.parameters_schema.as_deref() else { return };
        let secrets = SecretParameters::of(schema);
        if let Some(detail) = secrets.misplaced(schema) {
            faults.push(Invalid::new("parameters_schema", detail));
        }
        if secrets.is_empty() {
            return;
        }
        if let Some(own) = &self.parameters {
            faults.extend(secrets.faults(&own.to_value(), "parameters"));
        }
        for (pointer, runner) in self.runners() {
            let mut found = Vec::new();
            runner.check_secret_templates(|named| secrets.touches(named), &mut found);
            faults.extend(found.into_iter().map(|fault| {
                let at = fault.pointer.trim_start_matches('/');
                Invalid::new(format!("{pointer}{at}"), fault.detail)
            }));
        }
    }

    fn check_texts(&self, faults: &mut Vec<Invalid>) {
        if let Some(text) = &self.description
            && text.chars().count() > limits::TEXT_LEN_MAX
        {
            let most = limits::TEXT_LEN_MAX;
            faults.push(Invalid::new("description", format!("is over {most} characters")));
        }
        if self.tags.len() > limits::TAGS_MAX {
            faults.push(Invalid::new("tags", format!("has over {} tags", limits::TAGS_MAX)));
        }
        for (at, tag) in self.tags.iter().enumerate() {
            if let Err(detail) = Name::parse(tag) {
                faults.push(Invalid::new(format!("tags/{at}"), detail));
            }
        }
        if self.priority.is_some_and(|p| !(-100..=100).contains(&p)) {
            faults.push(Invalid::new("priority", "must be from -100 to 100"));
        }
        if self.max_concurrent.is_some_and(|n| n == 0 || n > limits::CONCURRENT_MAX) {
            let most = limits::CONCURRENT_MAX;
            faults.push(Invalid::new("max_concurrent", format!("must be from 1 to {most}")));
        }
        if self.max_runs == Some(0) {
            faults.push(Invalid::new("max_runs", "must be 1 or more; pause the job instead"));
        }
    }

    fn check_schedule(&self, faults: &mut Vec<Invalid>) {
        if self.expr.is_none() {
            let given = [
                ("timezone", self.timezone.is_some()),
                ("start_at", self.start_at.is_some()),
                ("end_at", self.end_at.is_some()),
                ("calendars", !self.calendars.is_empty()),
                ("jitter", self.jitter.is_some()),
                ("max_runs", self.max_runs.is_some()),
            ];
            for (field, _) in given.iter().filter(|(_, given)| *given) {
                faults.push(Invalid::new(field, "has no meaning without expr; add one"));
            }
        }
        let spans = [
            ("jitter", self.jitter),
            ("timeout", self.timeout),
            ("kill_grace", self.kill_grace),
            ("dependency_timeout", self.dependency_timeout),
        ];
        for (field, span) in spans {
            if span.is_some_and(|s| s > limits::SPAN_MAX) {
                faults.push(Invalid::new(field, "is over ten years"));
            }
        }
        if self.timeout == Some(Span::ZERO) {
            faults.push(Invalid::new("timeout", "must be over 0; leave it out for no bound"));
        }
        if self.calendars.len() > limits::CALENDARS_MAX {
            let most = limits::CALENDARS_MAX;
            faults.push(Invalid::new("calendars", format!("has over {most} calendars")));
        }
        for (at, calendar) in self.calendars.iter().enumerate() {
            let items = calendar.exclude.len().max(calendar.include.len());
            if items > limits::CALENDAR_ITEMS_MAX {
                let most = limits::CALENDAR_ITEMS_MAX;
                faults.push(Invalid::new(format!("calendars/{at}"), format!("over {most} items")));
            }
        }
    }

    fn check_lock(&self, faults: &mut Vec<Invalid>) {
        let Some(lock) = &self.lock else { return };
        lock.check(faults);
        if self.is_workflow() {
            let detail = "is not of a workflow, which has no attempt that could hold it; have a \
                          task start a job that has one";
            faults.push(Invalid::new("lock", detail));
        } else if self.is_no_op() {
            faults.push(Invalid::new("lock", "has no meaning without runner or code"));
        }
    }

    fn check_alerts(&self, faults: &mut Vec<Invalid>) {
        if let Some(url) = self.heartbeat_url.as_deref().and_then(Setting::text) {
            Server::Web.check(url, "heartbeat_url", faults);
        }
        for (field, span) in [("late_after", self.late_after), ("long_after", self.long_after)] {
            let span = span.and_then(SpanOrAuto::span);
            if span.is_some_and(|span| span == Span::ZERO || span > limits::SPAN_MAX) {
                faults.push(Invalid::new(field, "must be over 0, at most ten years"));
            }
        }
        if self.expr.is_none() && self.late_after.is_some() {
            let detail = "has no meaning without expr: nothing says when a run is expected";
            faults.push(Invalid::new("late_after", detail));
        }
        if let Some(notify) = &self.notify {
            notify.check(faults);
        }
    }

    fn check_references(&self, faults: &mut Vec<Invalid>) {
        let chains = [
            ("on_success", &self.on_success),
            ("on_failure", &self.on_failure),
            ("on_finish", &self.on_finish),
        ];
        for (field, targets) in chains {
            let names: Vec<&Name> = targets.iter().map(Target::job).collect();
            self.check_names(field, &names, faults);
            for (at, target) in targets.iter().enumerate() {
                if let Err(detail) = Parameters::new(target.parameters().map().clone()) {
                    faults.push(Invalid::new(format!("{field}/{at}/parameters"), detail));
                }
            }
        }
        let names: Vec<&Name> = self.dependencies.iter().collect();
        self.check_names("dependencies", &names, faults);
        if self.dependencies.is_empty() && self.dependency_timeout.is_some() {
            let detail = "has no meaning without dependencies";
            faults.push(Invalid::new("dependency_timeout", detail));
        }
    }

    fn check_names(&self, field: &str, names: &[&Name], faults: &mut Vec<Invalid>) {
        if names.len() > limits::REFERENCES_MAX {
            let most = limits::REFERENCES_MAX;
            faults.push(Invalid::new(field, format!("names over {most} jobs")));
            return;
        }
        for (at, name) in names.iter().enumerate() {
            if **name == self.name {
                let detail = format!("{name} names itself, which would never end");
                faults.push(Invalid::new(format!("{field}/{at}"), detail));
            } else if names[..at].contains(name) {
                faults.push(Invalid::new(format!("{field}/{at}"), format!("{name} twice")));
            }
        }
    }
}
