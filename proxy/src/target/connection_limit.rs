//! Limits the connections to a target that are in use at the same time. A request that needs two permits acquires them
//! always in the same order, so that two requests cannot block each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The connection limit of one target.
pub(crate) struct ConnectionLimit {
    target: String,
    group_key: u64,
    count_max: u32,
    semaphore: Option<Arc<Semaphore>>,
}

/// A permit for one connection, or for two that were acquired together. Released when its last clone is dropped.
#[derive(Clone)]
pub(crate) struct ConnectionPermit {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl ConnectionLimit {
    /// Creates the limit; zero means unlimited.
    pub(crate) fn new(target: &str, group_key: u64, count_max: u32) -> Self {
        let permit_count = usize::try_from(count_max).unwrap_or(Semaphore::MAX_PERMITS);
        let semaphore = (count_max > 0).then(|| Arc::new(Semaphore::new(permit_count)));
        Self { target: target.to_owned(), group_key, count_max, semaphore }
    }

    /// Whether both have the same target and limit.
    pub(crate) fn has_same_settings(&self, other: &Self) -> bool {
        (self.group_key, self.count_max) == (other.group_key, other.count_max)
    }

    /// Acquires a permit; `None` if none becomes free in time.
    pub(crate) async fn acquire(&self, wait_max: Duration) -> Option<ConnectionPermit> {
        self.acquire_many(1, wait_max).await
    }

    /// Acquires a permit of each of two targets; `None` if they do not become free in time.
    pub(crate) async fn acquire_pair(
        &self,
        other: &Self,
        wait_max: Duration,
    ) -> Option<(ConnectionPermit, ConnectionPermit)> {
        if self.target == other.target {
            // Both at the same time, because two requests with one permit each would wait for each other.
            let both = self.acquire_many(2, wait_max).await?;
            return Some((both.clone(), both));
        }
        // A copy from a to b and one from b to a would deadlock if each acquired its source first, so order by name.
        let in_order = async {
            if self.target < other.target {
                let own = self.acquire(wait_max).await?;
                Some((own, other.acquire(wait_max).await?))
            } else {
                let others = other.acquire(wait_max).await?;
                Some((self.acquire(wait_max).await?, others))
            }
        };
        timeout(wait_max, in_order).await.ok().flatten()
    }

    async fn acquire_many(&self, count: u32, wait_max: Duration) -> Option<ConnectionPermit> {
        let Some(semaphore) = &self.semaphore else { return Some(ConnectionPermit { _permit: None }) };
        let permits = timeout(wait_max, Arc::clone(semaphore).acquire_many_owned(count)).await.ok()?.ok()?;
        Some(ConnectionPermit { _permit: Some(Arc::new(permits)) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_permit_is_released_with_its_last_clone() {
        let limit = ConnectionLimit::new("a", 1, 2);
        let (first, second) = limit.acquire_pair(&limit, SHORT).await.unwrap();
        assert!(limit.acquire(SHORT).await.is_none());
        drop(first);
        assert!(limit.acquire(SHORT).await.is_none(), "a clone still holds the permit");
        drop(second);
        let _one = limit.acquire(SHORT).await.unwrap();
        assert!(limit.acquire_pair(&limit, SHORT).await.is_none(), "one free permit is not enough for two");
        assert!(limit.acquire(SHORT).await.is_some(), "the failed attempt released its permit");
    }

    #[tokio::test]
    async fn zero_means_unlimited() {
        let limit = ConnectionLimit::new("a", 1, 0);
        let mut permits = Vec::new();
        for _ in 0..1000 {
            permits.push(limit.acquire_pair(&limit, SHORT).await.unwrap());
        }
    }

    /// Concurrent copies in both directions between two targets, and within one, all complete.
    #[tokio::test(flavor = "multi_thread")]
    async fn copies_in_both_directions_do_not_deadlock() {
        let limits = Arc::new([ConnectionLimit::new("a", 1, 2), ConnectionLimit::new("b", 2, 2)]);
        let mut running = Vec::new();
        for number in 0..400 {
            let ends = Arc::clone(&limits);
            running.push(tokio::spawn(async move {
                let [a, b] = &*ends;
                let (from, to) = [(a, b), (b, a), (a, a), (b, b)].into_iter().nth(number % 4).unwrap();
                let permits = from.acquire_pair(to, LONG).await;
                tokio::task::yield_now().await;
                permits.is_some()
            }));
        }
        for one in running {
            assert!(one.await.unwrap());
        }
    }
}
