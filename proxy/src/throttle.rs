//! How much one caller may ask for: requests in a second, and requests at once.

use std::num::NonZeroU32;
use std::sync::Arc;

use blobfish_config::Caller;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one caller, and what it used of them.
pub struct Throttle {
    per_second: Option<NonZeroU32>,
    at_once: Option<NonZeroU32>,
    pace: Option<DefaultDirectRateLimiter>,
    room: Option<Arc<Semaphore>>,
}

/// One request of a caller while it runs.
pub struct Turn {
    _place: Option<OwnedSemaphorePermit>,
}

impl Throttle {
    /// Nothing is used yet.
    pub fn new(caller: &Caller) -> Self {
        let (per_second, at_once) = (caller.requests_per_second, caller.requests_at_once);
        let room = |count: NonZeroU32| {
            Arc::new(Semaphore::new(usize::try_from(count.get()).unwrap_or(Semaphore::MAX_PERMITS)))
        };
        Self {
            per_second,
            at_once,
            pace: per_second.map(|count| RateLimiter::direct(Quota::per_second(count))),
            room: at_once.map(room),
        }
    }

    /// Whether it limits to the same.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.per_second, self.at_once) == (other.per_second, other.at_once)
    }

    /// Lets one more request begin; `None` where that would be too much.
    pub fn turn(&self) -> Option<Turn> {
        let place = self.room.as_ref().map(|room| Arc::clone(room).try_acquire_owned()).transpose().ok()?;
        let in_time = self.pace.as_ref().is_none_or(|pace| pace.check().is_ok());
        in_time.then_some(Turn { _place: place })
    }
}
