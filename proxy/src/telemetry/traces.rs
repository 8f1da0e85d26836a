//! Traces: a span for each request and one for each exchange with a target, by OpenTelemetry's semantic conventions
//! for HTTP.
//!
//! A span contains what the access log contains, and the target and outcome of exchanges. It contains no query, header,
//! signature or secret, and its name has neither bucket nor key, so that names stay a closed set.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blobfish_config::Endpoint;
use blobfish_dialects::dialect::addressing::strip_port;
use blobfish_dialects::model::{OutgoingRequest, RawHead};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use pingora::protocols::tls::CaType;

use crate::telemetry::access_log;
use crate::telemetry::access_log::AccessRecord;
use crate::telemetry::exporter::{Collector, SpanQueue};

/// Maximum number of exchange spans per request, because a copy may have ten thousand parts.
const EXCHANGES_MAX: usize = 256;

/// Maximum size of a `tracestate` that is propagated: the size that W3C Trace Context requires of every implementation.
const TRACESTATE_BYTES_MAX: usize = 512;

/// Methods that appear in span names.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];

/// The tracer of a configuration.
pub(crate) struct Traces {
    tracer: SdkTracer,
    trust_incoming_context: bool,
    propagate: bool,
}

impl Traces {
    /// Creates the tracer without connecting to its collector.
    pub(crate) fn new(config: &blobfish_config::Traces, ca: Option<Arc<CaType>>) -> Self {
        // ParentBased: the sampling decision of a trusted client applies to its whole trace.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
        let queue = SpanQueue(Arc::new(Collector::new(config, ca)));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(queue).build();
        let scope = InstrumentationScope::builder("blobfish").with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = provider.tracer_with_scope(scope);
        Self { tracer, trust_incoming_context: config.trust_incoming_context, propagate: config.propagate }
    }
}

/// The request's span, as the parent of its exchange spans.
struct Parent {
    tracer: SdkTracer,
    context: Context,
    propagate: bool,
    exchanges: AtomicUsize,
}

tokio::task_local! {
    /// The parent span of the current request, if the request is traced.
    static PARENT: Option<Arc<Parent>>;
}

/// Runs the work of a request within its span.
pub(crate) async fn run_in_span<T>(span: Option<&RequestSpan>, work: impl Future<Output = T>) -> T {
    PARENT.scope(span.map(|span| Arc::clone(&span.parent)), work).await
}

/// The span of a request.
pub(crate) struct RequestSpan {
    span: Span,
    parent: Arc<Parent>,
}

impl RequestSpan {
    /// Starts the span. A client's trace is continued if `trust_incoming_context` is set, and linked otherwise.
    pub(crate) fn begin(traces: &Traces, head: Option<&RawHead>) -> Self {
        let remote = head.and_then(extract_remote_span);
        let mut builder = traces.tracer.span_builder("HTTP").with_kind(SpanKind::Server);
        let mut parent_context = Context::new();
        match remote {
            Some(remote) if traces.trust_incoming_context => {
                parent_context = parent_context.with_remote_span_context(remote)
            }
            Some(remote) => builder = builder.with_links(vec![Link::with_context(remote)]),
            None => {}
        }
        let span = traces.tracer.build_with_context(builder, &parent_context);
        let parent = Parent {
            tracer: traces.tracer.clone(),
            context: Context::new().with_remote_span_context(span.span_context().clone()),
            propagate: traces.propagate,
            exchanges: AtomicUsize::new(0),
        };
        Self { span, parent: Arc::new(parent) }
    }

    /// The trace ID, as the access log records it.
    pub(crate) fn trace_id(&self) -> String {
        self.span.span_context().trace_id().to_string()
    }

    /// Ends the span with the attributes of the completed request: its access record, host and path.
    pub(crate) fn end(mut self, record: &AccessRecord, host: &str, path: &str, is_secure: bool) {
        if !self.span.is_recording() {
            return;
        }
        let method = find_known_method(&record.method);
        match (method, record.operation) {
            (Some(method), Some(operation)) => self.span.update_name(format!("{method} {operation}")),
            // The conventions require the method alone as the name if the operation is unknown.
            (Some(method), None) => self.span.update_name(method),
            (None, _) => {}
        }
        // Of a request that was not authenticated the span contains no more than the access log.
        let path = record.bucket.is_some().then(|| access_log::escape_name(path));
        let address = strip_port(host);
        let port = host.strip_prefix(address).and_then(|rest| rest.strip_prefix(':'));
        let cut = record.aborted.map(|_| "aborted".to_owned());
        let error = cut.or_else(|| (record.status >= 500).then(|| record.status.to_string()));
        let texts = [
            ("http.request.method", Some(method.unwrap_or("_OTHER").to_owned())),
            ("url.scheme", Some(if is_secure { "https" } else { "http" }.to_owned())),
            ("url.path", path),
            ("server.address", Some(access_log::escape_name(address)).filter(|name| !name.is_empty())),
            ("client.address", record.client.map(|address| address.to_string())),
            ("error.type", error.clone()),
            ("blobfish.request_id", Some(record.id.clone())),
            ("blobfish.caller", record.caller.clone()),
            ("blobfish.dialect", Some(record.dialect.to_owned())),
            ("blobfish.operation", record.operation.map(str::to_owned)),
            ("blobfish.bucket", record.bucket.clone()),
            ("blobfish.key", record.key.clone()),
            ("blobfish.source", record.source.clone()),
            ("blobfish.target", record.target.clone()),
            ("blobfish.code", record.code.as_deref().map(access_log::escape_name)),
            ("blobfish.lost_fields", Some(record.lost_fields.join(", ")).filter(|losses| !losses.is_empty())),
        ];
        let numbers = [
            ("server.port", port.and_then(|port| port.parse::<u16>().ok()).map(i64::from)),
            ("http.response.status_code", Some(i64::from(record.status)).filter(|status| *status > 0)),
            ("http.request.body.size", i64::try_from(record.bytes_in).ok()),
            ("http.response.body.size", i64::try_from(record.bytes_out).ok()),
            ("blobfish.exchanges", i64::try_from(self.parent.exchanges.load(Ordering::Relaxed)).ok()),
        ];
        self.span.set_attributes(to_attributes(texts));
        self.span.set_attributes(to_attributes(numbers));
        if error.is_some() {
            let description = record
                .aborted
                .map(str::to_owned)
                .or_else(|| record.code.as_deref().map(access_log::escape_name));
            self.span.set_status(Status::error(description.unwrap_or_default()));
        }
    }
}

fn to_attributes<V: Into<opentelemetry::Value>, const N: usize>(
    rows: [(&'static str, Option<V>); N],
) -> impl Iterator<Item = KeyValue> {
    rows.into_iter().filter_map(|(name, value)| Some(KeyValue::new(name, value?)))
}

/// Finds a standard method. Any other is text that the client chose.
fn find_known_method(method: &str) -> Option<&'static str> {
    METHODS.into_iter().find(|known| *known == method)
}

/// The client's span from `traceparent`; `None` if the header is repeated or malformed.
fn extract_remote_span(head: &RawHead) -> Option<SpanContext> {
    let values = |name: &str| {
        let rows = head.headers.iter().filter(|row| row.0 == name);
        rows.map(|row| std::str::from_utf8(&row.1)).collect::<Result<Vec<_>, _>>().ok()
    };
    let [parent] = values("traceparent")?[..] else { return None };
    // The propagator below also accepts IDs that are too short.
    if !parent.split('-').map(str::len).take(4).eq([2, 32, 16, 2]) {
        return None;
    }
    let state = values("tracestate").unwrap_or_default().join(",");
    let state = if state.len() > TRACESTATE_BYTES_MAX { String::new() } else { state };
    let carrier =
        HashMap::from([("traceparent".to_owned(), parent.to_owned()), ("tracestate".to_owned(), state)]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}

/// The span of an exchange with a target. It ends when this value is dropped.
#[derive(Default)]
pub(crate) struct ExchangeSpan {
    /// On the heap, because most requests are not traced.
    span: Option<Box<Span>>,
    headers: Vec<(String, String)>,
}

impl ExchangeSpan {
    /// Starts a span below that of the current request. `target` is the target's name.
    pub(crate) fn begin(target: &str, endpoint: &Endpoint, out: &OutgoingRequest, is_retry: bool) -> Self {
        let parent = PARENT.try_with(Option::clone).ok().flatten();
        parent.map(|parent| Self::start_child(&parent, target, endpoint, out, is_retry)).unwrap_or_default()
    }

    fn start_child(
        parent: &Parent,
        target: &str,
        endpoint: &Endpoint,
        out: &OutgoingRequest,
        is_retry: bool,
    ) -> Self {
        let is_over_limit = parent.exchanges.fetch_add(1, Ordering::Relaxed) >= EXCHANGES_MAX;
        let span = (!is_over_limit).then(|| {
            let builder = parent.tracer.span_builder(out.method).with_kind(SpanKind::Client);
            Box::new(parent.tracer.build_with_context(builder, &parent.context))
        });
        let mut this = Self { span, headers: Vec::new() };
        if parent.propagate {
            let own = this.span.as_ref().map(|span| span.span_context().clone());
            let own = own.map(|own| Context::new().with_remote_span_context(own));
            let context = own.as_ref().unwrap_or(&parent.context);
            let mut headers = HashMap::new();
            TraceContextPropagator::new().inject_context(context, &mut headers);
            // The propagator also writes an empty `tracestate`, which W3C Trace Context advises not to send.
            this.headers.extend(headers.into_iter().filter(|(_, value)| !value.is_empty()));
        }
        if let Some(span) = this.span.as_mut().filter(|span| span.is_recording()) {
            let scheme = if endpoint.tls { "https" } else { "http" };
            span.set_attributes(to_attributes([
                ("http.request.method", Some(out.method.to_owned())),
                ("url.full", Some(format!("{scheme}://{}{}", out.host, access_log::escape_name(&out.path)))),
                ("server.address", Some(strip_port(&out.host).to_owned())),
                // Blobfish speaks HTTP/1.1 to every target.
                ("network.protocol.version", Some("1.1".to_owned())),
                ("blobfish.target", Some(target.to_owned())),
            ]));
            span.set_attribute(KeyValue::new("server.port", i64::from(endpoint.port)));
            if is_retry {
                span.set_attribute(KeyValue::new("http.request.resend_count", 1));
            }
        }
        this
    }

    /// The headers with the trace context for the target. The signature does not cover them.
    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Records the status of the response.
    pub(crate) fn record_status(&mut self, status: u16) {
        let Some(span) = &mut self.span else { return };
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 400 {
            span.set_attribute(KeyValue::new("error.type", status.to_string()));
            // The conventions require that there is no description if the status code is the reason.
            span.set_status(Status::error(""));
        }
    }

    /// Records that there was no complete response.
    pub(crate) fn record_failure(&mut self, kind: &'static str, description: String) {
        let Some(span) = &mut self.span else { return };
        span.set_attribute(KeyValue::new("error.type", kind));
        span.set_status(Status::error(description));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn extract_tracestate(headers: &[(&str, &str)]) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let head = RawHead {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: None.into(),
            headers: headers.collect(),
            over_tls: false,
        };
        let remote = extract_remote_span(&head)?;
        assert_eq!(remote.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(remote.is_remote());
        Some(remote.trace_state().header())
    }

    #[test]
    fn trace_context_of_clients_is_validated() {
        assert_eq!(extract_tracestate(&[("traceparent", TRACEPARENT)]).as_deref(), Some(""));
        let two = [("tracestate", "a=1"), ("traceparent", TRACEPARENT), ("tracestate", "b=2")];
        assert_eq!(extract_tracestate(&two).as_deref(), Some("a=1,b=2"));
        let long = format!("a={}", "x".repeat(600));
        assert_eq!(
            extract_tracestate(&[("traceparent", TRACEPARENT), ("tracestate", &long)]).as_deref(),
            Some("")
        );
        for wrong in [
            "",
            "x",
            &TRACEPARENT[1..],
            &TRACEPARENT.to_uppercase(),
            &TRACEPARENT.replace("0af7", "\u{e9}"),
            &TRACEPARENT.replace('b', ""),
        ] {
            assert_eq!(extract_tracestate(&[("traceparent", wrong)]), None, "{wrong}");
        }
        assert_eq!(extract_tracestate(&[("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)]), None);
        assert_eq!(extract_tracestate(&[("tracestate", "a=1")]), None);
    }

    #[test]
    fn only_known_methods_are_recorded() {
        assert_eq!(find_known_method("PUT"), Some("PUT"));
        assert_eq!(find_known_method("X-ATTACK"), None);
    }
}
