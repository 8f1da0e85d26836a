//! Deletes kept parts of uploads that are gone: whoever ended them could not. Every process does so now and then; several at
//! once ask the same and delete the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_dialects::engine::answer;
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::staging::{self, Folder};
use blobfish_dialects::engine::stream as heads;
use blobfish_dialects::engine::way::{SameNames, Way};
use blobfish_dialects::model::{Document, Fault, Fields, Operation, Refusal, Request};
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::sleep;

use crate::clock;
use crate::failed::Failed;
use crate::metrics::METRICS;
use crate::relay::exchanged;
use crate::resolve::System;
use crate::snapshot::{Snapshot, Upstream};
use crate::staging::delete_below;
use crate::upstream::Upstreams;

/// How often it is looked whether a target is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Buckets of one target that are looked at in one round.
const BUCKETS_MAX: usize = 1000;

/// Uploads of one bucket that are looked at in one round, in pages of 1000.
const PAGES_MAX: usize = 10;

/// Between two questions: nobody waits for the answers.
const PAUSE: Duration = Duration::from_millis(20);

/// Sweeps all targets.
pub struct Sweep {
    current: Arc<ArcSwap<Snapshot>>,
    upstreams: Upstreams,
}

impl Sweep {
    /// Of the configuration that runs.
    pub fn new(current: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { current, upstreams: Upstreams::new(System) }
    }
}

#[async_trait]
impl BackgroundService for Sweep {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut due: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let snapshot = self.current.load_full();
            let round = async {
                for (index, upstream) in snapshot.upstreams.iter().enumerate() {
                    let every = snapshot.config.targets.get(index).map(|target| target.staging_sweep);
                    let Some(every) = every.filter(|every| !every.is_zero() && is_swept(upstream)) else {
                        continue;
                    };
                    let at = due.entry(upstream.target.name.clone()).or_insert_with(|| first(every));
                    if Instant::now() < *at {
                        continue;
                    }
                    *at = Instant::now().checked_add(every).unwrap_or(*at);
                    self.swept(&snapshot, index, upstream, every).await;
                }
            };
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = round => {}
            }
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// Several processes that were started together do not ask together.
fn first(every: Duration) -> Instant {
    let share = u32::try_from(clock::random() % 1000).unwrap_or_default();
    let now = Instant::now();
    now.checked_add(every.saturating_mul(share) / 1000).unwrap_or(now)
}

fn is_swept(upstream: &Upstream) -> bool {
    upstream.target.staging.combines && staging::is_needed(upstream.target.dialect)
}

impl Sweep {
    async fn swept(&self, snapshot: &Snapshot, index: usize, upstream: &Upstream, age_min: Duration) {
        for bucket in self.buckets(snapshot, index, upstream).await.into_iter().take(BUCKETS_MAX) {
            let target = upstream.target.name.as_str();
            match self.bucket(upstream, &bucket, age_min).await {
                Ok(0) => {}
                Ok(count) => {
                    METRICS.small_parts_swept.with_label_values(&[target]).inc_by(count);
                    tracing::info!(
                        target_name = target,
                        bucket,
                        count,
                        "kept parts of uploads that are gone were deleted"
                    );
                }
                Err(refusal) if refusal.fault == Fault::NoSuchBucket => {}
                Err(refusal) => {
                    tracing::warn!(target_name = target, bucket, "kept parts cannot be looked at: {refusal}");
                }
            }
        }
    }

    /// Where parts may be kept.
    async fn buckets(&self, snapshot: &Snapshot, index: usize, upstream: &Upstream) -> Vec<String> {
        if let Some(bucket) = &upstream.target.staging.bucket {
            return vec![bucket.clone()];
        }
        let rules = snapshot.config.buckets.iter().filter(|rule| rule.target == index);
        let mut names: Vec<String> = Vec::new();
        let mut is_open = false;
        for rule in rules {
            match rule.name.exact() {
                Some(name) => names.push(rule.target_bucket.clone().unwrap_or_else(|| name.to_owned())),
                None => is_open = true,
            }
        }
        if is_open {
            let nowhere = way(upstream, String::new());
            let request = Request::new(Operation::ListBuckets);
            let list = exchanged(&self.upstreams, upstream, &nowhere, request);
            if let Ok(Some(Document::Buckets(list))) = list.await.map(|reply| reply.document) {
                let here = |name: &String| snapshot.config.reverse(index, name).is_some();
                names.extend(list.buckets.into_iter().map(|row| row.0).filter(here));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn bucket(&self, upstream: &Upstream, bucket: &str, age_min: Duration) -> Result<u64, Refusal> {
        let way = way(upstream, bucket.to_owned());
        let (mut behind, mut count) = (None, 0_u64);
        for _ in 0..PAGES_MAX {
            let request = staging::folders(&upstream.target, behind.as_deref(), 1000);
            let reply = exchanged(&self.upstreams, upstream, &way, request).await?;
            let Some(Document::Objects(page)) = reply.document else { return Err(answer::unproven()) };
            for folder in &page.prefixes {
                sleep(PAUSE).await;
                if self.is_gone(upstream, &way, folder, age_min).await? {
                    let deleted = delete_below(&self.upstreams, upstream, &way, folder).await?;
                    count = count.saturating_add(deleted);
                }
            }
            behind = page.prefixes.last().cloned();
            if !page.truncated || behind.is_none() {
                break;
            }
        }
        Ok(count)
    }

    /// Whether the upload of a folder is gone, by the first of its parts that is old enough.
    async fn is_gone(
        &self,
        upstream: &Upstream,
        way: &Way<'_>,
        folder: &str,
        age_min: Duration,
    ) -> Result<bool, Refusal> {
        let reply = exchanged(&self.upstreams, upstream, way, staging::listed(folder, 1)).await?;
        let Some(Document::Objects(page)) = reply.document else { return Err(answer::unproven()) };
        let Some(object) = page.objects.into_iter().next() else { return Ok(false) };
        let age = object.modified.map_or(0, |modified| clock::now().0.saturating_sub(modified.0));
        if u64::try_from(age).unwrap_or_default() < age_min.as_secs() {
            return Ok(false);
        }
        let head = Request::of_object(
            Operation::HeadObject,
            way.bucket.clone(),
            object.key.clone(),
            Fields::default(),
        );
        let (out, _) = heads::outgoing(way, &head, None, clock::now())?;
        let asked = self.upstreams.ask(upstream, &out, "HeadObject", way.caller.name).await;
        let (conversation, answered) = asked.map_err(Failed::refusal)?;
        conversation.release().await;
        let told = answer::head(way, Operation::HeadObject, &answered.answer);
        let Some(folder) = Folder::found(&upstream.target, &object.key, &told) else { return Ok(false) };
        let upload_at = Way { bucket: folder.bucket().to_owned(), ..way.clone() };
        match exchanged(&self.upstreams, upstream, &upload_at, folder.list_parts(0, 1)).await {
            Ok(_) => Ok(false),
            Err(refusal) if matches!(refusal.fault, Fault::NoSuchUpload | Fault::NoSuchBucket) => Ok(true),
            Err(refusal) => Err(refusal),
        }
    }
}

fn way(upstream: &Upstream, bucket: String) -> Way<'_> {
    Way {
        caller: upstream.target.dialect,
        target: &upstream.target,
        bucket,
        source_bucket: None,
        policy: LossPolicy::Refuse,
        check_conditions: false,
        names: Arc::new(SameNames),
    }
}
