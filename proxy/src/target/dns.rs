//! The DNS cache: resolves hosts without blocking, and loopback names without a query.
//!
//! There is at most one pending lookup per name, and all requests share its result. If a lookup fails or is slow, the
//! previous addresses are used for a while.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::timeout;

/// How long addresses are used after their lifetime if no newer ones are available.
const STALE_ADDRESSES_LIFETIME: Duration = Duration::from_secs(600);

/// How long to wait for a lookup if there are previous addresses.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Delay before a failed lookup is repeated.
const FAILED_LOOKUP_DELAY: Duration = Duration::from_secs(1);

/// How long an address that did not accept a connection is tried after the others.
const DEAD_ADDRESS_LIFETIME: Duration = Duration::from_secs(60);

/// Maximum number of addresses recorded as dead.
const DEAD_ADDRESSES_MAX: usize = 1024;

/// Maximum number of cached hosts. With virtual-hosted addressing there is one per bucket.
const CACHED_HOSTS_MAX: usize = 4096;

/// A resolver.
#[async_trait]
pub(crate) trait DnsLookup: Send + Sync + 'static {
    /// Looks up the addresses of a name, in the order to try them.
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, which tokio runs on its blocking thread pool.
pub(crate) struct SystemDns;

#[async_trait]
impl DnsLookup for SystemDns {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        tokio::net::lookup_host((host, port)).await.map(Iterator::collect)
    }
}

/// The DNS cache.
pub(crate) struct DnsCache {
    lookup: Arc<dyn DnsLookup>,
    hosts: Arc<Mutex<HostCache>>,
    /// Addresses that did not accept a connection, and since when.
    dead_addresses: Mutex<HashMap<SocketAddr, Instant>>,
}

type HostCache = HashMap<(String, u16), CachedHost>;

/// The cache entry of a name.
#[derive(Default)]
struct CachedHost {
    /// The last addresses, and the time of their lookup.
    resolved: Option<(Instant, Vec<SocketAddr>)>,
    /// The time of the last failed lookup.
    failed_at: Option<Instant>,
    /// The pending lookup and its start.
    pending: Option<(Instant, PendingLookup)>,
}

/// Completes when the result is in the cache. The lookup continues even if no request waits for it any more.
type PendingLookup = Shared<BoxFuture<'static, ()>>;

impl DnsCache {
    /// Creates an empty cache.
    pub(crate) fn new(lookup: impl DnsLookup) -> Self {
        Self { lookup: Arc::new(lookup), hosts: Arc::default(), dead_addresses: Mutex::default() }
    }

    /// Resolves a host to addresses in the order to try them. They are older than `lifetime` only if a lookup fails or is
    /// slow. Empty if there are none.
    pub(crate) async fn resolve(&self, host: &str, port: u16, lifetime: Duration) -> Vec<SocketAddr> {
        let addresses = self.resolve_all(host, port, lifetime).await;
        // A single address is tried even if it is recorded as dead: there is no alternative.
        if addresses.len() < 2 {
            return addresses;
        }
        let now = Instant::now();
        let dead = self.dead_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_dead = |address: &SocketAddr| {
            dead.get(address)
                .is_some_and(|since| now.saturating_duration_since(*since) < DEAD_ADDRESS_LIFETIME)
        };
        let (dead_last, live_first): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_dead);
        alternate_families(live_first).chain(alternate_families(dead_last)).collect()
    }

    /// Records the address that accepted a connection, and those that were tried before it without success.
    pub(crate) fn record_connect_results(&self, connected: Option<SocketAddr>, unreachable: &[SocketAddr]) {
        let mut dead = self.dead_addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if connected.is_none_or(|address| dead.remove(&address).is_none()) && unreachable.is_empty() {
            return;
        }
        let now = Instant::now();
        if dead.len() >= DEAD_ADDRESSES_MAX {
            dead.retain(|_, since| now.saturating_duration_since(*since) < DEAD_ADDRESS_LIFETIME);
        }
        if dead.len() < DEAD_ADDRESSES_MAX {
            dead.extend(unreachable.iter().map(|address| (*address, now)));
        }
    }

    async fn resolve_all(&self, host: &str, port: u16, lifetime: Duration) -> Vec<SocketAddr> {
        if let Some(ip) = resolve_locally(host) {
            return vec![SocketAddr::new(ip, port)];
        }
        let name = (host.to_owned(), port);
        // A full cache must not block new hosts, so those are looked up each time.
        let Some((cached, pending)) = self.cached_or_pending(&name, lifetime) else {
            return self.lookup.lookup(host, port).await.unwrap_or_default();
        };
        let Some(pending) = pending else { return cached };
        if cached.is_empty() {
            pending.await;
            return self.cached_addresses(&name).unwrap_or_default();
        }
        match timeout(RENEWAL_TIMEOUT, pending).await {
            Ok(()) => self.cached_addresses(&name).unwrap_or(cached),
            // The lookup continues in the background and updates the cache for later requests.
            Err(_) => cached,
        }
    }

    /// Returns the cached addresses and the pending lookup, which is started if necessary. `None` if the cache is full.
    fn cached_or_pending(
        &self,
        name: &(String, u16),
        lifetime: Duration,
    ) -> Option<(Vec<SocketAddr>, Option<PendingLookup>)> {
        let mut cache = lock_hosts(&self.hosts);
        evict_stale_hosts(&mut cache, lifetime);
        if cache.len() >= CACHED_HOSTS_MAX && !cache.contains_key(name) {
            return None;
        }
        let (host, now) = (cache.entry(name.clone()).or_default(), Instant::now());
        let cached = host.usable_addresses(now, lifetime);
        if host.is_settled(now, lifetime) || (host.is_lookup_overdue(now) && !cached.is_empty()) {
            return Some((cached, None));
        }
        let start = || (now, start_lookup(Arc::clone(&self.lookup), Arc::clone(&self.hosts), name.clone()));
        Some((cached, Some(host.pending.get_or_insert_with(start).1.clone())))
    }

    fn cached_addresses(&self, name: &(String, u16)) -> Option<Vec<SocketAddr>> {
        lock_hosts(&self.hosts).get(name)?.resolved.as_ref().map(|(_, addresses)| addresses.clone())
    }
}

impl CachedHost {
    /// The cached addresses, if they are not too old.
    fn usable_addresses(&self, now: Instant, lifetime: Duration) -> Vec<SocketAddr> {
        let age_max = lifetime.saturating_add(STALE_ADDRESSES_LIFETIME);
        let resolved = self.resolved.as_ref().filter(|(at, _)| now.saturating_duration_since(*at) < age_max);
        resolved.map(|(_, addresses)| addresses.clone()).unwrap_or_default()
    }

    /// Whether the pending lookup has exceeded its timeout.
    fn is_lookup_overdue(&self, now: Instant) -> bool {
        let since = self.pending.as_ref().map(|(since, _)| now.saturating_duration_since(*since));
        since.is_some_and(|time| time >= RENEWAL_TIMEOUT)
    }

    /// Whether no lookup is needed: the addresses are fresh, or the last lookup has just failed.
    fn is_settled(&self, now: Instant, lifetime: Duration) -> bool {
        let within = |at: Instant, time: Duration| now.saturating_duration_since(at) < time;
        self.resolved.as_ref().is_some_and(|(at, _)| within(*at, lifetime))
            || self.failed_at.is_some_and(|at| within(at, FAILED_LOOKUP_DELAY))
    }
}

/// Alternates between IPv4 and IPv6, starting with the family of the first address (RFC 8305, section 4): if one
/// family has no connectivity, the second attempt uses the other.
fn alternate_families(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (own, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut is_own_turn = false;
    std::iter::from_fn(move || {
        is_own_turn = !is_own_turn;
        if is_own_turn { own.next().or_else(|| other.next()) } else { other.next().or_else(|| own.next()) }
    })
}

fn start_lookup(
    lookup: Arc<dyn DnsLookup>,
    hosts: Arc<Mutex<HostCache>>,
    name: (String, u16),
) -> PendingLookup {
    let task = tokio::spawn(async move {
        let result = lookup.lookup(&name.0, name.1).await;
        let mut hosts = lock_hosts(&hosts);
        let host = hosts.entry(name).or_default();
        host.pending = None;
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                (host.resolved, host.failed_at) = (Some((Instant::now(), addresses)), None);
            }
            // The previous addresses stay: a resolver that fails for a moment does not mean that the host has moved.
            _ => host.failed_at = Some(Instant::now()),
        }
    });
    task.map(drop).boxed().shared()
}

/// Removes outdated entries if the cache is full.
fn evict_stale_hosts(hosts: &mut HostCache, lifetime: Duration) {
    if hosts.len() >= CACHED_HOSTS_MAX {
        let now = Instant::now();
        hosts.retain(|_, host| host.pending.is_some() || host.is_settled(now, lifetime));
    }
}

fn lock_hosts(hosts: &Mutex<HostCache>) -> MutexGuard<'_, HostCache> {
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves IP address literals, and `localhost` with its subdomains (RFC 6761, section 6.3).
fn resolve_locally(host: &str) -> Option<IpAddr> {
    // An IPv6 literal has brackets, as in a URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Some(ip);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    (name == "localhost" || name.ends_with(".localhost")).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A resolver for tests.
#[cfg(test)]
pub(crate) mod fake_dns {
    use super::*;

    /// A resolver with configurable results that counts its lookups.
    #[derive(Default, Clone)]
    pub(crate) struct FakeDns(Arc<Mutex<FakeDnsRecord>>);

    #[derive(Default)]
    struct FakeDnsRecord {
        addresses: Vec<SocketAddr>,
        lookup_count: usize,
        delay: Duration,
    }

    impl FakeDns {
        pub(crate) fn set_addresses(&self, addresses: &[SocketAddr], delay: Duration) {
            let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (row.addresses, row.delay) = (addresses.to_vec(), delay);
        }

        pub(crate) fn lookup_count(&self) -> usize {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).lookup_count
        }
    }

    #[async_trait]
    impl DnsLookup for FakeDns {
        async fn lookup(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
            let (addresses, delay) = {
                let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                row.lookup_count += 1;
                (row.addresses.clone(), row.delay)
            };
            tokio::time::sleep(delay).await;
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake_dns::FakeDns;
    use super::*;

    const HOST_NAME: &str = "store.example";
    const LIFETIME: Duration = Duration::from_millis(200);
    const ZERO: Duration = Duration::ZERO;

    fn test_address(last: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 443)
    }

    #[test]
    fn loopback_names_are_resolved_without_a_lookup() {
        let local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(resolve_locally("localhost"), local);
        assert_eq!(resolve_locally("b.s3.LOCALHOST."), local);
        assert_eq!(resolve_locally("10.0.0.1"), "10.0.0.1".parse().ok());
        assert_eq!(resolve_locally("[::1]"), "::1".parse().ok());
        assert_eq!(resolve_locally("localhost.example"), None);
        assert_eq!(resolve_locally("notlocalhost"), None);
    }

    #[tokio::test]
    async fn addresses_are_cached_for_their_lifetime() {
        let table = FakeDns::default();
        let resolver = DnsCache::new(table.clone());
        table.set_addresses(&[test_address(1), test_address(2)], ZERO);
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1), test_address(2)]);
        table.set_addresses(&[test_address(3)], ZERO);
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1), test_address(2)]);
        assert_eq!(table.lookup_count(), 1);
        tokio::time::sleep(LIFETIME).await;
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(3)]);
        assert_eq!(resolver.resolve("localhost", 443, LIFETIME).await.len(), 1);
        assert_eq!(table.lookup_count(), 2);
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_lookup() {
        let table = FakeDns::default();
        let resolver = Arc::new(DnsCache::new(table.clone()));
        table.set_addresses(&[test_address(1)], Duration::from_millis(50));
        let resolve_in_task = |_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { resolver.resolve(HOST_NAME, 443, Duration::from_secs(30)).await })
        };
        for task in (0..50).map(resolve_in_task).collect::<Vec<_>>() {
            assert_eq!(task.await.ok(), Some(vec![test_address(1)]));
        }
        assert_eq!(table.lookup_count(), 1);
    }

    #[tokio::test]
    async fn the_previous_addresses_are_used_while_lookups_fail() {
        let table = FakeDns::default();
        let resolver = DnsCache::new(table.clone());
        table.set_addresses(&[], ZERO);
        assert!(
            resolver.resolve(HOST_NAME, 443, LIFETIME).await.is_empty(),
            "there are no previous addresses"
        );
        assert!(resolver.resolve(HOST_NAME, 443, LIFETIME).await.is_empty());
        assert_eq!(table.lookup_count(), 1, "a failed lookup is repeated only after a delay");
        tokio::time::sleep(FAILED_LOOKUP_DELAY).await;
        table.set_addresses(&[test_address(1)], ZERO);
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1)]);
        tokio::time::sleep(LIFETIME).await;
        table.set_addresses(&[], ZERO);
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1)]);
        assert_eq!(table.lookup_count(), 3);

        // A resolver that does not respond delays requests only briefly.
        tokio::time::sleep(FAILED_LOOKUP_DELAY).await;
        table.set_addresses(&[test_address(2)], Duration::from_secs(3600));
        let started = Instant::now();
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1)]);
        assert!(started.elapsed() < RENEWAL_TIMEOUT * 2);
        let started = Instant::now();
        assert_eq!(resolver.resolve(HOST_NAME, 443, LIFETIME).await, [test_address(1)]);
        assert!(started.elapsed() < RENEWAL_TIMEOUT / 2, "only the first request waits");
    }

    #[tokio::test]
    async fn a_dead_address_comes_last() {
        let table = FakeDns::default();
        let resolver = DnsCache::new(table.clone());
        table.set_addresses(&[test_address(1), test_address(2), test_address(3)], ZERO);
        resolver.record_connect_results(Some(test_address(2)), &[test_address(1)]);
        let order = resolver.resolve(HOST_NAME, 443, Duration::from_secs(60)).await;
        assert_eq!(order, [test_address(2), test_address(3), test_address(1)]);
        resolver.record_connect_results(Some(test_address(1)), &[]);
        let order = resolver.resolve(HOST_NAME, 443, Duration::from_secs(60)).await;
        assert_eq!(order, [test_address(1), test_address(2), test_address(3)]);
    }

    #[test]
    fn address_families_alternate() {
        let v6_address = |last: u16| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]), 443);
        let order: Vec<_> = alternate_families(vec![
            v6_address(1),
            v6_address(2),
            v6_address(3),
            test_address(1),
            test_address(2),
        ])
        .collect();
        assert_eq!(order, [v6_address(1), test_address(1), v6_address(2), test_address(2), v6_address(3)]);
        assert_eq!(alternate_families(vec![test_address(1), test_address(2)]).count(), 2);
    }

    #[test]
    fn and_then_not_for_ever() {
        let at = Instant::now();
        let host = CachedHost { resolved: Some((at, vec![test_address(1)])), ..CachedHost::default() };
        assert!(host.usable_addresses(at + STALE_ADDRESSES_LIFETIME, LIFETIME) == [test_address(1)]);
        assert!(host.usable_addresses(at + STALE_ADDRESSES_LIFETIME + LIFETIME, LIFETIME).is_empty());
    }
}
