//! The memory limit for data that must be buffered before use: documents, and chunks that are not verified yet. Each
//! buffer has its own limit; the budget limits all buffers together, per caller and for the whole process. A replayed head
//! counts for the caller that owns the access key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blobfish_config::Limits;
use blobfish_dialects::model::{ErrorKind, Rejection};

use crate::target::initiator::Initiator;
use crate::telemetry::metrics::METRICS;

/// The memory that is reserved at present, shared by all requests.
#[derive(Debug, Default)]
pub(crate) struct BufferBudget(Mutex<BufferUsage>);

#[derive(Debug, Default)]
struct BufferUsage {
    bytes: usize,
    by_initiator: HashMap<Initiator, usize>,
}

/// The memory that one request has reserved. Dropping it releases the memory.
pub(crate) struct Reservation {
    budget: Arc<BufferBudget>,
    initiator: Initiator,
    bytes: usize,
    initiator_bytes_max: usize,
    total_bytes_max: usize,
}

impl BufferBudget {
    /// Starts an empty reservation for the initiator of a request.
    pub(crate) fn start_reservation(self: &Arc<Self>, initiator: Initiator, limits: &Limits) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            initiator,
            bytes: 0,
            initiator_bytes_max: limits.buffer_bytes_per_caller_max,
            total_bytes_max: limits.buffer_bytes_max,
        }
    }

    fn lock_usage(&self) -> MutexGuard<'_, BufferUsage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Changes the size of the reservation to `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::SlowDown`] if the caller, or all callers together, would exceed the limit.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), Rejection> {
        if bytes == self.bytes {
            return Ok(());
        }
        let mut usage = self.budget.lock_usage();
        let own = usage.by_initiator.get(&self.initiator).copied().unwrap_or_default();
        let (own, all) = (own.saturating_sub(self.bytes), usage.bytes.saturating_sub(self.bytes));
        let (own, all) = (own.saturating_add(bytes), all.saturating_add(bytes));
        // Shrinking always succeeds, also if a hot reload left the totals above the limits of this reservation.
        if bytes > self.bytes && (own > self.initiator_bytes_max || all > self.total_bytes_max) {
            return Err(ErrorKind::SlowDown.into());
        }
        self.bytes = bytes;
        usage.bytes = all;
        match own {
            // Without this the map would grow by one entry for each caller that ever sent a body.
            0 => usage.by_initiator.remove(&self.initiator),
            own => usage.by_initiator.insert(self.initiator, own),
        };
        METRICS.buffered_bytes.set(i64::try_from(all).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // A reservation can always shrink, so the result carries no information.
        let _ = self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_reservation(budget: &Arc<BufferBudget>, caller: &str) -> Reservation {
        let initiator = Initiator::from_caller_name(caller);
        Reservation {
            budget: Arc::clone(budget),
            initiator,
            bytes: 0,
            initiator_bytes_max: 100,
            total_bytes_max: 150,
        }
    }

    #[test]
    fn limits_apply_per_caller_and_in_total() {
        let budget = Arc::new(BufferBudget::default());
        let (mut first, mut second) = (start_reservation(&budget, "a"), start_reservation(&budget, "a"));
        assert!(first.resize(60).is_ok() && second.resize(40).is_ok());
        assert_eq!(second.resize(41).unwrap_err().kind, ErrorKind::SlowDown);
        let mut other = start_reservation(&budget, "b");
        assert!(other.resize(50).is_ok());
        assert_eq!(other.resize(51).unwrap_err().kind, ErrorKind::SlowDown, "the total limit");
        assert!(first.resize(10).is_ok(), "shrinking is always allowed");
        assert!(other.resize(100).is_ok());
        drop((first, second, other));
        let usage = budget.lock_usage();
        assert!(usage.bytes == 0 && usage.by_initiator.is_empty());
    }
}
