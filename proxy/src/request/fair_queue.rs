//! Whose turn it is while the processors are busy. A caller that asks for five hundred things at once would have everybody
//! else wait behind them; so what runs at once is limited then, and shared between the callers that ask.
//!
//! Whether the processors are busy is measured: how late the runtime is that runs the requests. While it is not, nobody
//! waits here, however many requests wait for their targets.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::telemetry::metrics::METRICS;

/// How often the runtime's lateness is measured.
const MEASURE_INTERVAL: Duration = Duration::from_millis(10);

/// Later than this it is busy.
const SCHEDULING_DELAY_MAX: Duration = Duration::from_millis(5);

/// Requests of a caller that run at once however busy it is.
const SHARE_MIN: usize = 4;

/// What is as good as no limit.
const LIMIT_MAX: usize = 1 << 20;

/// A request that runs for longer waits for bytes, not for a processor.
const RUNNING_DURATION_MAX: Duration = Duration::from_secs(1);

/// Longest wait for a turn.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often who waits looks whether others have become of no account.
const RECHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The turns of all callers.
pub struct FairQueue {
    /// Requests that may run at once, of all callers.
    limit: AtomicUsize,
    callers: Mutex<HashMap<String, CallerQueue>>,
    is_measuring: AtomicBool,
}

/// The requests of one caller.
#[derive(Default)]
struct CallerQueue {
    /// Those that run, and since when.
    running: VecDeque<(u64, Instant)>,
    /// Those that wait, in their order.
    waiting: VecDeque<oneshot::Sender<()>>,
    last_id: u64,
}

impl CallerQueue {
    /// Lets one more run.
    fn start_request(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.running.push_back((self.last_id, Instant::now()));
        self.last_id
    }

    /// Lets those run whose turn it is.
    fn wake_waiting(&mut self, share: usize) {
        let now = Instant::now();
        self.running.retain(|row| now.saturating_duration_since(row.1) < RUNNING_DURATION_MAX);
        let mut room = share.saturating_sub(self.running.len());
        while room > 0 {
            let Some(next) = self.waiting.pop_front() else { return };
            // Who went needs no turn.
            if next.send(()).is_ok() {
                room = room.saturating_sub(1);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}

/// One request's turn; the next begins when it is dropped.
pub struct FairQueuePermit {
    queue: Arc<FairQueue>,
    caller: String,
    id: u64,
}

impl Drop for FairQueuePermit {
    fn drop(&mut self) {
        let mut callers = self.queue.lock_callers();
        let share = self.queue.share_per_caller(callers.len());
        let Some(queue) = callers.get_mut(&self.caller) else { return };
        queue.running.retain(|row| row.0 != self.id);
        queue.wake_waiting(share);
        if queue.is_idle() {
            callers.remove(&self.caller);
        }
    }
}

impl FairQueue {
    /// Nobody waits.
    pub fn new() -> Arc<Self> {
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

    /// Waits until it is a caller's turn.
    pub async fn acquire(self: &Arc<Self>, caller: &str) -> FairQueuePermit {
        self.start_measuring();
        let began = Instant::now();
        while let Some(mut granted) = self.enqueue(caller) {
            let is_done_waiting = loop {
                match timeout(RECHECK_INTERVAL, &mut granted).await {
                    Ok(result) => break result.is_ok(),
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

    /// A place in the queue; `None` where there is no need to wait.
    fn enqueue(&self, caller: &str) -> Option<oneshot::Receiver<()>> {
        let mut callers = self.lock_callers();
        let count = callers.len().saturating_add(usize::from(!callers.contains_key(caller)));
        let share = self.share_per_caller(count);
        let queue = callers.get_mut(caller)?;
        queue.wake_waiting(share);
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

    /// Measures the runtime that this is called in, from the first time on.
    fn start_measuring(self: &Arc<Self>) {
        if self.is_measuring.swap(true, Ordering::Relaxed) {
            return;
        }
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

    /// Takes a measurement: while the runtime is late fewer run at once, and more as soon as it is not.
    fn adjust_limit(&self, delay: Duration) {
        let limit = self.limit.load(Ordering::Relaxed);
        let next = if delay > SCHEDULING_DELAY_MAX {
            // Of what runs, not of what might.
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
    async fn nobody_waits_while_there_is_time() {
        let fair_queue = FairQueue::new();
        let mut permits = Vec::new();
        for _ in 0..2000 {
            permits.push(fair_queue.acquire("one").await);
        }
        drop(permits);
        assert!(fair_queue.lock_callers().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn a_busy_caller_waits_and_others_do_not() {
        let fair_queue = FairQueue::new();
        let permits: Vec<_> =
            futures_util::future::join_all((0..64).map(|_| fair_queue.acquire("busy"))).await;
        fair_queue.adjust_limit(SCHEDULING_DELAY_MAX * 2);
        fair_queue.adjust_limit(SCHEDULING_DELAY_MAX * 2);
        let outcome = timeout(Duration::from_millis(50), fair_queue.acquire("busy")).await;
        assert!(outcome.is_err(), "it has its share");
        let other_outcome = timeout(Duration::from_millis(50), fair_queue.acquire("other")).await;
        assert!(other_outcome.is_ok(), "who asks for little has its turn at once");
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
