//! Memory for what has to be read before it can be used: documents, and chunks that are not proven yet. Each is bounded on
//! its own; many of them at once are bounded here, for each caller and for all. A replayed head counts for the caller whose
//! key signed it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blobfish_config::Limits;
use blobfish_dialects::model::{Fault, Refusal};

use crate::behalf::Behalf;
use crate::metrics::METRICS;

/// What is held now.
#[derive(Debug, Default)]
pub struct Budget(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by: HashMap<Behalf, usize>,
}

/// What one request holds. It is given back when this is dropped.
pub struct Reservation {
    budget: Arc<Budget>,
    behalf: Behalf,
    bytes: usize,
    own_max: usize,
    all_max: usize,
}

impl Budget {
    /// Nothing is held yet.
    pub fn begin(self: &Arc<Self>, behalf: Behalf, limits: &Limits) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            behalf,
            bytes: 0,
            own_max: limits.buffer_bytes_per_caller_max,
            all_max: limits.buffer_bytes_max,
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// From here on the request holds so many bytes.
    ///
    /// # Errors
    /// [`Fault::SlowDown`] where that is more than its caller, or all of them, may hold.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        if bytes == self.bytes {
            return Ok(());
        }
        let mut held = self.budget.held();
        let own = held.by.get(&self.behalf).copied().unwrap_or_default();
        let (own, all) = (own.saturating_sub(self.bytes), held.bytes.saturating_sub(self.bytes));
        let (own, all) = (own.saturating_add(bytes), all.saturating_add(bytes));
        if bytes > self.bytes && (own > self.own_max || all > self.all_max) {
            return Err(Fault::SlowDown.into());
        }
        self.bytes = bytes;
        held.bytes = all;
        match own {
            0 => held.by.remove(&self.behalf),
            own => held.by.insert(self.behalf, own),
        };
        METRICS.buffered_bytes.set(i64::try_from(all).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // Less than before is always allowed.
        let _ = self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(budget: &Arc<Budget>, caller: &str) -> Reservation {
        let behalf = Behalf::caller(caller);
        Reservation { budget: Arc::clone(budget), behalf, bytes: 0, own_max: 100, all_max: 150 }
    }

    #[test]
    fn a_caller_has_its_own_and_all_have_theirs() {
        let budget = Arc::new(Budget::default());
        let (mut first, mut second) = (begin(&budget, "a"), begin(&budget, "a"));
        assert!(first.hold(60).is_ok() && second.hold(40).is_ok());
        assert_eq!(second.hold(41).unwrap_err().fault, Fault::SlowDown);
        let mut other = begin(&budget, "b");
        assert!(other.hold(50).is_ok());
        assert_eq!(other.hold(51).unwrap_err().fault, Fault::SlowDown, "all together");
        assert!(first.hold(10).is_ok(), "less is always allowed");
        assert!(other.hold(100).is_ok());
        drop((first, second, other));
        let held = budget.held();
        assert!(held.bytes == 0 && held.by.is_empty());
    }
}
