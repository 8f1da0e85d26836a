//! The configuration while it runs: read again on SIGHUP and when one of its files changes, built aside, and swapped as a
//! whole. A wrong one changes nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::Config;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::process::config_file;
use crate::process::config_file::ConfigFileError;
use crate::process::supervisor;
use crate::request::active_config::ActiveConfig;
use crate::telemetry::metrics::METRICS;

/// How often files are looked at. Looking also finds what no notification tells: other file systems, and the links
/// that an orchestrator turns to a new folder.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A file that has changed is read when it has not changed for so long: it may be half written.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// A file that never stops changing is read all the same.
const SETTLE_CHECKS_MAX: usize = 5;

/// Reads the configuration again.
pub struct ConfigReloader {
    file: PathBuf,
    current: Arc<ArcSwap<ActiveConfig>>,
    /// What the configuration was read from.
    files: Mutex<Vec<PathBuf>>,
}

/// How a file looks from outside; `None` where there is none.
type FileStamp = Option<(SystemTime, u64, u64)>;

/// How all of them look.
type FileStamps = BTreeMap<PathBuf, FileStamp>;

impl ConfigReloader {
    /// Of a configuration that was read from these files and runs.
    pub fn new(file: PathBuf, files: Vec<PathBuf>, current: Arc<ArcSwap<ActiveConfig>>) -> Self {
        Self { file, current, files: Mutex::new(files) }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Files may be on a machine that does not answer: nothing else waits for them.
    async fn read_stamps(&self) -> FileStamps {
        let files = self.files();
        let stamp_file = |file: PathBuf| {
            let stamp = read_stamp(&file);
            (file, stamp)
        };
        let stamps = tokio::task::spawn_blocking(move || files.into_iter().map(stamp_file).collect());
        stamps.await.unwrap_or_default()
    }

    /// Waits until a file has changed, and then until it changes no more.
    async fn wait_for_change(&self, last_stamps: &FileStamps) {
        let mut stamps = last_stamps.clone();
        while stamps == *last_stamps {
            sleep(POLL_INTERVAL).await;
            stamps = self.read_stamps().await;
        }
        for _ in 0..SETTLE_CHECKS_MAX {
            sleep(SETTLE_TIME).await;
            let again = self.read_stamps().await;
            if again == stamps {
                return;
            }
            stamps = again;
        }
    }

    async fn reload(&self) {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (config, files) = config_file::read_config(&file);
            (config.and_then(|config| Ok(ActiveConfig::new(config)?)), files)
        });
        let Ok((config, files)) = read.await else {
            return record_rejected_reload("reading the configuration panicked");
        };
        // Of a wrong one maybe not all files are known: whichever is mended, it is read again.
        let mut known = self.files();
        if config.is_ok() {
            known.clear();
        }
        known.extend(files);
        known.sort();
        known.dedup();
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known;
        match config {
            Ok(config) => self.swap(config),
            Err(error) => record_rejected_reload(&ConfigFileError::summarize(&error)),
        }
    }

    fn swap(&self, mut config: ActiveConfig) {
        let running = self.current.load();
        config.warnings().for_each(|warning| tracing::warn!("{warning}"));
        config.inherit_state(&running);
        let (new, old) = (&config.settings, &running.settings);
        if (collect_addresses(new), &new.control) != (collect_addresses(old), &old.control) {
            tracing::warn!(
                "the configuration's listeners changed: that needs `blobfish upgrade` or a restart, the rest is in force"
            );
        }
        crate::telemetry::access_log::configure(new.log);
        let (targets, buckets, callers) = (new.targets.len(), new.buckets.len(), new.callers.len());
        self.current.store(Arc::new(config));
        METRICS.record_config_loaded();
        self.current.load().publish_metrics();
        METRICS.config_reloads.with_label_values(&["success"]).inc();
        tracing::info!(targets, buckets, callers, "the configuration was loaded again");
    }
}

/// Where the process listens: plainly, with TLS, for operators.
fn collect_addresses(config: &Config) -> (&[SocketAddr], Vec<SocketAddr>, SocketAddr) {
    let https = config.listen.https.iter().map(|tls| tls.address).collect();
    (&config.listen.http, https, config.admin)
}

fn record_rejected_reload(why: &str) {
    METRICS.config_reloads.with_label_values(&["failure"]).inc();
    tracing::error!("the configuration was not loaded, the one before stays: {why}");
}

fn read_stamp(file: &Path) -> FileStamp {
    // Through links: what they lead to is what counts.
    let metadata = std::fs::metadata(file).ok()?;
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    Some((metadata.modified().ok()?, metadata.len(), inode))
}

#[async_trait]
impl BackgroundService for ConfigReloader {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
        let mut last_stamps = self.read_stamps().await;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                hangup = hangups.recv() => if hangup.is_none() { return },
                () = self.wait_for_change(&last_stamps) => {}
            }
            // Looked at before it is read: what changes meanwhile is read again.
            let before = self.read_stamps().await;
            supervisor::notify_reloading();
            self.reload().await;
            supervisor::notify_ready();
            last_stamps = self.read_stamps().await;
            last_stamps
                .iter_mut()
                .for_each(|(file, stamp)| *stamp = before.get(file).copied().unwrap_or(*stamp));
        }
    }
}
