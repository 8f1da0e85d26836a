//! The metrics that every request updates. Finding a metric by its label values takes a lock and several hashes, so each
//! thread keeps the metrics that it has found.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use crate::telemetry::access_log::AccessRecord;
use crate::telemetry::metrics::{LABEL_NONE, METRICS, to_seconds};

/// The status that most requests have.
const USUAL_STATUS: u16 = 200;

thread_local! {
    /// By target, and then by caller dialect and operation. All three are closed sets.
    static FOUND: RefCell<HashMap<String, MetricsByOperation>> = RefCell::new(HashMap::new());
}

type MetricsByOperation = HashMap<(&'static str, &'static str), RequestMetrics>;

/// The metrics of one caller dialect, target and operation. A metric without a value is not exported, so each is found
/// when it gets its first.
#[derive(Default)]
struct RequestMetrics {
    usual_requests: OnceCell<IntCounter>,
    seconds: OnceCell<Histogram>,
    target_seconds: OnceCell<Histogram>,
    /// Received and sent.
    bytes: OnceCell<[IntCounter; 2]>,
    /// The same by caller dialect, for the console.
    pair_bytes: OnceCell<[IntCounter; 2]>,
}

/// Counts a request that has ended.
pub(crate) fn count_request(record: &AccessRecord, elapsed: Duration) {
    let target = record.target.as_deref().unwrap_or(LABEL_NONE);
    let (dialect, operation) = (record.dialect, record.operation.unwrap_or(LABEL_NONE));
    with_metrics(dialect, target, operation, |found| {
        let find_requests =
            |status: &str| METRICS.requests.with_label_values(&[dialect, target, operation, status]);
        match record.aborted {
            // An incomplete response is no success, whatever its status.
            Some(_) => find_requests("aborted").inc(),
            None if record.status == USUAL_STATUS => {
                found.usual_requests.get_or_init(|| find_requests(&USUAL_STATUS.to_string())).inc();
            }
            None => find_requests(&record.status.to_string()).inc(),
        }
        let labels = [dialect, target, operation];
        let seconds = found.seconds.get_or_init(|| METRICS.request_seconds.with_label_values(&labels));
        seconds.observe(to_seconds(elapsed));
        let bytes = found.bytes.get_or_init(|| {
            ["in", "out"].map(|direction| METRICS.bytes.with_label_values(&[target, direction]))
        });
        let pair_bytes = found.pair_bytes.get_or_init(|| {
            ["in", "out"].map(|direction| METRICS.pair_bytes.with_label_values(&[dialect, target, direction]))
        });
        for [bytes_in, bytes_out] in [bytes, pair_bytes] {
            bytes_in.inc_by(record.bytes_in);
            bytes_out.inc_by(record.bytes_out);
        }
    });
}

/// Records the time from a request to a target to the head of its response.
pub(crate) fn observe_target_response(
    dialect: &'static str,
    target: &str,
    operation: &'static str,
    time: Duration,
) {
    with_metrics(dialect, target, operation, |found| {
        let labels = [dialect, target, operation];
        let seconds = found.target_seconds.get_or_init(|| METRICS.target_seconds.with_label_values(&labels));
        seconds.observe(to_seconds(time));
    });
}

fn with_metrics(
    dialect: &'static str,
    target: &str,
    operation: &'static str,
    update: impl FnOnce(&RequestMetrics),
) {
    FOUND.with_borrow_mut(|targets| {
        if !targets.contains_key(target) {
            targets.insert(target.to_owned(), MetricsByOperation::new());
        }
        if let Some(operations) = targets.get_mut(target) {
            update(operations.entry((dialect, operation)).or_default());
        }
    });
}
