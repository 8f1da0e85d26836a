//! Temporary credentials of targets, renewed in the background. Requests use the current credentials and never wait for
//! a renewal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blobfish_credentials::{Context, CredentialProvider, TemporaryCredentials};
use blobfish_dialects::model::{Credentials, SharedCredentials, Timestamp};
use tokio::time::timeout;

use crate::clock;

/// Time limit for all providers of a chain together.
const ISSUE_TIMEOUT: Duration = Duration::from_secs(20);

/// Renewal interval of credentials without an expiry, because their file may have changed.
const UNEXPIRING_RENEWAL_INTERVAL: Duration = Duration::from_secs(300);

/// Delay after a failed renewal.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// The temporary credentials of one target.
pub(crate) struct IssuedCredentials {
    target: String,
    /// The origin of the credentials: the name of the provider chain, and the metadata endpoint.
    origin: (&'static str, Option<String>),
    provider: CredentialProvider,
    credentials: SharedCredentials,
    state: Mutex<IssuedCredentialsState>,
    is_renewing: AtomicBool,
}

#[derive(Default)]
struct IssuedCredentialsState {
    /// `None` if there are no credentials yet; otherwise when they expire, if ever.
    expires_at: Option<Option<i64>>,
    /// When to renew; `None` means now.
    renew_at: Option<Instant>,
    is_failing: bool,
}

impl IssuedCredentials {
    /// Creates the value without credentials. `None` if the provider chain is unknown.
    pub(crate) fn new(target: &blobfish_config::Target, credentials: SharedCredentials) -> Option<Self> {
        let origin = (target.credentials?, target.metadata_endpoint.clone());
        let provider = CredentialProvider::from_name(origin.0, origin.1.as_deref())?;
        let (state, is_renewing) = (Mutex::default(), AtomicBool::new(false));
        Some(Self { target: target.name.clone(), origin, provider, credentials, state, is_renewing })
    }

    /// Whether both are for the same target and have the same origin.
    pub(crate) fn has_same_origin(&self, other: &Self) -> bool {
        (&self.target, &self.origin) == (&other.target, &other.origin)
    }

    /// The current credentials, shared with the target.
    pub(crate) fn credentials(&self) -> SharedCredentials {
        self.credentials.clone()
    }

    /// Whether there are credentials that have not expired.
    pub(crate) fn is_usable(&self, now: Timestamp) -> bool {
        self.lock_state().expires_at.is_some_and(|ends| ends.is_none_or(|ends| now.0 < ends))
    }

    /// Starts a renewal in the background if it is due and none is running.
    pub(crate) fn renew_if_due(self: &Arc<Self>, context: &Context) {
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

    /// Requests new credentials. If that fails, the previous ones remain.
    pub(crate) async fn renew(&self, context: &Context) {
        let issued = timeout(ISSUE_TIMEOUT, self.provider.issue(context)).await;
        match issued {
            Ok(Ok(Some(issued))) => self.store_issued(issued, clock::now(), Instant::now()),
            Ok(Ok(None)) => self.record_failure("no provider of the chain has credentials"),
            // The error itself is not logged: some errors contain the provider's response, and so possibly secrets.
            Ok(Err(_)) => self.record_failure("the last provider of the chain failed"),
            Err(_) => self.record_failure("the providers did not respond in time"),
        }
    }

    fn store_issued(&self, issued: TemporaryCredentials, now: Timestamp, now_instant: Instant) {
        // A provider may return cached credentials; expired ones must not replace those that are still valid.
        if issued.expires_at.is_some_and(|ends| ends <= now.0) {
            return self.record_failure("the issued credentials have already expired");
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
            tracing::info!(target_name = self.target, "credentials for the target were issued");
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
        // Logged only once per outage, because renewals are repeated every few seconds.
        if !state.is_failing {
            state.is_failing = true;
            let consequence = if state.expires_at.is_some() {
                "the previous credentials are used until they expire"
            } else {
                "requests are rejected with 503 until a retry succeeds"
            };
            tracing::error!(
                target_name = self.target,
                "cannot get credentials for the target: {reason}; {consequence}"
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

/// Two thirds of the remaining lifetime. Some providers return the same credentials until shortly before they expire, and
/// then the requests follow at shorter and shorter intervals.
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
    fn credentials_are_used_until_they_expire() {
        let (key, at) = (new_without_credentials(), Instant::now());
        assert!(key.is_due(at) && !key.is_usable(NOW));
        key.store_issued(build_issued("first", Some(NOW.0 + 90)), NOW, at);
        assert_eq!(key.credentials().current().secret_key.expose_secret(), "secret of first");
        assert!(!key.is_due(at + Duration::from_secs(59)) && key.is_due(at + Duration::from_secs(60)));
        key.record_failure("for a test");
        assert!(key.is_usable(Timestamp(NOW.0 + 89)), "a failed renewal keeps the credentials");
        assert!(!key.is_usable(Timestamp(NOW.0 + 90)), "expired credentials are not used");
        key.store_issued(build_issued("second", None), NOW, at);
        assert_eq!(key.credentials().current().access_key_id, "second");
        assert!(key.is_usable(Timestamp(i64::MAX)));
    }

    #[test]
    fn expired_credentials_are_not_stored() {
        let key = new_without_credentials();
        key.store_issued(build_issued("first", Some(NOW.0)), NOW, Instant::now());
        assert!(!key.is_usable(NOW) && key.credentials().current().access_key_id.is_empty());
    }
}
