//! What can go wrong on a client's connection, whichever version of HTTP it speaks.

use crate::inbound::chunked_body::ChunkError;
use crate::inbound::request_head::FramingError;

/// A head that did not arrive.
#[derive(Debug)]
pub enum ReadHeadError {
    /// The caller went, or never said anything: nobody is there to be told.
    Disconnected,
    /// It said too much.
    TooLarge,
    /// It said it too slowly.
    TimedOut,
    /// It said it in a way that is refused.
    Invalid(FramingError),
}

/// A body that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ReadBodyError {
    /// The caller went before the end.
    #[error("the caller went before the end of its body")]
    Disconnected,
    /// Nothing came for too long.
    #[error("the caller was silent for too long")]
    TimedOut,
    /// The coding was violated.
    #[error(transparent)]
    Malformed(#[from] ChunkError),
}

/// The answer did not reach the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller cannot be written to")]
pub struct WriteError;
