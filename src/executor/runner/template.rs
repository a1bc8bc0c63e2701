//! Templates of an attempt: where their values come from, and how each place takes them.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::spec::Context;
use crate::model::Timestamp;
use crate::model::limits::TEMPLATE_BYTES_MAX;
use crate::model::template::{self, Found, Hole, Source};

/// Where the values come from. What is made of them is bounded, over all texts of an attempt.
pub(in crate::executor) struct Values<'a> {
    context: &'a Context,
    params: &'a Value,
    room: Cell<usize>,
}

impl<'a> Values<'a> {
    pub(in crate::executor) fn new(context: &'a Context, params: &'a Value) -> Self {
        Values { context, params, room: Cell::new(TEMPLATE_BYTES_MAX) }
    }

    /// Replaces every place; `place` names the text in errors. `insert` makes the text of each
    /// value, of what stands between it and the one before, its name, and itself.
    ///
    /// # Errors
    /// A sentence, for what is not known, a parameter that is not given, an unclosed `{{`, and
    /// what `insert` refuses.
    pub(super) fn fill(
        &self,
        text: &str,
        place: &str,
        insert: impl FnMut(&str, &str, Found<'_>) -> Result<String, String>,
    ) -> Result<String, String> {
        self.fill_in(text, place, false, insert)
    }

    /// The same where `insert` percent-encodes.
    pub(super) fn fill_encoded(
        &self,
        text: &str,
        place: &str,
        insert: impl FnMut(&str, &str, Found<'_>) -> Result<String, String>,
    ) -> Result<String, String> {
        self.fill_in(text, place, true, insert)
    }

    fn fill_in(
        &self,
        text: &str,
        place: &str,
        encodes: bool,
        mut insert: impl FnMut(&str, &str, Found<'_>) -> Result<String, String>,
    ) -> Result<String, String> {
        let put =
            |before: &str, hole: &Hole<'_>| insert(before, hole.text, hole.value(self, encodes)?);
        let template = template::parse(text);
        template.and_then(|it| it.fill(&self.room, put)).map_err(|why| format!("{place}: {why}"))
    }

    /// A text of a process: its values as they are. One that was written before there were
    /// templates, and reads as none, stays as it is.
    fn plain(&self, text: String, place: &str) -> Result<String, String> {
        if !text.contains("{{") {
            return Ok(text);
        }
        match template::parse(&text) {
            // Nor was there an item.
            Ok(it)
                if self.context.item.is_none()
                    && it.holes().any(|hole| matches!(hole.source, Source::Item(_))) =>
            {
                Ok(text)
            }
            Ok(_) => self.fill(&text, place, |_, _, value| Ok(value.text())),
            Err(_) => Ok(text),
        }
    }

    /// The arguments of a program: what is filled in stays within its argument.
    pub(in crate::executor) fn argv(&self, argv: Vec<String>) -> Result<Vec<String>, String> {
        let filled = argv.into_iter().enumerate();
        filled.map(|(at, text)| self.plain(text, &format!("argument {at}"))).collect()
    }

    /// The values of variables.
    pub(in crate::executor) fn env(
        &self,
        env: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let value = |(name, text): (String, String)| {
            let filled = self.plain(text, &format!("environment variable {name}"))?;
            Ok((name, filled))
        };
        env.into_iter().map(value).collect()
    }

    /// A working directory: no value leads out of the folder that the job names.
    pub(in crate::executor) fn cwd(&self, cwd: String) -> Result<String, String> {
        let own_steps = up(&cwd);
        let filled = self.plain(cwd, "the working directory")?;
        if up(&filled) > own_steps {
            return Err("the working directory: a value would make it go up by ..".to_owned());
        }
        Ok(filled)
    }
}

/// How many steps go up.
fn up(path: &str) -> usize {
    path.split('/').filter(|step| *step == "..").count()
}

impl template::Values for Values<'_> {
    fn told(&self, source: &Source<'_>) -> String {
        let context = self.context;
        match source {
            Source::Job => context.job.clone(),
            Source::RunId => context.run_id.clone(),
            Source::Attempt => context.attempt.to_string(),
            Source::Fence => context.fence.to_string(),
            Source::Trigger => context.trigger.clone(),
            // They are asked for by those below.
            Source::NominalTime(_) | Source::Parameter(_) | Source::Item(_) => String::new(),
        }
    }

    fn nominal_time(&self) -> Option<Timestamp> {
        Timestamp::parse(self.context.nominal_time.as_deref()?).ok()
    }

    fn parameters(&self) -> &Value {
        self.params
    }

    fn item(&self) -> Option<&Value> {
        self.context.item.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_stays_within_its_argument_and_below_its_folder() {
        let context = Context { job: "j".to_owned(), ..Context::default() };
        let params = json!({"x": "a; rm -rf /", "up": "../../etc", "dot": ".", "d": "team/a"});
        let values = Values::new(&context, &params);
        let argv = ["echo", "{{params.x}}", "--job={{job}}", "{{.State}}"].map(str::to_owned);
        let filled = ["echo", "a; rm -rf /", "--job=j", "{{.State}}"].map(str::to_owned);
        assert_eq!(values.argv(argv.to_vec()), Ok(filled.to_vec()));
        assert!(
            values.argv(vec!["{{params.none}}".to_owned()]).unwrap_err().contains("argument 0")
        );
        let cwd = |text: &str| values.cwd(text.to_owned());
        assert_eq!(cwd("/srv/{{params.d}}").as_deref(), Ok("/srv/team/a"));
        assert_eq!(cwd("/srv/../x").as_deref(), Ok("/srv/../x"));
        for up in ["/srv/{{params.up}}", "/srv/.{{params.dot}}/x", "/a/../{{params.up}}"] {
            assert!(cwd(up).unwrap_err().contains("go up"), "{up}");
        }
    }
}
