//! Exports spans to a collector: OTLP over HTTP, in batches, from a queue that never blocks requests.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use blobfish_config::Endpoint;
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use pingora::http::RequestHeader;
use pingora::protocols::tls::CaType;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use prost::Message as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::clock;
use crate::telemetry::metrics::METRICS;

/// Maximum number of queued spans; more are dropped and counted.
const QUEUE_SPANS_MAX: usize = 4096;

/// Maximum number of spans in one export.
const BATCH_SPANS_MAX: usize = 512;

/// How long the first span of an export waits for others.
const BATCH_TIME_MAX: Duration = Duration::from_secs(1);

/// Time limit from connecting to the end of the response.
pub(crate) const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);

/// Number of attempts if the collector is unavailable, and the backoff before the second one.
const EXPORT_TRIES_MAX: u32 = 3;
const EXPORT_BACKOFF: Duration = Duration::from_secs(1);

/// How long the process waits for the last export before it exits.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// A trace collector.
pub(crate) struct Collector {
    /// Its endpoint.
    pub endpoint: Endpoint,
    path: String,
    headers: Vec<(String, SecretString)>,
    /// The trusted certificate authorities, if not the system's.
    pub ca: Option<Arc<CaType>>,
    /// Separates its pooled connections from those of another configuration.
    pub group_key: u64,
}

impl Collector {
    /// Creates a collector without connecting to it.
    pub(crate) fn new(config: &blobfish_config::Traces, ca: Option<Arc<CaType>>) -> Self {
        let (endpoint, path) = (config.endpoint.clone(), config.path.clone());
        let group_key = u64::try_from(clock::random() >> 64).unwrap_or_default();
        Self { endpoint, path, headers: config.headers.clone(), ca, group_key }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collector({})", self.endpoint.authority())
    }
}

enum ExportEntry {
    Span(Arc<Collector>, Box<SpanData>),
    Flush(oneshot::Sender<()>),
}

static ENTRY_SENDER: OnceLock<mpsc::Sender<ExportEntry>> = OnceLock::new();

/// Queues ended spans.
#[derive(Debug)]
pub(crate) struct SpanQueue(pub Arc<Collector>);

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let entry = ExportEntry::Span(Arc::clone(&self.0), Box::new(span));
        // try_send, because a span ends on the thread of its request and must not wait.
        if ENTRY_SENDER.get().is_none_or(|entries| entries.try_send(entry).is_err()) {
            METRICS.traces_dropped.inc();
        }
    }

    // The queue outlives this processor, which a reload replaces. `flush` empties the queue when the process ends.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _time: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Waits until all queued spans are sent, up to a time limit.
pub(crate) async fn flush() {
    let Some(entries) = ENTRY_SENDER.get() else { return };
    let (done, wait) = oneshot::channel();
    let wait_for_flush = async {
        if entries.send(ExportEntry::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    };
    if timeout(FLUSH_TIME_MAX, wait_for_flush).await.is_err() {
        tracing::warn!("the trace collector did not accept the last spans before the process ended");
    }
}

/// Sends one export to a collector. `target/` implements it, because that folder has the connections and the DNS cache
/// and depends on this one.
#[async_trait]
pub(crate) trait ExportTransport: Send + Sync {
    /// Posts an export and reads the whole response: its status and body.
    ///
    /// # Errors
    /// There was no complete response.
    async fn post(
        &self,
        collector: &Collector,
        header: RequestHeader,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), ExportError>;
}

/// Sends the queued spans until the process exits.
pub(crate) struct SpanExporter(pub Arc<dyn ExportTransport>);

#[async_trait]
impl BackgroundService for SpanExporter {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let (sender, entries) = mpsc::channel(QUEUE_SPANS_MAX);
        if ENTRY_SENDER.set(sender).is_ok() {
            // Ignores the shutdown signal, so that the spans of the last requests are exported too.
            ExportWorker::new(Arc::clone(&self.0)).run(entries).await;
        }
    }
}

struct ExportWorker {
    transport: Arc<dyn ExportTransport>,
    /// Whether the last export succeeded, so that an unavailable collector is logged only once.
    is_healthy: bool,
}

impl ExportWorker {
    fn new(transport: Arc<dyn ExportTransport>) -> Self {
        Self { transport, is_healthy: true }
    }

    async fn run(mut self, mut entries: mpsc::Receiver<ExportEntry>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(entry) => Some(entry),
                None => entries.recv().await,
            };
            match first {
                Some(ExportEntry::Span(collector, span)) => {
                    let (batch, after) = collect_batch(&collector, *span, &mut entries).await;
                    next = after;
                    self.export(&collector, batch).await;
                }
                Some(ExportEntry::Flush(done)) => drop(done.send(())),
                None => return,
            }
        }
    }

    async fn export(&mut self, collector: &Collector, batch: Vec<SpanData>) {
        let spans = u64::try_from(batch.len()).unwrap_or_default();
        let resource_spans = group_spans_by_resource_and_scope(batch, &RESOURCE);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let mut outcome = self.try_export(collector, &body).await;
        for attempt in 1..EXPORT_TRIES_MAX {
            // A rejected batch would be rejected again, so only temporary failures are retried.
            if !matches!(outcome, Err(ExportError::Unavailable(_))) {
                break;
            }
            sleep(EXPORT_BACKOFF.saturating_mul(attempt)).await;
            outcome = self.try_export(collector, &body).await;
        }
        // A collector may report more rejected spans than it got. Trust it only up to the size of the batch.
        let dropped = match &outcome {
            Ok(rejected) => (*rejected).min(spans),
            Err(_) => spans,
        };
        METRICS.traces_dropped.inc_by(dropped);
        match &outcome {
            Ok(0) if !self.is_healthy => tracing::info!("the trace collector accepts spans again"),
            Ok(rejected @ 1..) if self.is_healthy => {
                tracing::warn!(
                    rejected,
                    "the trace collector rejected spans; further rejections are only counted, in blobfish_traces_dropped_total"
                );
            }
            Err(error) if self.is_healthy => tracing::warn!(
                %error,
                "an export to the trace collector failed; further dropped spans are only counted, in blobfish_traces_dropped_total"
            ),
            _ => {}
        }
        self.is_healthy = matches!(outcome, Ok(0));
    }

    /// Exports once, and returns the number of rejected spans.
    async fn try_export(&self, collector: &Collector, body: &[u8]) -> Result<u64, ExportError> {
        let timed_out = Err(ExportError::Unavailable("no response in time"));
        timeout(EXPORT_TIME_MAX, self.post_batch(collector, body)).await.unwrap_or(timed_out)
    }

    async fn post_batch(&self, collector: &Collector, body: &[u8]) -> Result<u64, ExportError> {
        let header = build_request_head(collector, body.len()).map_err(|_| ExportError::Rejected(0))?;
        let (status, response) = self.transport.post(collector, header, body).await?;
        match status {
            200..=299 => Ok(count_rejected_spans(&response)),
            // The statuses that OTLP/HTTP defines as retryable.
            429 | 502..=504 => Err(ExportError::Unavailable("the collector is busy")),
            status => Err(ExportError::Rejected(status)),
        }
    }
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// A temporary failure.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A permanent failure: the status of the response.
    #[error("the collector responds with status {0}")]
    Rejected(u16),
}

/// Collects the spans to send together with the first one. Also returns the entry after them.
async fn collect_batch(
    collector: &Arc<Collector>,
    first: SpanData,
    entries: &mut mpsc::Receiver<ExportEntry>,
) -> (Vec<SpanData>, Option<ExportEntry>) {
    let deadline = Instant::now() + BATCH_TIME_MAX;
    let mut batch = vec![first];
    while batch.len() < BATCH_SPANS_MAX {
        match timeout_at(deadline, entries.recv()).await {
            // After a reload the queue holds spans for two collectors, and a batch goes to one of them.
            Ok(Some(ExportEntry::Span(to, span))) if Arc::ptr_eq(&to, collector) => batch.push(*span),
            Ok(after) => return (batch, after),
            Err(_) => break,
        }
    }
    (batch, None)
}

fn build_request_head(collector: &Collector, length: usize) -> Result<RequestHeader, Box<pingora::Error>> {
    let path = collector.path.as_bytes();
    let mut header = RequestHeader::build("POST", path, Some(collector.headers.len().saturating_add(4)))?;
    header.insert_header("host", collector.endpoint.authority())?;
    header.insert_header("content-type", "application/x-protobuf")?;
    header.insert_header("content-length", length)?;
    header.insert_header("user-agent", concat!("blobfish/", env!("CARGO_PKG_VERSION")))?;
    for (name, value) in &collector.headers {
        header.insert_header(name.clone(), value.expose_secret())?;
    }
    Ok(header)
}

fn count_rejected_spans(body: &[u8]) -> u64 {
    let partial_success =
        ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    partial_success.and_then(|partial| u64::try_from(partial.rejected_spans).ok()).unwrap_or_default()
}

/// The resource of all spans: this process. `OTEL_RESOURCE_ATTRIBUTES` adds attributes or overrides them.
static RESOURCE: LazyLock<ResourceAttributesWithSchema> = LazyLock::new(|| {
    let resource = Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "blobfish"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{:032x}", clock::random())),
        ])
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build();
    ResourceAttributesWithSchema::from(&resource)
});
