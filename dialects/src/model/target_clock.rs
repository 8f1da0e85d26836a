//! The difference between a target's clock and the local clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::encoding::date::Timestamp;

/// A difference that is ignored, in seconds. Every vendor accepts it.
const SKEW_SECONDS_TOLERATED: i64 = 60;

/// The largest difference that is corrected, in seconds: a wrong time zone or date.
// A larger one is not a mistake, and following it would let anyone who forges a response obtain signatures for a
// distant time.
const SKEW_SECONDS_MAX: i64 = 24 * 3600;

/// How far a target's clock is ahead of the local clock. It is zero until the target rejects a request because of the
/// time. Clones share the value.
#[derive(Debug, Clone, Default)]
pub struct TargetClock(Arc<AtomicI64>);

impl TargetClock {
    /// The local time converted to the target's clock. Requests to the target are signed with it.
    pub fn to_target_time(&self, local_time: Timestamp) -> Timestamp {
        Timestamp(local_time.0.saturating_add(self.skew_seconds()))
    }

    /// Seconds by which the target's clock is ahead.
    pub fn skew_seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether a rejection in a response with this `Date` may be caused by the time with which the request was signed.
    pub fn explains_rejection(&self, local_time: Timestamp, target_time: Timestamp) -> bool {
        let deviation = target_time.0.saturating_sub(self.to_target_time(local_time).0).saturating_abs();
        let skew = target_time.0.saturating_sub(local_time.0).saturating_abs();
        deviation > SKEW_SECONDS_TOLERATED && skew <= SKEW_SECONDS_MAX
    }

    /// Updates the difference from the `Date` of a response. Returns the new difference if it changed.
    pub fn update_skew(&self, local_time: Timestamp, target_time: Timestamp, rejected: bool) -> Option<i64> {
        // Before the first rejection a different `Date` is ignored, because the target evidently accepts the local
        // time. Afterwards each response counts, so that a corrected clock is followed without another rejection.
        if !self.explains_rejection(local_time, target_time) || (self.skew_seconds() == 0 && !rejected) {
            return None;
        }
        let skew = target_time.0.saturating_sub(local_time.0);
        let skew = if skew.saturating_abs() > SKEW_SECONDS_TOLERATED { skew } else { 0 };
        self.0.store(skew, Ordering::Relaxed);
        Some(skew)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn now_plus(skew: i64) -> Timestamp {
        Timestamp(NOW.0 + skew)
    }

    #[test]
    fn a_rejection_with_another_time_updates_the_skew() {
        let clock = TargetClock::default();
        assert_eq!(clock.update_skew(NOW, now_plus(3600), false), None, "the target accepts the local time");
        assert_eq!(clock.to_target_time(NOW), NOW);
        assert_eq!(clock.update_skew(NOW, now_plus(3600), true), Some(3600));
        assert_eq!(clock.to_target_time(NOW), now_plus(3600));
        assert!(
            !clock.explains_rejection(NOW, now_plus(3600)),
            "a rejection after the correction has another cause"
        );
        assert_eq!(clock.update_skew(NOW, now_plus(3605), true), None);
    }

    #[test]
    fn a_clock_that_is_set_right_is_followed() {
        let clock = TargetClock::default();
        clock.update_skew(NOW, now_plus(-7200), true);
        assert_eq!(clock.update_skew(NOW, now_plus(-3600), false), Some(-3600));
        assert_eq!(clock.update_skew(NOW, now_plus(2), false), Some(0));
        assert_eq!(clock.skew_seconds(), 0);
    }

    #[test]
    fn large_and_small_differences_are_ignored() {
        let clock = TargetClock::default();
        for skew in [SKEW_SECONDS_MAX + 1, -SKEW_SECONDS_MAX - 1, i64::MAX - NOW.0, 59, -60] {
            assert_eq!(clock.update_skew(NOW, now_plus(skew), true), None, "{skew}");
        }
        assert_eq!(clock.update_skew(NOW, now_plus(SKEW_SECONDS_MAX), true), Some(SKEW_SECONDS_MAX));
    }
}
