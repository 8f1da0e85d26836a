//! A target's clock, as far as it differs from ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::encoding::date::Timestamp;

/// What every vendor lets pass, seconds.
const SKEW_SECONDS_TOLERATED: i64 = 60;

/// No clock is set so wrong by mistake, seconds: a zone or a date, but not another year.
const SKEW_SECONDS_MAX: i64 = 24 * 3600;

/// How far a target's clock is ahead of ours: zero until the target complained. Shared by all who have it.
#[derive(Debug, Clone, Default)]
pub struct TargetClock(Arc<AtomicI64>);

impl TargetClock {
    /// Our time as this clock shows it: what requests to the target are signed with.
    pub fn to_target_time(&self, local_time: Timestamp) -> Timestamp {
        Timestamp(local_time.0.saturating_add(self.skew_seconds()))
    }

    /// Seconds that it is ahead of ours.
    pub fn skew_seconds(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether a refusal that comes with this time may be one of the time that the request was signed with.
    pub fn explains_rejection(&self, local_time: Timestamp, target_time: Timestamp) -> bool {
        let deviation = target_time.0.saturating_sub(self.to_target_time(local_time).0).saturating_abs();
        let skew = target_time.0.saturating_sub(local_time.0).saturating_abs();
        deviation > SKEW_SECONDS_TOLERATED && skew <= SKEW_SECONDS_MAX
    }

    /// Takes the time of an answer: of a refusal that it explains, or of any other once the clocks are known to differ.
    /// Gives the difference where it changed.
    pub fn update_skew(&self, local_time: Timestamp, target_time: Timestamp, rejected: bool) -> Option<i64> {
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
        assert_eq!(clock.update_skew(NOW, now_plus(3600), false), None, "it does not mind");
        assert_eq!(clock.to_target_time(NOW), NOW);
        assert_eq!(clock.update_skew(NOW, now_plus(3600), true), Some(3600));
        assert_eq!(clock.to_target_time(NOW), now_plus(3600));
        assert!(!clock.explains_rejection(NOW, now_plus(3600)), "a refusal after that is of something else");
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
    fn it_is_bounded() {
        let clock = TargetClock::default();
        for skew in [SKEW_SECONDS_MAX + 1, -SKEW_SECONDS_MAX - 1, i64::MAX - NOW.0, 59, -60] {
            assert_eq!(clock.update_skew(NOW, now_plus(skew), true), None, "{skew}");
        }
        assert_eq!(clock.update_skew(NOW, now_plus(SKEW_SECONDS_MAX), true), Some(SKEW_SECONDS_MAX));
    }
}
