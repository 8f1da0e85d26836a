//! The copies in parts and between targets that run now: how many there may be, how fast they may go, and how far they
//! are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_config::CopyLimits;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::telemetry::metrics::METRICS;

/// All of this process.
pub static RUNNING_COPIES: LazyLock<RunningCopies> = LazyLock::new(RunningCopies::default);

/// The copies that run now.
#[derive(Default)]
pub struct RunningCopies {
    running: Mutex<BTreeMap<u64, Arc<CopyProgress>>>,
    next_id: AtomicU64,
    bandwidth_limit: CopyBandwidthLimit,
}

/// Keeps what passes to a speed.
#[derive(Default)]
struct CopyBandwidthLimit {
    /// Until when what was let through takes.
    busy_until: Mutex<Option<Instant>>,
}

impl CopyBandwidthLimit {
    /// Waits until so many more bytes may pass.
    async fn wait_for_capacity(&self, bytes_per_second: Option<u64>, bytes: usize) {
        let Some(bytes_per_second) = bytes_per_second else { return };
        let until = {
            let mut busy_until = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = busy_until.filter(|until| *until > now).unwrap_or(now);
            let duration = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000);
            let duration = Duration::from_micros(duration.checked_div(bytes_per_second).unwrap_or_default());
            *busy_until = start.checked_add(duration);
            start
        };
        sleep_until(until.into()).await;
    }
}

/// How far one copy is.
pub struct CopyProgress {
    /// Who asked for it.
    pub caller: String,
    /// The id that its caller was told.
    pub request_id: String,
    /// `parts` at its target, or `relay` between two.
    pub plan: &'static str,
    /// The targets.
    pub source_target: String,
    /// The same.
    pub destination_target: String,
    /// Bytes of the source, once that is known.
    pub bytes_total: AtomicU64,
    /// Bytes that are at the destination.
    pub bytes_done: AtomicU64,
    started_at: Instant,
    /// Shared by the copies of this caller.
    bandwidth_limit: Arc<CopyBandwidthLimit>,
    abandon_signal: Notify,
}

impl CopyProgress {
    /// Has it given up: what it began is taken back.
    pub fn abandon(&self) {
        self.abandon_signal.notify_one();
    }

    /// Waits until it is to be given up.
    pub async fn wait_until_abandoned(&self) {
        self.abandon_signal.notified().await;
    }
}

/// One of the copies that may run at once; it is over when this is dropped.
pub struct CopySlot {
    id: u64,
    /// How far it is.
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
        // A panic elsewhere leaves whole entries.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a copy begin. `None`: too many run already, of all callers or of this one.
    pub fn try_begin(
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

    /// Waits until so many more bytes of a copy may pass.
    pub async fn wait_for_bandwidth(&self, limits: &CopyLimits, copy: &CopyProgress, bytes: usize) {
        copy.bandwidth_limit.wait_for_capacity(limits.bytes_per_second_per_caller, bytes).await;
        self.bandwidth_limit.wait_for_capacity(limits.bytes_per_second, bytes).await;
    }

    /// Has all of them given up, as the process ends.
    pub fn abandon_all(&self) {
        self.lock_running().values().for_each(|copy| copy.abandon());
    }

    /// The list, as the admin port shows it.
    pub fn to_json(&self) -> Value {
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
