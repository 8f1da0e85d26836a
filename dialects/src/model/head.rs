//! Request heads as they arrive and as they are sent.

use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use crate::encoding::percent;

/// One request head exactly as it arrived, before anything was decoded. Signatures are verified on this.
#[derive(Debug, Clone)]
pub struct RawHead {
    /// Method as sent, upper case.
    pub method: String,
    /// Path as sent (still percent-encoded), beginning with `/`, without query. Scheme and authority of an
    /// absolute-form target are removed; they equal `Host`, which the shell has checked.
    pub path: String,
    /// What follows the first `?`, as sent.
    pub query: Option<String>,
    /// Lower-case names and values without surrounding white space, in order of arrival.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether the request came over TLS.
    pub over_tls: bool,
}

impl RawHead {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|row| row.0 == name).map(|row| row.1.as_slice())
    }

    /// The first value of a header where it is UTF-8 text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The authority the request was sent to: host, and port where the caller named one.
    pub fn host(&self) -> &str {
        self.header_text("host").unwrap_or_default()
    }

    /// The same head, sent to another authority.
    #[must_use]
    pub fn with_host(&self, authority: String) -> Self {
        let mut head = self.clone();
        if let Some(row) = head.headers.iter_mut().find(|row| row.0 == "host") {
            row.1 = authority.into_bytes();
        }
        head
    }

    /// The query parameters in order of arrival: names and values as sent, `None` for a name without `=`.
    pub fn raw_query(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.query.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            }
        })
    }
}

/// What the payload hash of a signed request covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadHash {
    /// SHA-256 of the body, lower-case hex.
    Sha256(String),
    /// The body is not part of the signature.
    Unsigned,
}

/// A request to a target, built from the canonical request and not yet, or already, signed.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// Method, upper case.
    pub method: &'static str,
    /// Value of `Host`: the target's authority, with the bucket label in virtual-host style.
    pub host: String,
    /// Bucket at the target, and the key as its decoded bytes: what some schemes sign whatever the URL says.
    pub bucket: Option<String>,
    /// Decoded key.
    pub key: Option<String>,
    /// Path as it goes on the wire: percent-encoded, with the bucket in path style.
    pub path: String,
    /// Decoded query parameters; `None` writes the bare name. Sub-resources come first.
    pub query: Vec<(String, Option<String>)>,
    /// Headers to send, lower-case names. `host` and `content-length` are among them once signed.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body of a small exchange; empty for a streamed payload.
    pub body: Vec<u8>,
    /// What a signature may say of the body.
    pub payload_hash: PayloadHash,
    /// Whether the target works before it answers, as long as the objects are large: a copy, a completing call.
    pub is_long_running: bool,
}

impl OutgoingRequest {
    /// Path and query as they go on the wire.
    pub fn request_target(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| match value {
            Some(value) => format!("{}={}", percent::encode(name), percent::encode(value)),
            None => percent::encode(name),
        });
        let pairs: Vec<String> = pairs.collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }
}

/// A key pair of ours at a target.
#[derive(Clone)]
pub struct Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_key: SecretString,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretString>,
}

/// Where our key at a target is. It may be replaced while requests run: each is signed with the one of its moment.
#[derive(Clone)]
pub struct SharedCredentials(Arc<RwLock<Arc<Credentials>>>);

impl SharedCredentials {
    /// A place with a key in it.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(credentials))))
    }

    /// A place that waits for its key.
    pub fn empty() -> Self {
        let secret_key = SecretString::from(String::new());
        Self::new(Credentials { access_key_id: String::new(), secret_key, session_token: None })
    }

    /// The key as it is now.
    pub fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another in its place.
    pub fn replace(&self, credentials: Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }
}
