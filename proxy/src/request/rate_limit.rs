//! The rate limit and the concurrency limit of each caller.

use std::num::NonZeroU32;
use std::sync::Arc;

use blobfish_config::Caller;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The rate limit and concurrency limit of one caller, with their current use.
pub(crate) struct RateLimit {
    requests_per_second: Option<NonZeroU32>,
    concurrent_requests_max: Option<NonZeroU32>,
    rate_limiter: Option<DefaultDirectRateLimiter>,
    semaphore: Option<Arc<Semaphore>>,
}

/// The permit of one running request. Dropping it lets another request run.
pub(crate) struct RateLimitPermit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl RateLimit {
    /// Creates the limits of a caller, unused.
    pub(crate) fn new(caller: &Caller) -> Self {
        let (requests_per_second, concurrent_requests_max) =
            (caller.requests_per_second, caller.concurrent_requests_max);
        let new_semaphore = |count: NonZeroU32| {
            Arc::new(Semaphore::new(usize::try_from(count.get()).unwrap_or(Semaphore::MAX_PERMITS)))
        };
        Self {
            requests_per_second,
            concurrent_requests_max,
            rate_limiter: requests_per_second.map(|count| RateLimiter::direct(Quota::per_second(count))),
            semaphore: concurrent_requests_max.map(new_semaphore),
        }
    }

    /// Whether both have the same limits, so that a hot reload can keep the current use.
    pub(crate) fn has_same_limits(&self, other: &Self) -> bool {
        (self.requests_per_second, self.concurrent_requests_max)
            == (other.requests_per_second, other.concurrent_requests_max)
    }

    /// Acquires a permit for one request. Returns `None` if a limit is exceeded.
    pub(crate) fn try_acquire(&self) -> Option<RateLimitPermit> {
        // The concurrency limit comes first: a request that it rejects must not use up the rate.
        let permit = self
            .semaphore
            .as_ref()
            .map(|semaphore| Arc::clone(semaphore).try_acquire_owned())
            .transpose()
            .ok()?;
        let is_within_rate = self.rate_limiter.as_ref().is_none_or(|limiter| limiter.check().is_ok());
        is_within_rate.then_some(RateLimitPermit { _permit: permit })
    }
}
