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

use crate::file::{self, Unusable};
use crate::metrics::METRICS;
use crate::snapshot::Snapshot;
use crate::supervisor;

/// How often files are looked at. Looking also finds what no notification tells: other file systems, and the links
/// that an orchestrator turns to a new folder.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A file that has changed is read when it has not changed for so long: it may be half written.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// A file that never stops changing is read all the same.
const SETTLING_LOOKS_MAX: usize = 5;

/// Reads the configuration again.
pub struct Reloads {
    file: PathBuf,
    current: Arc<ArcSwap<Snapshot>>,
    /// What the configuration was read from.
    files: Mutex<Vec<PathBuf>>,
}

/// How a file looks from outside; `None` where there is none.
type Look = Option<(SystemTime, u64, u64)>;

/// How all of them look.
type Looks = BTreeMap<PathBuf, Look>;

impl Reloads {
    /// Of a configuration that was read from these files and runs.
    pub fn new(file: PathBuf, files: Vec<PathBuf>, current: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { file, current, files: Mutex::new(files) }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Files may be on a machine that does not answer: nothing else waits for them.
    async fn look(&self) -> Looks {
        let files = self.files();
        let look_at = |file: PathBuf| {
            let look = look(&file);
            (file, look)
        };
        let looked = tokio::task::spawn_blocking(move || files.into_iter().map(look_at).collect());
        looked.await.unwrap_or_default()
    }

    /// Waits until a file has changed, and then until it changes no more.
    async fn changed(&self, seen: &Looks) {
        let mut looked = seen.clone();
        while looked == *seen {
            sleep(LOOK_EVERY).await;
            looked = self.look().await;
        }
        for _ in 0..SETTLING_LOOKS_MAX {
            sleep(SETTLED_AFTER).await;
            let again = self.look().await;
            if again == looked {
                return;
            }
            looked = again;
        }
    }

    async fn reload(&self) {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (config, files) = file::read(&file);
            (config.and_then(|config| Ok(Snapshot::new(config)?)), files)
        });
        let Ok((snapshot, files)) = read.await else {
            return refused("reading the configuration panicked");
        };
        // Of a wrong one maybe not all files are known: whichever is mended, it is read again.
        let mut known = self.files();
        if snapshot.is_ok() {
            known.clear();
        }
        known.extend(files);
        known.sort();
        known.dedup();
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = known;
        match snapshot {
            Ok(snapshot) => self.swap(snapshot),
            Err(unusable) => refused(&Unusable::in_short(&unusable)),
        }
    }

    fn swap(&self, mut snapshot: Snapshot) {
        let running = self.current.load();
        snapshot.warnings().for_each(|warning| tracing::warn!("{warning}"));
        snapshot.goes_on_from(&running);
        let (new, old) = (&snapshot.config, &running.config);
        if (addresses(new), &new.control) != (addresses(old), &old.control) {
            tracing::warn!(
                "the configuration's listeners changed: that needs `blobfish upgrade` or a restart, the rest is in force"
            );
        }
        crate::log::configure(new.log);
        let (targets, buckets, callers) = (new.targets.len(), new.buckets.len(), new.callers.len());
        self.current.store(Arc::new(snapshot));
        METRICS.loaded_now();
        self.current.load().tell();
        METRICS.config_reloads.with_label_values(&["loaded"]).inc();
        tracing::info!(targets, buckets, callers, "the configuration was loaded again");
    }
}

/// Where the process listens: plainly, with TLS, for operators.
fn addresses(config: &Config) -> (&[SocketAddr], Vec<SocketAddr>, SocketAddr) {
    let https = config.listen.https.iter().map(|tls| tls.address).collect();
    (&config.listen.http, https, config.admin)
}

fn refused(why: &str) {
    METRICS.config_reloads.with_label_values(&["refused"]).inc();
    tracing::error!("the configuration was not loaded, the one before stays: {why}");
}

fn look(file: &Path) -> Look {
    // Through links: what they lead to is what counts.
    let metadata = std::fs::metadata(file).ok()?;
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    Some((metadata.modified().ok()?, metadata.len(), inode))
}

#[async_trait]
impl BackgroundService for Reloads {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else { return };
        let mut seen = self.look().await;
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                asked = hangups.recv() => if asked.is_none() { return },
                () = self.changed(&seen) => {}
            }
            // Looked at before it is read: what changes meanwhile is read again.
            let before = self.look().await;
            supervisor::reloading();
            self.reload().await;
            supervisor::ready();
            seen = self.look().await;
            seen.iter_mut().for_each(|(file, look)| *look = before.get(file).copied().unwrap_or(*look));
        }
    }
}
