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

use crate::metrics::METRICS;

/// How often the runtime's lateness is measured.
const MEASURED_EVERY: Duration = Duration::from_millis(10);

/// Later than this it is busy.
const LATE: Duration = Duration::from_millis(5);

/// Requests of a caller that run at once however busy it is.
const SHARE_MIN: usize = 4;

/// What is as good as no limit.
const LIMIT_MAX: usize = 1 << 20;

/// A request that runs for longer waits for bytes, not for a processor.
const COUNTED_MAX: Duration = Duration::from_secs(1);

/// Longest wait for a turn.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often who waits looks whether others have become of no account.
const LOOKED_EVERY: Duration = Duration::from_millis(200);

/// The turns of all callers.
pub struct Turns {
    /// Requests that may run at once, of all callers.
    limit: AtomicUsize,
    callers: Mutex<HashMap<String, Queue>>,
    is_watched: AtomicBool,
}

/// The requests of one caller.
#[derive(Default)]
struct Queue {
    /// Those that run, and since when.
    running: VecDeque<(u64, Instant)>,
    /// Those that wait, in their order.
    waiting: VecDeque<oneshot::Sender<()>>,
    last: u64,
}

impl Queue {
    /// Lets one more run.
    fn begin(&mut self) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.running.push_back((self.last, Instant::now()));
        self.last
    }

    /// Lets those run whose turn it is.
    fn go_on(&mut self, share: usize) {
        let now = Instant::now();
        self.running.retain(|row| now.saturating_duration_since(row.1) < COUNTED_MAX);
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
pub struct Turn {
    turns: Arc<Turns>,
    caller: String,
    id: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut callers = self.turns.callers();
        let share = self.turns.share(callers.len());
        let Some(queue) = callers.get_mut(&self.caller) else { return };
        queue.running.retain(|row| row.0 != self.id);
        queue.go_on(share);
        if queue.is_idle() {
            callers.remove(&self.caller);
        }
    }
}

impl Turns {
    /// Nobody waits.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(LIMIT_MAX),
            callers: Mutex::default(),
            is_watched: AtomicBool::new(false),
        })
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<String, Queue>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn share(&self, callers: usize) -> usize {
        (self.limit.load(Ordering::Relaxed) / callers.max(1)).max(SHARE_MIN)
    }

    /// Waits until it is a caller's turn.
    pub async fn turn(self: &Arc<Self>, caller: &str) -> Turn {
        self.watch();
        let began = Instant::now();
        while let Some(mut turn) = self.queue(caller) {
            let waited = loop {
                match timeout(LOOKED_EVERY, &mut turn).await {
                    Ok(told) => break told.is_ok(),
                    Err(_) if began.elapsed() > WAIT_MAX => break true,
                    Err(_) => self.look(caller),
                }
            };
            if waited {
                METRICS.turns_waited.inc();
                break;
            }
        }
        let id = self.callers().entry(caller.to_owned()).or_default().begin();
        Turn { turns: Arc::clone(self), caller: caller.to_owned(), id }
    }

    /// A place in the queue; `None` where there is no need to wait.
    fn queue(&self, caller: &str) -> Option<oneshot::Receiver<()>> {
        let mut callers = self.callers();
        let count = callers.len().saturating_add(usize::from(!callers.contains_key(caller)));
        let share = self.share(count);
        let queue = callers.get_mut(caller)?;
        queue.go_on(share);
        if queue.waiting.is_empty() && queue.running.len() < share {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        queue.waiting.push_back(sender);
        Some(receiver)
    }

    fn look(&self, caller: &str) {
        let mut callers = self.callers();
        let share = self.share(callers.len());
        if let Some(queue) = callers.get_mut(caller) {
            queue.go_on(share);
        }
    }

    /// Measures the runtime that this is called in, from the first time on.
    fn watch(self: &Arc<Self>) {
        if self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let turns = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                let before = Instant::now();
                sleep(MEASURED_EVERY).await;
                let late = before.elapsed().saturating_sub(MEASURED_EVERY);
                let Some(turns) = turns.upgrade() else { return };
                turns.measured(late);
            }
        });
    }

    /// Takes a measurement: while the runtime is late fewer run at once, and more as soon as it is not.
    fn measured(&self, late: Duration) {
        let limit = self.limit.load(Ordering::Relaxed);
        let next = if late > LATE {
            // Of what runs, not of what might.
            let running: usize = self.callers().values().map(|queue| queue.running.len()).sum();
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
        let turns = Turns::new();
        let mut held = Vec::new();
        for _ in 0..2000 {
            held.push(turns.turn("one").await);
        }
        drop(held);
        assert!(turns.callers().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn a_busy_caller_waits_and_others_do_not() {
        let turns = Turns::new();
        let held: Vec<_> = futures_util::future::join_all((0..64).map(|_| turns.turn("busy"))).await;
        turns.measured(LATE * 2);
        turns.measured(LATE * 2);
        let waits = timeout(Duration::from_millis(50), turns.turn("busy")).await;
        assert!(waits.is_err(), "it has its share");
        let other = timeout(Duration::from_millis(50), turns.turn("other")).await;
        assert!(other.is_ok(), "who asks for little has its turn at once");
        drop(held);
        assert!(timeout(Duration::from_millis(50), turns.turn("busy")).await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_has_its_turn_in_order() {
        let turns = Turns::new();
        turns.limit.store(SHARE_MIN, Ordering::Relaxed);
        turns.is_watched.store(true, Ordering::Relaxed);
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |number: usize| {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            async move {
                let turn = turns.turn("one").await;
                order.lock().unwrap().push(number);
                sleep(Duration::from_millis(1)).await;
                drop(turn);
            }
        };
        futures_util::future::join_all((0..100).map(run)).await;
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
        assert!(turns.callers().is_empty());
    }
}
