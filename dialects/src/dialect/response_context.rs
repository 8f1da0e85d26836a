//! The request that a response is written for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::definition::Dialect;
use crate::model::Timestamp;

/// Whom an answer is for.
#[derive(Clone)]
pub struct ResponseContext {
    /// What the caller speaks.
    pub dialect: &'static Dialect,
    /// 128 random bits that make up this request's id.
    pub id: u128,
    /// The time of answering.
    pub now: Timestamp,
    /// `Host` of the request.
    pub host: String,
    /// Path of the request as sent.
    pub path: String,
    /// Whether the request was a HEAD: no body may follow.
    pub is_head: bool,
    /// Milliseconds since the request arrived.
    pub elapsed_ms: u64,
}

impl ResponseContext {
    /// The id of the request, as its caller, our log and the error document have it.
    pub fn request_id(&self) -> String {
        (self.dialect.common_headers.format_request_id)(self.id, self.now)
    }
}

/// A second id that follows from the first: one lookup finds both in a log.
pub fn derive_trace_id(id: &str) -> String {
    BASE64.encode(format!("blobfish-{id}"))
}
