//! The registry of running part-by-part copies and relays: their number, their bandwidth limits and their progress.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_config::CopyLimits;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::telemetry::metrics::METRICS;

/// For how long unused bandwidth may be used later.
const UNUSED_CREDIT_MAX: Duration = Duration::from_millis(10);

/// The running copies of this process.
pub(crate) static RUNNING_COPIES: LazyLock<RunningCopies> = LazyLock::new(RunningCopies::default);

/// The registry of running copies.
#[derive(Default)]
pub(crate) struct RunningCopies {
    running: Mutex<BTreeMap<u64, Arc<CopyProgress>>>,
    next_id: AtomicU64,
    bandwidth_limit: CopyBandwidthLimit,
}

/// Limits the bandwidth of copies.
#[derive(Default)]
struct CopyBandwidthLimit {
    /// When the bytes that were admitted so far are sent, at the configured bandwidth.
    busy_until: Mutex<Option<Instant>>,
}

impl CopyBandwidthLimit {
    /// Waits until `bytes` more bytes may be transferred.
    async fn wait_for_capacity(&self, bytes_per_second: Option<u64>, bytes: usize) {
        let Some(bytes_per_second) = bytes_per_second else { return };
        let now = Instant::now();
        let start = {
            let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
            // A timer ends up to a millisecond late. Without the credit every such delay would lower the bandwidth.
            let earliest = now.checked_sub(UNUSED_CREDIT_MAX).unwrap_or(now);
            let start = busy_until.filter(|until| *until > earliest).unwrap_or(earliest);
            let duration = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000);
            let duration = Duration::from_micros(duration.checked_div(bytes_per_second).unwrap_or_default());
            // A waiting copy reserves its time here, so that concurrent copies do not start together.
            *busy_until = start.checked_add(duration);
            start
        };
        // A timer for a time in the past still ends a millisecond later, which would limit a copy to 64 MB/s.
        if start > now {
            sleep_until(start.into()).await;
        }
    }
}

/// The progress of one copy.
pub(crate) struct CopyProgress {
    /// The name of the caller.
    pub caller: String,
    /// The request ID that the client received.
    pub request_id: String,
    /// The plan: `parts`, `relay` or `combine`.
    pub plan: &'static str,
    /// The target of the source.
    pub source_target: String,
    /// The target of the destination.
    pub destination_target: String,
    /// Size of the source in bytes; 0 until it is known.
    pub bytes_total: AtomicU64,
    /// Bytes that the destination has received.
    pub bytes_done: AtomicU64,
    started_at: Instant,
    /// The caller's bandwidth limit, shared by all of its copies.
    bandwidth_limit: Arc<CopyBandwidthLimit>,
    abandon_signal: Notify,
}

impl CopyProgress {
    /// Abandons the copy, which then cleans up at the destination.
    pub(crate) fn abandon(&self) {
        self.abandon_signal.notify_one();
    }

    /// Waits until the copy is abandoned.
    pub(crate) async fn wait_until_abandoned(&self) {
        self.abandon_signal.notified().await;
    }
}

/// The slot of one running copy. Dropping it removes the copy from the registry.
pub(crate) struct CopySlot {
    id: u64,
    /// The progress of the copy.
    pub progress: Arc<CopyProgress>,
}

impl Drop for CopySlot {
    fn drop(&mut self) {
        RUNNING_COPIES.lock_running().remove(&self.id);
        METRICS.copies_running.dec();
    }
}

impl RunningCopies {
    fn lock_running(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<CopyProgress>>> {
        // An insertion or removal is never half done, so the map is valid even after a panic.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a copy. Returns `None` if too many copies run already, in total or of this caller.
    pub(crate) fn try_begin(
        &self,
        limits: &CopyLimits,
        caller: &str,
        request_id: &str,
        plan: &'static str,
        source_target: &str,
        destination_target: &str,
    ) -> Option<CopySlot> {
        let mut running = self.lock_running();
        let own_copies: Vec<_> = running.values().filter(|copy| copy.caller == caller).collect();
        if running.len() >= limits.copies_max || own_copies.len() >= limits.copies_per_caller_max {
            return None;
        }
        // The limit lives as long as a copy of the caller runs, so that idle callers take no memory.
        let bandwidth_limit =
            own_copies.first().map(|copy| Arc::clone(&copy.bandwidth_limit)).unwrap_or_default();
        let progress = Arc::new(CopyProgress {
            caller: caller.to_owned(),
            request_id: request_id.to_owned(),
            plan,
            source_target: source_target.to_owned(),
            destination_target: destination_target.to_owned(),
            bytes_total: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            started_at: Instant::now(),
            bandwidth_limit,
            abandon_signal: Notify::new(),
        });
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        running.insert(id, Arc::clone(&progress));
        METRICS.copies_running.inc();
        Some(CopySlot { id, progress })
    }

    /// Waits until a copy may transfer `bytes` more bytes, by its caller's limit and by the total limit.
    pub(crate) async fn wait_for_bandwidth(&self, limits: &CopyLimits, copy: &CopyProgress, bytes: usize) {
        copy.bandwidth_limit.wait_for_capacity(limits.bytes_per_second_per_caller, bytes).await;
        self.bandwidth_limit.wait_for_capacity(limits.bytes_per_second, bytes).await;
    }

    /// Abandons all copies, at the shutdown of the process.
    pub(crate) fn abandon_all(&self) {
        self.lock_running().values().for_each(|copy| copy.abandon());
    }

    /// Returns the running copies in the format of the admin port.
    pub(crate) fn to_json(&self) -> Value {
        let running = self.lock_running();
        let copies = running.values().map(|copy| {
            json!({
                "caller": copy.caller,
                "request": copy.request_id,
                "plan": copy.plan,
                "from": copy.source_target,
                "to": copy.destination_target,
                "bytes": copy.bytes_total.load(Ordering::Relaxed),
                "bytes_done": copy.bytes_done.load(Ordering::Relaxed),
                "seconds": copy.started_at.elapsed().as_secs(),
            })
        });
        json!({ "copies": copies.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn time_chunks(bytes_per_second: u64, chunk_bytes: usize, chunks: u32) -> Duration {
        let (limit, start) = (CopyBandwidthLimit::default(), Instant::now());
        for _ in 0..chunks {
            limit.wait_for_capacity(Some(bytes_per_second), chunk_bytes).await;
        }
        start.elapsed()
    }

    #[tokio::test]
    async fn a_high_bandwidth_limit_does_not_delay_chunks() {
        let elapsed = time_chunks(u64::MAX, 65536, 5000).await;
        assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    }

    #[tokio::test]
    async fn chunks_are_sent_at_the_bandwidth_limit() {
        // A million bytes at ten million per second, less the last chunk and the credit of the first.
        let elapsed = time_chunks(10_000_000, 50_000, 20).await;
        assert!(elapsed >= Duration::from_millis(80), "{elapsed:?}");
    }
}
