//! What can be counted. Labels come from closed sets: operations, dialects, configured names, kinds.

use std::sync::LazyLock;
use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

/// What stands for a target, a dialect or an operation that was never found out.
pub const NONE: &str = "none";

/// Half a millisecond to a minute: a small exchange to a large upload.
pub const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The metrics of this process.
pub static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);

/// Every metric by its name without `blobfish_`.
#[allow(missing_docs, reason = "the names and helps say it")]
pub struct Metrics {
    registry: Registry,
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub upstream_seconds: HistogramVec,
    pub bytes: IntCounterVec,
    pub pair_bytes: IntCounterVec,
    pub in_flight: IntGauge,
    pub copies: IntCounterVec,
    pub copy_bytes: IntCounter,
    pub copy_retries: IntCounter,
    pub copy_uploads_left: IntCounter,
    pub copies_running: IntGauge,
    pub copy_sources_changed: IntCounterVec,
    pub losses: IntCounterVec,
    pub refused: IntCounterVec,
    pub unsigned_fields: IntCounterVec,
    pub upstream_errors: IntCounterVec,
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
        let registry = Registry::new();
        let info = build_info();
        add(&registry, &info);
        #[cfg(target_os = "linux")]
        if let Err(error) =
            registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        {
            tracing::error!(%error, "process metrics cannot be registered");
        }
        let counters = |name: &str, help: &str, labels: &[&str]| counters(&registry, name, help, labels);
        let gauges = |name: &str, help: &str| {
            made(&registry, IntGaugeVec::new(Opts::new(format!("blobfish_{name}"), help), &["target"]))
        };
        let histograms = |name: &str, help: &str| {
            let opts = HistogramOpts::new(format!("blobfish_{name}"), help).buckets(SECONDS.to_vec());
            made(&registry, HistogramVec::new(opts, &["caller_dialect", "target", "operation"]))
        };
        Self {
            requests: counters(
                "requests_total",
                "Requests by what was asked and answered.",
                &["caller_dialect", "target", "operation", "status"],
            ),
            request_seconds: histograms(
                "request_seconds",
                "Time from the first byte of a request to the last of its answer.",
            ),
            upstream_seconds: histograms(
                "upstream_seconds",
                "Time that targets took to the head of their answer.",
            ),
            bytes: counters("bytes_total", "Bytes of bodies, to and from callers.", &["target", "direction"]),
            // For the console only: who collects metrics has the same bytes in the one above.
            pair_bytes: labelled(
                "pair_bytes_total",
                "The same by who asked.",
                &["caller_dialect", "target", "direction"],
            ),
            in_flight: made(&registry, IntGauge::new("blobfish_in_flight", "Requests that run now.")),
            copies: counters("copies_total", "Copies by plan and outcome.", &["plan", "outcome"]),
            copy_bytes: made(
                &registry,
                IntCounter::new("blobfish_copy_bytes_total", "Bytes that copies carried through the proxy."),
            ),
            copy_retries: made(
                &registry,
                IntCounter::new("blobfish_copy_retries_total", "Parts of copies that were tried again."),
            ),
            copy_sources_changed: counters(
                "copy_sources_changed_total",
                "Copies that failed because their source was changed meanwhile, by operation.",
                &["operation"],
            ),
            copy_uploads_left: made(
                &registry,
                IntCounter::new(
                    "blobfish_copy_uploads_left_total",
                    "Uploads of failed copies that could not be given up.",
                ),
            ),
            copies_running: made(
                &registry,
                IntGauge::new("blobfish_copies_running", "Copies in parts or between targets that run now."),
            ),
            losses: counters(
                "losses_total",
                "Fields that a target could not be told.",
                &["field", "caller_dialect", "target"],
            ),
            refused: counters("refused_total", "Requests refused by the proxy itself.", &["reason"]),
            unsigned_fields: counters(
                "unsigned_fields_total",
                "Headers and parameters with meaning that callers left unsigned.",
                &["caller_dialect"],
            ),
            upstream_errors: counters(
                "upstream_errors_total",
                "Exchanges with targets that failed.",
                &["target", "kind"],
            ),
            target_state: gauges(
                "target_state",
                "1 where requests are sent to a target, 0 where it failed too often.",
            ),
            target_connections: gauges("target_connections", "Connections to a target that are in use."),
            integrity_failures: counters(
                "integrity_failures_total",
                "Bodies that were not what was announced.",
                &["kind"],
            ),
            config_reloads: counters("config_reloads_total", "Reloads of the configuration.", &["outcome"]),
            config_loaded: made(
                &registry,
                Gauge::new(
                    "blobfish_config_loaded_timestamp_seconds",
                    "When the running configuration was loaded.",
                ),
            ),
            connections: made(
                &registry,
                IntGauge::new("blobfish_connections", "Connections of callers that are open."),
            ),
            buffered_bytes: made(
                &registry,
                IntGauge::new(
                    "blobfish_buffered_bytes",
                    "Bytes of documents and unproven chunks that are held.",
                ),
            ),
            log_dropped: made(
                &registry,
                IntCounter::new("blobfish_log_dropped_total", "Access-log lines that nobody took."),
            ),
            traces_dropped: made(
                &registry,
                IntCounter::new("blobfish_traces_dropped_total", "Spans that no collector took."),
            ),
            registry,
        }
    }

    /// A configuration is in force from now on.
    pub fn loaded_now(&self) {
        self.config_loaded.set(f64::from(u32::try_from(crate::clock::now().0).unwrap_or(u32::MAX)));
    }

    /// The text that is scraped.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

/// Seconds as histograms want them.
pub fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn build_info() -> GaugeVec {
    let opts = Opts::new("blobfish_build_info", "The version that runs.");
    let info =
        GaugeVec::new(opts, &["version", "commit"]).unwrap_or_else(|_| unreachable!("the names are valid"));
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), env!("BLOBFISH_COMMIT")]).set(1.0);
    info
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let counters = labelled(name, help, labels);
    add(registry, &counters);
    counters
}

fn labelled(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(format!("blobfish_{name}"), help), labels)
        .unwrap_or_else(|_| unreachable!("the names above are valid"))
}

fn made<M: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<M>,
) -> M {
    let metric = metric.unwrap_or_else(|_| unreachable!("the names above are valid"));
    add(registry, &metric);
    metric
}

fn add<M: prometheus::core::Collector + Clone + 'static>(registry: &Registry, metric: &M) {
    if let Err(error) = registry.register(Box::new(metric.clone())) {
        tracing::error!(%error, "a metric cannot be registered");
    }
}
