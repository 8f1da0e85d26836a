//! What the writer of a response needs to know about the request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::definition::Dialect;
use crate::model::Timestamp;

/// The request that a response belongs to.
#[derive(Clone)]
pub struct ResponseContext {
    /// The caller dialect.
    pub dialect: &'static Dialect,
    /// 128 random bits, from which the request ID is made.
    // The bits and not the text, because each vendor formats IDs in another way.
    pub id: u128,
    /// The time of the response.
    pub now: Timestamp,
    /// `Host` of the request.
    pub host: String,
    /// Path of the request, not decoded.
    pub path: String,
    /// Whether the request was a HEAD, so that the response has no body.
    pub is_head: bool,
    /// Milliseconds since the request arrived.
    pub elapsed_ms: u64,
}

impl ResponseContext {
    /// The request ID, which is the same in the response header, the access log and the error document.
    pub fn request_id(&self) -> String {
        (self.dialect.common_headers.format_request_id)(self.id, self.now)
    }
}

/// A second ID, for vendors with two. It is derived from the request ID, so that a search in the log finds both.
pub(crate) fn derive_trace_id(id: &str) -> String {
    BASE64.encode(format!("blobfish-{id}"))
}
