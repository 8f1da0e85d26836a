//! A request body that is returned after the operation, so that its rest can be read.
//!
//! If a server closes a connection while the client still sends, the client's TCP stack discards the response.
//!
//! A body in signed or unsigned chunks (S3, "Signature Calculations: multiple chunks") ends with an empty chunk. The
//! s3s library accepts a body without it as complete, so the end is checked here.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// The maximum number of bytes that are read and discarded.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The maximum time for that.
const DRAIN_SECONDS_MAX: u64 = 5;

/// A body that is in use by an operation.
pub(crate) struct ReclaimableBody {
    body: Option<Incoming>,
    /// Whether the client is sending. One that waits for `100 Continue` does not send before the first read.
    is_sending: bool,
    reclaim_sender: Option<oneshot::Sender<Incoming>>,
    /// The state of the chunk parser, for a body in chunks.
    chunk_state: Option<ChunkState>,
}

/// Receives the body after the operation.
pub(crate) struct BodyReclaimer(oneshot::Receiver<Incoming>);

/// Wraps `body`. `waits`: the client waits for `100 Continue`. `chunked`: the body consists of S3 chunks.
pub(crate) fn make_reclaimable(
    body: Incoming,
    expects_continue: bool,
    is_chunked: bool,
) -> (ReclaimableBody, BodyReclaimer) {
    let (sender, receiver) = oneshot::channel();
    let chunk_state = is_chunked.then(ChunkState::default);
    (
        ReclaimableBody {
            body: Some(body),
            is_sending: !expects_continue,
            reclaim_sender: Some(sender),
            chunk_state,
        },
        BodyReclaimer(receiver),
    )
}

/// The state of the chunk parser.
#[derive(Default)]
enum ChunkState {
    /// In the line before a chunk: its size so far, and whether the size is complete.
    #[default]
    Start,
    Size {
        bytes: u64,
        is_complete: bool,
    },
    /// The remaining bytes of the chunk, including the line end after it.
    Bytes(u64),
    /// The empty chunk was received.
    End,
}

impl ChunkState {
    fn advance(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            *self = match (&*self, first) {
                (Self::End, _) => return,
                (Self::Bytes(left), _) => {
                    // The first byte is already consumed.
                    let skipped =
                        usize::try_from(left.saturating_sub(1)).unwrap_or(usize::MAX).min(rest.len());
                    rest = rest.get(skipped..).unwrap_or_default();
                    let consumed = u64::try_from(skipped).unwrap_or(u64::MAX).saturating_add(1);
                    match left.saturating_sub(consumed) {
                        0 => Self::Start,
                        left => Self::Bytes(left),
                    }
                }
                (Self::Size { bytes: 0, .. }, b'\n') => Self::End,
                // The data is followed by CR and LF.
                (Self::Size { bytes, .. }, b'\n') => Self::Bytes(bytes.saturating_add(2)),
                (Self::Size { bytes, is_complete: read }, byte) => {
                    // A chunk signature after the size contains hex digits too, so only the digits before the first other byte count.
                    match char::from(*byte).to_digit(16).filter(|_| !read) {
                        Some(digit) => Self::Size {
                            bytes: bytes.saturating_mul(16).saturating_add(u64::from(digit)),
                            is_complete: false,
                        },
                        None => Self::Size { bytes: *bytes, is_complete: true },
                    }
                }
                // The library rejects a malformed line.
                (Self::Start, byte) => match char::from(*byte).to_digit(16) {
                    Some(digit) => Self::Size { bytes: u64::from(digit), is_complete: false },
                    None => Self::Start,
                },
            };
        }
    }
}

impl BodyReclaimer {
    /// Reads the rest of the body, up to a limit in bytes and time.
    pub(crate) async fn drain(mut self) {
        // Nothing was returned: the operation read the body to its end, or the client still waits for `100 Continue`.
        let Ok(mut body) = self.0.try_recv() else { return };
        let read = async {
            let mut bytes_left = DRAIN_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                bytes_left = bytes_left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if bytes_left == 0 {
                    return;
                }
            }
        };
        // After the timeout the connection is closed.
        let _ = tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), read).await;
    }
}

impl Body for ReclaimableBody {
    type Data = Bytes;
    type Error = s3s::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, s3s::StdError>>> {
        self.is_sending = true;
        let polled = self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context));
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(chunks), Some(bytes)) = (&mut self.chunk_state, frame.data_ref()) {
                    chunks.advance(bytes);
                }
            }
            Poll::Ready(None)
                if self.chunk_state.take_if(|chunks| !matches!(chunks, ChunkState::End)).is_some() =>
            {
                return Poll::Ready(Some(Err("a body in chunks without the last one".into())));
            }
            _ => {}
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let is_ended = self.chunk_state.as_ref().is_none_or(|chunks| matches!(chunks, ChunkState::End));
        is_ended && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for ReclaimableBody {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) =
            (self.body.take().filter(|_| self.is_sending), self.reclaim_sender.take())
        {
            let _ = back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_end(body: &str, ended: bool) {
        for size in [1, 2, 3, 7, body.len().max(1)] {
            let mut chunks = ChunkState::default();
            body.as_bytes().chunks(size).for_each(|piece| chunks.advance(piece));
            assert_eq!(matches!(chunks, ChunkState::End), ended, "{body:?} by {size}");
        }
    }

    #[test]
    fn only_an_empty_chunk_ends_a_body() {
        check_end("", false);
        check_end("5\r\nhello\r\n", false);
        check_end("5\r\nhello\r\n0", false);
        check_end("5\r\n0\r\n\r\n\r\n", false);
        check_end("5;chunk-signature=0a\r\nhello\r\n0;chunk-signature=0b\r\n", true);
        check_end("0\r\n\r\n", true);
        check_end("1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", true);
    }
}
