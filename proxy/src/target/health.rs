//! How targets answered, as seen in passing: nobody is asked for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::clock;
use crate::telemetry::access_log;

/// By the target's name, so that a changed configuration does not forget.
static TARGET_HEALTH: LazyLock<Mutex<BTreeMap<String, Arc<TargetHealth>>>> = LazyLock::new(Mutex::default);

/// What was last seen of one target.
#[derive(Debug, Default)]
pub struct TargetHealth {
    /// Milliseconds since 1970; 0 is never.
    last_success_ms: AtomicU64,
    last_failure: Mutex<Option<(u64, String)>>,
}

impl TargetHealth {
    /// Of the target with this name.
    pub fn for_target(target: &str) -> Arc<Self> {
        let mut targets = TARGET_HEALTH.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(targets.entry(target.to_owned()).or_default())
    }

    /// Notes an answer. A fault of the target's own is a failure, whoever is to blame for a refusal.
    pub fn record_response(&self, status: u16) {
        if status >= 500 {
            return self.record_failure(&format!("status {status}"));
        }
        self.last_success_ms.store(clock::now_ms(), Ordering::Relaxed);
    }

    /// Notes an exchange that failed.
    pub fn record_failure(&self, kind: &str) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((clock::now_ms(), kind.to_owned()));
    }

    /// The last success and the last failure, as the admin port shows them.
    pub fn last_outcomes(&self) -> (Option<String>, Option<Value>) {
        let success = match self.last_success_ms.load(Ordering::Relaxed) {
            0 => None,
            ms => Some(access_log::format_timestamp(ms)),
        };
        let failure = self.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = failure
            .as_ref()
            .map(|(ms, kind)| json!({ "time": access_log::format_timestamp(*ms), "kind": kind }));
        (success, failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_and_a_fault_is_none() {
        let health = TargetHealth::default();
        let kind = || health.last_outcomes().1.map(|failed| failed["kind"].clone());
        assert_eq!(health.last_outcomes(), (None, None));
        health.record_response(503);
        assert_eq!((health.last_outcomes().0, kind()), (None, Some(json!("status 503"))));
        health.record_response(404);
        assert!(health.last_outcomes().0.is_some());
        health.record_failure("connect");
        assert_eq!(kind(), Some(json!("connect")));
    }
}
