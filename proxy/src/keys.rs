//! Keys of targets that are issued for some hours: fetched behind the scenes, and put in place of the ones before while
//! requests run. A request takes what is there and waits for nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use blobfish_config::{OsSources, Sources as _};
use blobfish_credentials::{Context, Error, FileRead, Issued, OsEnv, Provider, Result};
use blobfish_dialects::model::{Credentials, OwnKey, Timestamp};
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::fetch::Fetch;
use crate::snapshot::Snapshot;

/// How often it is looked whether a key is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Longest time of asking along a chain.
const ISSUE_TIME_MAX: Duration = Duration::from_secs(20);

/// A key of which nobody says when it ends is asked for again after this: its file may have changed.
const RENEW_UNENDING_AFTER: Duration = Duration::from_secs(300);

/// Between two times of asking in vain.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The issued key of one target.
pub struct IssuedKey {
    target: String,
    /// What it comes from: name of the chain, and where the machine's metadata are.
    origin: (&'static str, Option<String>),
    provider: Provider,
    key: OwnKey,
    state: Mutex<State>,
    asking: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Whether there is a key, and when it ends.
    key: Option<Option<i64>>,
    /// When it is to be asked for; at once where it never was.
    due: Option<Instant>,
    failing: bool,
}

impl IssuedKey {
    /// Of a target that has no key yet. `None` where its chain is unknown.
    pub fn new(target: &blobfish_config::Target, key: OwnKey) -> Option<Self> {
        let origin = (target.credentials?, target.metadata_endpoint.clone());
        let provider = Provider::named(origin.0, origin.1.as_deref())?;
        let (state, asking) = (Mutex::default(), AtomicBool::new(false));
        Some(Self { target: target.name.clone(), origin, provider, key, state, asking })
    }

    /// Whether it is a key for the same target from the same place.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.target, &self.origin) == (&other.target, &other.origin)
    }

    /// Where the key is.
    pub fn key(&self) -> OwnKey {
        self.key.clone()
    }

    /// Whether there is a key that has not ended.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.state().key.is_some_and(|ends| ends.is_none_or(|ends| now.0 < ends))
    }

    fn is_due(&self, now: Instant) -> bool {
        self.state().due.is_none_or(|due| now >= due)
    }

    /// Asks for a key. What was there before stays where there is none.
    pub async fn renew(&self, context: &Context) {
        let issued = timeout(ISSUE_TIME_MAX, self.provider.issue(context)).await;
        match issued {
            Ok(Ok(Some(issued))) => self.take(issued, clock::now(), Instant::now()),
            Ok(Ok(None)) => self.failed("nobody along the chain has one"),
            // Not the error itself: some hold what was answered.
            Ok(Err(_)) => self.failed("the last place along the chain did not give one"),
            Err(_) => self.failed("asking took too long"),
        }
    }

    fn take(&self, issued: Issued, now: Timestamp, at: Instant) {
        if issued.ends.is_some_and(|ends| ends <= now.0) {
            return self.failed("the key that was issued has ended");
        }
        let (ends, lasting) = (issued.ends, issued.ends.map(|ends| lasting(ends, now)));
        self.key.replace(Credentials {
            access_key: issued.access_key,
            secret_key: issued.secret_key,
            session_token: issued.session_token,
        });
        let mut state = self.state();
        if state.failing || state.key.is_none() {
            tracing::info!(target_name = self.target, "the target's key is there");
        }
        *state = State {
            key: Some(ends),
            due: at.checked_add(lasting.map_or(RENEW_UNENDING_AFTER, renewed_after)),
            failing: false,
        };
    }

    fn failed(&self, why: &str) {
        let mut state = self.state();
        state.due = Instant::now().checked_add(TRY_AGAIN_AFTER);
        if !state.failing {
            state.failing = true;
            let held =
                if state.key.is_some() { "the one before is used until it ends" } else { "there is none" };
            tracing::error!(target_name = self.target, "no key for the target was issued: {why}; {held}");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lasting(ends: i64, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(ends.saturating_sub(now.0)).unwrap_or_default())
}

/// When two thirds of what is left are over. Some places give the same key until shortly before its end: they are
/// asked more and more often then.
fn renewed_after(lasting: Duration) -> Duration {
    (lasting * 2 / 3).max(Duration::from_secs(1))
}

/// How chains reach this process's environment, files and network.
pub fn context() -> Context {
    Context::new().with_env(OsEnv).with_file_read(Files).with_http_send(Fetch::new())
}

/// Keeps the keys of all targets.
pub struct Keys {
    current: Arc<ArcSwap<Snapshot>>,
}

impl Keys {
    /// Of the configuration that runs.
    pub fn new(current: Arc<ArcSwap<Snapshot>>) -> Self {
        Self { current }
    }
}

#[async_trait]
impl BackgroundService for Keys {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let context = context();
        loop {
            for upstream in &self.current.load().upstreams {
                let Some(issued) = upstream.issued.as_ref().filter(|key| key.is_due(Instant::now())) else {
                    continue;
                };
                if issued.asking.swap(true, Ordering::Relaxed) {
                    continue;
                }
                let (issued, context) = (Arc::clone(issued), context.clone());
                tokio::spawn(async move {
                    issued.renew(&context).await;
                    issued.asking.store(false, Ordering::Relaxed);
                });
            }
            tokio::select! {
                _ = shutdown.wait_for(|stopping| *stopping) => return,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// Profiles and token files, read on threads that serve no requests.
#[derive(Debug)]
struct Files;

impl FileRead for Files {
    async fn file_read(&self, path: &str) -> Result<Vec<u8>> {
        let path = std::path::PathBuf::from(path);
        let read = tokio::task::spawn_blocking(move || OsSources.file(&path)).await;
        let text = read.ok().and_then(std::result::Result::ok);
        text.map(String::into_bytes).ok_or_else(|| Error::config_invalid("the file cannot be read"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn empty() -> IssuedKey {
        IssuedKey {
            target: "t".to_owned(),
            origin: ("aws", None),
            provider: Provider::named("aws", None).unwrap(),
            key: OwnKey::none(),
            state: Mutex::default(),
            asking: AtomicBool::new(false),
        }
    }

    fn issued(name: &str, ends: Option<i64>) -> Issued {
        let secret = SecretString::from(format!("secret of {name}"));
        Issued { access_key: name.to_owned(), secret_key: secret, session_token: None, ends }
    }

    #[test]
    fn a_key_is_used_until_it_ends() {
        let (key, at) = (empty(), Instant::now());
        assert!(key.is_due(at) && !key.is_usable(NOW));
        key.take(issued("first", Some(NOW.0 + 90)), NOW, at);
        assert_eq!(key.key().current().secret_key.expose_secret(), "secret of first");
        assert!(!key.is_due(at + Duration::from_secs(59)) && key.is_due(at + Duration::from_secs(60)));
        key.failed("for a test");
        assert!(key.is_usable(Timestamp(NOW.0 + 89)), "what is there stays");
        assert!(!key.is_usable(Timestamp(NOW.0 + 90)), "but no longer than it lasts");
        key.take(issued("second", None), NOW, at);
        assert_eq!(key.key().current().access_key, "second");
        assert!(key.is_usable(Timestamp(i64::MAX)));
    }

    #[test]
    fn a_key_that_has_ended_is_none() {
        let key = empty();
        key.take(issued("first", Some(NOW.0)), NOW, Instant::now());
        assert!(!key.is_usable(NOW) && key.key().current().access_key.is_empty());
    }
}
