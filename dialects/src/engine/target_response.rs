//! A target's complete response, and the rejections for a response that cannot be trusted.

use crate::model::{ErrorKind, Operation, Rejection};

/// A target's complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetResponse {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The complete body. The proxy has checked its length.
    pub body: Vec<u8>,
}

impl TargetResponse {
    /// The first value of a header, whatever the letter case of its name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        // The tables have some names with capitals, and HTTP does not distinguish letter case.
        let row = self.headers.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The first value of a header, if it is UTF-8.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Whether an operation may succeed with this status.
pub fn is_success(operation: Operation, status: u16) -> bool {
    match operation {
        Operation::GetObject | Operation::HeadObject => matches!(status, 200 | 206 | 304),
        Operation::RestoreObject => matches!(status, 200 | 202),
        // These responses have no document; some servers send 200 and some 204.
        Operation::DeleteObject
        | Operation::AbortMultipartUpload
        | Operation::CreateBucket
        | Operation::HeadBucket
        | Operation::DeleteBucket
        | Operation::Put(_)
        | Operation::Delete(_) => matches!(status, 200 | 204),
        _ => status == 200,
    }
}

/// The rejection for a 2xx response that does not prove that the operation succeeded.
pub fn reject_incomplete_response() -> Rejection {
    Rejection::with_message(
        ErrorKind::InternalError,
        "The storage behind this service returned an incomplete response.",
    )
}

/// The rejection for a target's ETag or checksum that does not match the bytes that were sent.
pub(crate) fn reject_stored_mismatch() -> Rejection {
    Rejection::with_message(
        ErrorKind::InternalError,
        "The target's checksum of the stored object does not match the data that was sent.",
    )
}
