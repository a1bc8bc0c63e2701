//! Spans for a collector, by OTLP over gRPC. The standard variables say where and how.

use std::sync::OnceLock;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::model::TraceParent;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Sends this program's spans, when the environment says where to. Within a runtime.
///
/// # Errors
/// The endpoint can't be used.
pub fn layer<S>() -> Result<Option<Box<dyn Layer<S> + Send + Sync>>, String>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !ENDPOINTS.iter().any(set) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder().with_tonic().build();
    let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let mut resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !set(&"OTEL_SERVICE_NAME") {
        resource = resource.with_service_name("cronapi");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("cronapi");
    let _ = PROVIDER.set(provider);
    // Events are the log's; what libraries do is nobody's.
    let ours = Targets::new().with_target("cronapi", LevelFilter::DEBUG);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_filter(ours);
    Ok(Some(Box::new(layer)))
}

/// Sends what is waiting, and ends.
pub fn end() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown()
    {
        tracing::warn!(%error, "some spans were not sent");
    }
}

pub(super) fn under(span: &tracing::Span, parent: Option<&TraceParent>) {
    let Some(parent) = parent.and_then(context) else { return };
    // An error: the span is not recorded.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

pub(super) fn place(span: &tracing::Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span();
    let own = span.span_context();
    if !own.is_valid() {
        return None;
    }
    let flags = own.trace_flags().to_u8();
    TraceParent::parse(&format!("00-{}-{}-{flags:02x}", own.trace_id(), own.span_id()))
}

fn context(parent: &TraceParent) -> Option<SpanContext> {
    let mut parts = parent.as_str().split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let (flags, state) = (TraceFlags::new(flags), TraceState::default());
    Some(SpanContext::new(trace, span, flags, true, state))
}
