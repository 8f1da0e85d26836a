//! Keys of targets that are issued for some hours: fetched behind the scenes, and put in place of the ones before while
//! requests run. A request takes what is there and waits for nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_credentials::{Context, CredentialProvider, TemporaryCredentials};
use blobfish_dialects::model::{Credentials, SharedCredentials, Timestamp};
use tokio::time::timeout;

use crate::clock;

/// Longest time of asking along a chain.
const ISSUE_TIMEOUT: Duration = Duration::from_secs(20);

/// A key of which nobody says when it ends is asked for again after this: its file may have changed.
const UNEXPIRING_RENEWAL_INTERVAL: Duration = Duration::from_secs(300);

/// Between two times of asking in vain.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The issued key of one target.
pub struct IssuedCredentials {
    target: String,
    /// What it comes from: name of the chain, and where the machine's metadata are.
    origin: (&'static str, Option<String>),
    provider: CredentialProvider,
    credentials: SharedCredentials,
    state: Mutex<IssuedCredentialsState>,
    is_renewing: AtomicBool,
}

#[derive(Default)]
struct IssuedCredentialsState {
    /// Whether there is a key, and when it ends.
    expires_at: Option<Option<i64>>,
    /// When it is to be asked for; at once where it never was.
    renew_at: Option<Instant>,
    is_failing: bool,
}

impl IssuedCredentials {
    /// Of a target that has no key yet. `None` where its chain is unknown.
    pub fn new(target: &blobfish_config::Target, credentials: SharedCredentials) -> Option<Self> {
        let origin = (target.credentials?, target.metadata_endpoint.clone());
        let provider = CredentialProvider::from_name(origin.0, origin.1.as_deref())?;
        let (state, is_renewing) = (Mutex::default(), AtomicBool::new(false));
        Some(Self { target: target.name.clone(), origin, provider, credentials, state, is_renewing })
    }

    /// Whether it is a key for the same target from the same place.
    pub fn has_same_origin(&self, other: &Self) -> bool {
        (&self.target, &self.origin) == (&other.target, &other.origin)
    }

    /// Where the key is.
    pub fn credentials(&self) -> SharedCredentials {
        self.credentials.clone()
    }

    /// Whether there is a key that has not ended.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.lock_state().expires_at.is_some_and(|ends| ends.is_none_or(|ends| now.0 < ends))
    }

    /// Renews the credentials in the background where they are due and no renewal runs.
    pub fn renew_if_due(self: &Arc<Self>, context: &Context) {
        if !self.is_due(Instant::now()) || self.is_renewing.swap(true, Ordering::Relaxed) {
            return;
        }
        let (issued, context) = (Arc::clone(self), context.clone());
        tokio::spawn(async move {
            issued.renew(&context).await;
            issued.is_renewing.store(false, Ordering::Relaxed);
        });
    }

    fn is_due(&self, now: Instant) -> bool {
        self.lock_state().renew_at.is_none_or(|due| now >= due)
    }

    /// Asks for a key. What was there before stays where there is none.
    pub async fn renew(&self, context: &Context) {
        let issued = timeout(ISSUE_TIMEOUT, self.provider.issue(context)).await;
        match issued {
            Ok(Ok(Some(issued))) => self.store_issued(issued, clock::now(), Instant::now()),
            Ok(Ok(None)) => self.record_failure("nobody along the chain has one"),
            // Not the error itself: some hold what was answered.
            Ok(Err(_)) => self.record_failure("the last place along the chain did not give one"),
            Err(_) => self.record_failure("asking took too long"),
        }
    }

    fn store_issued(&self, issued: TemporaryCredentials, now: Timestamp, now_instant: Instant) {
        if issued.expires_at.is_some_and(|ends| ends <= now.0) {
            return self.record_failure("the key that was issued has ended");
        }
        let (expires_at, lifetime) =
            (issued.expires_at, issued.expires_at.map(|ends| remaining_lifetime(ends, now)));
        self.credentials.replace(Credentials {
            access_key_id: issued.access_key,
            secret_key: issued.secret_key,
            session_token: issued.session_token,
        });
        let mut state = self.lock_state();
        if state.is_failing || state.expires_at.is_none() {
            tracing::info!(target_name = self.target, "the target's key is there");
        }
        *state = IssuedCredentialsState {
            expires_at: Some(expires_at),
            renew_at: now_instant.checked_add(lifetime.map_or(UNEXPIRING_RENEWAL_INTERVAL, renewal_delay)),
            is_failing: false,
        };
    }

    fn record_failure(&self, reason: &str) {
        let mut state = self.lock_state();
        state.renew_at = Instant::now().checked_add(RETRY_DELAY);
        if !state.is_failing {
            state.is_failing = true;
            let consequence = if state.expires_at.is_some() {
                "the one before is used until it ends"
            } else {
                "there is none"
            };
            tracing::error!(
                target_name = self.target,
                "no key for the target was issued: {reason}; {consequence}"
            );
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, IssuedCredentialsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remaining_lifetime(expires_at: i64, now: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(expires_at.saturating_sub(now.0)).unwrap_or_default())
}

/// When two thirds of what is left are over. Some places give the same key until shortly before its end: they are
/// asked more and more often then.
fn renewal_delay(lifetime: Duration) -> Duration {
    (lifetime * 2 / 3).max(Duration::from_secs(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::{ExposeSecret as _, SecretString};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn new_without_credentials() -> IssuedCredentials {
        IssuedCredentials {
            target: "t".to_owned(),
            origin: ("aws", None),
            provider: CredentialProvider::from_name("aws", None).unwrap(),
            credentials: SharedCredentials::empty(),
            state: Mutex::default(),
            is_renewing: AtomicBool::new(false),
        }
    }

    fn build_issued(name: &str, ends: Option<i64>) -> TemporaryCredentials {
        let secret = SecretString::from(format!("secret of {name}"));
        TemporaryCredentials {
            access_key: name.to_owned(),
            secret_key: secret,
            session_token: None,
            expires_at: ends,
        }
    }

    #[test]
    fn a_key_is_used_until_it_ends() {
        let (key, at) = (new_without_credentials(), Instant::now());
        assert!(key.is_due(at) && !key.is_usable(NOW));
        key.store_issued(build_issued("first", Some(NOW.0 + 90)), NOW, at);
        assert_eq!(key.credentials().current().secret_key.expose_secret(), "secret of first");
        assert!(!key.is_due(at + Duration::from_secs(59)) && key.is_due(at + Duration::from_secs(60)));
        key.record_failure("for a test");
        assert!(key.is_usable(Timestamp(NOW.0 + 89)), "what is there stays");
        assert!(!key.is_usable(Timestamp(NOW.0 + 90)), "but no longer than it lasts");
        key.store_issued(build_issued("second", None), NOW, at);
        assert_eq!(key.credentials().current().access_key_id, "second");
        assert!(key.is_usable(Timestamp(i64::MAX)));
    }

    #[test]
    fn a_key_that_has_ended_is_none() {
        let key = new_without_credentials();
        key.store_issued(build_issued("first", Some(NOW.0)), NOW, Instant::now());
        assert!(!key.is_usable(NOW) && key.credentials().current().access_key_id.is_empty());
    }
}
