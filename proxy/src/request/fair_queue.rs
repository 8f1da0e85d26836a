//! A fair queue for requests while the processors are busy. Without it a caller that sends five hundred requests would
//! delay all others, so the number of running requests is then limited and shared between the callers.
//!
//! The scheduling delay of the runtime that runs the requests shows whether the processors are busy. While they are not,
//! no request waits here, however many requests wait for their targets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::telemetry::metrics::METRICS;

/// How often the scheduling delay of the runtime is measured.
const MEASURE_INTERVAL: Duration = Duration::from_millis(10);

/// Above this scheduling delay the processors count as busy.
const SCHEDULING_DELAY_MAX: Duration = Duration::from_millis(5);

/// Concurrent requests that each caller may always run.
const SHARE_MIN: usize = 4;

/// The limit while the processors are not busy; in effect none.
const LIMIT_MAX: usize = 1 << 20;

/// A request that runs for longer no longer counts: it waits for the network, not for a processor.
const RUNNING_DURATION_MAX: Duration = Duration::from_secs(1);

/// The maximum time in the queue, after which a request runs in any case.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a waiting request checks whether running requests no longer count.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The fair queue of all callers.
pub(crate) struct FairQueue {
    /// The maximum number of concurrent requests of all callers.
    limit: AtomicUsize,
    callers: Mutex<HashMap<String, CallerQueue>>,
    is_measuring: AtomicBool,
}

/// The requests of one caller.
#[derive(Default)]
struct CallerQueue {
    /// The running requests, with their start times.
    running: VecDeque<(u64, Instant)>,
    /// The waiting requests, in order of arrival.
    waiting: VecDeque<oneshot::Sender<()>>,
    last_id: u64,
}

impl CallerQueue {
    /// Adds a running request, and returns its ID.
    fn start_request(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.running.push_back((self.last_id, Instant::now()));
        self.last_id
    }

    /// Wakes as many waiting requests as the share allows.
    fn wake_waiting(&mut self, share: usize) {
        let now = Instant::now();
        self.running.retain(|row| now.saturating_duration_since(row.1) < RUNNING_DURATION_MAX);
        let mut free_slots = share.saturating_sub(self.running.len());
        while free_slots > 0 {
            let Some(next) = self.waiting.pop_front() else { return };
            // A client that disconnected has dropped its receiver, and takes no share.
            if next.send(()).is_ok() {
                free_slots = free_slots.saturating_sub(1);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}

/// The permit of one running request. Dropping it lets the next request run.
pub(crate) struct FairQueuePermit {
    queue: Arc<FairQueue>,
    caller: String,
    id: u64,
}

impl Drop for FairQueuePermit {
    fn drop(&mut self) {
        let mut callers = self.queue.lock_callers();
        let share = self.queue.share_per_caller(callers.len());
        // The entry may be missing already, because long requests stop counting.
        let Some(queue) = callers.get_mut(&self.caller) else { return };
        queue.running.retain(|row| row.0 != self.id);
        queue.wake_waiting(share);
        if queue.is_idle() {
            callers.remove(&self.caller);
        }
    }
}

impl FairQueue {
    /// Creates an empty queue without a limit.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(LIMIT_MAX),
            callers: Mutex::default(),
            is_measuring: AtomicBool::new(false),
        })
    }

    fn lock_callers(&self) -> MutexGuard<'_, HashMap<String, CallerQueue>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share_per_caller(&self, callers: usize) -> usize {
        (self.limit.load(Ordering::Relaxed) / callers.max(1)).max(SHARE_MIN)
    }

    /// Waits until a request of this caller may run.
    pub(crate) async fn acquire(self: &Arc<Self>, caller: &str) -> FairQueuePermit {
        self.start_measuring();
        let began = Instant::now();
        while let Some(mut granted) = self.enqueue(caller) {
            let is_done_waiting = loop {
                match timeout(RECHECK_INTERVAL, &mut granted).await {
                    Ok(result) => break result.is_ok(),
                    // The request then runs even if the share is used up: a late response is better than an error.
                    Err(_) if began.elapsed() > WAIT_MAX => break true,
                    Err(_) => self.recheck(caller),
                }
            };
            if is_done_waiting {
                METRICS.fair_queue_waits.inc();
                break;
            }
        }
        let id = self.lock_callers().entry(caller.to_owned()).or_default().start_request();
        FairQueuePermit { queue: Arc::clone(self), caller: caller.to_owned(), id }
    }

    /// Enqueues a request. Returns `None` if it need not wait.
    fn enqueue(&self, caller: &str) -> Option<oneshot::Receiver<()>> {
        let mut callers = self.lock_callers();
        let count = callers.len().saturating_add(usize::from(!callers.contains_key(caller)));
        let share = self.share_per_caller(count);
        let queue = callers.get_mut(caller)?;
        queue.wake_waiting(share);
        // A request must not overtake those that wait already.
        if queue.waiting.is_empty() && queue.running.len() < share {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push_back(sender);
        Some(receiver)
    }

    fn recheck(&self, caller: &str) {
        let mut callers = self.lock_callers();
        let share = self.share_per_caller(callers.len());
        if let Some(queue) = callers.get_mut(caller) {
            queue.wake_waiting(share);
        }
    }

    /// Starts to measure the current runtime, on the first call.
    fn start_measuring(self: &Arc<Self>) {
        if self.is_measuring.swap(true, Ordering::Relaxed) {
            return;
        }
        // A strong reference would keep the queue and its task alive forever.
        let weak_queue = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let before = Instant::now();
                sleep(MEASURE_INTERVAL).await;
                let delay = before.elapsed().saturating_sub(MEASURE_INTERVAL);
                let Some(fair_queue) = weak_queue.upgrade() else { return };
                fair_queue.adjust_limit(delay);
            }
        });
    }

    /// Adjusts the limit to a measured delay: lower while the runtime is late, higher as soon as it is not.
    fn adjust_limit(&self, delay: Duration) {
        let limit = self.limit.load(Ordering::Relaxed);
        let next = if delay > SCHEDULING_DELAY_MAX {
            // The limit may be far above what runs, and would then need many steps to have an effect.
            let running: usize = self.lock_callers().values().map(|queue| queue.running.len()).sum();
            (limit.min(running) / 4).saturating_mul(3).max(SHARE_MIN)
        } else {
            limit.saturating_add(limit / 16).saturating_add(1).min(LIMIT_MAX)
        };
        self.limit.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_request_waits_while_the_runtime_is_idle() {
        let fair_queue = FairQueue::new();
        let mut permits = Vec::new();
        for _ in 0..2000 {
            permits.push(fair_queue.acquire("one").await);
        }
        drop(permits);
        assert!(fair_queue.lock_callers().is_empty(), "no entry remains");
    }

    #[tokio::test]
    async fn a_busy_caller_waits_and_others_do_not() {
        let fair_queue = FairQueue::new();
        let permits: Vec<_> =
            futures_util::future::join_all((0..64).map(|_| fair_queue.acquire("busy"))).await;
        fair_queue.adjust_limit(SCHEDULING_DELAY_MAX * 2);
        fair_queue.adjust_limit(SCHEDULING_DELAY_MAX * 2);
        let outcome = timeout(Duration::from_millis(50), fair_queue.acquire("busy")).await;
        assert!(outcome.is_err(), "its share is used up");
        let other_outcome = timeout(Duration::from_millis(50), fair_queue.acquire("other")).await;
        assert!(other_outcome.is_ok(), "a caller with few requests does not wait");
        drop(permits);
        assert!(timeout(Duration::from_millis(50), fair_queue.acquire("busy")).await.is_ok());
    }

    #[tokio::test]
    async fn waiting_requests_start_in_order() {
        let fair_queue = FairQueue::new();
        fair_queue.limit.store(SHARE_MIN, Ordering::Relaxed);
        fair_queue.is_measuring.store(true, Ordering::Relaxed);
        let order = Arc::new(Mutex::new(Vec::new()));
        let run_request = |number: usize| {
            let (fair_queue, order) = (Arc::clone(&fair_queue), Arc::clone(&order));
            async move {
                let permit = fair_queue.acquire("one").await;
                order.lock().unwrap().push(number);
                sleep(Duration::from_millis(1)).await;
                drop(permit);
            }
        };
        futures_util::future::join_all((0..100).map(run_request)).await;
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
        assert!(fair_queue.lock_callers().is_empty());
    }
}
