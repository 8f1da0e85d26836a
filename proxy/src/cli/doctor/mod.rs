//! `blobfish doctor`: tests each target and compares what it supports with what the configuration relies on. All
//! requests use the same tables and connections as the requests of clients.

mod access;
mod asking;
mod features;
mod interrupt;
mod limits;
mod reach;
mod report;
mod scratch;

use std::cell::Cell;
use std::time::Duration;

use anyhow::Context as _;
use blobfish_config::{Addressing, Conditions};
use blobfish_dialects::dialect::route::{LossPolicy, Route, RouteScope, SameBucketNames};
use tokio::time::timeout;

use crate::cli::args::{DoctorArgs, UsageError};
use crate::cli::doctor::asking::TargetProbe;
use crate::cli::doctor::features::FeatureChecks;
use crate::cli::doctor::interrupt::InterruptSignal;
use crate::cli::doctor::report::Report;
use crate::cli::doctor::scratch::ScratchObjects;
use crate::inbound::file_descriptors;
use crate::request::active_config::ActiveConfig;
use crate::target::client::TargetClient;
use crate::target::credential_fetch;
use crate::target::runtime::TargetRuntime;

/// Time limit for the current request after the first Ctrl-C.
const GRACE_TIME_MAX: Duration = Duration::from_secs(3);

/// Time limit for deleting the scratch objects.
const CLEANUP_TIME_MAX: Duration = Duration::from_secs(60);

/// Runs `blobfish doctor`. Returns the rest of its output, and whether there was no problem.
///
/// # Errors
/// The configuration does not contain a target or bucket of `args`.
pub(crate) fn run_doctor(args: &DoctorArgs, config: &ActiveConfig) -> anyhow::Result<(String, bool)> {
    let mut switched = ActiveConfig::new(switch_addressing(config))?;
    switched.inherit_state(config);
    let selected = select_targets(args, config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let report = Report::new(args.json);
    runtime.block_on(async {
        let (interrupt, client) = (
            InterruptSignal::listen(),
            TargetClient::for_diagnosis(file_descriptors::idle_target_connections_max()),
        );
        for (index, bucket) in selected {
            let (Some(target), Some(switched)) = (config.targets.get(index), switched.targets.get(index))
            else {
                continue;
            };
            // A running proxy renews issued credentials in the background. The doctor needs them before its first
            // request.
            if let Some(issued) = &target.issued_credentials {
                issued.renew(&credential_fetch::build_provider_context()).await;
            }
            let examination = TargetExamination {
                report: &report,
                interrupt: &interrupt,
                client: &client,
                target,
                switched,
                other_buckets: list_other_buckets(config, index, bucket.as_deref()),
                bucket,
                read_only: args.read_only,
                native_buckets: &list_native_buckets(config, index),
            };
            examination.run(config).await;
            if interrupt.is_interrupted() {
                break;
            }
        }
    });
    Ok(report.finish())
}

/// Returns the configuration with the other addressing for every target.
fn switch_addressing(active: &ActiveConfig) -> blobfish_config::Config {
    let mut config = active.settings.clone();
    for target in &mut config.targets {
        target.addressing = match target.addressing {
            Addressing::Virtual => Addressing::Path,
            Addressing::Path => Addressing::Virtual,
        };
    }
    config
}

/// Selects the targets to test, each with the bucket to use, by the name that clients use.
fn select_targets(
    args: &DoctorArgs,
    active: &ActiveConfig,
) -> Result<Vec<(usize, Option<String>)>, UsageError> {
    let config = &active.settings;
    let is_known = |name: &String| config.targets.iter().any(|target| target.name == *name);
    if let Some(name) = args.target.iter().find(|name| !is_known(name)) {
        let names: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
        return Err(UsageError(format!(
            "--target {name}: unknown target; the configuration has {}",
            names.join(", ")
        )));
    }
    let is_wanted = |name: &String| args.target.is_empty() || args.target.contains(name);
    let indices: Vec<usize> =
        (0..).zip(&config.targets).filter(|(_, one)| is_wanted(&one.name)).map(|(at, _)| at).collect();
    let requested = args.bucket.as_deref().map(|bucket| (bucket, config.route(bucket)));
    if let Some((bucket, route)) = &requested {
        let index = route.as_ref().map(|route| route.target_index);
        if index.is_none_or(|index| !indices.contains(&index)) {
            return Err(UsageError(format!(
                "--bucket {bucket}: the configuration does not map this bucket to a selected target"
            )));
        }
    }
    let find_bucket = |index: usize| {
        let requested = requested
            .as_ref()
            .filter(|(_, route)| route.as_ref().is_some_and(|route| route.target_index == index));
        let first =
            || config.buckets.iter().filter(|rule| rule.target == index).find_map(|rule| rule.name.exact());
        requested.map(|given| given.0).or_else(first).map(str::to_owned)
    };
    Ok(indices.into_iter().map(|index| (index, find_bucket(index))).collect())
}

/// Lists the buckets that the configuration names at a target, except one.
fn list_other_buckets(
    config: &ActiveConfig,
    index: usize,
    tried_bucket: Option<&str>,
) -> Vec<(String, String)> {
    let rules = config.settings.buckets.iter().filter(|rule| rule.target == index);
    let names = rules.filter_map(|rule| rule.name.exact()).filter(|name| Some(*name) != tried_bucket);
    let to_pair = |name: &str| {
        config
            .routing()
            .route_bucket(name)
            .map(|routed_bucket| (name.to_owned(), routed_bucket.target_bucket))
    };
    names.filter_map(to_pair).collect()
}

/// Lists the buckets for which the target evaluates the conditions of copies.
fn list_native_buckets(config: &ActiveConfig, index: usize) -> Vec<String> {
    let rules = config.settings.buckets.iter().filter(|rule| rule.target == index);
    let has_conditions =
        config.targets.get(index).is_some_and(|target| target.spec.dialect.supports_source_conditions());
    let native_rules = rules.filter(|rule| match rule.conditions {
        Conditions::Auto => has_conditions,
        Conditions::Native => true,
        Conditions::Check => false,
    });
    native_rules.map(|rule| rule.name.to_string()).collect()
}

/// The examination of one target.
struct TargetExamination<'a> {
    report: &'a Report,
    interrupt: &'a InterruptSignal,
    client: &'a TargetClient,
    target: &'a TargetRuntime,
    /// The same target with the other addressing.
    switched: &'a TargetRuntime,
    /// The bucket, by the name that clients use.
    bucket: Option<String>,
    /// The other configured buckets of this target: the names that clients use, and the names at the target.
    other_buckets: Vec<(String, String)>,
    read_only: bool,
    native_buckets: &'a [String],
}

impl TargetExamination<'_> {
    async fn run(self, config: &ActiveConfig) {
        let bucket = self.bucket.as_deref();
        let routed_bucket = bucket.and_then(|bucket| config.routing().route_bucket(bucket));
        // Clients do not use a bucket that the configuration reserves for small parts, so the doctor writes nothing
        // there.
        let bucket = bucket.filter(|_| routed_bucket.is_some());
        let scheme = if self.target.endpoint.tls { "https" } else { "http" };
        let target = &self.target.spec;
        self.report.begin_target(&target.name, format!("{scheme}://{}", target.authority), bucket);
        let dialect = target.dialect;
        // The caller dialect is the target's own, so that nothing is translated and every field reaches the target.
        let route = match &routed_bucket {
            Some(routed_bucket) => routed_bucket.build_route(dialect, None, Some(routed_bucket)),
            None => build_bucketless_route(self.target),
        };
        // The configured policies would hide what the target itself supports.
        let route = Route { check_conditions: false, loss_policy: LossPolicy::Reject, ..route };
        let (client, target) = (self.client, self.target);
        let probe = TargetProbe { client, target, route, skew_seconds: Cell::new(None) };
        let scratch = bucket.map(|bucket| ScratchObjects::new(&probe, bucket.to_owned()));
        let (interrupt, report) = (self.interrupt, self.report);
        let outcome = {
            // After an interrupt the current request may finish: an object that it creates after the clean-up would
            // remain.
            let mut work = Box::pin(self.run_checks(&probe, bucket, scratch.as_ref()));
            tokio::select! {
                why = &mut work => why,
                () = interrupt.wait_for_interrupts(1) => timeout(GRACE_TIME_MAX, work).await.unwrap_or_else(|_| Err(describe_interruption())),
            }
        };
        if let Some(scratch) = &scratch {
            clean_up(report, interrupt, scratch).await;
        }
        if interrupt.is_interrupted() {
            report.add_problem(
                "interrupted",
                "The examination was interrupted.",
                "Run it again for the other checks.",
            );
        }
        report.skip_rest(&outcome.err().unwrap_or_default());
    }

    /// Runs the checks in order.
    ///
    /// # Errors
    /// Why the other checks were skipped.
    async fn run_checks(
        &self,
        probe: &TargetProbe<'_>,
        bucket: Option<&str>,
        scratch: Option<&ScratchObjects<'_>>,
    ) -> Result<(), String> {
        let (report, target) = (self.report, self.target);
        let at_target = probe.route.bucket();
        let mut buffer = String::new();
        let host = reach::choose_host(target, at_target, &mut buffer);
        let addresses = reach::check_dns(report, target, host).await;
        // With a wrong addressing the bucket's host has no address, but the other addressing may work.
        if addresses.is_empty() {
            access::check_addressing(report, probe, self.switched, bucket, false).await;
            return Err("The host does not resolve to an address.".to_owned());
        }
        let address = reach::check_tcp(report, target, &addresses)
            .await
            .ok_or("The target does not accept connections.")?;
        if !reach::check_tls(report, target, host, address).await {
            return Err("The TLS connection failed.".to_owned());
        }
        let verdict = access::check_credentials(report, probe, bucket).await;
        access::check_addressing(report, probe, self.switched, bucket, verdict.is_ok()).await;
        verdict?;
        let (Some(bucket), Some(at_target), Some(scratch)) = (bucket, at_target, scratch) else {
            return Err("The configuration names no bucket exactly; add --bucket.".to_owned());
        };
        access::check_buckets(report, probe, &self.other_buckets, self.interrupt).await;
        features::check_versioning(report, scratch, bucket).await;
        limits::check_small_parts(report, probe, at_target).await;
        if self.read_only {
            return Err("The check writes objects, and --read-only is set.".to_owned());
        }
        let features =
            FeatureChecks { report, scratch, native_buckets: self.native_buckets, interrupt: self.interrupt };
        features.run_all().await?;
        limits::check_limits(&features).await;
        Ok(())
    }
}

fn describe_interruption() -> String {
    "The examination was interrupted.".to_owned()
}

/// Builds a route to a target without a bucket.
fn build_bucketless_route(target: &TargetRuntime) -> Route<'_> {
    Route {
        caller: target.spec.dialect,
        target: &target.spec,
        scope: RouteScope::Service,
        loss_policy: LossPolicy::Reject,
        check_conditions: false,
        bucket_names: std::sync::Arc::new(SameBucketNames),
    }
}

/// Deletes the scratch objects, also after Ctrl-C. A second Ctrl-C skips that.
async fn clean_up(report: &Report, interrupt: &InterruptSignal, scratch: &ScratchObjects<'_>) {
    if scratch.keys().is_empty() {
        return;
    }
    let result = tokio::select! {
        left = timeout(CLEANUP_TIME_MAX, Box::pin(scratch.clean_up())) => left.ok(),
        () = interrupt.wait_for_interrupts(2) => None,
    };
    let (keys, is_listed) =
        result.map_or_else(|| (scratch.keys(), false), |left| (left.keys_left, left.is_listed));
    if !keys.is_empty() {
        let message = format!("These scratch objects may still exist: {}.", keys.join(", "));
        report.add_problem("clean-up", message, "Delete them manually; Blobfish does not delete them later.");
    } else if is_listed {
        report.add_ok("clean-up", "All scratch objects are deleted.");
    } else {
        report.add_warning(
            "clean-up",
            "All scratch objects were deleted, but the bucket could not be listed.",
            format!("If in doubt, search for keys that begin with {}.", scratch::KEY_PREFIX),
        );
    }
}
