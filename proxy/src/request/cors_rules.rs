//! A cache of the CORS rules of buckets. Anonymous clients can cause lookups, by a preflight or by an `Origin` header in
//! a request that is rejected. One lookup therefore serves all requests of the same time and of the next seconds, and the
//! number of lookups per client address is limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::encoding::xml::Node;
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::model::{Document, ErrorKind, Operation, Rejection, Request, Setting};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::request::exchange_driver::drive_exchange;
use crate::request::routing::RoutedBucket;
use crate::target::client::TargetClient;
use crate::target::initiator;
use crate::target::initiator::Initiator;

/// How long cached rules are used. A change through another process takes effect after that.
const RULES_TTL: Duration = Duration::from_secs(15);

/// How long a failed lookup is cached: shorter, because most failures are transient.
const FAILURE_TTL: Duration = Duration::from_secs(2);

/// The timeout of a lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of cached buckets.
const BUCKETS_MAX: usize = 4096;

/// Preflights of one address: per second, and in a burst.
const PREFLIGHT_RATE: (u32, u32) = (100, 300);

/// Lookups that one address can cause: per second, and in a burst.
const ADDRESS_LOOKUP_RATE: (u32, u32) = (5, 20);

/// Lookups that all addresses together can cause: per second, and in a burst.
const TOTAL_LOOKUP_RATE: (u32, u32) = (100, 200);

/// The number of tracked addresses above which idle ones are removed.
const ADDRESSES_PRUNE_THRESHOLD: usize = 1024;

type AddressRateLimiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// The cached rules, and the rate limits of lookups.
pub(crate) struct CorsRulesCache {
    entries: Mutex<HashMap<CorsCacheKey, CorsCacheEntry>>,
    preflight_limiter: AddressRateLimiter,
    lookup_limiter: AddressRateLimiter,
    total_lookup_limiter: DefaultDirectRateLimiter,
}

/// The key of a cached entry. Rules are cached in the form of one dialect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CorsCacheKey {
    /// The target's key.
    group_key: u64,
    /// The bucket's name at the target.
    bucket: String,
    dialect: &'static str,
}

#[derive(Clone)]
struct CorsCacheEntry {
    created_at: Instant,
    rules: Arc<OnceCell<CorsLookupResult>>,
}

/// The result of a lookup; `None` if the bucket has no rules, or is not accessible.
type CorsLookupResult = Result<Option<Arc<Node>>, Rejection>;

impl CorsCacheEntry {
    fn is_fresh(&self, now: Instant) -> bool {
        let ttl = if matches!(self.rules.get(), Some(Err(_))) { FAILURE_TTL } else { RULES_TTL };
        now.saturating_duration_since(self.created_at) < ttl
    }
}

impl Default for CorsRulesCache {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            preflight_limiter: RateLimiter::hashmap(build_quota(PREFLIGHT_RATE)),
            lookup_limiter: RateLimiter::hashmap(build_quota(ADDRESS_LOOKUP_RATE)),
            total_lookup_limiter: RateLimiter::direct(build_quota(TOTAL_LOOKUP_RATE)),
        }
    }
}

impl CorsRulesCache {
    /// Counts a preflight against the rate limit of an address.
    ///
    /// # Errors
    /// [`ErrorKind::SlowDown`].
    pub(crate) fn count_preflight(&self, address: Option<IpAddr>) -> Result<(), Rejection> {
        if is_within_rate_limit(&self.preflight_limiter, address) {
            Ok(())
        } else {
            Err(ErrorKind::SlowDown.into())
        }
    }

    /// Returns the rules of a bucket, in the caller dialect; `None` if it has none.
    ///
    /// # Errors
    /// The rules are not available now, or [`ErrorKind::SlowDown`].
    pub(crate) async fn fetch_rules(
        &self,
        target_client: &TargetClient,
        routed_bucket: &RoutedBucket<'_>,
        dialect: &'static Dialect,
        address: Option<IpAddr>,
    ) -> CorsLookupResult {
        let (group_key, bucket) = (routed_bucket.target.group_key, routed_bucket.target_bucket.clone());
        let key = CorsCacheKey { group_key, bucket, dialect: dialect.name };
        let Some(entry) = self.find_or_insert_entry(key, address, Instant::now()) else {
            return Err(ErrorKind::SlowDown.into());
        };
        let lookup_result = entry.rules.get_or_init(|| async {
            // The client is not authenticated, so no caller's limits may be charged for the lookup.
            let lookup = initiator::with_initiator(
                Initiator::Proxy,
                Box::pin(look_up_rules(target_client, routed_bucket, dialect)),
            );
            timeout(LOOKUP_TIMEOUT, lookup).await.unwrap_or(Err(ErrorKind::ServiceUnavailable.into()))
        });
        lookup_result.await.clone()
    }

    /// Finds or inserts the entry of a bucket. Returns `None` if another lookup would exceed the rate limit.
    fn find_or_insert_entry(
        &self,
        key: CorsCacheKey,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Option<CorsCacheEntry> {
        let mut entries = self.lock_entries();
        if let Some(entry) = entries.get(&key).filter(|slot| slot.is_fresh(now)) {
            return Some(entry.clone());
        }
        if !is_within_rate_limit(&self.lookup_limiter, address) || self.total_lookup_limiter.check().is_err()
        {
            return None;
        }
        if entries.len() >= BUCKETS_MAX {
            entries.retain(|_, entry| entry.is_fresh(now));
        }
        // A full cache still serves the request; its entry is only not shared.
        let entry = CorsCacheEntry { created_at: now, rules: Arc::default() };
        if entries.len() < BUCKETS_MAX {
            entries.insert(key, entry.clone());
        }
        Some(entry)
    }

    /// Removes the rules of a bucket that may have changed. A lookup in progress serves only the requests that already
    /// wait for it.
    pub(crate) fn invalidate(&self, group_key: u64, bucket: &str) {
        self.lock_entries().retain(|key, _| key.group_key != group_key || key.bucket != bucket);
    }

    fn lock_entries(&self) -> MutexGuard<'_, HashMap<CorsCacheKey, CorsCacheEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an operation may change the CORS rules of a bucket.
pub(crate) fn may_change_cors_rules(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Put(Setting::Cors)
            | Operation::Delete(Setting::Cors)
            | Operation::CreateBucket
            | Operation::DeleteBucket
    )
}

async fn look_up_rules(
    target_client: &TargetClient,
    routed_bucket: &RoutedBucket<'_>,
    dialect: &'static Dialect,
) -> CorsLookupResult {
    let operation = Operation::Get(Setting::Cors);
    let request = Request::for_bucket(operation, routed_bucket.target_bucket.clone());
    let exchange = Exchange::new(routed_bucket.build_route(dialect, None, None), request, &[])?;
    let last_result = Mutex::new(None);
    let result = drive_exchange(
        target_client,
        routed_bucket.target,
        exchange,
        operation.name(),
        dialect.name,
        &last_result,
    )
    .await;
    match result.map(|response| response.document) {
        Ok(Some(Document::Setting(Setting::Cors, rules))) => Ok(Some(Arc::new(rules))),
        Ok(_) => Ok(None),
        Err(rejection) if is_transient_lookup_error(rejection.kind) => Err(rejection),
        // The client is anonymous, so the details of a permanent error must not reach it.
        Err(_) => Ok(None),
    }
}

/// Whether a later lookup may succeed.
fn is_transient_lookup_error(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ServiceUnavailable
            | ErrorKind::TargetUnavailable
            | ErrorKind::TargetBusy
            | ErrorKind::SlowDown
            | ErrorKind::InternalError
    )
}

/// Counts an event of an address, and returns whether it is within the rate limit.
fn is_within_rate_limit(limiter: &AddressRateLimiter, address: Option<IpAddr>) -> bool {
    let Some(address) = address.map(mask_ipv6_network) else { return true };
    // Pruning visits every address, so it must not run for each request.
    if limiter.len() > ADDRESSES_PRUNE_THRESHOLD {
        limiter.retain_recent();
    }
    limiter.check_key(&address).is_ok()
}

fn mask_ipv6_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            // One machine usually has a whole /64 network of IPv6 addresses.
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

fn build_quota((per_second, burst): (u32, u32)) -> Quota {
    let count = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(count(per_second)).allow_burst(count(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache_key(bucket: &str) -> CorsCacheKey {
        CorsCacheKey { group_key: 1, bucket: bucket.to_owned(), dialect: "s3" }
    }

    fn set_rules(entry: &CorsCacheEntry, rules: CorsLookupResult) {
        assert!(entry.rules.set(rules).is_ok());
    }

    #[test]
    fn a_lookup_is_shared_until_it_expires_or_is_invalidated() {
        let (rules, now) = (CorsRulesCache::default(), Instant::now());
        let first = rules.find_or_insert_entry(cache_key("b"), None, now).unwrap();
        let second = rules.find_or_insert_entry(cache_key("b"), None, now).unwrap();
        assert!(Arc::ptr_eq(&first.rules, &second.rules), "a request during the lookup waits for it");
        set_rules(&first, Ok(None));
        let is_same = |entry: &CorsCacheEntry, at| {
            Arc::ptr_eq(&entry.rules, &rules.find_or_insert_entry(cache_key("b"), None, at).unwrap().rules)
        };
        assert!(is_same(&first, now + RULES_TTL - Duration::from_millis(1)));
        assert!(!is_same(&first, now + RULES_TTL));
        let third = rules.find_or_insert_entry(cache_key("b"), None, now + RULES_TTL).unwrap();
        rules.invalidate(2, "b");
        rules.invalidate(1, "c");
        assert!(is_same(&third, now + RULES_TTL));
        rules.invalidate(1, "b");
        assert!(!is_same(&third, now + RULES_TTL));
        let failed = rules.find_or_insert_entry(cache_key("f"), None, now).unwrap();
        set_rules(&failed, Err(ErrorKind::InternalError.into()));
        assert!(!failed.is_fresh(now + FAILURE_TTL), "a failure expires earlier");
    }

    #[test]
    fn lookups_are_limited_per_address() {
        let (rules, now) = (CorsRulesCache::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        let lookups = |address, count: u32| {
            (0..count)
                .filter(|n| rules.find_or_insert_entry(cache_key(&format!("{n}")), address, now).is_some())
                .count()
        };
        let allowed_lookups = lookups(one, 100);
        assert!((20..25).contains(&allowed_lookups), "{allowed_lookups}");
        assert!(rules.find_or_insert_entry(cache_key("other"), other, now).is_some());
        assert!(
            rules.find_or_insert_entry(cache_key("0"), one, now).is_some(),
            "a cached entry needs no lookup"
        );
        let allowed_count = (0..1000).filter(|_| rules.count_preflight(one).is_ok()).count();
        assert!((300..400).contains(&allowed_count), "{allowed_count}");
        assert!(rules.count_preflight(other).is_ok());
        // The addresses of one IPv6 network share a limit.
        let v6 = |last| Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let ipv6_lookups = (0..100)
            .filter(|n| rules.find_or_insert_entry(cache_key(&format!("v{n}")), v6(*n), now).is_some())
            .count();
        assert!((20..25).contains(&ipv6_lookups), "{ipv6_lookups}");
    }
}
