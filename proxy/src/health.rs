//! How targets answered, as seen in passing: nobody is asked for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{clock, log};

/// By the target's name, so that a changed configuration does not forget.
static TARGETS: LazyLock<Mutex<BTreeMap<String, Arc<Health>>>> = LazyLock::new(Mutex::default);

/// What was last seen of one target.
#[derive(Debug, Default)]
pub struct Health {
    /// Milliseconds since 1970; 0 is never.
    answered: AtomicU64,
    failed: Mutex<Option<(u64, String)>>,
}

impl Health {
    /// Of the target with this name.
    pub fn of(target: &str) -> Arc<Self> {
        let mut targets = TARGETS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(targets.entry(target.to_owned()).or_default())
    }

    /// Notes an answer. A fault of the target's own is a failure, whoever is to blame for a refusal.
    pub fn answered(&self, status: u16) {
        if status >= 500 {
            return self.failed(&format!("status {status}"));
        }
        self.answered.store(clock::now_ms(), Ordering::Relaxed);
    }

    /// Notes an exchange that failed.
    pub fn failed(&self, kind: &str) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((clock::now_ms(), kind.to_owned()));
    }

    /// The last success and the last failure, as the admin port shows them.
    pub fn told(&self) -> (Option<String>, Option<Value>) {
        let answered = match self.answered.load(Ordering::Relaxed) {
            0 => None,
            ms => Some(log::moment(ms)),
        };
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = failed.as_ref().map(|(ms, kind)| json!({ "time": log::moment(*ms), "kind": kind }));
        (answered, failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_and_a_fault_is_none() {
        let health = Health::default();
        let kind = || health.told().1.map(|failed| failed["kind"].clone());
        assert_eq!(health.told(), (None, None));
        health.answered(503);
        assert_eq!((health.told().0, kind()), (None, Some(json!("status 503"))));
        health.answered(404);
        assert!(health.told().0.is_some());
        health.failed("connect");
        assert_eq!(kind(), Some(json!("connect")));
    }
}
