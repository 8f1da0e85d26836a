//! Deletes kept parts of uploads that are gone: whoever ended them could not. Every process does so now and then; several at
//! once ask the same and delete the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use blobfish_dialects::dialect::route::{LossPolicy, Route, SameBucketNames};
use blobfish_dialects::engine::small_parts::{self, PartsFolder};
use blobfish_dialects::engine::streaming as heads;
use blobfish_dialects::engine::{read_response, target_response};
use blobfish_dialects::model::{Document, ErrorKind, Fields, Operation, Rejection, Request};
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::sleep;

use crate::clock;
use crate::inbound::file_descriptors;
use crate::request::active_config::ActiveConfig;
use crate::request::relay::perform_exchange;
use crate::request::small_parts::delete_keys_with_prefix;
use crate::target::client::TargetClient;
use crate::target::dns::SystemDns;
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::metrics::METRICS;

/// How often it is looked whether a target is due.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// Buckets of one target that are looked at in one round.
const BUCKETS_MAX: usize = 1000;

/// Uploads of one bucket that are looked at in one round, in pages of 1000.
const PAGES_MAX: usize = 10;

/// Between two questions: nobody waits for the answers.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Sweeps all targets.
pub struct SmallPartsCleanup {
    active_config: Arc<ArcSwap<ActiveConfig>>,
    target_client: TargetClient,
}

impl SmallPartsCleanup {
    /// Of the configuration that runs.
    pub fn new(active_config: Arc<ArcSwap<ActiveConfig>>) -> Self {
        Self { active_config, target_client: TargetClient::new(SystemDns, file_descriptors::pool_size()) }
    }
}

#[async_trait]
impl BackgroundService for SmallPartsCleanup {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut next_runs: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let config = self.active_config.load_full();
            let round = async {
                for (index, target) in config.targets.iter().enumerate() {
                    let interval = config.settings.targets.get(index).map(|target| target.staging_sweep);
                    let Some(interval) = interval.filter(|every| !every.is_zero() && needs_cleanup(target))
                    else {
                        continue;
                    };
                    let next_run = next_runs
                        .entry(target.spec.name.clone())
                        .or_insert_with(|| schedule_first_run(interval));
                    if Instant::now() < *next_run {
                        continue;
                    }
                    *next_run = Instant::now().checked_add(interval).unwrap_or(*next_run);
                    self.clean_up_target(&config, index, target, interval).await;
                }
            };
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = round => {}
            }
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = sleep(CHECK_INTERVAL) => {}
            }
        }
    }
}

/// Several processes that were started together do not ask together.
fn schedule_first_run(interval: Duration) -> Instant {
    let share = u32::try_from(clock::random() % 1000).unwrap_or_default();
    let now = Instant::now();
    now.checked_add(interval.saturating_mul(share) / 1000).unwrap_or(now)
}

fn needs_cleanup(target: &TargetRuntime) -> bool {
    target.spec.staging.is_combining && small_parts::is_staging_needed(&target.spec)
}

impl SmallPartsCleanup {
    async fn clean_up_target(
        &self,
        config: &ActiveConfig,
        index: usize,
        target_runtime: &TargetRuntime,
        age_min: Duration,
    ) {
        for bucket in
            self.list_candidate_buckets(config, index, target_runtime).await.into_iter().take(BUCKETS_MAX)
        {
            let target_name = target_runtime.spec.name.as_str();
            match self.clean_up_bucket(target_runtime, &bucket, age_min).await {
                Ok(0) => {}
                Ok(count) => {
                    METRICS.small_parts_cleaned_up.with_label_values(&[target_name]).inc_by(count);
                    tracing::info!(
                        target_name = target_name,
                        bucket,
                        count,
                        "kept parts of uploads that are gone were deleted"
                    );
                }
                Err(rejection) if rejection.kind == ErrorKind::NoSuchBucket => {}
                Err(rejection) => {
                    tracing::warn!(
                        target_name = target_name,
                        bucket,
                        "kept parts cannot be looked at: {rejection}"
                    );
                }
            }
        }
    }

    /// Where parts may be kept.
    async fn list_candidate_buckets(
        &self,
        config: &ActiveConfig,
        index: usize,
        target: &TargetRuntime,
    ) -> Vec<String> {
        if let Some(bucket) = &target.spec.staging.bucket {
            return vec![bucket.clone()];
        }
        let rules = config.settings.buckets.iter().filter(|rule| rule.target == index);
        let mut names: Vec<String> = Vec::new();
        let mut has_pattern_rule = false;
        for rule in rules {
            match rule.name.exact() {
                Some(name) => names.push(rule.target_bucket.clone().unwrap_or_else(|| name.to_owned())),
                None => has_pattern_rule = true,
            }
        }
        if has_pattern_rule {
            let service_route = build_cleanup_route(target, String::new());
            let request = Request::new(Operation::ListBuckets);
            let list = perform_exchange(&self.target_client, target, &service_route, request);
            if let Ok(Some(Document::Buckets(list))) = list.await.map(|response| response.document) {
                let is_routed_here =
                    |name: &String| config.settings.find_caller_bucket(index, name).is_some();
                names.extend(list.buckets.into_iter().map(|row| row.0).filter(is_routed_here));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    async fn clean_up_bucket(
        &self,
        target: &TargetRuntime,
        bucket: &str,
        age_min: Duration,
    ) -> Result<u64, Rejection> {
        let route = build_cleanup_route(target, bucket.to_owned());
        let (mut marker, mut count) = (None, 0_u64);
        for _ in 0..PAGES_MAX {
            let request = small_parts::build_folder_list_request(&target.spec, marker.as_deref(), 1000);
            let response = perform_exchange(&self.target_client, target, &route, request).await?;
            let Some(Document::Objects(page)) = response.document else {
                return Err(target_response::reject_incomplete_response());
            };
            for folder in &page.prefixes {
                sleep(REQUEST_INTERVAL).await;
                if self.is_orphaned(target, &route, folder, age_min).await? {
                    let deleted_count =
                        delete_keys_with_prefix(&self.target_client, target, &route, folder).await?;
                    count = count.saturating_add(deleted_count);
                }
            }
            marker = page.prefixes.last().cloned();
            if !page.truncated || marker.is_none() {
                break;
            }
        }
        Ok(count)
    }

    /// Whether the upload of a folder is gone, by the first of its parts that is old enough.
    async fn is_orphaned(
        &self,
        target: &TargetRuntime,
        route: &Route<'_>,
        folder: &str,
        age_min: Duration,
    ) -> Result<bool, Rejection> {
        let response = perform_exchange(
            &self.target_client,
            target,
            route,
            small_parts::build_prefix_list_request(folder, 1),
        )
        .await?;
        let Some(Document::Objects(page)) = response.document else {
            return Err(target_response::reject_incomplete_response());
        };
        let Some(object) = page.objects.into_iter().next() else { return Ok(false) };
        let age = object.modified.map_or(0, |modified| clock::now().0.saturating_sub(modified.0));
        if u64::try_from(age).unwrap_or_default() < age_min.as_secs() {
            return Ok(false);
        }
        let head = Request::for_object(
            Operation::HeadObject,
            route.bucket.clone(),
            object.key.clone(),
            Fields::default(),
        );
        let (out, _) = heads::build_target_request(route, &head, None, clock::now())?;
        let outcome = self.target_client.send(target, &out, "HeadObject", route.caller.name).await;
        let (conversation, response_head) = outcome.map_err(ExchangeError::to_rejection)?;
        conversation.release().await;
        let head_response =
            read_response::read_response_head(route, Operation::HeadObject, &response_head.response);
        let Some(folder) = PartsFolder::from_object_head(&target.spec, &object.key, &head_response) else {
            return Ok(false);
        };
        let upload_route = Route { bucket: folder.bucket().to_owned(), ..route.clone() };
        match perform_exchange(
            &self.target_client,
            target,
            &upload_route,
            folder.build_list_parts_request(0, 1),
        )
        .await
        {
            Ok(_) => Ok(false),
            Err(rejection) if matches!(rejection.kind, ErrorKind::NoSuchUpload | ErrorKind::NoSuchBucket) => {
                Ok(true)
            }
            Err(rejection) => Err(rejection),
        }
    }
}

fn build_cleanup_route(target: &TargetRuntime, bucket: String) -> Route<'_> {
    Route {
        caller: target.spec.dialect,
        target: &target.spec,
        bucket,
        source_bucket: None,
        loss_policy: LossPolicy::Reject,
        check_conditions: false,
        bucket_names: Arc::new(SameBucketNames),
    }
}
