//! ListBuckets: the configured names that the caller may read, and what the target of a pattern has.

use blobfish_config::Caller;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::buckets::{Row, UNKNOWN, check, page, question};
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::way::{SameNames, Way};
use blobfish_dialects::model::{BucketList, Document, Fault, Need, Refusal, Reply, Request};

use crate::exchange;
use crate::job::{End, Job};
use crate::snapshot::{Snapshot, Upstream, may};

/// Pages of one target's buckets. A target that has more goes round in circles.
const PAGES_MAX: usize = 200;

/// Answers from the configuration, asking the targets of patterns.
///
/// # Errors
/// [`End`]. A list without the buckets of a target that failed would be a false success.
pub async fn run(job: &mut Job<'_>, caller: &Caller, request: Request, payload: Payload) -> Result<(), End> {
    exchange::whole_body(job, &request, payload).await?;
    check(job.listener.dialect, &request)?;
    let snapshot = job.snapshot;
    let mut rows = configured(snapshot, caller);
    for index in pattern_targets(snapshot) {
        let Some(upstream) = snapshot.upstreams.get(index) else { continue };
        let mut next = None;
        for number in 1.. {
            let list = asked(job, upstream, next).await?;
            next = list.next.clone();
            merge(&mut rows, list, &upstream.target.region, |name| visible(snapshot, caller, index, name));
            match number {
                _ if next.is_none() => break,
                PAGES_MAX.. => return Err(endless().into()),
                _ => {}
            }
        }
    }
    let list = page(job.listener.dialect, &request, rows)?;
    let mut reply = Reply::status(200);
    let host = job.listener.host.clone();
    reply.document = Some(Document::Buckets(BucketList { owner: caller.name.clone(), host, ..list }));
    job.tell(reply).await
}

/// One page of a target's buckets.
async fn asked(job: &mut Job<'_>, upstream: &Upstream, next: Option<String>) -> Result<BucketList, End> {
    let question = question(upstream.target.dialect, next);
    let reply = exchange::driven(job, upstream, way(job, upstream), question, &[]).await?;
    match reply.document {
        Some(Document::Buckets(list)) => Ok(list),
        _ => Err(Fault::InternalError.into()),
    }
}

fn endless() -> Refusal {
    Refusal::say(Fault::InternalError, "The storage behind this service did not end its list of buckets.")
}

fn way<'a>(job: &Job<'_>, upstream: &'a Upstream) -> Way<'a> {
    Way {
        caller: job.listener.dialect,
        target: &upstream.target,
        bucket: String::new(),
        source_bucket: None,
        policy: LossPolicy::Refuse,
        check_conditions: false,
        names: std::sync::Arc::new(SameNames),
    }
}

/// The names that stand in the configuration.
fn configured(snapshot: &Snapshot, caller: &Caller) -> Vec<Row> {
    let names = snapshot.config.buckets.iter().filter_map(|rule| Some((rule.name.exact()?, rule.target)));
    names
        .filter(|(name, _)| may(caller, name, Need::Read) && snapshot.place(name).is_some())
        .filter_map(|(name, index)| {
            Some((name.to_owned(), UNKNOWN, snapshot.upstreams.get(index)?.target.region.clone()))
        })
        .collect()
}

/// The targets that hold buckets which no name in the configuration stands for.
fn pattern_targets(snapshot: &Snapshot) -> Vec<usize> {
    let patterns = snapshot.config.buckets.iter().filter(|rule| rule.name.exact().is_none());
    let mut targets: Vec<usize> = patterns.map(|rule| rule.target).collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// What the caller calls a target's bucket, if it may know of it.
fn visible(snapshot: &Snapshot, caller: &Caller, index: usize, name: &str) -> Option<String> {
    let shown = !snapshot.is_for_parts(index, name);
    let name = snapshot.config.reverse(index, name).filter(|_| shown);
    name.filter(|name| may(caller, name, Need::Read))
}

/// Adds what a target told; of a name that is there already it knows the date.
fn merge(rows: &mut Vec<Row>, list: BucketList, own_region: &str, visible: impl Fn(&str) -> Option<String>) {
    for (name, made, region) in list.buckets {
        let Some(name) = visible(&name) else { continue };
        match rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1 = made,
            None if region.is_empty() => rows.push((name, made, own_region.to_owned())),
            None => rows.push((name, made, region)),
        }
    }
}
