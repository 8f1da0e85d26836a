//! `blobfish doctor`: asks each target what it is and what it can do, and compares that to what the configuration
//! relies on. Everything goes through the same tables and connections as a caller's requests.

mod access;
mod asking;
mod features;
mod limits;
mod reach;
mod report;
mod scratch;

use std::cell::Cell;
use std::time::Duration;

use anyhow::Context as _;
use blobfish_config::{Addressing, Conditions};
use blobfish_dialects::engine::loss::LossPolicy;
use blobfish_dialects::engine::way::{SameNames, Way};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cli::{Doctor, Usage};
use crate::doctor::asking::Asking;
use crate::doctor::features::Features;
use crate::doctor::report::Report;
use crate::doctor::scratch::Scratch;
use crate::keys;
use crate::snapshot::{Snapshot, Upstream};
use crate::upstream::Upstreams;

/// After the first Ctrl-C the request that is under way has this long to end.
const GRACE: Duration = Duration::from_secs(3);

/// And deleting the scratch objects so long.
const CLEANING_TIME_MAX: Duration = Duration::from_secs(60);

/// Examines the targets. Gives what is left to print, and whether no problem was found.
///
/// # Errors
/// A name that the configuration does not have.
pub fn run(asked: &Doctor, snapshot: &Snapshot) -> anyhow::Result<(String, bool)> {
    let mut turned = Snapshot::new(turned(snapshot))?;
    turned.goes_on_from(snapshot);
    let chosen = chosen(asked, snapshot)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
    let report = Report::new(asked.json);
    runtime.block_on(async {
        let (stop, upstreams) = (Stop::listening(), Upstreams::showing_redirects());
        for (index, bucket) in chosen {
            let (Some(upstream), Some(turned)) = (snapshot.upstreams.get(index), turned.upstreams.get(index))
            else {
                continue;
            };
            if let Some(issued) = &upstream.issued {
                issued.renew(&keys::context()).await;
            }
            let visit = Visit {
                report: &report,
                stop: &stop,
                upstreams: &upstreams,
                upstream,
                turned,
                others: others(snapshot, index, bucket.as_deref()),
                bucket,
                read_only: asked.read_only,
                native: &native(snapshot, index),
            };
            visit.made(snapshot).await;
            if stop.is_asked() {
                break;
            }
        }
    });
    Ok(report.closed())
}

/// The same configuration with the bucket in the other place.
fn turned(snapshot: &Snapshot) -> blobfish_config::Config {
    let mut config = snapshot.config.clone();
    for target in &mut config.targets {
        target.addressing = match target.addressing {
            Addressing::Virtual => Addressing::Path,
            Addressing::Path => Addressing::Virtual,
        };
    }
    config
}

/// The targets to examine, each with the name that callers have for the bucket to use there.
fn chosen(asked: &Doctor, snapshot: &Snapshot) -> Result<Vec<(usize, Option<String>)>, Usage> {
    let config = &snapshot.config;
    let known = |name: &String| config.targets.iter().any(|target| target.name == *name);
    if let Some(name) = asked.target.iter().find(|name| !known(name)) {
        let names: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
        return Err(Usage(format!("--target {name}: the configuration has {}", names.join(", "))));
    }
    let wanted = |name: &String| asked.target.is_empty() || asked.target.contains(name);
    let indices: Vec<usize> =
        (0..).zip(&config.targets).filter(|(_, one)| wanted(&one.name)).map(|(at, _)| at).collect();
    let given = asked.bucket.as_deref().map(|bucket| (bucket, config.route(bucket)));
    if let Some((bucket, route)) = &given {
        let index = route.as_ref().map(|route| route.target_index);
        if index.is_none_or(|index| !indices.contains(&index)) {
            return Err(Usage(format!(
                "--bucket {bucket}: the configuration maps it to none of these targets"
            )));
        }
    }
    let bucket = |index: usize| {
        let given = given
            .as_ref()
            .filter(|(_, route)| route.as_ref().is_some_and(|route| route.target_index == index));
        let first =
            || config.buckets.iter().filter(|rule| rule.target == index).find_map(|rule| rule.name.exact());
        given.map(|given| given.0).or_else(first).map(str::to_owned)
    };
    Ok(indices.into_iter().map(|index| (index, bucket(index))).collect())
}

/// The buckets that the configuration names at a target, except one.
fn others(snapshot: &Snapshot, index: usize, tried: Option<&str>) -> Vec<(String, String)> {
    let rules = snapshot.config.buckets.iter().filter(|rule| rule.target == index);
    let names = rules.filter_map(|rule| rule.name.exact()).filter(|name| Some(*name) != tried);
    let there = |name: &str| snapshot.place(name).map(|place| (name.to_owned(), place.bucket));
    names.filter_map(there).collect()
}

/// The buckets whose copies' conditions are left to a target.
fn native(snapshot: &Snapshot, index: usize) -> Vec<String> {
    let rules = snapshot.config.buckets.iter().filter(|rule| rule.target == index);
    let has = snapshot.upstreams.get(index).is_some_and(|upstream| upstream.target.dialect.has_conditions());
    let native = rules.filter(|rule| match rule.conditions {
        Conditions::ByTarget => has,
        Conditions::Native => true,
        Conditions::Check => false,
    });
    native.map(|rule| rule.name.to_string()).collect()
}

/// One target's examination.
struct Visit<'a> {
    report: &'a Report,
    stop: &'a Stop,
    upstreams: &'a Upstreams,
    upstream: &'a Upstream,
    /// The same target with the bucket in the other place.
    turned: &'a Upstream,
    /// The bucket, as callers say it.
    bucket: Option<String>,
    /// The other buckets of the configuration that are there: as callers say them, and their names there.
    others: Vec<(String, String)>,
    read_only: bool,
    native: &'a [String],
}

impl Visit<'_> {
    async fn made(self, snapshot: &Snapshot) {
        let bucket = self.bucket.as_deref();
        let place = bucket.and_then(|bucket| snapshot.place(bucket));
        let scheme = if self.upstream.endpoint.tls { "https" } else { "http" };
        let target = &self.upstream.target;
        self.report.begin(&target.name, format!("{scheme}://{}", target.authority), bucket);
        let dialect = target.dialect;
        // A caller who speaks as the target does: what it asks for, the target is asked for.
        let way = match &place {
            Some(place) => place.way(dialect, None, Some(place.bucket.clone())),
            None => nowhere(self.upstream),
        };
        let way = Way { check_conditions: false, policy: LossPolicy::Refuse, ..way };
        let (upstreams, upstream) = (self.upstreams, self.upstream);
        let asking = Asking { upstreams, upstream, way, skew: Cell::new(None) };
        let scratch = Scratch::new(&asking, bucket.unwrap_or_default().to_owned());
        let (stop, report) = (self.stop, self.report);
        let why = {
            let mut work = Box::pin(self.examined(&asking, &scratch));
            tokio::select! {
                why = &mut work => why,
                () = stop.asked(1) => timeout(GRACE, work).await.unwrap_or_else(|_| Err(interrupted())),
            }
        };
        cleaned(report, stop, &scratch).await;
        if stop.is_asked() {
            report.problem("interrupted", "The examination was interrupted.", "Run it again for the rest.");
        }
        report.skip_rest(&why.err().unwrap_or_default());
    }

    /// One check after another.
    ///
    /// # Errors
    /// Why the rest was not tried.
    async fn examined(&self, asking: &Asking<'_>, scratch: &Scratch<'_>) -> Result<(), String> {
        let (report, upstream) = (self.report, self.upstream);
        let bucket = self.bucket.as_deref();
        let at_target = bucket.map(|_| asking.way.bucket.as_str());
        let mut room = String::new();
        let host = reach::host(upstream, at_target, &mut room);
        let found = reach::dns(report, upstream, host).await;
        if found.is_empty() {
            access::addressing(report, asking, self.turned, bucket, false).await;
            return Err("the host has no address".to_owned());
        }
        let address = reach::tcp(report, upstream, &found).await.ok_or("the target takes no connection")?;
        if !reach::tls(report, upstream, host, address).await {
            return Err("the target cannot be trusted".to_owned());
        }
        let verdict = access::examined(report, asking, bucket).await;
        access::addressing(report, asking, self.turned, bucket, verdict.is_ok()).await;
        verdict?;
        let Some(bucket) = bucket else {
            return Err("no bucket is known; name one of your own with --bucket".to_owned());
        };
        access::buckets(report, asking, &self.others, self.stop).await;
        features::versioning(report, scratch, bucket).await;
        if self.read_only {
            return Err("--read-only".to_owned());
        }
        Features { report, scratch, native: self.native, stop: self.stop }.run().await
    }
}

fn interrupted() -> String {
    "it was interrupted".to_owned()
}

/// The way to a target of which no bucket is known.
fn nowhere(upstream: &Upstream) -> Way<'_> {
    Way {
        caller: upstream.target.dialect,
        target: &upstream.target,
        bucket: String::new(),
        source_bucket: None,
        policy: LossPolicy::Refuse,
        check_conditions: false,
        names: std::sync::Arc::new(SameNames),
    }
}

/// Deletes the scratch objects, also after Ctrl-C; a second one leaves them.
async fn cleaned(report: &Report, stop: &Stop, scratch: &Scratch<'_>) {
    if scratch.keys().is_empty() {
        return;
    }
    let left = tokio::select! {
        left = timeout(CLEANING_TIME_MAX, Box::pin(scratch.cleaned())) => left.ok(),
        () = stop.asked(2) => None,
    };
    let (keys, looked) = left.map_or_else(|| (scratch.keys(), false), |left| (left.keys, left.looked));
    if !keys.is_empty() {
        let message = format!("These scratch objects may still be there: {}.", keys.join(", "));
        report.problem("clean-up", message, "Delete them by hand; Blobfish never looks at them again.");
    } else if looked {
        report.ok("clean-up", "Every scratch object is deleted.");
    } else {
        report.warning(
            "clean-up",
            "Every scratch object was deleted, but the bucket could not be looked at.",
            format!("If in doubt, look for keys that begin with {}.", scratch::PREFIX),
        );
    }
}

/// Whether somebody wants it to end, and how often that was said.
pub struct Stop {
    asked: watch::Receiver<u32>,
}

impl Stop {
    /// Listens to SIGINT and SIGTERM.
    fn listening() -> Self {
        let (sender, asked) = watch::channel(0_u32);
        tokio::spawn(async move {
            let (Ok(mut int), Ok(mut term)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = int.recv() => {}
                    _ = term.recv() => {}
                }
                sender.send_modify(|times| *times = times.saturating_add(1));
            }
        });
        Self { asked }
    }

    /// Whether it was said once.
    pub fn is_asked(&self) -> bool {
        *self.asked.borrow() > 0
    }

    /// Comes back when it was said so often.
    async fn asked(&self, times: u32) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|said| *said >= times).await.is_err() {
            // Signals cannot be received.
            std::future::pending::<()>().await;
        }
    }
}
