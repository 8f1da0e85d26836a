//! A request body that comes back when an operation is done with it, so that what is left of it can be read.
//!
//! A server that closes while its caller still sends makes the caller's system throw the answer away.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// What is read of a body nobody wants.
const LEFT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What that may take.
const LEFT_SECONDS_MAX: u64 = 5;

/// A body that is lent to an operation.
pub(crate) struct Lent {
    body: Option<Incoming>,
    /// Whether the caller is sending: one that waits for `100 Continue` is not, until the first read.
    sending: bool,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where a lent body comes back.
pub(crate) struct Back(oneshot::Receiver<Incoming>);

/// Lends `body`. `waits` says that its caller waits for `100 Continue`.
pub(crate) fn lend(body: Incoming, waits: bool) -> (Lent, Back) {
    let (sender, receiver) = oneshot::channel();
    (Lent { body: Some(body), sending: !waits, back: Some(sender) }, Back(receiver))
}

impl Back {
    /// Reads what the operation left of the body, up to a bound in bytes and time.
    pub(crate) async fn drain(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let read = async {
            let mut left = LEFT_BYTES_MAX;
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    return;
                }
            }
        };
        // What takes longer is cut off.
        let _ = tokio::time::timeout(Duration::from_secs(LEFT_SECONDS_MAX), read).await;
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.sending = true;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take().filter(|_| self.sending), self.back.take()) {
            let _ = back.send(body);
        }
    }
}
