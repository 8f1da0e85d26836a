//! The metrics. Label values come from closed sets: operations, dialects, configured names, kinds.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

/// The label value for an unknown target, dialect or operation.
pub(crate) const LABEL_NONE: &str = "none";

/// The bounds of latency histograms: from half a millisecond (a small request) to a minute (a large upload).
pub(crate) const LATENCY_BUCKETS_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The metrics of this process.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Every metric, by its name without the prefix `blobfish_`.
#[allow(missing_docs, reason = "the help texts describe the metrics")]
pub(crate) struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub target_seconds: HistogramVec,
    pub bytes: IntCounterVec,
    pub pair_bytes: IntCounterVec,
    pub in_flight: IntGauge,
    pub copies: IntCounterVec,
    pub copy_bytes: IntCounter,
    pub copy_retries: IntCounter,
    pub copy_uploads_orphaned: IntCounter,
    pub copies_running: IntGauge,
    pub small_parts: IntCounterVec,
    pub small_parts_cleaned_up: IntCounterVec,
    pub spool_files: IntGauge,
    pub copy_sources_changed: IntCounterVec,
    pub losses: IntCounterVec,
    pub rejections: IntCounterVec,
    pub unsigned_fields: IntCounterVec,
    pub target_errors: IntCounterVec,
    pub uploads_unconfirmed: IntCounterVec,
    pub fair_queue_waits: IntCounter,
    pub target_skew: IntGaugeVec,
    pub target_state: IntGaugeVec,
    pub target_connections: IntGaugeVec,
    pub integrity_failures: IntCounterVec,
    pub config_reloads: IntCounterVec,
    pub config_loaded: Gauge,
    pub connections: IntGauge,
    pub buffered_bytes: IntGauge,
    pub log_dropped: IntCounter,
    pub traces_dropped: IntCounter,
}

impl Metrics {
    fn new() -> Self {
        // A registry of its own, so that libraries cannot add metrics through the default one.
        let registry = Registry::new();
        let info = new_build_info();
        add_to_registry(&registry, &info);
        #[cfg(target_os = "linux")]
        if let Err(error) =
            registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        {
            tracing::error!(%error, "cannot register the process metrics");
        }
        let add_counters =
            |name: &str, help: &str, labels: &[&str]| register_counters(&registry, name, help, labels);
        let add_gauges = |name: &str, help: &str| {
            register_metric(
                &registry,
                IntGaugeVec::new(Opts::new(format!("blobfish_{name}"), help), &["target"]),
            )
        };
        let add_histograms = |name: &str, help: &str| {
            let opts = HistogramOpts::new(format!("blobfish_{name}"), help)
                .buckets(LATENCY_BUCKETS_SECONDS.to_vec());
            register_metric(&registry, HistogramVec::new(opts, &["caller_dialect", "target", "operation"]))
        };
        Self {
            requests: add_counters(
                "requests_total",
                "Requests, by caller dialect, target, operation and status.",
                &["caller_dialect", "target", "operation", "status"],
            ),
            request_seconds: add_histograms(
                "request_duration_seconds",
                "Time from the first byte of the request to the last byte of the response.",
            ),
            target_seconds: add_histograms(
                "target_response_seconds",
                "Time from the request to a target to the head of its response.",
            ),
            bytes: add_counters(
                "bytes_total",
                "Body bytes received from and sent to clients.",
                &["target", "direction"],
            ),
            // For the console only, and not exported: `bytes_total` has the same bytes.
            pair_bytes: new_counter_vec(
                "pair_bytes_total",
                "Body bytes, by caller dialect.",
                &["caller_dialect", "target", "direction"],
            ),
            in_flight: register_metric(
                &registry,
                IntGauge::new("blobfish_requests_in_flight", "Requests in progress."),
            ),
            copies: add_counters("copies_total", "Copies by plan and outcome.", &["plan", "outcome"]),
            copy_bytes: register_metric(
                &registry,
                IntCounter::new(
                    "blobfish_copy_bytes_total",
                    "Bytes that copies transferred through the proxy.",
                ),
            ),
            copy_retries: register_metric(
                &registry,
                IntCounter::new("blobfish_copy_retries_total", "Retried parts of copies."),
            ),
            copy_sources_changed: add_counters(
                "copy_sources_changed_total",
                "Copies that failed because their source changed during the copy.",
                &["operation"],
            ),
            copy_uploads_orphaned: register_metric(
                &registry,
                IntCounter::new(
                    "blobfish_copy_uploads_orphaned_total",
                    "Multipart uploads of failed copies that could not be aborted.",
                ),
            ),
            copies_running: register_metric(
                &registry,
                IntGauge::new(
                    "blobfish_copies_in_progress",
                    "Part-by-part copies and relayed copies in progress.",
                ),
            ),
            small_parts: add_counters(
                "small_parts_total",
                "Small parts that were stored as objects, to be combined when their upload is completed.",
                &["target"],
            ),
            small_parts_cleaned_up: add_counters(
                "small_parts_cleaned_up_total",
                "Small parts of orphaned uploads that were deleted.",
                &["target"],
            ),
            spool_files: register_metric(
                &registry,
                IntGauge::new("blobfish_spool_files", "Open temporary files with bodies of unknown length."),
            ),
            losses: add_counters(
                "lost_fields_total",
                "Fields of requests that the target does not support.",
                &["field", "caller_dialect", "target"],
            ),
            rejections: add_counters("rejections_total", "Requests that Blobfish rejected.", &["reason"]),
            unsigned_fields: add_counters(
                "unsigned_fields_total",
                "Meaningful headers and parameters that signatures of clients did not cover.",
                &["caller_dialect"],
            ),
            target_errors: add_counters(
                "target_errors_total",
                "Failed requests to targets, by kind of error.",
                &["target", "kind"],
            ),
            fair_queue_waits: register_metric(
                &registry,
                IntCounter::new(
                    "blobfish_fair_queue_waits_total",
                    "Requests that waited in the fair queue because all processors were busy.",
                ),
            ),
            uploads_unconfirmed: add_counters(
                "uploads_unconfirmed_total",
                "Multipart uploads that a target may have created although its response was lost.",
                &["target"],
            ),
            target_skew: add_gauges(
                "target_clock_skew_seconds",
                "Seconds that the clock of a target is ahead of this machine's, after the target rejected a request time.",
            ),
            target_state: add_gauges(
                "target_circuit_breaker_closed",
                "1 if the circuit breaker of a target is closed, 0 if it is open or half-open.",
            ),
            target_connections: add_gauges("target_connections", "Connections to a target in use."),
            integrity_failures: add_counters(
                "integrity_failures_total",
                "Bodies that did not match their length, checksum or digest.",
                &["kind"],
            ),
            config_reloads: add_counters(
                "config_reloads_total",
                "Configuration reloads, by outcome.",
                &["outcome"],
            ),
            config_loaded: register_metric(
                &registry,
                Gauge::new(
                    "blobfish_config_loaded_timestamp_seconds",
                    "Unix time at which the active configuration was loaded.",
                ),
            ),
            connections: register_metric(
                &registry,
                IntGauge::new("blobfish_client_connections", "Open client connections."),
            ),
            buffered_bytes: register_metric(
                &registry,
                IntGauge::new(
                    "blobfish_buffered_bytes",
                    "Bytes of documents and unverified chunks in memory.",
                ),
            ),
            log_dropped: register_metric(
                &registry,
                IntCounter::new("blobfish_log_dropped_total", "Dropped access log lines."),
            ),
            traces_dropped: register_metric(
                &registry,
                IntCounter::new("blobfish_traces_dropped_total", "Dropped spans."),
            ),
            registry,
        }
    }

    /// Records that a configuration became active.
    pub(crate) fn record_config_loaded(&self) {
        self.config_loaded.set(f64::from(u32::try_from(crate::clock::now().0).unwrap_or(u32::MAX)));
    }

    /// Encodes all metrics in the Prometheus text format.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot encode the metrics");
        }
        text
    }
}

/// Converts a duration to the unit of histograms.
pub(crate) fn to_seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn new_build_info() -> GaugeVec {
    let opts = Opts::new("blobfish_build_info", "Version and commit of the program.");
    let info =
        GaugeVec::new(opts, &["version", "commit"]).unwrap_or_else(|_| unreachable!("the names are valid"));
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("BLOBFISH_COMMIT")]).set(1.0);
    info
}

fn register_counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters = new_counter_vec(name, help, labels);
    add_to_registry(registry, &counters);
    counters
}

fn new_counter_vec(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(format!("blobfish_{name}"), help), labels)
        .unwrap_or_else(|_| unreachable!("the names above are valid"))
}

fn register_metric<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.unwrap_or_else(|_| unreachable!("the names above are valid"));
    add_to_registry(registry, &metric);
    metric
}

fn add_to_registry<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: &M) {
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "cannot register a metric");
    }
}
