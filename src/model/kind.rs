//! What a person can define, by kind: a closed list from which commands, routes, rights, audit
//! actions and the verbs of the command line are made.
//!
//! A kind is a struct declared with `spec!`, its [`Define`] and a line in `kinds!`. To add one:
//! docs/checklists/kind.md.

pub mod channel;
pub mod monitor;
pub mod queue;
pub mod rule;
pub mod settings;
pub mod sink;
pub mod trigger;
pub mod window;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use self::channel::ChannelSpec;
use self::monitor::MonitorSpec;
use self::queue::QueueSpec;
use self::rule::RuleSpec;
use self::settings::SettingsSpec;
use self::sink::SinkSpec;
use self::trigger::TriggerSpec;
use self::window::WindowSpec;
use super::fields::{self, Fields, newest};
use super::job::{JobSpec, Need};
use super::{Invalid, Name, SecretRef, limits};

/// What a kind is about: it decides who may read and write its definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// Jobs: operators write them, each within its scope.
    Jobs,
    /// The cluster as a whole: everybody reads, admins write.
    Cluster,
    /// What tells people of jobs: operators write it, each within its scope, by name and tags.
    Alerts,
    /// What reaches out of the cluster: everybody reads it, without what is masked; admins write.
    Outside,
}

impl Area {
    /// Where it stands in the documentation of the interface.
    pub fn tag(self) -> &'static str {
        match self {
            Area::Jobs => "jobs",
            Area::Cluster => "cluster",
            Area::Alerts => "alerts",
            Area::Outside => "outside",
        }
    }

    /// What stands there.
    pub fn text(self) -> &'static str {
        match self {
            Area::Jobs => "Definitions, schedules, and what became of each time",
            Area::Cluster => "Nodes and queues",
            Area::Alerts => "What tells people of jobs",
            Area::Outside => "What reaches out of the cluster",
        }
    }
}

/// Another definition that one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where it stands, such as `channels/0`.
    pub field: String,
    /// Of which kind the other is.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

/// What a kind says of itself.
pub trait Define: Fields + utoipa::ToSchema + Clone + PartialEq {
    /// Definitions of it in a cluster, at most.
    const MOST: usize;
    /// What it is about.
    const AREA: Area;
    /// Whether `PUT` says with its status that the definition is new. All kinds do but queues,
    /// which were there before that was the custom.
    const TELLS_NEW: bool = true;
    /// Fields in which a secret may stand: the audit has their hash, and whoever may not change
    /// the definition does not see them.
    const MASKED: &'static [&'static str] = &[];

    /// What is wrong with it, whatever the cluster holds.
    fn check(&self, faults: &mut Vec<Invalid>);

    /// Parts of its fields that need a newer format than the field itself.
    fn inner(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    /// What it names of other definitions. One that is not there is a warning.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The secrets that it names, each with where it stands. One that is not there is a warning.
    fn secrets(&self) -> Vec<(String, &SecretRef)> {
        Vec::new()
    }

    /// Labels, where it has some: a scope may name them.
    fn tags(&self) -> &[String] {
        &[]
    }

    /// What answers show beside the definition: each field with its schema. See
    /// `service/definitions/live.rs`.
    fn live() -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// A whole definition, for the documentation and for the test that walks through every kind.
    fn example() -> Value;

    /// A merge patch that changes the example.
    fn patch() -> Value;

    /// Reads one, reporting every faulty field at once.
    ///
    /// # Errors
    /// Every fault.
    fn read(noun: &str, mut map: Map<String, Value>) -> Result<Self, Vec<Invalid>> {
        let mut faults = Vec::new();
        let spec = fields::named::<Self>(&mut map, noun, &mut faults);
        let Some(mut spec) = spec else { return Err(faults) };
        let given = fields::present::<Self>(&map);
        spec.fill(&mut map, &mut faults);
        fields::refuse_unknown::<Self>(&map, &given, false, &mut faults);
        spec.check(&mut faults);
        let bytes = serde_json::to_vec(&spec).map_or(usize::MAX, |json| json.len());
        if bytes > limits::DEFINITION_BYTES_MAX {
            let most = limits::DEFINITION_BYTES_MAX;
            let detail = format!("the definition is {bytes} bytes of JSON; at most {most} fit");
            faults.push(Invalid::new("", detail));
        }
        if faults.is_empty() { Ok(spec) } else { Err(faults) }
    }
}

/// Makes the closed list: the kinds, their definitions, and what holds for each.
macro_rules! kinds {
    ($( $(#[doc = $text:literal])* $kind:ident($spec:ident), $one:literal, $many:literal,
        since $since:literal; )*) => {
        /// What a person can define.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            utoipa::ToSchema,
        )]
        // For the document, which does not see the names that stand at the variants.
        #[serde(rename_all = "snake_case")]
        pub enum Kind {
            $( $(#[doc = $text])* #[serde(rename = $one)] $kind, )*
        }

        /// A definition, whatever its kind.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Spec {
            $( $(#[doc = $text])* #[serde(rename = $one)] $kind(Arc<$spec>), )*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Kind] = &[$( Kind::$kind, )*];

            /// What the audit calls their creation, change and removal.
            pub const AUDIT_ACTIONS: &'static [&'static str] = &[$(
                concat!($one, ".create"), concat!($one, ".update"), concat!($one, ".delete"),
            )*];

            /// Such as `queue`.
            pub fn as_str(self) -> &'static str {
                match self { $( Kind::$kind => $one, )* }
            }

            /// Such as `queues`: what its path and its table are called.
            pub fn plural(self) -> &'static str {
                match self { $( Kind::$kind => $many, )* }
            }

            /// What it is, for the documentation.
            pub fn text(self) -> &'static str {
                match self { $( Kind::$kind => concat!($($text),*).trim_ascii(), )* }
            }

            /// What its schemas are called after, such as `Queue`.
            pub fn title(self) -> &'static str {
                match self { $( Kind::$kind => stringify!($kind), )* }
            }

            /// The first format of the cluster that has it.
            pub fn since(self) -> u32 {
                match self { $( Kind::$kind => $since, )* }
            }

            /// See [`Define::MOST`].
            pub fn most(self) -> usize {
                match self { $( Kind::$kind => <$spec>::MOST, )* }
            }

            /// See [`Define::AREA`].
            pub fn area(self) -> Area {
                match self { $( Kind::$kind => <$spec>::AREA, )* }
            }

            /// See [`Define::MASKED`].
            pub fn masked(self) -> &'static [&'static str] {
                match self { $( Kind::$kind => <$spec>::MASKED, )* }
            }

            /// See [`Define::TELLS_NEW`].
            pub fn tells_new(self) -> bool {
                match self { $( Kind::$kind => <$spec>::TELLS_NEW, )* }
            }

            /// The names of its fields.
            pub fn fields(self) -> &'static [&'static str] {
                match self { $( Kind::$kind => <$spec>::FIELDS, )* }
            }

            /// See [`Define::live`].
            pub fn live(self) -> Vec<(&'static str, Value)> {
                match self { $( Kind::$kind => <$spec>::live(), )* }
            }

            /// See [`Define::example`].
            pub fn example(self) -> Value {
                match self { $( Kind::$kind => <$spec>::example(), )* }
            }

            /// See [`Define::patch`].
            pub fn patch(self) -> Value {
                match self { $( Kind::$kind => <$spec>::patch(), )* }
            }

            /// The schema of its definition and of all that it is made of, by name. The first is
            /// that of the definition.
            pub fn schemas(self) -> Vec<(String, RefOr<Schema>)> {
                match self { $( Kind::$kind => schemas::<$spec>(), )* }
            }

            /// What the schema of its definition is called.
            pub fn schema_name(self) -> &'static str {
                match self { $( Kind::$kind => stringify!($spec), )* }
            }

            /// Reads a definition, reporting every faulty field at once.
            ///
            /// # Errors
            /// Every fault.
            pub fn read(self, map: Map<String, Value>) -> Result<Spec, Vec<Invalid>> {
                match self { $(
                    Kind::$kind => Ok(Spec::$kind(Arc::new(<$spec>::read($one, map)?))),
                )* }
            }
        }

        impl Spec {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $( Spec::$kind(_) => Kind::$kind, )* }
            }

            /// Its name.
            pub fn name(&self) -> &Name {
                match self { $( Spec::$kind(spec) => Fields::name(&**spec), )* }
            }

            /// It as a JSON object.
            pub fn to_map(&self) -> Map<String, Value> {
                match self { $( Spec::$kind(spec) => Fields::to_map(&**spec), )* }
            }

            /// See [`Define::references`].
            pub fn references(&self) -> Vec<Reference> {
                match self { $( Spec::$kind(spec) => Define::references(&**spec), )* }
            }

            /// See [`Define::secrets`].
            pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
                match self { $( Spec::$kind(spec) => Define::secrets(&**spec), )* }
            }

            /// See [`Define::tags`].
            pub fn tags(&self) -> &[String] {
                match self { $( Spec::$kind(spec) => Define::tags(&**spec), )* }
            }

            /// What of it needs the newest format.
            pub fn need(&self) -> Need {
                let kind = self.kind();
                let own = Need { what: format!("a {}", kind.as_str()), format: kind.since() };
                let inner = match self { $(
                    Spec::$kind(spec) => newest(&**spec, Define::inner(&**spec)),
                )* };
                let inner = inner.filter(|inner| inner.format > own.format);
                inner.map_or(own, |inner| {
                    Need { what: format!("the field {}", inner.what), ..inner }
                })
            }
        }
    };
}

kinds! {
    /// Something to do, and when.
    Job(JobSpec), "job", "jobs", since 1;
    /// A bound on how many attempts of the jobs that name it run at a time.
    Queue(QueueSpec), "queue", "queues", since 5;
    /// A way to tell people: mail, a chat, a pager, a URL. Secrets in it are given by their names.
    Channel(ChannelSpec), "channel", "channels", since 6;
    /// Which troubles of which jobs are told, and to which channels.
    Rule(RuleSpec), "rule", "rules", since 6;
    /// Times within which notices are not sent, or wait for its end.
    Window(WindowSpec), "window", "windows", since 6;
    /// Where the cluster's events go: a file of JSON lines, a stream of Redis, tables of
    /// PostgreSQL, or collections of MongoDB.
    Sink(SinkSpec), "sink", "sinks", since 6;
    /// Work that somebody else runs: it sends pings, and when they do not come, that is told.
    Monitor(MonitorSpec), "monitor", "monitors", since 6;
    /// How the cluster places attempts: the shares of slots by lane.
    Settings(SettingsSpec), "settings", "settings", since 6;
    /// What starts runs of a job from outside: each entry of a stream of Redis starts one.
    Trigger(TriggerSpec), "trigger", "triggers", since 7;
}

impl Kind {
    /// Those that the kit keeps. A job has commands of its own.
    pub fn plain() -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(|kind| *kind != Kind::Job)
    }

    /// The kind called so, in the singular or the plural.
    pub fn called(word: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.as_str() == word || kind.plural() == word)
    }
}

fn schemas<T: utoipa::ToSchema>() -> Vec<(String, RefOr<Schema>)> {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    all
}

impl Define for JobSpec {
    const MOST: usize = limits::JOBS_MAX;
    const AREA: Area = Area::Jobs;
    const MASKED: &'static [&'static str] =
        &["code", "runner", "parameters", "tasks", "heartbeat_url"];

    fn check(&self, faults: &mut Vec<Invalid>) {
        JobSpec::check(self, faults);
    }

    fn tags(&self) -> &[String] {
        &self.tags
    }

    fn example() -> Value {
        json!({ "name": "nightly-dump", "expr": "30 2 * * *", "tags": ["database"] })
    }

    fn patch() -> Value {
        json!({ "timeout": "2h" })
    }

    fn read(_: &str, map: Map<String, Value>) -> Result<Self, Vec<Invalid>> {
        JobSpec::from_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn every_kind_reads_its_example_and_both_codecs_keep_it() {
        for kind in Kind::ALL {
            let spec = kind.read(object(kind.example())).unwrap();
            assert_eq!(
                (spec.kind(), spec.name().as_str()),
                (*kind, &*spec.to_map()["name"].as_str().unwrap().to_owned())
            );
            let packed = rmp_serde::to_vec_named(&spec).unwrap();
            assert_eq!(rmp_serde::from_slice::<Spec>(&packed).unwrap(), spec);
            assert_eq!(kind.read(spec.to_map()).unwrap(), spec);
            assert!(spec.need().format >= kind.since());
            for word in [kind.as_str(), kind.plural()] {
                assert_eq!(Kind::called(word), Some(*kind));
            }
            for field in kind.masked() {
                assert!(kind.fields().contains(field), "{field} is no field of a {kind:?}");
            }
        }
    }

    #[test]
    fn every_kind_names_every_fault_and_says_what_was_meant() {
        for kind in Kind::ALL {
            let map = object(json!({ "nmae": "a", "zzzzzzzzzz": 1 }));
            let faults = kind.read(map).unwrap_err();
            let told = |pointer: &str| faults.iter().any(|fault| fault.pointer == pointer);
            assert!(told("/name") && told("/nmae") && told("/zzzzzzzzzz"), "{faults:?}");
        }
    }
}
