//! Errors on a client's connection, for HTTP/1 and HTTP/2.

use crate::chunked_body::ChunkError;
use crate::inbound::request_head::FramingError;

/// Why no request head was read.
#[derive(Debug)]
pub(crate) enum ReadHeadError {
    /// The client closed the connection or never sent a byte. No error response is possible.
    Disconnected,
    /// The head exceeds the size limit.
    TooLarge,
    /// The head did not arrive within the time limit.
    TimedOut,
    /// The head is ambiguous or not supported.
    Invalid(FramingError),
}

/// Why a request body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBodyError {
    /// The client closed the connection before the end of the body.
    #[error("the client closed the connection before the end of the body")]
    Disconnected,
    /// No data arrived within the idle timeout, or the client sends too slowly.
    #[error("the client sends no data, or sends it too slowly")]
    TimedOut,
    /// The chunked coding is malformed.
    #[error(transparent)]
    Malformed(#[from] ChunkError),
}

/// The response could not be written to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot write to the client")]
pub(crate) struct WriteError;
