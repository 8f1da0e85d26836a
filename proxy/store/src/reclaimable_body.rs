//! A request body that comes back when an operation is done with it, so that what is left of it can be read.
//!
//! A server that closes while its caller still sends makes the caller's system throw the answer away.
//!
//! A body in signed or unsigned chunks (S3, "Signature Calculations: multiple chunks") ends with an empty one. The protocol
//! library takes one without that for whole, so its end is seen to here.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// What is read of a body nobody wants.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What that may take.
const DRAIN_SECONDS_MAX: u64 = 5;

/// A body that is lent to an operation.
pub(crate) struct ReclaimableBody {
    body: Option<Incoming>,
    /// Whether the caller is sending: one that waits for `100 Continue` is not, until the first read.
    is_sending: bool,
    reclaim_sender: Option<oneshot::Sender<Incoming>>,
    /// Where it comes in chunks.
    chunk_state: Option<ChunkState>,
}

/// Where a lent body comes back.
pub(crate) struct BodyReclaimer(oneshot::Receiver<Incoming>);

/// Lends `body`. `waits` says that its caller waits for `100 Continue`, `chunked` that it comes in S3's chunks.
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

/// How far a body in chunks has come.
#[derive(Default)]
enum ChunkState {
    /// In the line before a chunk: its size so far, and whether that is all of it.
    #[default]
    Start,
    Size {
        bytes: u64,
        is_complete: bool,
    },
    /// Bytes of the chunk that are to come, with the line end behind them.
    Bytes(u64),
    /// The empty chunk came.
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
                    // The first of them is taken already.
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
                (Self::Size { bytes, .. }, b'\n') => Self::Bytes(bytes.saturating_add(2)),
                (Self::Size { bytes, is_complete: read }, byte) => {
                    match char::from(*byte).to_digit(16).filter(|_| !read) {
                        Some(digit) => Self::Size {
                            bytes: bytes.saturating_mul(16).saturating_add(u64::from(digit)),
                            is_complete: false,
                        },
                        None => Self::Size { bytes: *bytes, is_complete: true },
                    }
                }
                // What begins otherwise is for the library to refuse.
                (Self::Start, byte) => match char::from(*byte).to_digit(16) {
                    Some(digit) => Self::Size { bytes: u64::from(digit), is_complete: false },
                    None => Self::Start,
                },
            };
        }
    }
}

impl BodyReclaimer {
    /// Reads what the operation left of the body, up to a bound in bytes and time.
    pub(crate) async fn drain(mut self) {
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
        // What takes longer is cut off.
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
    fn only_the_empty_chunk_ends_a_body() {
        check_end("", false);
        check_end("5\r\nhello\r\n", false);
        check_end("5\r\nhello\r\n0", false);
        check_end("5\r\n0\r\n\r\n\r\n", false);
        check_end("5;chunk-signature=0a\r\nhello\r\n0;chunk-signature=0b\r\n", true);
        check_end("0\r\n\r\n", true);
        check_end("1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", true);
    }
}
