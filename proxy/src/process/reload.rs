//! Hot reload: the configuration is read again on SIGHUP and when one of its files changes, validated completely, and
//! then replaced atomically. An invalid configuration changes nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::Config;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::process::config_file;
use crate::process::config_file::ConfigFileError;
use crate::process::supervisor;
use crate::request::active_config::ActiveConfig;
use crate::telemetry::metrics::METRICS;

/// How often the files are checked. Polling also works where notifications do not: on network file systems, and for the
/// symbolic links that Kubernetes switches to a new directory.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long a changed file must be stable before it is read, because it may be half written.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// How many times to wait for stable files. A file that never stops changing is read anyway.
const SETTLE_CHECKS_MAX: usize = 5;

/// Reloads the configuration.
pub(crate) struct ConfigReloader {
    file: PathBuf,
    current: Arc<ArcSwap<ActiveConfig>>,
    /// The files that the configuration was read from.
    files: Mutex<Vec<PathBuf>>,
}

/// Modification time, size and inode of a file; `None` if it does not exist.
type FileStamp = Option<(SystemTime, u64, u64)>;

/// The stamps of all files.
type FileStamps = BTreeMap<PathBuf, FileStamp>;

impl ConfigReloader {
    /// Creates the reloader of an active configuration that was read from these files.
    pub(crate) fn new(file: PathBuf, files: Vec<PathBuf>, current: Arc<ArcSwap<ActiveConfig>>) -> Self {
        Self { file, current, files: Mutex::new(files) }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the stamps on a blocking thread, because a network file system may not respond.
    async fn read_stamps(&self) -> FileStamps {
        let files = self.files();
        let stamp_file = |file: PathBuf| {
            let stamp = read_stamp(&file);
            (file, stamp)
        };
        let stamps = tokio::task::spawn_blocking(move || files.into_iter().map(stamp_file).collect());
        stamps.await.unwrap_or_default()
    }

    /// Waits until a file has changed and is stable again.
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
            return record_rejected_reload("panic while reading the configuration");
        };
        // An invalid configuration may name files that were not read. The files of the active one stay watched, so
        // that a fix in any of them triggers the next reload.
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
        config.warnings().for_each(|warning| tracing::warn!("configuration: {warning}"));
        config.inherit_state(&running);
        let (new, old) = (&config.settings, &running.settings);
        if (collect_addresses(new), &new.control) != (collect_addresses(old), &old.control) {
            tracing::warn!(
                "changed listeners require `blobfish upgrade` or a restart; all other changes are active"
            );
        }
        crate::telemetry::access_log::configure(new.log);
        let (targets, buckets, callers) = (new.targets.len(), new.buckets.len(), new.callers.len());
        self.current.store(Arc::new(config));
        METRICS.record_config_loaded();
        self.current.load().publish_metrics();
        METRICS.config_reloads.with_label_values(&["success"]).inc();
        tracing::info!(targets, buckets, callers, "configuration reloaded");
    }
}

/// The listen addresses: HTTP, HTTPS and admin port.
fn collect_addresses(config: &Config) -> (&[SocketAddr], Vec<SocketAddr>, SocketAddr) {
    let https = config.listen.https.iter().map(|tls| tls.address).collect();
    (&config.listen.http, https, config.admin)
}

fn record_rejected_reload(why: &str) {
    METRICS.config_reloads.with_label_values(&["failure"]).inc();
    tracing::error!("configuration reload failed; the previous configuration stays active: {why}");
}

fn read_stamp(file: &Path) -> FileStamp {
    // Follows symbolic links: their targets are what the reload reads.
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
            // The stamps from before the reload are kept, so that a change during the reload triggers another one.
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
