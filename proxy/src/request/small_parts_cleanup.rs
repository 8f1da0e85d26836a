//! Cleans up small parts that were not deleted when their upload ended. Every process runs the cleanup periodically.
//! Several processes may clean up the same bucket, because deleting twice is harmless.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_dialects::dialect::route::{LossPolicy, Route, RouteScope, SameBucketNames};
use blobfish_dialects::engine::small_parts::{self, PartsFolder};
use blobfish_dialects::engine::streaming as heads;
use blobfish_dialects::engine::{read_response, target_response};
use blobfish_dialects::model::{Document, ErrorKind, Fields, Operation, Rejection, Request};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
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

/// How often the schedule of the targets is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The maximum number of buckets of one target per run.
const BUCKETS_MAX: usize = 1000;

/// The maximum number of pages of 1000 uploads of one bucket per run.
const PAGES_MAX: usize = 10;

/// The pause between two requests, because the cleanup is not urgent and must not load the target.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// Cleans up the small parts at all targets.
pub(crate) struct SmallPartsCleanup {
    active_config: Arc<ArcSwap<ActiveConfig>>,
    target_client: TargetClient,
}

impl SmallPartsCleanup {
    /// Creates the cleanup for the targets of the active configuration.
    pub(crate) fn new(active_config: Arc<ArcSwap<ActiveConfig>>) -> Self {
        Self {
            active_config,
            target_client: TargetClient::new(SystemDns, file_descriptors::idle_target_connections_max()),
        }
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
                    let interval =
                        config.settings.targets.get(index).map(|target| target.small_parts_cleanup);
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
                    // Set before the run, so that a run which fails or takes long is not repeated without a pause.
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

/// Schedules the first run at a random time within the interval, so that processes started together do not run together.
fn schedule_first_run(interval: Duration) -> Instant {
    let share = u32::try_from(clock::random() % 1000).unwrap_or_default();
    let now = Instant::now();
    now.checked_add(interval.saturating_mul(share) / 1000).unwrap_or(now)
}

fn needs_cleanup(target: &TargetRuntime) -> bool {
    target.spec.staging.is_combining && small_parts::needs_small_parts(&target.spec)
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
                        "small parts of uploads that no longer exist were deleted"
                    );
                }
                // The configuration may name a bucket that is not created yet.
                Err(rejection) if rejection.kind == ErrorKind::NoSuchBucket => {}
                Err(rejection) => {
                    tracing::warn!(
                        target_name = target_name,
                        bucket,
                        error = %rejection,
                        "the cleanup of small parts failed; it is repeated at the next interval"
                    );
                }
            }
        }
    }

    /// Lists the buckets that may contain small parts.
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
        // Only the target knows which buckets a pattern rule matches.
        if has_pattern_rule {
            let service_route = build_cleanup_route(target, RouteScope::Service);
            let request = Request::for_bucket_list();
            let list = perform_exchange(&self.target_client, target, &service_route, request);
            if let Ok(Some(Document::Buckets(list))) = list.await.map(|response| response.document) {
                let is_routed_here =
                    |name: &String| config.settings.find_client_bucket_name(index, name).is_some();
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
        let route = build_cleanup_route(target, RouteScope::Bucket(bucket.to_owned()));
        let (mut marker, mut count) = (None, 0_u64);
        for _ in 0..PAGES_MAX {
            let request =
                small_parts::build_folder_list_request(&target.spec, bucket, marker.as_deref(), 1000);
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
            // The folders before the marker may be deleted now; listing after a key does not depend on that.
            marker = page.prefixes.last().cloned();
            if !page.truncated || marker.is_none() {
                break;
            }
        }
        Ok(count)
    }

    /// Whether the upload of a folder no longer exists. A folder with a recent first part is not checked.
    async fn is_orphaned(
        &self,
        target: &TargetRuntime,
        route: &Route<'_>,
        folder: &str,
        age_min: Duration,
    ) -> Result<bool, Rejection> {
        let bucket = route.require_bucket()?;
        let response = perform_exchange(
            &self.target_client,
            target,
            route,
            small_parts::build_prefix_list_request(bucket, folder, 1),
        )
        .await?;
        let Some(Document::Objects(page)) = response.document else {
            return Err(target_response::reject_incomplete_response());
        };
        let Some(object) = page.objects.into_iter().next() else { return Ok(false) };
        // The upload of a recent part is probably in progress, so the request for it is saved.
        let age = object.modified.map_or(0, |modified| clock::now().0.saturating_sub(modified.0));
        if u64::try_from(age).unwrap_or_default() < age_min.as_secs() {
            return Ok(false);
        }
        // The key contains only a hash; bucket, key and upload ID of the upload are in the metadata of the part.
        let head = Request::for_object(
            Operation::HeadObject,
            bucket.to_owned(),
            object.key.clone(),
            Fields::default(),
        );
        let (out, _) = heads::build_target_request(route, &head, None, clock::now())?;
        let outcome = self.target_client.send(target, &out, "HeadObject", route.caller.name).await;
        let (target_exchange, response_head) = outcome.map_err(ExchangeError::to_rejection)?;
        target_exchange.release().await;
        let head_response =
            read_response::read_response_head(route, Operation::HeadObject, &response_head.response);
        let Some(folder) = PartsFolder::from_object_head(&target.spec, &object.key, &head_response) else {
            return Ok(false);
        };
        let upload_route = route.to_bucket(folder.bucket());
        match perform_exchange(
            &self.target_client,
            target,
            &upload_route,
            folder.build_list_parts_request(0, 1),
        )
        .await
        {
            Ok(_) => Ok(false),
            // Any other error leaves the state of the upload unknown, and its parts must stay.
            Err(rejection) if matches!(rejection.kind, ErrorKind::NoSuchUpload | ErrorKind::NoSuchBucket) => {
                Ok(true)
            }
            Err(rejection) => Err(rejection),
        }
    }
}

fn build_cleanup_route(target: &TargetRuntime, scope: RouteScope) -> Route<'_> {
    Route {
        caller: target.spec.dialect,
        target: &target.spec,
        scope,
        loss_policy: LossPolicy::Reject,
        check_conditions: false,
        bucket_names: Arc::new(SameBucketNames),
    }
}
