//! Logs on standard error: text for a terminal, JSON lines otherwise.
//!
//! A line of JSON has the fields of its event and of the spans around it, side by side: what
//! happened in a request has its `request_id`, what happened to a run its `run_id`. The node's
//! id and its term are in every line.

use std::fmt;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, layer as fmt_layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, reload};

/// Changes what is logged.
pub type Change = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Where this process stands in its cluster, for its log; 0: nowhere yet.
static NODE: AtomicU64 = AtomicU64::new(0);
static TERM: AtomicU64 = AtomicU64::new(0);

/// Fields of spans that are not for the log.
const FOR_TRACES: &str = "otel.";

/// Lines from now on are of this node, in this term.
pub fn standing(node: u64, term: u64) {
    NODE.store(node, Ordering::Relaxed);
    TERM.store(term, Ordering::Relaxed);
}

/// Starts logging; a second call changes nothing. Gives the way to change what is logged.
///
/// # Errors
/// The filter can't be read.
pub fn start(filter: &str, json: Option<bool>) -> Result<Change, String> {
    let (filter, handle) = reload::Layer::new(filter_of(filter)?);
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt_layer().with_writer(std::io::stderr);
    let lines = if json.unwrap_or(!terminal) {
        lines.fmt_fields(JsonFields::new()).event_format(Lines).boxed()
    } else {
        lines.with_ansi(terminal).with_target(false).boxed()
    };
    let lines = lines.with_filter(filter);
    // A list: chained to a layer that is not there, the log would be filtered out with it.
    #[cfg(feature = "otel")]
    let lines: Vec<_> = std::iter::once(lines.boxed()).chain(crate::trace::layer()?).collect();
    // An error means that a logger is there already, as in tests.
    let _ = tracing_subscriber::registry().with(lines).try_init();
    Ok(Box::new(move |text| handle.reload(filter_of(text)?).map_err(|e| e.to_string())))
}

fn filter_of(filter: &str) -> Result<EnvFilter, String> {
    // The consensus library tells its every step, and every try to reach a node that is down, as
    // an error; what matters of it is told by us. `openraft=info` in the filter shows it.
    let whole = format!("openraft=off,sled=warn,{filter}");
    EnvFilter::try_new(&whole).map_err(|error| format!("log filter: {error}"))
}

/// What a panic says goes to the log, too.
pub fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no text");
        tracing::error!(panic = text, %at, "a bug: a thread panicked");
        before(panic);
    }));
}

/// One JSON object a line.
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Fields(Map::new());
        let about = event.metadata();
        line.0.insert("timestamp".into(), time.into());
        line.0.insert("level".into(), about.level().as_str().into());
        let (node, term) = (NODE.load(Ordering::Relaxed), TERM.load(Ordering::Relaxed));
        if node != 0 {
            line.0.insert("node".into(), node.into());
            line.0.insert("term".into(), term.into());
        }
        if let Some(scope) = context.event_scope() {
            for span in scope.from_root() {
                let extensions = span.extensions();
                let fields = extensions.get::<FormattedFields<N>>();
                let fields = fields.and_then(|fields| serde_json::from_str(&fields.fields).ok());
                if let Some(Value::Object(fields)) = fields {
                    let kept = |(name, _): &(String, Value)| !name.starts_with(FOR_TRACES);
                    line.0.extend(fields.into_iter().filter(kept));
                }
            }
        }
        event.record(&mut line);
        line.0.insert("target".into(), about.target().into());
        let text = serde_json::to_string(&line.0).map_err(|_| fmt::Error)?;
        writeln!(writer, "{text}")
    }
}

/// Collects the fields of an event.
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_fields_of_its_event_and_of_the_spans_around_it() {
        let memory = Memory::default();
        let written = memory.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(Lines)
            .with_writer(move || memory.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("request", request_id = "r\"1");
            let _outer = outer.enter();
            let inner = tracing::info_span!("run", run_id = 7, attempt = tracing::field::Empty);
            inner.record("attempt", 2);
            let _inner = inner.enter();
            tracing::info!(code = 3, good = true, name = "a\nb", "it ended");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["request_id"], &line["run_id"]), (&"r\"1".into(), &7.into()));
        assert_eq!((&line["attempt"], &line["code"]), (&2.into(), &3.into()));
        assert_eq!((&line["message"], &line["name"]), (&"it ended".into(), &"a\nb".into()));
        assert_eq!((&line["level"], &line["good"]), (&"INFO".into(), &true.into()));
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_refused() {
        assert!(filter_of("cronapi=loud").is_err());
        filter_of("info,cronapi::api=debug").unwrap();
    }
}
