//! The response of `/api/status`: the metrics by caller dialect and target, with percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::Metric;
use serde_json::{Value, json};

use crate::clock;
use crate::request::active_config::ActiveConfig;
use crate::target::health::TargetHealth;
use crate::telemetry::access_log;
use crate::telemetry::metrics::{LATENCY_BUCKETS_SECONDS, METRICS};

/// Builds the response of `/api/status`.
pub(crate) fn build_status(config: &ActiveConfig, ready: bool, uptime: Duration) -> Value {
    let mut errors: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for metric in collect_metrics(&METRICS.target_errors) {
        let kinds = errors.entry(get_label(&metric, "target")).or_default();
        kinds.insert(get_label(&metric, "kind"), get_counter_value(&metric));
    }
    let targets = config.targets.iter().map(|target| {
        let name = &target.spec.name;
        let (last_success, last_failure) = TargetHealth::for_target(name).last_outcomes();
        json!({
            "name": name, "dialect": target.spec.dialect.name,
            "last_success": last_success, "last_failure": last_failure,
            "errors": errors.get(name).cloned().unwrap_or_default(),
        })
    });
    let lost_fields = collect_metrics(&METRICS.losses).into_iter().map(|metric| {
        json!({
            "field": get_label(&metric, "field"), "caller_dialect": get_label(&metric, "caller_dialect"),
            "target": get_label(&metric, "target"), "count": get_counter_value(&metric),
        })
    });
    let rejections = collect_metrics(&METRICS.rejections).into_iter();
    let rejections: BTreeMap<String, u64> =
        rejections.map(|metric| (get_label(&metric, "reason"), get_counter_value(&metric))).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("BLOBFISH_COMMIT"),
        "time": access_log::format_timestamp(clock::now_ms()),
        "uptime_seconds": uptime.as_secs(),
        "config_loaded_timestamp_seconds": METRICS.config_loaded.get(),
        "ready": ready,
        "requests_in_flight": METRICS.in_flight.get(),
        "client_connections": METRICS.connections.get(),
        "copies_in_progress": METRICS.copies_running.get(),
        "bounds_seconds": LATENCY_BUCKETS_SECONDS,
        "pairs": collect_pairs().into_iter().map(|((dialect, target), pair)| pair.to_json(&dialect, &target)).collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "rejections": rejections,
        "lost_fields": lost_fields.collect::<Vec<_>>(),
    })
}

/// The figures of one caller dialect and target.
#[derive(Default)]
struct PairStats {
    requests: u64,
    statuses: BTreeMap<&'static str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    request_times: LatencyHistogram,
    target_times: LatencyHistogram,
}

impl PairStats {
    fn to_json(&self, dialect: &str, target: &str) -> Value {
        json!({
            "caller_dialect": dialect, "target": target, "requests": self.requests, "statuses": self.statuses,
            "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
            "request_duration_seconds": self.request_times.to_json(), "target_response_seconds": self.target_times.to_json(),
        })
    }
}

fn collect_pairs() -> BTreeMap<(String, String), PairStats> {
    let mut pairs: BTreeMap<(String, String), PairStats> = BTreeMap::new();
    let pair_key = |metric: &Metric| (get_label(metric, "caller_dialect"), get_label(metric, "target"));
    for metric in collect_metrics(&METRICS.requests) {
        let pair = pairs.entry(pair_key(&metric)).or_default();
        let count = get_counter_value(&metric);
        pair.requests = pair.requests.saturating_add(count);
        let class = pair.statuses.entry(classify_status(&get_label(&metric, "status"))).or_default();
        *class = class.saturating_add(count);
    }
    for metric in collect_metrics(&METRICS.pair_bytes) {
        let pair = pairs.entry(pair_key(&metric)).or_default();
        match get_label(&metric, "direction").as_str() {
            "in" => pair.bytes_in = get_counter_value(&metric),
            // The label `direction` has only the values "in" and "out".
            _ => pair.bytes_out = get_counter_value(&metric),
        }
    }
    for metric in collect_metrics(&METRICS.request_seconds) {
        pairs.entry(pair_key(&metric)).or_default().request_times.add(&metric);
    }
    for metric in collect_metrics(&METRICS.target_seconds) {
        pairs.entry(pair_key(&metric)).or_default().target_times.add(&metric);
    }
    pairs
}

/// The class of a status. An `aborted` response did not arrive completely.
fn classify_status(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "2xx",
        Some(b'3') => "3xx",
        Some(b'4') => "4xx",
        Some(b'5') => "5xx",
        _ => "aborted",
    }
}

/// A histogram of durations, as cumulative counts for each bound.
#[derive(Default)]
struct LatencyHistogram {
    cumulative_counts: Vec<u64>,
    count: u64,
}

impl LatencyHistogram {
    fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        self.cumulative_counts.resize(LATENCY_BUCKETS_SECONDS.len(), 0);
        for (own, bucket) in self.cumulative_counts.iter_mut().zip(histogram.get_bucket()) {
            *own = own.saturating_add(bucket.cumulative_count());
        }
        self.count = self.count.saturating_add(histogram.get_sample_count());
    }

    fn to_json(&self) -> Value {
        json!({
            "count": self.count, "within": self.cumulative_counts,
            "p50": self.percentile(50), "p95": self.percentile(95), "p99": self.percentile(99),
        })
    }

    /// Returns a percentile, interpolated linearly between two bounds as Prometheus does. Durations above the last
    /// bound count as the last bound.
    fn percentile(&self, percent: u64) -> Option<f64> {
        // No requests have no percentile; zero would look like a very fast target.
        if self.count == 0 {
            return None;
        }
        let rank = to_f64(self.count.saturating_mul(percent)) / 100.0;
        let (mut lower, mut below) = (0.0, 0);
        for (upper, within) in LATENCY_BUCKETS_SECONDS.iter().zip(&self.cumulative_counts) {
            if to_f64(*within) >= rank {
                // max(1) avoids a division by zero for an empty bucket.
                let share = (rank - to_f64(below)) / to_f64(within.saturating_sub(below).max(1));
                return Some(lower + (upper - lower) * share);
            }
            (lower, below) = (*upper, *within);
        }
        LATENCY_BUCKETS_SECONDS.last().copied()
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a percentile of more than 2^53 requests may be off by one of them"
)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn collect_metrics(family: &impl Collector) -> Vec<Metric> {
    family.collect().into_iter().flat_map(|mut family| family.take_metric()).collect()
}

fn get_label(metric: &Metric, name: &str) -> String {
    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
    pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
}

/// The value of a counter. Counters are whole numbers, although the library stores them as floats.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole and not negative"
)]
fn get_counter_value(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated_between_bounds() {
        // Ten requests of at most half a millisecond, ten more of at most one millisecond, none longer.
        let mut within = vec![20; LATENCY_BUCKETS_SECONDS.len()];
        within[0] = 10;
        let times = LatencyHistogram { cumulative_counts: within, count: 20 };
        assert_eq!(times.percentile(50), Some(0.0005));
        assert_eq!(times.percentile(25), Some(0.00025));
        assert!(times.percentile(95).is_some_and(|time| (time - 0.00095).abs() < 1e-9));
    }

    #[test]
    fn durations_above_the_last_bound_count_as_the_last_bound() {
        let times = LatencyHistogram { cumulative_counts: vec![0; LATENCY_BUCKETS_SECONDS.len()], count: 3 };
        assert_eq!(times.percentile(99), LATENCY_BUCKETS_SECONDS.last().copied());
        assert_eq!(LatencyHistogram::default().percentile(50), None);
    }

    #[test]
    fn statuses_are_classified() {
        assert_eq!(
            ["200", "304", "412", "503", "aborted"].map(classify_status),
            ["2xx", "3xx", "4xx", "5xx", "aborted"]
        );
    }
}
