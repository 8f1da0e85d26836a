//! A target's whole response, and the rejections for one that proves nothing.

use crate::model::{ErrorKind, Operation, Rejection};

/// A target's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetResponse {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body. The shell has checked that it is complete.
    pub body: Vec<u8>,
}

impl TargetResponse {
    /// The first value of a header, whatever the letter case of its name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let row = self.headers.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The same where it is text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }
}

/// Whether an operation may succeed with this status.
pub fn is_success(operation: Operation, status: u16) -> bool {
    match operation {
        Operation::GetObject | Operation::HeadObject => matches!(status, 200 | 206 | 304),
        Operation::RestoreObject => matches!(status, 200 | 202),
        // These have no document: some servers say so by their status.
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

/// A 2xx that proves nothing.
pub fn reject_incomplete_response() -> Rejection {
    Rejection::with_message(
        ErrorKind::InternalError,
        "The storage behind this service gave no complete answer.",
    )
}

/// What a target says of the bytes that it has is not what was sent.
pub fn reject_stored_mismatch() -> Rejection {
    Rejection::with_message(ErrorKind::InternalError, "What was stored is not what was sent.")
}
