//! From a target's host to addresses, without blocking and without asking anybody about this machine.
//!
//! A name is asked for by one request at a time; the others take what it finds. Where asking fails or takes long, the
//! addresses that were found last are used for a while.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::timeout;

/// After its lifetime an answer is kept for so long where there is no other.
const KEPT_MAX: Duration = Duration::from_secs(600);

/// With an old answer at hand, a new one is waited for no longer.
const RENEWAL_WAIT_MAX: Duration = Duration::from_secs(1);

/// Between two times of asking for a name in vain.
const PAUSE: Duration = Duration::from_secs(1);

/// An address that did not answer is tried after the others for so long.
const DEAD_KEPT: Duration = Duration::from_secs(60);

/// Addresses remembered as dead at once.
const DEAD_MAX: usize = 1024;

/// Hosts remembered at once: one per bucket in virtual-host style.
const HOSTS_MAX: usize = 4096;

/// Who knows the addresses of names.
#[async_trait]
pub trait Names: Send + Sync + 'static {
    /// The addresses of a name, in the order to be tried.
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, which tokio runs on threads that serve no requests.
pub struct System;

#[async_trait]
impl Names for System {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        tokio::net::lookup_host((host, port)).await.map(Iterator::collect)
    }
}

/// The addresses that were found lately.
pub struct Resolver {
    names: Arc<dyn Names>,
    hosts: Arc<Mutex<Hosts>>,
    /// Addresses that did not answer, and since when.
    dead: Mutex<HashMap<SocketAddr, Instant>>,
}

type Hosts = HashMap<(String, u16), Host>;

/// What is known of a name.
#[derive(Default)]
struct Host {
    /// The last addresses, and when they were found.
    found: Option<(Instant, Vec<SocketAddr>)>,
    /// When asking failed last.
    failed: Option<Instant>,
    /// Who asks now, and since when.
    asking: Option<(Instant, Asking)>,
}

/// Ends when the answer is noted. It goes on when nobody waits for it any more.
type Asking = Shared<BoxFuture<'static, ()>>;

impl Resolver {
    /// Nothing is known yet.
    pub fn new(names: impl Names) -> Self {
        Self { names: Arc::new(names), hosts: Arc::default(), dead: Mutex::default() }
    }

    /// The addresses of a host, in the order to be tried, not older than `lifetime` where that can be helped. Empty
    /// where there are none.
    pub async fn addresses(&self, host: &str, port: u16, lifetime: Duration) -> Vec<SocketAddr> {
        let found = self.all(host, port, lifetime).await;
        if found.len() < 2 {
            return found;
        }
        let now = Instant::now();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        let is_dead = |address: &SocketAddr| {
            dead.get(address).is_some_and(|since| now.saturating_duration_since(*since) < DEAD_KEPT)
        };
        let (last, first): (Vec<_>, Vec<_>) = found.into_iter().partition(is_dead);
        alternated(first).chain(alternated(last)).collect()
    }

    /// Notes who answered, and who did not although they were asked first.
    pub fn note(&self, answered: Option<SocketAddr>, unanswered: &[SocketAddr]) {
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.is_none_or(|address| dead.remove(&address).is_none()) && unanswered.is_empty() {
            return;
        }
        let now = Instant::now();
        if dead.len() >= DEAD_MAX {
            dead.retain(|_, since| now.saturating_duration_since(*since) < DEAD_KEPT);
        }
        if dead.len() < DEAD_MAX {
            dead.extend(unanswered.iter().map(|address| (*address, now)));
        }
    }

    async fn all(&self, host: &str, port: u16, lifetime: Duration) -> Vec<SocketAddr> {
        if let Some(ip) = without_asking(host) {
            return vec![SocketAddr::new(ip, port)];
        }
        let name = (host.to_owned(), port);
        let Some((known, asking)) = self.known(&name, lifetime) else {
            return self.names.lookup(host, port).await.unwrap_or_default();
        };
        let Some(asking) = asking else { return known };
        if known.is_empty() {
            asking.await;
            return self.found(&name).unwrap_or_default();
        }
        match timeout(RENEWAL_WAIT_MAX, asking).await {
            Ok(()) => self.found(&name).unwrap_or(known),
            Err(_) => known,
        }
    }

    /// What is known of a name, and who asks for more. `None` where there is no room to remember another.
    fn known(&self, name: &(String, u16), lifetime: Duration) -> Option<(Vec<SocketAddr>, Option<Asking>)> {
        let mut hosts = locked(&self.hosts);
        make_room(&mut hosts, lifetime);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(name) {
            return None;
        }
        let (host, now) = (hosts.entry(name.clone()).or_default(), Instant::now());
        let known = host.usable(now, lifetime);
        if host.is_settled(now, lifetime) || (host.asks_in_vain(now) && !known.is_empty()) {
            return Some((known, None));
        }
        let ask = || (now, ask(Arc::clone(&self.names), Arc::clone(&self.hosts), name.clone()));
        Some((known, Some(host.asking.get_or_insert_with(ask).1.clone())))
    }

    fn found(&self, name: &(String, u16)) -> Option<Vec<SocketAddr>> {
        locked(&self.hosts).get(name)?.found.as_ref().map(|(_, addresses)| addresses.clone())
    }
}

impl Host {
    /// The last addresses, if they are not too old.
    fn usable(&self, now: Instant, lifetime: Duration) -> Vec<SocketAddr> {
        let age_max = lifetime.saturating_add(KEPT_MAX);
        let found = self.found.as_ref().filter(|(at, _)| now.saturating_duration_since(*at) < age_max);
        found.map(|(_, addresses)| addresses.clone()).unwrap_or_default()
    }

    /// Whether somebody has been asking for longer than is waited for.
    fn asks_in_vain(&self, now: Instant) -> bool {
        let since = self.asking.as_ref().map(|(since, _)| now.saturating_duration_since(*since));
        since.is_some_and(|time| time >= RENEWAL_WAIT_MAX)
    }

    /// Whether nothing new is to be expected: the answer is fresh, or asking failed just now.
    fn is_settled(&self, now: Instant, lifetime: Duration) -> bool {
        let within = |at: Instant, time: Duration| now.saturating_duration_since(at) < time;
        self.found.as_ref().is_some_and(|(at, _)| within(*at, lifetime))
            || self.failed.is_some_and(|at| within(at, PAUSE))
    }
}

/// The two families in turn, beginning with that of the first address (RFC 8305, 4): where one of them leads nowhere,
/// the second try is of the other.
fn alternated(addresses: Vec<SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (own, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut own, mut other) = (own.into_iter(), other.into_iter());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { own.next().or_else(|| other.next()) } else { other.next().or_else(|| own.next()) }
    })
}

fn ask(names: Arc<dyn Names>, hosts: Arc<Mutex<Hosts>>, name: (String, u16)) -> Asking {
    let asking = tokio::spawn(async move {
        let found = names.lookup(&name.0, name.1).await;
        let mut hosts = locked(&hosts);
        let host = hosts.entry(name).or_default();
        host.asking = None;
        match found {
            Ok(addresses) if !addresses.is_empty() => {
                (host.found, host.failed) = (Some((Instant::now(), addresses)), None);
            }
            _ => host.failed = Some(Instant::now()),
        }
    });
    asking.map(drop).boxed().shared()
}

/// Forgets what is of no more use, where there is much.
fn make_room(hosts: &mut Hosts, lifetime: Duration) {
    if hosts.len() >= HOSTS_MAX {
        let now = Instant::now();
        hosts.retain(|_, host| host.asking.is_some() || host.is_settled(now, lifetime));
    }
}

fn locked(hosts: &Mutex<Hosts>) -> MutexGuard<'_, Hosts> {
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Addresses that are written as such, and `localhost` with everything below it (RFC 6761, section 6.3).
fn without_asking(host: &str) -> Option<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse() {
        return Some(ip);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    (name == "localhost" || name.ends_with(".localhost")).then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A table in the place of the world.
#[cfg(test)]
pub mod table {
    use super::*;

    /// Answers as it is told, and counts how often it was asked.
    #[derive(Default, Clone)]
    pub struct Table(Arc<Mutex<Row>>);

    #[derive(Default)]
    struct Row {
        addresses: Vec<SocketAddr>,
        asked: usize,
        delay: Duration,
    }

    impl Table {
        pub fn says(&self, addresses: &[SocketAddr], delay: Duration) {
            let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (row.addresses, row.delay) = (addresses.to_vec(), delay);
        }

        pub fn asked(&self) -> usize {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).asked
        }
    }

    #[async_trait]
    impl Names for Table {
        async fn lookup(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
            let (addresses, delay) = {
                let mut row = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                row.asked += 1;
                (row.addresses.clone(), row.delay)
            };
            tokio::time::sleep(delay).await;
            if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::table::Table;
    use super::*;

    const NAME: &str = "store.example";
    const LIFETIME: Duration = Duration::from_millis(200);
    const ZERO: Duration = Duration::ZERO;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 443)
    }

    #[test]
    fn this_machine_is_known_without_asking() {
        let local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(without_asking("localhost"), local);
        assert_eq!(without_asking("b.s3.LOCALHOST."), local);
        assert_eq!(without_asking("10.0.0.1"), "10.0.0.1".parse().ok());
        assert_eq!(without_asking("[::1]"), "::1".parse().ok());
        assert_eq!(without_asking("localhost.example"), None);
        assert_eq!(without_asking("notlocalhost"), None);
    }

    #[tokio::test]
    async fn an_answer_is_believed_for_its_lifetime() {
        let table = Table::default();
        let resolver = Resolver::new(table.clone());
        table.says(&[address(1), address(2)], ZERO);
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1), address(2)]);
        table.says(&[address(3)], ZERO);
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1), address(2)]);
        assert_eq!(table.asked(), 1);
        tokio::time::sleep(LIFETIME).await;
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(3)]);
        assert_eq!(resolver.addresses("localhost", 443, LIFETIME).await.len(), 1);
        assert_eq!(table.asked(), 2);
    }

    #[tokio::test]
    async fn many_ask_once() {
        let table = Table::default();
        let resolver = Arc::new(Resolver::new(table.clone()));
        table.says(&[address(1)], Duration::from_millis(50));
        let asking = |_| {
            let resolver = Arc::clone(&resolver);
            tokio::spawn(async move { resolver.addresses(NAME, 443, Duration::from_secs(30)).await })
        };
        for told in (0..50).map(asking).collect::<Vec<_>>() {
            assert_eq!(told.await.ok(), Some(vec![address(1)]));
        }
        assert_eq!(table.asked(), 1);
    }

    #[tokio::test]
    async fn the_last_addresses_are_kept_while_the_name_is_not_found() {
        let table = Table::default();
        let resolver = Resolver::new(table.clone());
        table.says(&[], ZERO);
        assert!(resolver.addresses(NAME, 443, LIFETIME).await.is_empty(), "there never were any");
        assert!(resolver.addresses(NAME, 443, LIFETIME).await.is_empty());
        assert_eq!(table.asked(), 1, "asked again only after a pause");
        tokio::time::sleep(PAUSE).await;
        table.says(&[address(1)], ZERO);
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1)]);
        tokio::time::sleep(LIFETIME).await;
        table.says(&[], ZERO);
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1)]);
        assert_eq!(table.asked(), 3);

        // One that does not answer holds nobody up for long.
        tokio::time::sleep(PAUSE).await;
        table.says(&[address(2)], Duration::from_secs(3600));
        let begun = Instant::now();
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1)]);
        assert!(begun.elapsed() < RENEWAL_WAIT_MAX * 2);
        let begun = Instant::now();
        assert_eq!(resolver.addresses(NAME, 443, LIFETIME).await, [address(1)]);
        assert!(begun.elapsed() < RENEWAL_WAIT_MAX / 2, "only the first waits");
    }

    #[tokio::test]
    async fn an_address_that_did_not_answer_comes_last() {
        let table = Table::default();
        let resolver = Resolver::new(table.clone());
        table.says(&[address(1), address(2), address(3)], ZERO);
        resolver.note(Some(address(2)), &[address(1)]);
        let order = resolver.addresses(NAME, 443, Duration::from_secs(60)).await;
        assert_eq!(order, [address(2), address(3), address(1)]);
        resolver.note(Some(address(1)), &[]);
        let order = resolver.addresses(NAME, 443, Duration::from_secs(60)).await;
        assert_eq!(order, [address(1), address(2), address(3)]);
    }

    #[test]
    fn families_take_turns() {
        let six = |last: u16| SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]), 443);
        let order: Vec<_> = alternated(vec![six(1), six(2), six(3), address(1), address(2)]).collect();
        assert_eq!(order, [six(1), address(1), six(2), address(2), six(3)]);
        assert_eq!(alternated(vec![address(1), address(2)]).count(), 2);
    }

    #[test]
    fn and_then_not_for_ever() {
        let at = Instant::now();
        let host = Host { found: Some((at, vec![address(1)])), ..Host::default() };
        assert!(host.usable(at + KEPT_MAX, LIFETIME) == [address(1)]);
        assert!(host.usable(at + KEPT_MAX + LIFETIME, LIFETIME).is_empty());
    }
}
