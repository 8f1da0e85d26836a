//! The last outcomes of each target, recorded from client requests. There are no active health checks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::clock;
use crate::telemetry::access_log;

/// By the target's name, so that a reload keeps the outcomes.
static TARGET_HEALTH: LazyLock<Mutex<BTreeMap<String, Arc<TargetHealth>>>> = LazyLock::new(Mutex::default);

/// The last outcomes of one target.
#[derive(Debug, Default)]
pub(crate) struct TargetHealth {
    /// Unix time in milliseconds; 0 means never.
    last_success_ms: AtomicU64,
    last_failure: Mutex<Option<(u64, String)>>,
}

impl TargetHealth {
    /// Returns the health of the target with this name.
    pub(crate) fn for_target(target: &str) -> Arc<Self> {
        let mut targets = TARGET_HEALTH.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(targets.entry(target.to_owned()).or_default())
    }

    /// Records a response. A 5xx is a failure; a 4xx is not, because the client may have caused it.
    pub(crate) fn record_response(&self, status: u16) {
        if status >= 500 {
            return self.record_failure(&format!("status {status}"));
        }
        self.last_success_ms.store(clock::now_ms(), Ordering::Relaxed);
    }

    /// Records a failed exchange.
    pub(crate) fn record_failure(&self, kind: &str) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((clock::now_ms(), kind.to_owned()));
    }

    /// The last success and the last failure, for the admin port.
    pub(crate) fn last_outcomes(&self) -> (Option<String>, Option<Value>) {
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
    fn only_a_5xx_is_a_failure() {
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
