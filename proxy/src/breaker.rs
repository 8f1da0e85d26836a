//! Whether a target is well, by what became of the requests to it. After too many failures in a row it is left alone
//! for a while; then one request after another tries it, until one is answered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::METRICS;

/// What is known of one target.
pub struct Breaker {
    target: String,
    /// Which connections it speaks of.
    group_key: u64,
    /// Failures in a row after which it is left alone; zero means never.
    failures_max: u32,
    pause: Duration,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    failures: u32,
    /// When a request may try again; `None` while all goes well.
    next_trial: Option<Instant>,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Like any other.
    Usual,
    /// It tries a target that failed; others wait for what becomes of it.
    Trial,
    /// Not now.
    Refused,
}

impl Breaker {
    /// Of a target of which nothing is known yet.
    pub fn new(target: &blobfish_config::Target, group_key: u64) -> Self {
        Self {
            target: target.name.clone(),
            group_key,
            failures_max: target.failures_max,
            pause: target.failures_pause,
            seen: Mutex::default(),
        }
    }

    /// Whether it speaks of the same target, under the same rules.
    pub fn is_like(&self, other: &Self) -> bool {
        let rules = |breaker: &Self| (breaker.group_key, breaker.failures_max, breaker.pause);
        rules(self) == rules(other)
    }

    /// How long nothing will be sent; zero where a request may try.
    pub fn wait(&self, now: Instant) -> Duration {
        self.seen().next_trial.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// Whether a request may be sent now. One that may try keeps others away for another pause at most, so that
    /// nothing hangs on one that never ends.
    pub fn admit(&self, now: Instant) -> Admission {
        let mut seen = self.seen();
        match seen.next_trial {
            None => Admission::Usual,
            Some(at) if now < at => Admission::Refused,
            Some(_) => {
                seen.next_trial = Some(now + self.pause);
                Admission::Trial
            }
        }
    }

    /// A request failed, and the target is to blame.
    pub fn failed(&self, now: Instant) {
        let mut seen = self.seen();
        seen.failures = seen.failures.saturating_add(1);
        if self.failures_max == 0 || seen.failures < self.failures_max {
            return;
        }
        if seen.next_trial.replace(now + self.pause).is_none() {
            self.show(&seen);
            let seconds = self.pause.as_secs();
            tracing::error!(
                target_name = self.target,
                "{} failures in a row: nothing is sent for {seconds} s, then one request tries",
                seen.failures
            );
        }
    }

    /// It answered.
    pub fn answered(&self, status: u16) {
        match status {
            // Why decides: it may only ask for fewer requests.
            503 => {}
            // What it does not have, or has no room for, is no failure: other requests are answered.
            501 | 507 => self.is_well(),
            500.. => self.failed(Instant::now()),
            _ => self.is_well(),
        }
    }

    fn is_well(&self) {
        let mut seen = self.seen();
        seen.failures = 0;
        if seen.next_trial.take().is_some() {
            self.show(&seen);
            tracing::info!(target_name = self.target, "the target answers again");
        }
    }

    /// Tells the metric how it is now.
    pub fn tell(&self) {
        self.show(&self.seen());
    }

    fn show(&self, seen: &Seen) {
        let state = METRICS.target_state.with_label_values(&[&self.target]);
        state.set(i64::from(seen.next_trial.is_none()));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker(failures_max: u32) -> Breaker {
        Breaker { target: "t".to_owned(), group_key: 1, failures_max, pause: PAUSE, seen: Mutex::default() }
    }

    #[test]
    fn failures_in_a_row_close_the_way_and_one_answer_opens_it() {
        let (breaker, now) = (breaker(3), Instant::now());
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Admission::Usual, "one short of it");
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Admission::Refused);
        assert_eq!(breaker.wait(now), PAUSE);
        let later = now + PAUSE;
        assert_eq!(breaker.wait(later), Duration::ZERO);
        assert_eq!(breaker.admit(later), Admission::Trial);
        assert_eq!(breaker.admit(later), Admission::Refused, "one tries, the others wait");
        breaker.failed(later);
        assert_eq!(breaker.admit(later + PAUSE - Duration::from_millis(1)), Admission::Refused);
        assert_eq!(breaker.admit(later + PAUSE), Admission::Trial);
        breaker.answered(200);
        assert_eq!(breaker.admit(later + PAUSE), Admission::Usual);
        breaker.failed(later + PAUSE);
        assert_eq!(breaker.admit(later + PAUSE), Admission::Usual, "counted from the start");
    }

    #[test]
    fn a_trial_that_never_ends_is_followed_by_another() {
        let (breaker, now) = (breaker(1), Instant::now());
        breaker.failed(now);
        assert_eq!(breaker.admit(now + PAUSE), Admission::Trial);
        assert_eq!(breaker.admit(now + PAUSE + PAUSE), Admission::Trial);
    }

    #[test]
    fn an_answer_between_failures_starts_the_count_again() {
        let (breaker, now) = (breaker(2), Instant::now());
        for status in [200, 304, 403, 404, 412, 501] {
            breaker.failed(now);
            breaker.answered(status);
        }
        assert_eq!(breaker.admit(now), Admission::Usual);
        // What an answer of 503 means is not known yet: it neither counts nor makes good.
        breaker.failed(now);
        breaker.answered(503);
        assert_eq!(breaker.admit(now), Admission::Usual);
        breaker.answered(500);
        assert_eq!(breaker.admit(now), Admission::Refused);
    }

    #[test]
    fn zero_turns_it_off() {
        let (breaker, now) = (breaker(0), Instant::now());
        (0..1000).for_each(|_| breaker.failed(now));
        assert_eq!(breaker.admit(now), Admission::Usual);
    }
}
