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

use crate::metrics::METRICS;

/// All of this process.
pub static COPIES: LazyLock<Copies> = LazyLock::new(Copies::default);

/// The copies that run now.
#[derive(Default)]
pub struct Copies {
    running: Mutex<BTreeMap<u64, Arc<Progress>>>,
    last: AtomicU64,
    pace: Pace,
}

/// Keeps what passes to a speed.
#[derive(Default)]
struct Pace {
    /// Until when what was let through takes.
    busy_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits until so many more bytes may pass.
    async fn wait(&self, per_second: Option<u64>, bytes: usize) {
        let Some(per_second) = per_second else { return };
        let until = {
            let mut busy = self.busy_until.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let start = busy.filter(|until| *until > now).unwrap_or(now);
            let taken = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(1_000_000);
            let taken = Duration::from_micros(taken.checked_div(per_second).unwrap_or_default());
            *busy = start.checked_add(taken);
            start
        };
        sleep_until(until.into()).await;
    }
}

/// How far one copy is.
pub struct Progress {
    /// Who asked for it.
    pub caller: String,
    /// The id that its caller was told.
    pub request: String,
    /// `parts` at its target, or `relay` between two.
    pub plan: &'static str,
    /// The targets.
    pub from: String,
    /// The same.
    pub to: String,
    /// Bytes of the source, once that is known.
    pub size: AtomicU64,
    /// Bytes that are at the destination.
    pub done: AtomicU64,
    started: Instant,
    /// Shared by the copies of this caller.
    pace: Arc<Pace>,
    abandoned: Notify,
}

impl Progress {
    /// Has it given up: what it began is taken back.
    pub fn abandon(&self) {
        self.abandoned.notify_one();
    }

    /// Waits until it is to be given up.
    pub async fn is_abandoned(&self) {
        self.abandoned.notified().await;
    }
}

/// One of the copies that may run at once; it is over when this is dropped.
pub struct Slot {
    id: u64,
    /// How far it is.
    pub progress: Arc<Progress>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        COPIES.running().remove(&self.id);
        METRICS.copies_running.dec();
    }
}

impl Copies {
    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Progress>>> {
        // A panic elsewhere leaves whole entries.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a copy begin. `None`: too many run already, of all callers or of this one.
    pub fn begin(
        &self,
        limits: &CopyLimits,
        caller: &str,
        request: &str,
        plan: &'static str,
        from: &str,
        to: &str,
    ) -> Option<Slot> {
        let mut running = self.running();
        let own: Vec<_> = running.values().filter(|copy| copy.caller == caller).collect();
        if running.len() >= limits.copies_max || own.len() >= limits.copies_per_caller_max {
            return None;
        }
        let pace = own.first().map(|copy| Arc::clone(&copy.pace)).unwrap_or_default();
        let progress = Arc::new(Progress {
            caller: caller.to_owned(),
            request: request.to_owned(),
            plan,
            from: from.to_owned(),
            to: to.to_owned(),
            size: AtomicU64::new(0),
            done: AtomicU64::new(0),
            started: Instant::now(),
            pace,
            abandoned: Notify::new(),
        });
        let id = self.last.fetch_add(1, Ordering::Relaxed);
        running.insert(id, Arc::clone(&progress));
        METRICS.copies_running.inc();
        Some(Slot { id, progress })
    }

    /// Waits until so many more bytes of a copy may pass.
    pub async fn pace(&self, limits: &CopyLimits, copy: &Progress, bytes: usize) {
        copy.pace.wait(limits.bytes_per_second_per_caller, bytes).await;
        self.pace.wait(limits.bytes_per_second, bytes).await;
    }

    /// Has all of them given up, as the process ends.
    pub fn abandon(&self) {
        self.running().values().for_each(|copy| copy.abandon());
    }

    /// The list, as the admin port shows it.
    pub fn list(&self) -> Value {
        let running = self.running();
        let copies = running.values().map(|copy| {
            json!({
                "caller": copy.caller,
                "request": copy.request,
                "plan": copy.plan,
                "from": copy.from,
                "to": copy.to,
                "bytes": copy.size.load(Ordering::Relaxed),
                "bytes_done": copy.done.load(Ordering::Relaxed),
                "seconds": copy.started.elapsed().as_secs(),
            })
        });
        json!({ "copies": copies.collect::<Vec<_>>() })
    }
}
