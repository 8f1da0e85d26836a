//! The circuit breaker of a target. It opens if the target is unreachable, does not respond, or responds with 5xx to
//! most requests of several callers. Error responses that a single caller or an anonymous client can provoke do not
//! open it, because one client could then block all others.
//!
//! | state | requests |
//! | --- | --- |
//! | closed | are sent |
//! | open | are rejected without waiting |
//! | half-open | one probes the target; the others are rejected |

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::target::initiator::Initiator;
use crate::telemetry::metrics::METRICS;

/// How long an outcome is counted.
const OUTCOME_WINDOW: Duration = Duration::from_secs(30);

/// Maximum number of callers with recorded outcomes, and of subjects (operation and object) of each.
const TRACKED_CALLERS_MAX: usize = 64;
const TRACKED_SUBJECTS_MAX: usize = 32;

/// Number of failing subjects from which a caller counts as affected. A single object may be damaged at the target.
const FAILING_SUBJECTS_MIN: usize = 2;

/// Number of affected callers from which the circuit breaker opens, if as many are configured.
const AFFECTED_CALLERS_NEEDED: usize = 2;

/// The circuit breaker of one target.
pub(crate) struct CircuitBreaker {
    target: String,
    /// The connection group of the target. A different one means other connection settings.
    group_key: u64,
    /// Number of failures after which the circuit breaker opens; zero disables it.
    circuit_breaker_failures: u32,
    open_duration: Duration,
    /// Number of callers that must be affected.
    callers_min: usize,
    record: Mutex<BreakerRecord>,
}

#[derive(Default)]
struct BreakerRecord {
    state: CircuitState,
    /// Requests without a response since the last response.
    unanswered_count: u32,
    /// Subjects of these requests, because a target may fail to respond for a single object.
    unanswered_subjects: Vec<u64>,
    /// Whether the target was unreachable for one of them.
    unreachable: bool,
    /// Outcomes by caller; empty if there are no failures among them.
    outcomes_by_caller: HashMap<u64, CallerOutcomes>,
    /// The initiator of the last probe that got an error response, and its time.
    failed_probe: Option<(Initiator, Instant)>,
    /// Whether error responses opened the circuit breaker.
    opened_by_errors: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum CircuitState {
    #[default]
    Closed,
    /// No request is sent until this time.
    Open(Instant),
    /// A probe is running. If it has no outcome at this time, another one is sent.
    HalfOpen(Instant),
}

/// The last outcome of each subject of one caller.
#[derive(Default)]
struct CallerOutcomes(Vec<SubjectOutcome>);

struct SubjectOutcome {
    subject: u64,
    at: Instant,
    /// Number of failures since the last success.
    failures: u32,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerAdmission {
    /// The request may be sent.
    Allowed,
    /// The request may be sent as a probe. Others are rejected until it has an outcome.
    Probe,
    /// The request must not be sent.
    Rejected,
}

/// The outcome of a request, as far as it indicates the state of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerOutcome {
    /// The target responded and did not report an error of its own.
    Responded,
    /// The target responded with a server error.
    ServerError,
    /// The connection broke before the response.
    ConnectionBroken,
    /// The target was reached and did not respond in time.
    TimedOut,
    /// The target could not be reached.
    Unreachable,
}

/// The initiator and the subject of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The initiator.
    pub initiator: Initiator,
    /// A hash of the operation and the object.
    pub subject: u64,
    /// Whether the request was a probe.
    pub probe: bool,
}

impl CircuitBreaker {
    /// Creates a closed circuit breaker for a target that this number of callers use.
    pub(crate) fn new(target: &blobfish_config::Target, group_key: u64, callers: usize) -> Self {
        Self {
            target: target.name.clone(),
            group_key,
            circuit_breaker_failures: target.circuit_breaker_failures,
            open_duration: target.circuit_breaker_open,
            callers_min: callers.clamp(1, AFFECTED_CALLERS_NEEDED),
            record: Mutex::default(),
        }
    }

    /// Whether both have the same target and settings.
    pub(crate) fn has_same_settings(&self, other: &Self) -> bool {
        let rules =
            |own: &Self| (own.group_key, own.circuit_breaker_failures, own.open_duration, own.callers_min);
        // After a change of any of these the recorded failures could exceed the new limits, so the record starts empty.
        rules(self) == rules(other)
    }

    /// The time until a request may be sent; zero if one may be sent now.
    pub(crate) fn time_until_probe(&self, now: Instant) -> Duration {
        match self.lock_record().state {
            CircuitState::Closed => Duration::ZERO,
            CircuitState::Open(until) | CircuitState::HalfOpen(until) => until.saturating_duration_since(now),
        }
    }

    /// Decides whether a request may be sent now. A probe blocks other requests for at most another open period, in case
    /// it never ends. Requests of the proxy itself are never probes, because unauthenticated clients can cause them.
    pub(crate) fn try_admit(&self, initiator: Initiator, now: Instant) -> BreakerAdmission {
        let mut record = self.lock_record();
        let until = match record.state {
            CircuitState::Closed => return BreakerAdmission::Allowed,
            CircuitState::Open(until) | CircuitState::HalfOpen(until) => until,
        };
        // After a failed probe the other callers have precedence: the failure may concern only this caller's object.
        let must_wait = |(prober, at): (Initiator, Instant)| {
            prober == initiator && now < at + self.open_duration + self.open_duration
        };
        if now < until || initiator == Initiator::Proxy || record.failed_probe.is_some_and(must_wait) {
            return BreakerAdmission::Rejected;
        }
        record.state = CircuitState::HalfOpen(now + self.open_duration);
        BreakerAdmission::Probe
    }

    /// Records the outcome of a request.
    pub(crate) fn report_outcome(&self, attempt: Attempt, outcome: BreakerOutcome, now: Instant) {
        if attempt.initiator == Initiator::Proxy || self.circuit_breaker_failures == 0 {
            return;
        }
        let mut record = self.lock_record();
        match outcome {
            BreakerOutcome::Responded => self.record_response(&mut record, attempt, now),
            BreakerOutcome::ServerError | BreakerOutcome::ConnectionBroken => {
                self.record_failure(&mut record, attempt, outcome, now)
            }
            BreakerOutcome::TimedOut | BreakerOutcome::Unreachable => {
                self.record_no_response(&mut record, attempt, outcome, now)
            }
        }
    }

    fn record_response(&self, record: &mut BreakerRecord, attempt: Attempt, now: Instant) {
        record.reset_unanswered();
        // Successes matter only as the counterpart of failures, so a healthy target costs no bookkeeping.
        if !record.outcomes_by_caller.is_empty() {
            record.record_outcome(attempt, false, now);
        }
        if record.state != CircuitState::Closed {
            self.close(record);
        }
    }

    fn record_failure(
        &self,
        record: &mut BreakerRecord,
        attempt: Attempt,
        outcome: BreakerOutcome,
        now: Instant,
    ) {
        if outcome == BreakerOutcome::ServerError {
            record.reset_unanswered();
        }
        if record.state != CircuitState::Closed {
            match outcome {
                // The circuit breaker opened because there was no response, and now there is one.
                BreakerOutcome::ServerError if attempt.probe && !record.opened_by_errors => {
                    self.close(record)
                }
                _ if attempt.probe => {
                    // With a single caller there is no other one to send the next probe.
                    record.failed_probe = Some((attempt.initiator, now)).filter(|_| self.callers_min > 1);
                    record.state = CircuitState::Open(now + self.open_duration);
                }
                _ => {}
            }
            return;
        }
        // Anonymous clients could otherwise open the circuit breaker with requests that fail on purpose.
        if !matches!(attempt.initiator, Initiator::Caller(_)) {
            return;
        }
        record.record_outcome(attempt, true, now);
        if record.is_failing_for_most(self.circuit_breaker_failures, self.callers_min) {
            self.open(record, true, now, "most requests of several callers fail");
        }
    }

    fn record_no_response(
        &self,
        record: &mut BreakerRecord,
        attempt: Attempt,
        outcome: BreakerOutcome,
        now: Instant,
    ) {
        record.unanswered_count = record.unanswered_count.saturating_add(1);
        record.unreachable |= outcome == BreakerOutcome::Unreachable;
        if record.unanswered_subjects.len() < FAILING_SUBJECTS_MIN
            && !record.unanswered_subjects.contains(&attempt.subject)
        {
            record.unanswered_subjects.push(attempt.subject);
        }
        // A connection failure is conclusive for any object; a timeout could be due to one large or damaged object.
        let is_conclusive = record.unreachable || record.unanswered_subjects.len() >= FAILING_SUBJECTS_MIN;
        match record.state {
            CircuitState::Closed
                if is_conclusive && record.unanswered_count >= self.circuit_breaker_failures =>
            {
                let reason = if record.unreachable {
                    "the target is unreachable"
                } else {
                    "the target does not respond"
                };
                self.open(record, false, now, reason);
            }
            CircuitState::Open(_) | CircuitState::HalfOpen(_) if attempt.probe => {
                record.state = CircuitState::Open(now + self.open_duration)
            }
            _ => {}
        }
    }

    fn open(&self, record: &mut BreakerRecord, opened_by_errors: bool, now: Instant, reason: &str) {
        record.state = CircuitState::Open(now + self.open_duration);
        record.opened_by_errors = opened_by_errors;
        record.failed_probe = None;
        self.set_state_metric(record);
        let seconds = self.open_duration.as_secs();
        tracing::error!(
            target_name = self.target,
            "circuit breaker open: {reason}; requests are rejected with 503 for {seconds} s, then one \
             trial request is sent"
        );
    }

    fn close(&self, record: &mut BreakerRecord) {
        // Old failures would otherwise open the circuit breaker again with the next one.
        *record = BreakerRecord::default();
        self.set_state_metric(record);
        tracing::info!(target_name = self.target, "circuit breaker closed: the target responds again");
    }

    /// Sets the metric to the current state.
    pub(crate) fn publish_state(&self) {
        self.set_state_metric(&self.lock_record());
    }

    fn set_state_metric(&self, record: &BreakerRecord) {
        let state = METRICS.target_state.with_label_values(&[&self.target]);
        state.set(i64::from(record.state == CircuitState::Closed));
    }

    fn lock_record(&self) -> MutexGuard<'_, BreakerRecord> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BreakerRecord {
    fn reset_unanswered(&mut self) {
        self.unanswered_count = 0;
        self.unreachable = false;
        self.unanswered_subjects.clear();
    }

    /// Records an outcome and removes those that are too old.
    fn record_outcome(&mut self, attempt: Attempt, failed: bool, now: Instant) {
        let is_recent = |line: &SubjectOutcome| now.saturating_duration_since(line.at) < OUTCOME_WINDOW;
        for recent in self.outcomes_by_caller.values_mut() {
            recent.0.retain(is_recent);
        }
        self.outcomes_by_caller.retain(|_, recent| !recent.0.is_empty());
        if let Initiator::Caller(caller) = attempt.initiator
            && (self.outcomes_by_caller.len() < TRACKED_CALLERS_MAX
                || self.outcomes_by_caller.contains_key(&caller))
        {
            self.outcomes_by_caller.entry(caller).or_default().record_outcome(attempt.subject, failed, now);
        }
        if self.outcomes_by_caller.values().all(|recent| recent.failure_count() == 0) {
            self.outcomes_by_caller.clear();
        }
    }

    /// Whether there are enough failures and at least 80 % of the callers are affected.
    fn is_failing_for_most(&self, circuit_breaker_failures: u32, callers_min: usize) -> bool {
        let failures =
            self.outcomes_by_caller.values().map(CallerOutcomes::failure_count).fold(0, u32::saturating_add);
        let affected = self.outcomes_by_caller.values().filter(|recent| recent.is_failing()).count();
        failures >= circuit_breaker_failures
            && affected >= callers_min
            && affected.saturating_mul(5) >= self.outcomes_by_caller.len().saturating_mul(4)
    }
}

impl CallerOutcomes {
    fn record_outcome(&mut self, subject: u64, failed: bool, now: Instant) {
        let at = self.0.iter().position(|line| line.subject == subject);
        let failures = at.map(|at| self.0.swap_remove(at)).map_or(0, |line| line.failures);
        // The oldest outcome is replaced, so that a caller with many objects cannot grow the record.
        if self.0.len() >= TRACKED_SUBJECTS_MAX
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, line)| line.at).map(|(at, _)| at)
        {
            self.0.swap_remove(oldest);
        }
        let failures = if failed { failures.saturating_add(1) } else { 0 };
        self.0.push(SubjectOutcome { subject, at: now, failures });
    }

    fn failure_count(&self) -> u32 {
        self.0.iter().map(|line| line.failures).fold(0, u32::saturating_add)
    }

    /// Whether at least 80 % of this caller's subjects fail, and more than one.
    fn is_failing(&self) -> bool {
        let failing = self.0.iter().filter(|line| line.failures > 0).count();
        failing >= FAILING_SUBJECTS_MIN && failing.saturating_mul(5) >= self.0.len().saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_DURATION: Duration = Duration::from_secs(5);

    fn new_breaker(circuit_breaker_failures: u32) -> CircuitBreaker {
        CircuitBreaker {
            target: "t".to_owned(),
            group_key: 1,
            circuit_breaker_failures,
            open_duration: OPEN_DURATION,
            callers_min: 2,
            record: Mutex::default(),
        }
    }

    fn attempt_by(caller: u64, subject: u64) -> Attempt {
        Attempt { initiator: Initiator::Caller(caller), subject, probe: false }
    }

    fn probe_by(caller: u64) -> Attempt {
        Attempt { probe: true, ..attempt_by(caller, 1) }
    }

    fn is_open(breaker: &CircuitBreaker, now: Instant) -> bool {
        !breaker.time_until_probe(now).is_zero()
    }

    #[test]
    fn an_unreachable_target_opens_it_and_one_response_closes_it() {
        let (breaker, now) = (new_breaker(3), Instant::now());
        let report_unreachable =
            |attempt, at| breaker.report_outcome(attempt, BreakerOutcome::Unreachable, at);
        (0..2).for_each(|_| report_unreachable(attempt_by(1, 1), now));
        assert_eq!(
            breaker.try_admit(Initiator::Caller(1), now),
            BreakerAdmission::Allowed,
            "one failure below the threshold"
        );
        report_unreachable(attempt_by(1, 1), now);
        assert_eq!(breaker.try_admit(Initiator::Caller(2), now), BreakerAdmission::Rejected);
        assert_eq!(breaker.time_until_probe(now), OPEN_DURATION);
        let later = now + OPEN_DURATION;
        assert_eq!(breaker.time_until_probe(later), Duration::ZERO);
        assert_eq!(
            breaker.try_admit(Initiator::Proxy, later),
            BreakerAdmission::Rejected,
            "the proxy's own requests are no probes"
        );
        assert_eq!(breaker.try_admit(Initiator::Caller(1), later), BreakerAdmission::Probe);
        assert_eq!(
            breaker.try_admit(Initiator::Caller(2), later),
            BreakerAdmission::Rejected,
            "one is a probe, the others are rejected"
        );
        report_unreachable(probe_by(1), later);
        assert_eq!(
            breaker.try_admit(Initiator::Caller(1), later + OPEN_DURATION - Duration::from_millis(1)),
            BreakerAdmission::Rejected
        );
        assert_eq!(breaker.try_admit(Initiator::Caller(1), later + OPEN_DURATION), BreakerAdmission::Probe);
        breaker.report_outcome(probe_by(1), BreakerOutcome::Responded, later + OPEN_DURATION);
        assert_eq!(breaker.try_admit(Initiator::Caller(1), later + OPEN_DURATION), BreakerAdmission::Allowed);
        report_unreachable(attempt_by(1, 1), later + OPEN_DURATION);
        assert!(!is_open(&breaker, later + OPEN_DURATION), "counted from the start of the probe");
    }

    #[test]
    fn a_probe_without_an_outcome_is_followed_by_another() {
        let (breaker, now) = (new_breaker(1), Instant::now());
        breaker.report_outcome(attempt_by(1, 1), BreakerOutcome::Unreachable, now);
        assert_eq!(breaker.try_admit(Initiator::Caller(1), now + OPEN_DURATION), BreakerAdmission::Probe);
        assert_eq!(
            breaker.try_admit(Initiator::Caller(1), now + OPEN_DURATION + OPEN_DURATION),
            BreakerAdmission::Probe
        );
    }

    #[test]
    fn a_single_caller_does_not_open_it() {
        let (breaker, now) = (new_breaker(10), Instant::now());
        for subject in 0..1000 {
            breaker.report_outcome(attempt_by(1, subject), BreakerOutcome::ServerError, now);
        }
        assert!(!is_open(&breaker, now), "failures of a thousand objects of one caller");
        // Another caller with a single failure and some successes.
        breaker.report_outcome(attempt_by(2, 1), BreakerOutcome::ServerError, now);
        assert!(!is_open(&breaker, now));
        for subject in 0..20 {
            breaker.report_outcome(attempt_by(2, subject), BreakerOutcome::Responded, now);
            breaker.report_outcome(attempt_by(2, 500), BreakerOutcome::ServerError, now);
            breaker.report_outcome(attempt_by(1, subject), BreakerOutcome::ServerError, now);
        }
        assert!(!is_open(&breaker, now), "most requests of the other caller succeed");
    }

    #[test]
    fn a_single_object_does_not_open_it() {
        let (breaker, now) = (new_breaker(10), Instant::now());
        for _ in 0..100 {
            (1..=5).for_each(|caller| {
                breaker.report_outcome(attempt_by(caller, 7), BreakerOutcome::ServerError, now)
            });
        }
        assert!(!is_open(&breaker, now));
        (0..100).for_each(|_| breaker.report_outcome(attempt_by(1, 7), BreakerOutcome::TimedOut, now));
        assert!(!is_open(&breaker, now), "nor do timeouts of one object");
    }

    #[test]
    fn anonymous_clients_do_not_open_it() {
        let (breaker, now) = (new_breaker(3), Instant::now());
        for subject in 0..100 {
            for behalf in [Initiator::Unauthenticated, Initiator::Proxy] {
                breaker.report_outcome(
                    Attempt { initiator: behalf, subject, probe: false },
                    BreakerOutcome::ServerError,
                    now,
                );
                breaker.report_outcome(
                    Attempt { initiator: behalf, subject, probe: false },
                    BreakerOutcome::ConnectionBroken,
                    now,
                );
            }
            let aside = Attempt { initiator: Initiator::Proxy, subject, probe: false };
            breaker.report_outcome(aside, BreakerOutcome::Unreachable, now);
        }
        assert!(!is_open(&breaker, now));
    }

    #[test]
    fn a_target_that_fails_for_all_callers_opens_it() {
        for outcome in [BreakerOutcome::ServerError, BreakerOutcome::ConnectionBroken] {
            let (breaker, now) = (new_breaker(10), Instant::now());
            for count in 0..10_u64 {
                assert!(!is_open(&breaker, now), "{count}");
                breaker.report_outcome(attempt_by(count % 2, count), outcome, now);
            }
            assert!(is_open(&breaker, now), "{outcome:?}");
        }
        let (breaker, now) = (new_breaker(10), Instant::now());
        (0..10_u64)
            .for_each(|count| breaker.report_outcome(attempt_by(1, count), BreakerOutcome::TimedOut, now));
        assert!(is_open(&breaker, now), "timeouts of several objects of one caller");
    }

    #[test]
    fn old_failures_are_not_counted() {
        let (breaker, now) = (new_breaker(10), Instant::now());
        (0..9_u64).for_each(|count| {
            breaker.report_outcome(attempt_by(count % 2, count), BreakerOutcome::ServerError, now)
        });
        breaker.report_outcome(attempt_by(1, 100), BreakerOutcome::ServerError, now + OUTCOME_WINDOW);
        assert!(!is_open(&breaker, now + OUTCOME_WINDOW));
    }

    #[test]
    fn a_caller_with_failing_probes_does_not_keep_it_open() {
        let (breaker, now) = (new_breaker(4), Instant::now());
        (0..4_u64).for_each(|count| {
            breaker.report_outcome(attempt_by(count % 2, count), BreakerOutcome::ServerError, now)
        });
        let later = now + OPEN_DURATION;
        assert_eq!(breaker.try_admit(Initiator::Caller(1), later), BreakerAdmission::Probe);
        breaker.report_outcome(probe_by(1), BreakerOutcome::ServerError, later);
        let next = later + OPEN_DURATION;
        assert_eq!(
            breaker.try_admit(Initiator::Caller(1), next),
            BreakerAdmission::Rejected,
            "other callers have precedence"
        );
        assert_eq!(breaker.try_admit(Initiator::Caller(0), next), BreakerAdmission::Probe);
        breaker.report_outcome(probe_by(0), BreakerOutcome::Responded, next);
        assert!(!is_open(&breaker, next));
    }

    #[test]
    fn an_error_response_closes_it_after_the_target_was_unreachable() {
        let (breaker, now) = (new_breaker(1), Instant::now());
        breaker.report_outcome(attempt_by(1, 1), BreakerOutcome::Unreachable, now);
        assert_eq!(breaker.try_admit(Initiator::Caller(1), now + OPEN_DURATION), BreakerAdmission::Probe);
        breaker.report_outcome(probe_by(1), BreakerOutcome::ServerError, now + OPEN_DURATION);
        assert!(!is_open(&breaker, now + OPEN_DURATION));
    }

    #[test]
    fn the_number_of_outcomes_is_limited() {
        let (breaker, now) = (new_breaker(1_000_000), Instant::now());
        for count in 0..10_000_u64 {
            breaker.report_outcome(attempt_by(count, 1), BreakerOutcome::ServerError, now);
            breaker.report_outcome(attempt_by(0, count), BreakerOutcome::ServerError, now);
        }
        let record = breaker.lock_record();
        assert!(record.outcomes_by_caller.len() <= TRACKED_CALLERS_MAX);
        assert!(record.outcomes_by_caller.values().all(|recent| recent.0.len() <= TRACKED_SUBJECTS_MAX));
    }

    #[test]
    fn zero_disables_it() {
        let (breaker, now) = (new_breaker(0), Instant::now());
        (0..1000).for_each(|_| breaker.report_outcome(attempt_by(1, 1), BreakerOutcome::Unreachable, now));
        assert_eq!(breaker.try_admit(Initiator::Caller(1), now), BreakerAdmission::Allowed);
    }
}
