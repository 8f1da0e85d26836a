//! How many connections to a target may be in use at once. What needs two of them takes both or none, and always in
//! one order, so that nothing that holds one waits for another that never comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The places at one target.
pub struct ConnectionLimit {
    target: String,
    group_key: u64,
    count_max: u32,
    semaphore: Option<Arc<Semaphore>>,
}

/// A place, or two that were taken together. Given back when the last who has it is done.
#[derive(Clone)]
pub struct ConnectionPermit {
    _permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl ConnectionLimit {
    /// All of them free. Zero is no limit.
    pub fn new(target: &str, group_key: u64, count_max: u32) -> Self {
        let permit_count = usize::try_from(count_max).unwrap_or(Semaphore::MAX_PERMITS);
        let semaphore = (count_max > 0).then(|| Arc::new(Semaphore::new(permit_count)));
        Self { target: target.to_owned(), group_key, count_max, semaphore }
    }

    /// Whether they are as many, at the same target.
    pub fn has_same_settings(&self, other: &Self) -> bool {
        (self.group_key, self.count_max) == (other.group_key, other.count_max)
    }

    /// Takes one; `None` where none becomes free in time.
    pub async fn acquire(&self, wait_max: Duration) -> Option<ConnectionPermit> {
        self.acquire_many(1, wait_max).await
    }

    /// Takes one here and one there; `None` where they do not become free in time.
    pub async fn acquire_pair(
        &self,
        other: &Self,
        wait_max: Duration,
    ) -> Option<(ConnectionPermit, ConnectionPermit)> {
        if self.target == other.target {
            let both = self.acquire_many(2, wait_max).await?;
            return Some((both.clone(), both));
        }
        // By name, whichever of them is read from.
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
    async fn a_place_is_free_again_when_all_who_have_it_are_done() {
        let limit = ConnectionLimit::new("a", 1, 2);
        let (first, second) = limit.acquire_pair(&limit, SHORT).await.unwrap();
        assert!(limit.acquire(SHORT).await.is_none());
        drop(first);
        assert!(limit.acquire(SHORT).await.is_none(), "the other still has it");
        drop(second);
        let _one = limit.acquire(SHORT).await.unwrap();
        assert!(limit.acquire_pair(&limit, SHORT).await.is_none(), "one is not two");
        assert!(limit.acquire(SHORT).await.is_some(), "and none was kept");
    }

    #[tokio::test]
    async fn zero_is_no_limit() {
        let limit = ConnectionLimit::new("a", 1, 0);
        let mut permits = Vec::new();
        for _ in 0..1000 {
            permits.push(limit.acquire_pair(&limit, SHORT).await.unwrap());
        }
    }

    /// Copies both ways between two targets, and within one, all at once: each gets its turn.
    #[tokio::test(flavor = "multi_thread")]
    async fn no_two_wait_for_each_other() {
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
