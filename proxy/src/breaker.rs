//! The circuit breaker of a target. It counts what says something about the target, whoever asks: that it cannot be
//! reached, that it does not answer, and that most of what several callers ask for ends in a 5xx. What one caller alone,
//! or somebody without a key, can bring about does not open it.
//!
//! | state | requests |
//! | --- | --- |
//! | closed | are sent |
//! | open | are refused at once |
//! | half-open | one probes the target; the others are refused |

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::behalf::Behalf;
use crate::metrics::METRICS;

/// How long an outcome counts.
const WINDOW: Duration = Duration::from_secs(30);

/// Callers of whom outcomes are remembered, and objects and calls of each of them.
const CALLERS_MAX: usize = 64;
const SUBJECTS_MAX: usize = 32;

/// So many different objects or calls must fail before a caller counts as one for whom the target fails.
const SUBJECTS_MIN: usize = 2;

/// So many callers, where there are as many.
const CALLERS_MIN: usize = 2;

/// The circuit breaker of one target.
pub struct Breaker {
    target: String,
    /// Which connections it speaks of.
    group_key: u64,
    /// Failures after which it opens; zero means never.
    failures_max: u32,
    pause: Duration,
    /// Callers that must be affected.
    callers_min: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    state: State,
    /// Failures to reach it or to hear of it since its last answer.
    silences: u32,
    /// What was asked for in vain; of one object alone a target may be silent.
    silent: Vec<u64>,
    /// Whether one of them was that it could not be reached.
    unreachable: bool,
    /// Outcomes by caller, while there are failures among them.
    callers: HashMap<u64, Recent>,
    /// Whose probe was answered with a failure, and when.
    failed_probe: Option<(Behalf, Instant)>,
    /// Whether it opened because of what the target answered.
    by_answers: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Nothing is sent until then.
    Open(Instant),
    /// A probe is under way; if nothing is heard of it until then, another one follows.
    HalfOpen(Instant),
}

/// The last outcome of each object or call of one caller.
#[derive(Default)]
struct Recent(Vec<Line>);

struct Line {
    subject: u64,
    at: Instant,
    /// Failures since the last success.
    failures: u32,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Like any other.
    Usual,
    /// It probes the target; others wait for what becomes of it.
    Probe,
    /// Not now.
    Refused,
}

/// What became of a request, as far as it says something about the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, whatever it was asked.
    Answered,
    /// It answered that it failed.
    Failed,
    /// The connection broke before the answer.
    Broken,
    /// It was reached and did not answer in time.
    Silent,
    /// It could not be reached.
    Unreachable,
}

/// Who asked for what.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// On whose behalf.
    pub behalf: Behalf,
    /// A digest of the method and the place at the target.
    pub subject: u64,
    /// Whether it was a probe.
    pub probe: bool,
}

impl Breaker {
    /// Of a target of which nothing is known yet, asked by so many callers.
    pub fn new(target: &blobfish_config::Target, group_key: u64, callers: usize) -> Self {
        Self {
            target: target.name.clone(),
            group_key,
            failures_max: target.failures_max,
            pause: target.failures_pause,
            callers_min: callers.clamp(1, CALLERS_MIN),
            seen: Mutex::default(),
        }
    }

    /// Whether it speaks of the same target, under the same rules.
    pub fn is_like(&self, other: &Self) -> bool {
        let rules = |own: &Self| (own.group_key, own.failures_max, own.pause, own.callers_min);
        rules(self) == rules(other)
    }

    /// How long nothing will be sent; zero where a request may try.
    pub fn wait(&self, now: Instant) -> Duration {
        match self.seen().state {
            State::Closed => Duration::ZERO,
            State::Open(until) | State::HalfOpen(until) => until.saturating_duration_since(now),
        }
    }

    /// Whether a request may be sent now. One that probes keeps others away for another pause at most, so that nothing
    /// hangs on one that never ends. Our own questions do not probe: anybody could have us ask them.
    pub fn admit(&self, behalf: Behalf, now: Instant) -> Admission {
        let mut seen = self.seen();
        let until = match seen.state {
            State::Closed => return Admission::Usual,
            State::Open(until) | State::HalfOpen(until) => until,
        };
        // Whose probe just failed lets others try first: an object of its own may be what fails.
        let waits = |(whose, at): (Behalf, Instant)| whose == behalf && now < at + self.pause + self.pause;
        if now < until || behalf == Behalf::Aside || seen.failed_probe.is_some_and(waits) {
            return Admission::Refused;
        }
        seen.state = State::HalfOpen(now + self.pause);
        Admission::Probe
    }

    /// Notes what became of a request.
    pub fn report(&self, asked: Asked, outcome: Outcome, now: Instant) {
        if asked.behalf == Behalf::Aside || self.failures_max == 0 {
            return;
        }
        let mut seen = self.seen();
        match outcome {
            Outcome::Answered => self.answered(&mut seen, asked, now),
            Outcome::Failed | Outcome::Broken => self.failed(&mut seen, asked, outcome, now),
            Outcome::Silent | Outcome::Unreachable => self.silent(&mut seen, asked, outcome, now),
        }
    }

    fn answered(&self, seen: &mut Seen, asked: Asked, now: Instant) {
        seen.forget_silence();
        if !seen.callers.is_empty() {
            seen.note(asked, false, now);
        }
        if seen.state != State::Closed {
            self.close(seen);
        }
    }

    fn failed(&self, seen: &mut Seen, asked: Asked, outcome: Outcome, now: Instant) {
        if outcome == Outcome::Failed {
            seen.forget_silence();
        }
        if seen.state != State::Closed {
            match outcome {
                // It can be reached, which it could not be.
                Outcome::Failed if asked.probe && !seen.by_answers => self.close(seen),
                _ if asked.probe => {
                    seen.failed_probe = Some((asked.behalf, now));
                    seen.state = State::Open(now + self.pause);
                }
                _ => {}
            }
            return;
        }
        // Of somebody without a key it says nothing.
        if !matches!(asked.behalf, Behalf::Caller(_)) {
            return;
        }
        seen.note(asked, true, now);
        if seen.fails_for_most(self.failures_max, self.callers_min) {
            self.open(seen, true, now, "most of what several callers ask for fails");
        }
    }

    fn silent(&self, seen: &mut Seen, asked: Asked, outcome: Outcome, now: Instant) {
        seen.silences = seen.silences.saturating_add(1);
        seen.unreachable |= outcome == Outcome::Unreachable;
        if seen.silent.len() < SUBJECTS_MIN && !seen.silent.contains(&asked.subject) {
            seen.silent.push(asked.subject);
        }
        let proven = seen.unreachable || seen.silent.len() >= SUBJECTS_MIN;
        match seen.state {
            State::Closed if proven && seen.silences >= self.failures_max => {
                let why = if seen.unreachable { "it is not reached" } else { "it does not answer" };
                self.open(seen, false, now, why);
            }
            State::Open(_) | State::HalfOpen(_) if asked.probe => seen.state = State::Open(now + self.pause),
            _ => {}
        }
    }

    fn open(&self, seen: &mut Seen, by_answers: bool, now: Instant, why: &str) {
        seen.state = State::Open(now + self.pause);
        seen.by_answers = by_answers;
        seen.failed_probe = None;
        self.show(seen);
        let seconds = self.pause.as_secs();
        tracing::error!(
            target_name = self.target,
            "circuit breaker open: {why}; nothing is sent for {seconds} s, then one request probes"
        );
    }

    fn close(&self, seen: &mut Seen) {
        *seen = Seen::default();
        self.show(seen);
        tracing::info!(target_name = self.target, "circuit breaker closed: the target answers again");
    }

    /// Tells the metric how it is now.
    pub fn tell(&self) {
        self.show(&self.seen());
    }

    fn show(&self, seen: &Seen) {
        let state = METRICS.target_state.with_label_values(&[&self.target]);
        state.set(i64::from(seen.state == State::Closed));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget_silence(&mut self) {
        self.silences = 0;
        self.unreachable = false;
        self.silent.clear();
    }

    /// Notes an outcome, and forgets what is too old.
    fn note(&mut self, asked: Asked, failed: bool, now: Instant) {
        let is_recent = |line: &Line| now.saturating_duration_since(line.at) < WINDOW;
        for recent in self.callers.values_mut() {
            recent.0.retain(is_recent);
        }
        self.callers.retain(|_, recent| !recent.0.is_empty());
        if let Behalf::Caller(caller) = asked.behalf
            && (self.callers.len() < CALLERS_MAX || self.callers.contains_key(&caller))
        {
            self.callers.entry(caller).or_default().note(asked.subject, failed, now);
        }
        if self.callers.values().all(|recent| recent.failures() == 0) {
            self.callers.clear();
        }
    }

    /// Whether enough failed, and for at least four fifths of the callers, each with their own share.
    fn fails_for_most(&self, failures_max: u32, callers_min: usize) -> bool {
        let failures = self.callers.values().map(Recent::failures).fold(0, u32::saturating_add);
        let affected = self.callers.values().filter(|recent| recent.fails()).count();
        failures >= failures_max
            && affected >= callers_min
            && affected.saturating_mul(5) >= self.callers.len().saturating_mul(4)
    }
}

impl Recent {
    fn note(&mut self, subject: u64, failed: bool, now: Instant) {
        let at = self.0.iter().position(|line| line.subject == subject);
        let failures = at.map(|at| self.0.swap_remove(at)).map_or(0, |line| line.failures);
        if self.0.len() >= SUBJECTS_MAX
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, line)| line.at).map(|(at, _)| at)
        {
            self.0.swap_remove(oldest);
        }
        let failures = if failed { failures.saturating_add(1) } else { 0 };
        self.0.push(Line { subject, at: now, failures });
    }

    fn failures(&self) -> u32 {
        self.0.iter().map(|line| line.failures).fold(0, u32::saturating_add)
    }

    /// Whether at least four fifths of what this caller asks for fails, and not one thing alone.
    fn fails(&self) -> bool {
        let failing = self.0.iter().filter(|line| line.failures > 0).count();
        failing >= SUBJECTS_MIN && failing.saturating_mul(5) >= self.0.len().saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    fn breaker(failures_max: u32) -> Breaker {
        Breaker {
            target: "t".to_owned(),
            group_key: 1,
            failures_max,
            pause: PAUSE,
            callers_min: 2,
            seen: Mutex::default(),
        }
    }

    fn by(caller: u64, subject: u64) -> Asked {
        Asked { behalf: Behalf::Caller(caller), subject, probe: false }
    }

    fn probe(caller: u64) -> Asked {
        Asked { probe: true, ..by(caller, 1) }
    }

    fn is_open(breaker: &Breaker, now: Instant) -> bool {
        !breaker.wait(now).is_zero()
    }

    #[test]
    fn a_target_that_is_not_reached_opens_it_and_one_answer_closes_it() {
        let (breaker, now) = (breaker(3), Instant::now());
        let unreachable = |asked, at| breaker.report(asked, Outcome::Unreachable, at);
        (0..2).for_each(|_| unreachable(by(1, 1), now));
        assert_eq!(breaker.admit(Behalf::Caller(1), now), Admission::Usual, "one short of it");
        unreachable(by(1, 1), now);
        assert_eq!(breaker.admit(Behalf::Caller(2), now), Admission::Refused);
        assert_eq!(breaker.wait(now), PAUSE);
        let later = now + PAUSE;
        assert_eq!(breaker.wait(later), Duration::ZERO);
        assert_eq!(breaker.admit(Behalf::Aside, later), Admission::Refused, "takes no probe");
        assert_eq!(breaker.admit(Behalf::Caller(1), later), Admission::Probe);
        assert_eq!(
            breaker.admit(Behalf::Caller(2), later),
            Admission::Refused,
            "one probes, the others wait"
        );
        unreachable(probe(1), later);
        assert_eq!(
            breaker.admit(Behalf::Caller(1), later + PAUSE - Duration::from_millis(1)),
            Admission::Refused
        );
        assert_eq!(breaker.admit(Behalf::Caller(1), later + PAUSE), Admission::Probe);
        breaker.report(probe(1), Outcome::Answered, later + PAUSE);
        assert_eq!(breaker.admit(Behalf::Caller(1), later + PAUSE), Admission::Usual);
        unreachable(by(1, 1), later + PAUSE);
        assert!(!is_open(&breaker, later + PAUSE), "counted from the start");
    }

    #[test]
    fn a_probe_that_never_ends_is_followed_by_another() {
        let (breaker, now) = (breaker(1), Instant::now());
        breaker.report(by(1, 1), Outcome::Unreachable, now);
        assert_eq!(breaker.admit(Behalf::Caller(1), now + PAUSE), Admission::Probe);
        assert_eq!(breaker.admit(Behalf::Caller(1), now + PAUSE + PAUSE), Admission::Probe);
    }

    #[test]
    fn one_caller_alone_does_not_open_it() {
        let (breaker, now) = (breaker(10), Instant::now());
        for subject in 0..1000 {
            breaker.report(by(1, subject), Outcome::Failed, now);
        }
        assert!(!is_open(&breaker, now), "a thousand objects of one caller");
        // Another one's single mishap, and what goes well for it.
        breaker.report(by(2, 1), Outcome::Failed, now);
        assert!(!is_open(&breaker, now));
        for subject in 0..20 {
            breaker.report(by(2, subject), Outcome::Answered, now);
            breaker.report(by(2, 500), Outcome::Failed, now);
            breaker.report(by(1, subject), Outcome::Failed, now);
        }
        assert!(!is_open(&breaker, now), "most goes well for the other");
    }

    #[test]
    fn one_object_does_not_open_it() {
        let (breaker, now) = (breaker(10), Instant::now());
        for _ in 0..100 {
            (1..=5).for_each(|caller| breaker.report(by(caller, 7), Outcome::Failed, now));
        }
        assert!(!is_open(&breaker, now));
        (0..100).for_each(|_| breaker.report(by(1, 7), Outcome::Silent, now));
        assert!(!is_open(&breaker, now), "nor by its silence");
    }

    #[test]
    fn who_has_no_key_does_not_open_it() {
        let (breaker, now) = (breaker(3), Instant::now());
        for subject in 0..100 {
            for behalf in [Behalf::Anybody, Behalf::Aside] {
                breaker.report(Asked { behalf, subject, probe: false }, Outcome::Failed, now);
                breaker.report(Asked { behalf, subject, probe: false }, Outcome::Broken, now);
            }
            let aside = Asked { behalf: Behalf::Aside, subject, probe: false };
            breaker.report(aside, Outcome::Unreachable, now);
        }
        assert!(!is_open(&breaker, now));
    }

    #[test]
    fn a_target_that_fails_for_everybody_opens_it() {
        for outcome in [Outcome::Failed, Outcome::Broken] {
            let (breaker, now) = (breaker(10), Instant::now());
            for count in 0..10_u64 {
                assert!(!is_open(&breaker, now), "{count}");
                breaker.report(by(count % 2, count), outcome, now);
            }
            assert!(is_open(&breaker, now), "{outcome:?}");
        }
        let (breaker, now) = (breaker(10), Instant::now());
        (0..10_u64).for_each(|count| breaker.report(by(1, count), Outcome::Silent, now));
        assert!(is_open(&breaker, now), "silent to one caller for several objects");
    }

    #[test]
    fn failures_of_long_ago_do_not_count() {
        let (breaker, now) = (breaker(10), Instant::now());
        (0..9_u64).for_each(|count| breaker.report(by(count % 2, count), Outcome::Failed, now));
        breaker.report(by(1, 100), Outcome::Failed, now + WINDOW);
        assert!(!is_open(&breaker, now + WINDOW));
    }

    #[test]
    fn whose_object_fails_does_not_keep_it_open() {
        let (breaker, now) = (breaker(4), Instant::now());
        (0..4_u64).for_each(|count| breaker.report(by(count % 2, count), Outcome::Failed, now));
        let later = now + PAUSE;
        assert_eq!(breaker.admit(Behalf::Caller(1), later), Admission::Probe);
        breaker.report(probe(1), Outcome::Failed, later);
        let next = later + PAUSE;
        assert_eq!(breaker.admit(Behalf::Caller(1), next), Admission::Refused, "others first");
        assert_eq!(breaker.admit(Behalf::Caller(0), next), Admission::Probe);
        breaker.report(probe(0), Outcome::Answered, next);
        assert!(!is_open(&breaker, next));
    }

    #[test]
    fn an_error_closes_what_was_not_reached() {
        let (breaker, now) = (breaker(1), Instant::now());
        breaker.report(by(1, 1), Outcome::Unreachable, now);
        assert_eq!(breaker.admit(Behalf::Caller(1), now + PAUSE), Admission::Probe);
        breaker.report(probe(1), Outcome::Failed, now + PAUSE);
        assert!(!is_open(&breaker, now + PAUSE));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (breaker, now) = (breaker(1_000_000), Instant::now());
        for count in 0..10_000_u64 {
            breaker.report(by(count, 1), Outcome::Failed, now);
            breaker.report(by(0, count), Outcome::Failed, now);
        }
        let seen = breaker.seen();
        assert!(seen.callers.len() <= CALLERS_MAX);
        assert!(seen.callers.values().all(|recent| recent.0.len() <= SUBJECTS_MAX));
    }

    #[test]
    fn zero_turns_it_off() {
        let (breaker, now) = (breaker(0), Instant::now());
        (0..1000).for_each(|_| breaker.report(by(1, 1), Outcome::Unreachable, now));
        assert_eq!(breaker.admit(Behalf::Caller(1), now), Admission::Usual);
    }
}
