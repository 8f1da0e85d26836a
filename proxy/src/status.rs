//! What is counted, put together for people: by who asks and who serves, with percentiles.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::Metric;
use serde_json::{Value, json};

use crate::clock;
use crate::health::Health;
use crate::log;
use crate::metrics::{METRICS, SECONDS};
use crate::snapshot::Snapshot;

/// The answer of `/api/status`.
pub fn status(snapshot: &Snapshot, ready: bool, uptime: Duration) -> Value {
    let mut errors: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for metric in metrics(&METRICS.upstream_errors) {
        let kinds = errors.entry(label(&metric, "target")).or_default();
        kinds.insert(label(&metric, "kind"), counted(&metric));
    }
    let targets = snapshot.upstreams.iter().map(|upstream| {
        let name = &upstream.target.name;
        let (last_success, last_failure) = Health::of(name).told();
        json!({
            "name": name, "dialect": upstream.target.dialect.name,
            "last_success": last_success, "last_failure": last_failure,
            "errors": errors.get(name).cloned().unwrap_or_default(),
        })
    });
    let losses = metrics(&METRICS.losses).into_iter().map(|metric| {
        json!({
            "field": label(&metric, "field"), "caller_dialect": label(&metric, "caller_dialect"),
            "target": label(&metric, "target"), "count": counted(&metric),
        })
    });
    let refused = metrics(&METRICS.refused).into_iter();
    let refused: BTreeMap<String, u64> =
        refused.map(|metric| (label(&metric, "reason"), counted(&metric))).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("BLOBFISH_COMMIT"),
        "time": log::moment(clock::now_ms()),
        "uptime_seconds": uptime.as_secs(),
        "config_loaded_timestamp_seconds": METRICS.config_loaded.get(),
        "ready": ready,
        "in_flight": METRICS.in_flight.get(),
        "connections": METRICS.connections.get(),
        "copies_running": METRICS.copies_running.get(),
        "bounds_seconds": SECONDS,
        "pairs": pairs().into_iter().map(|((dialect, target), pair)| pair.told(&dialect, &target)).collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
        "refused": refused,
        "losses": losses.collect::<Vec<_>>(),
    })
}

/// What one dialect's callers had of one target.
#[derive(Default)]
struct Pair {
    requests: u64,
    statuses: BTreeMap<&'static str, u64>,
    bytes_in: u64,
    bytes_out: u64,
    request: Times,
    upstream: Times,
}

impl Pair {
    fn told(&self, dialect: &str, target: &str) -> Value {
        json!({
            "caller_dialect": dialect, "target": target, "requests": self.requests, "statuses": self.statuses,
            "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
            "request_seconds": self.request.told(), "upstream_seconds": self.upstream.told(),
        })
    }
}

fn pairs() -> BTreeMap<(String, String), Pair> {
    let mut pairs: BTreeMap<(String, String), Pair> = BTreeMap::new();
    let key = |metric: &Metric| (label(metric, "caller_dialect"), label(metric, "target"));
    for metric in metrics(&METRICS.requests) {
        let pair = pairs.entry(key(&metric)).or_default();
        let count = counted(&metric);
        pair.requests = pair.requests.saturating_add(count);
        let class = pair.statuses.entry(class(&label(&metric, "status"))).or_default();
        *class = class.saturating_add(count);
    }
    for metric in metrics(&METRICS.pair_bytes) {
        let pair = pairs.entry(key(&metric)).or_default();
        match label(&metric, "direction").as_str() {
            "in" => pair.bytes_in = counted(&metric),
            _ => pair.bytes_out = counted(&metric),
        }
    }
    for metric in metrics(&METRICS.request_seconds) {
        pairs.entry(key(&metric)).or_default().request.add(&metric);
    }
    for metric in metrics(&METRICS.upstream_seconds) {
        pairs.entry(key(&metric)).or_default().upstream.add(&metric);
    }
    pairs
}

/// The class of a status. `cut` is an answer that did not arrive whole.
fn class(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "2xx",
        Some(b'3') => "3xx",
        Some(b'4') => "4xx",
        Some(b'5') => "5xx",
        _ => "cut",
    }
}

/// A histogram of times: how many took at most as long as each of the bounds.
#[derive(Default)]
struct Times {
    within: Vec<u64>,
    count: u64,
}

impl Times {
    fn add(&mut self, metric: &Metric) {
        let histogram = metric.get_histogram();
        self.within.resize(SECONDS.len(), 0);
        for (own, bucket) in self.within.iter_mut().zip(histogram.get_bucket()) {
            *own = own.saturating_add(bucket.cumulative_count());
        }
        self.count = self.count.saturating_add(histogram.get_sample_count());
    }

    fn told(&self) -> Value {
        json!({
            "count": self.count, "within": self.within,
            "p50": self.percentile(50), "p95": self.percentile(95), "p99": self.percentile(99),
        })
    }

    /// The time that so many of a hundred do not exceed: linear between two bounds, as Prometheus does. What took longer
    /// than the last bound reads as that.
    fn percentile(&self, percent: u64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = number(self.count.saturating_mul(percent)) / 100.0;
        let (mut lower, mut below) = (0.0, 0);
        for (upper, within) in SECONDS.iter().zip(&self.within) {
            if number(*within) >= rank {
                let share = (rank - number(below)) / number(within.saturating_sub(below).max(1));
                return Some(lower + (upper - lower) * share);
            }
            (lower, below) = (*upper, *within);
        }
        SECONDS.last().copied()
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a percentile of more than 2^53 requests may be off by one of them"
)]
fn number(count: u64) -> f64 {
    count as f64
}

fn metrics(family: &impl Collector) -> Vec<Metric> {
    family.collect().into_iter().flat_map(|mut family| family.take_metric()).collect()
}

fn label(metric: &Metric, name: &str) -> String {
    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
    pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
}

/// Counters are whole numbers.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a counter is whole and not negative"
)]
fn counted(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_bounds() {
        // Ten took at most half a millisecond, ten more at most one, and none longer.
        let mut within = vec![20; SECONDS.len()];
        within[0] = 10;
        let times = Times { within, count: 20 };
        assert_eq!(times.percentile(50), Some(0.0005));
        assert_eq!(times.percentile(25), Some(0.00025));
        assert!(times.percentile(95).is_some_and(|time| (time - 0.00095).abs() < 1e-9));
    }

    #[test]
    fn what_took_longer_than_every_bound_reads_as_the_last() {
        let times = Times { within: vec![0; SECONDS.len()], count: 3 };
        assert_eq!(times.percentile(99), SECONDS.last().copied());
        assert_eq!(Times::default().percentile(50), None);
    }

    #[test]
    fn statuses_have_classes() {
        assert_eq!(["200", "304", "412", "503", "cut"].map(class), ["2xx", "3xx", "4xx", "5xx", "cut"]);
    }
}
