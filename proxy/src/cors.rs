//! The CORS rules of buckets, kept for a moment. Anybody can have them looked up, by a preflight or by an `Origin` in a
//! request that is refused; so one lookup serves all who ask at the same time and shortly after, and how many a caller's
//! address can cause is limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::model::{Document, Fault, Operation, Refusal, Request, Setting};
use blobfish_dialects::wire::xml::Node;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::behalf::{self, Behalf};
use crate::exchange;
use crate::snapshot::Place;
use crate::upstream::Upstreams;

/// How long rules are believed. What is changed through another process is seen after that.
const KEPT: Duration = Duration::from_secs(15);

/// How long it is believed that they cannot be had.
const FAILURE_KEPT: Duration = Duration::from_secs(2);

/// The wait for them.
const LOOKUP_TIME_MAX: Duration = Duration::from_secs(5);

/// Buckets whose rules are kept.
const BUCKETS_MAX: usize = 4096;

/// Preflights of one address in a second, and at once.
const PREFLIGHTS: (u32, u32) = (100, 300);

/// Lookups that one address can cause in a second, and at once.
const LOOKUPS: (u32, u32) = (5, 20);

/// Lookups that all of them can cause.
const ALL_LOOKUPS: (u32, u32) = (100, 200);

/// Addresses that are remembered before those that did nothing of late are forgotten.
const ADDRESSES_USUAL: usize = 1024;

type PerAddress = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// The rules that are known.
pub struct CorsRules {
    slots: Mutex<HashMap<Key, Slot>>,
    preflights: PerAddress,
    lookups: PerAddress,
    all_lookups: DefaultDirectRateLimiter,
}

/// Rules are kept in the words of one dialect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Of the target.
    group_key: u64,
    /// The bucket's name there.
    bucket: String,
    dialect: &'static str,
}

#[derive(Clone)]
struct Slot {
    since: Instant,
    found: Arc<OnceCell<Found>>,
}

/// `None`: there are none that anybody could know of.
type Found = Result<Option<Arc<Node>>, Refusal>;

impl Slot {
    fn is_fresh(&self, now: Instant) -> bool {
        let kept = if matches!(self.found.get(), Some(Err(_))) { FAILURE_KEPT } else { KEPT };
        now.saturating_duration_since(self.since) < kept
    }
}

impl Default for CorsRules {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            preflights: RateLimiter::hashmap(quota(PREFLIGHTS)),
            lookups: RateLimiter::hashmap(quota(LOOKUPS)),
            all_lookups: RateLimiter::direct(quota(ALL_LOOKUPS)),
        }
    }
}

impl CorsRules {
    /// Counts a preflight.
    ///
    /// # Errors
    /// [`Fault::SlowDown`].
    pub fn count_preflight(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        if may(&self.preflights, address) { Ok(()) } else { Err(Fault::SlowDown.into()) }
    }

    /// The rules of a bucket, in the caller's dialect; `None` where there are none.
    ///
    /// # Errors
    /// They cannot be had now; [`Fault::SlowDown`].
    pub async fn of(
        &self,
        upstreams: &Upstreams,
        place: &Place<'_>,
        dialect: &'static Dialect,
        address: Option<IpAddr>,
    ) -> Found {
        let (group_key, bucket) = (place.upstream.group_key, place.bucket.clone());
        let key = Key { group_key, bucket, dialect: dialect.name };
        let Some(slot) = self.slot(key, address, Instant::now()) else { return Err(Fault::SlowDown.into()) };
        let found = slot.found.get_or_init(|| async {
            let lookup = behalf::within(Behalf::Aside, Box::pin(looked_up(upstreams, place, dialect)));
            timeout(LOOKUP_TIME_MAX, lookup).await.unwrap_or(Err(Fault::ServiceUnavailable.into()))
        });
        found.await.clone()
    }

    /// Where the rules of a bucket are or will be; `None` where another lookup would be too much.
    fn slot(&self, key: Key, address: Option<IpAddr>, now: Instant) -> Option<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key).filter(|slot| slot.is_fresh(now)) {
            return Some(slot.clone());
        }
        if !may(&self.lookups, address) || self.all_lookups.check().is_err() {
            return None;
        }
        if slots.len() >= BUCKETS_MAX {
            slots.retain(|_, slot| slot.is_fresh(now));
        }
        let slot = Slot { since: now, found: Arc::default() };
        if slots.len() < BUCKETS_MAX {
            slots.insert(key, slot.clone());
        }
        Some(slot)
    }

    /// Forgets the rules of a bucket that may have been changed. A lookup that is under way serves those who wait for it,
    /// and nobody else.
    pub fn forget(&self, group_key: u64, bucket: &str) {
        self.slots().retain(|key, _| key.group_key != group_key || key.bucket != bucket);
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an operation may change what is looked up here.
pub fn changes(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Put(Setting::Cors)
            | Operation::Delete(Setting::Cors)
            | Operation::CreateBucket
            | Operation::DeleteBucket
    )
}

async fn looked_up(upstreams: &Upstreams, place: &Place<'_>, dialect: &'static Dialect) -> Found {
    let operation = Operation::Get(Setting::Cors);
    let request = Request { bucket: Some(place.bucket.clone()), ..Request::new(operation) };
    let exchange = Exchange::new(place.way(dialect, None, None), request, &[])?;
    let last = Mutex::new(None);
    let answered =
        exchange::drive(upstreams, place.upstream, exchange, operation.name(), dialect.name, &last).await;
    match answered.map(|reply| reply.document) {
        Ok(Some(Document::Setting(Setting::Cors, rules))) => Ok(Some(Arc::new(rules))),
        Ok(_) => Ok(None),
        Err(refusal) if is_passing(refusal.fault) => Err(refusal),
        // Whatever is wrong with the bucket is nothing to somebody of whom nothing is proven.
        Err(_) => Ok(None),
    }
}

/// Whether the next moment may be better.
fn is_passing(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::ServiceUnavailable
            | Fault::TargetUnavailable
            | Fault::TargetBusy
            | Fault::SlowDown
            | Fault::InternalError
    )
}

/// Whether one more is not too much for an address. Of IPv6 a network counts, for one machine has all of its addresses.
fn may(limiter: &PerAddress, address: Option<IpAddr>) -> bool {
    let Some(address) = address.map(network) else { return true };
    if limiter.len() > ADDRESSES_USUAL {
        limiter.retain_recent();
    }
    limiter.check_key(&address).is_ok()
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

fn quota((per_second, at_once): (u32, u32)) -> Quota {
    let count = |count: u32| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(count(per_second)).allow_burst(count(at_once))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bucket: &str) -> Key {
        Key { group_key: 1, bucket: bucket.to_owned(), dialect: "s3" }
    }

    fn found(slot: &Slot, found: Found) {
        assert!(slot.found.set(found).is_ok());
    }

    #[test]
    fn one_lookup_serves_many_until_it_is_old_or_forgotten() {
        let (rules, now) = (CorsRules::default(), Instant::now());
        let first = rules.slot(key("b"), None, now).unwrap();
        let second = rules.slot(key("b"), None, now).unwrap();
        assert!(Arc::ptr_eq(&first.found, &second.found), "who comes while it runs waits for it");
        found(&first, Ok(None));
        let is_same =
            |slot: &Slot, at| Arc::ptr_eq(&slot.found, &rules.slot(key("b"), None, at).unwrap().found);
        assert!(is_same(&first, now + KEPT - Duration::from_millis(1)));
        assert!(!is_same(&first, now + KEPT));
        let third = rules.slot(key("b"), None, now + KEPT).unwrap();
        rules.forget(2, "b");
        rules.forget(1, "c");
        assert!(is_same(&third, now + KEPT));
        rules.forget(1, "b");
        assert!(!is_same(&third, now + KEPT));
        let failed = rules.slot(key("f"), None, now).unwrap();
        found(&failed, Err(Fault::InternalError.into()));
        assert!(!failed.is_fresh(now + FAILURE_KEPT), "a failure is believed for a shorter time");
    }

    #[test]
    fn one_address_causes_few_lookups_and_leaves_others_theirs() {
        let (rules, now) = (CorsRules::default(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
        let lookups = |address, count: u32| {
            (0..count).filter(|n| rules.slot(key(&format!("{n}")), address, now).is_some()).count()
        };
        let mine = lookups(one, 100);
        assert!((20..25).contains(&mine), "{mine}");
        assert!(rules.slot(key("other"), other, now).is_some());
        assert!(rules.slot(key("0"), one, now).is_some(), "what is known costs nothing");
        let told = (0..1000).filter(|_| rules.count_preflight(one).is_ok()).count();
        assert!((300..400).contains(&told), "{told}");
        assert!(rules.count_preflight(other).is_ok());
        // One machine has a network of IPv6.
        let v6 = |last| Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
        let theirs = (0..100).filter(|n| rules.slot(key(&format!("v{n}")), v6(*n), now).is_some()).count();
        assert!((20..25).contains(&theirs), "{theirs}");
    }
}
