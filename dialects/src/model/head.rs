//! Request heads, as received from a client and as sent to a target.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use secrecy::SecretString;

use crate::encoding::percent::{self, BadEscape};
use crate::model::request::RequestScope;

/// A request head as received, without any decoding.
// Signatures are verified on the received bytes, because clients encode the same key in different forms and a decoded
// and re-encoded path would no longer match what they signed.
#[derive(Debug, Clone)]
pub struct RawHead {
    /// Method as received, in upper case.
    pub method: String,
    /// Path as received (percent-encoded), with its leading `/` and without the query. Scheme and authority of a
    /// request target in absolute form are removed; the proxy has verified that they match `Host`.
    pub path: String,
    /// The query: the text after the first `?`.
    pub query: RawQuery,
    /// Lower-case names and values without surrounding white space, in the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whether the request was received over TLS.
    pub over_tls: bool,
}

impl RawHead {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|row| row.0 == name).map(|row| row.1.as_slice())
    }

    /// The first value of a header, if it is UTF-8 text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The authority to which the request was sent: the host, and the port if the client sent one.
    pub fn host(&self) -> &str {
        self.header_text("host").unwrap_or_default()
    }

    /// A copy of the head with another authority.
    #[must_use]
    pub fn with_host(&self, authority: String) -> Self {
        let mut head = self.clone();
        if let Some(row) = head.headers.iter_mut().find(|row| row.0 == "host") {
            row.1 = authority.into_bytes();
        }
        head
    }
}

/// The query of a request as received, and its decoded parameters.
// Signatures, credentials, addressing and the canonical request all read the parameters, so they are decoded once and kept.
#[derive(Debug, Clone, Default)]
pub struct RawQuery {
    text: Option<String>,
    decoded: OnceLock<Result<Vec<QueryParameter>, BadEscape>>,
}

/// A decoded query parameter: its name, and its value unless it has no `=`.
pub type QueryParameter = (String, Option<String>);

impl From<Option<String>> for RawQuery {
    fn from(text: Option<String>) -> Self {
        Self { text, decoded: OnceLock::new() }
    }
}

impl RawQuery {
    /// The query as received; `None` if the request target has no `?`.
    pub fn as_deref(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The parameters in the order received: names and values without decoding, `None` for a name without `=`.
    pub fn raw_parameters(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.text.as_deref().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            }
        })
    }

    /// The decoded parameters in the order received. A `+` is a space.
    ///
    /// # Errors
    /// `BadEscape`: a name or a value is not valid percent-encoded UTF-8.
    pub fn parameters(&self) -> Result<&[QueryParameter], BadEscape> {
        let decode_all = || {
            let decode = |(name, value): (&str, Option<&str>)| {
                Ok((percent::decode_form(name)?, value.map(percent::decode_form).transpose()?))
            };
            self.raw_parameters().map(decode).collect()
        };
        match self.decoded.get_or_init(decode_all) {
            Ok(parameters) => Ok(parameters),
            Err(error) => Err(*error),
        }
    }
}

/// The payload hash of a signed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayloadHash {
    /// SHA-256 of the body in lower-case hex.
    Sha256(String),
    /// The signature does not cover the body.
    // A streamed body is sent before its last byte is received, so that its hash cannot be in the head.
    Unsigned,
}

/// A request to a target, built from the canonical request, before or after it is signed.
#[derive(Debug, Clone)]
pub struct OutgoingRequest {
    /// Method in upper case.
    pub method: &'static str,
    /// Value of `Host`: the target's authority, with the bucket as its first label in virtual-hosted style.
    pub host: String,
    /// Bucket at the target and decoded key.
    // OSS and COS sign the decoded bucket and key, so they cannot be derived from the URL of every addressing style.
    pub scope: RequestScope,
    /// Path as it is sent: percent-encoded, with the bucket in path style.
    pub path: String,
    /// Decoded query parameters; `None` writes a name without `=`. Sub-resources are first.
    // COS may select the operation by the first query parameter, so the order must not be changed.
    pub query: Vec<(String, Option<String>)>,
    /// Headers to send, with lower-case names. A signed request contains `host` and `content-length`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body of a request that is not streamed; otherwise empty.
    pub body: Vec<u8>,
    /// The payload hash for the signature.
    pub payload_hash: PayloadHash,
    /// Whether the target may respond late, because it processes data first: a copy or CompleteMultipartUpload.
    // Such a request has a longer timeout, since the time that the target needs grows with the size of the object.
    pub is_long_running: bool,
}

impl OutgoingRequest {
    /// Path and query as they are sent.
    pub fn request_target(&self) -> String {
        let pairs = self.query.iter().map(|(name, value)| match value {
            Some(value) => format!("{}={}", percent::encode(name), percent::encode(value)),
            None => percent::encode(name),
        });
        let pairs: Vec<String> = pairs.collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }
}

/// The proxy's credentials at a target.
#[derive(Clone)]
pub struct Credentials {
    /// Access key ID.
    pub access_key_id: String,
    /// Secret key.
    pub secret_key: SecretString,
    /// Session token of temporary credentials.
    pub session_token: Option<SecretString>,
}

/// The current credentials at a target, shared by all requests. A credential provider can replace them at any time.
// The inner `Arc` lets a request sign with the credentials that it read, so that the lock is not held while it signs.
#[derive(Clone)]
pub struct SharedCredentials(Arc<RwLock<Arc<Credentials>>>);

impl SharedCredentials {
    /// Shares credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(credentials))))
    }

    /// Empty credentials, until a credential provider supplies the first ones.
    pub fn empty() -> Self {
        let secret_key = SecretString::from(String::new());
        Self::new(Credentials { access_key_id: String::new(), secret_key, session_token: None })
    }

    /// The current credentials.
    pub fn current(&self) -> Arc<Credentials> {
        // A poisoned lock is ignored, because a writer only assigns one value and cannot leave it half written.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the credentials.
    pub fn replace(&self, credentials: Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }
}
