//! ListBuckets: the configured names that the caller may read, and what the target of a pattern has.

use blobfish_config::Caller;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::way::{SameNames, Way};
use blobfish_dialects::model::{BucketList, Document, Need, Reply, Request, Timestamp};

use crate::exchange;
use crate::job::{End, Job};
use crate::snapshot::{Snapshot, Upstream, may};

/// Name, creation, region.
type Row = (String, Timestamp, String);

/// When a bucket was made of which only the name is known.
const UNKNOWN: Timestamp = Timestamp(0);

/// Answers from the configuration, asking the targets of patterns.
///
/// # Errors
/// [`End`]. A list without the buckets of a target that failed would be a false success.
pub async fn run(job: &mut Job<'_>, caller: &Caller, request: Request, payload: Payload) -> Result<(), End> {
    exchange::whole_body(job, &request, payload).await?;
    let snapshot = job.snapshot;
    let mut rows = configured(snapshot, caller);
    for index in pattern_targets(snapshot) {
        let Some(upstream) = snapshot.upstreams.get(index) else { continue };
        let reply = exchange::driven(job, upstream, way(job, upstream), request.clone(), &[]).await?;
        let Some(Document::Buckets(list)) = reply.document else { return job.tell(reply).await };
        merge(&mut rows, list, &upstream.target.region, |name| visible(snapshot, caller, index, name));
    }
    rows.sort();
    let mut reply = Reply::status(200);
    let host = job.listener.host.clone();
    reply.document = Some(Document::Buckets(BucketList { owner: caller.name.clone(), buckets: rows, host }));
    job.tell(reply).await
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
