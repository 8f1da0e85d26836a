//! HTTP/2 on the https listeners: one connection, several requests at once, each run as one of HTTP/1.1 is.
//!
//! The framing is the h2 crate's; how much one connection may ask for and hold, and how long, is decided here.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use blobfish_config::Limits;
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::request::Parts;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::inbound::connection::{ClientConnection, REQUESTS_MAX};
use crate::inbound::http2_flood::FloodDetector;
use crate::inbound::http2_stream::Http2Stream;
use crate::inbound::proxy_protocol::ClientOrigin;
use crate::inbound::shutdown::wait_until_stopped;

/// Requests of one connection that run at once. The least that clients count on.
const CONCURRENT_STREAMS_MAX: usize = 100;

/// Bytes of one body that may be on their way, and be held here while its target does not take them: 20 MiB/s over a
/// distance of 50 ms.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// The same for all bodies of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Bytes of one answer that wait for the caller.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What HTTP/2 counts for each header beside its bytes.
const HEADER_OVERHEAD_BYTES: usize = 32;

/// The caller's first words.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the reason for an end may take to be written.
const GOAWAY_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a caller may take for what was written before the connection closes.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// What runs the requests of a connection. This module does not know what they ask for.
pub trait Http2Server: Send + Sync + 'static {
    /// The limits of the active configuration.
    fn limits(&self) -> Limits;

    /// How long an idle connection stays open, by the active configuration.
    fn idle_timeout(&self) -> Duration;

    /// How long an idle connection stays open after the shutdown has begun.
    fn closing_idle_timeout(&self) -> Duration;

    /// Runs one request. `is_additional`: the connection has others that run.
    fn serve_http2_request(
        &self,
        connection: ClientConnection,
        head: &Parts,
        has_no_body: bool,
        is_additional: bool,
    ) -> impl Future<Output = ()> + Send;
}

/// Serves a connection until it ends, and every request of it.
pub async fn serve_http2<S: Http2Server>(
    server: &Arc<S>,
    stream: Stream,
    origin: ClientOrigin,
    shutdown: &ShutdownWatch,
) {
    let limits = server.limits();
    // Somewhat more than is served, so that what is too much is told in the caller's dialect.
    let head_bytes = limits
        .head_bytes_max
        .saturating_mul(2)
        .saturating_add(limits.headers_max.saturating_mul(HEADER_OVERHEAD_BYTES));
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(CONCURRENT_STREAMS_MAX).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES_MAX);
    let is_flooded = Arc::new(AtomicBool::new(false));
    let Ok(Ok(mut connection)) =
        timeout(HANDSHAKE_TIMEOUT, builder.handshake(LingeringStream::new(stream, Arc::clone(&is_flooded))))
            .await
    else {
        return;
    };
    let (mut shutdown_watch, mut closing_since, mut request_count) = (shutdown.clone(), None, 0_usize);
    let (mut running, mut last_activity) = (JoinSet::new(), Instant::now());
    loop {
        let idle_timeout = server.idle_timeout();
        let deadline = match closing_since {
            None => last_activity + idle_timeout,
            // Answers wait for a caller to take them.
            Some(since) if connection.has_streams() => last_activity.max(since) + idle_timeout,
            Some(since) => (since + server.closing_idle_timeout()).max(last_activity + LINGER_TIMEOUT),
        };
        let (may_run, is_idle) = (running.len() < CONCURRENT_STREAMS_MAX, running.is_empty());
        tokio::select! {
            biased;
            Some(_) = running.join_next() => last_activity = Instant::now(),
            () = wait_until_stopped(&mut shutdown_watch), if closing_since.is_none() => {
                closing_since = Some(Instant::now());
                connection.graceful_shutdown();
            }
            request = poll_fn(|cx| poll_next_request(&mut connection, may_run, cx)) => {
                let Some((request, responder)) = request else { break };
                let (head, body) = request.into_parts();
                let has_no_body = body.is_end_stream();
                let client = ClientConnection::from_http2(Http2Stream::new(body, responder), origin);
                let server = Arc::clone(server);
                running.spawn(async move { server.serve_http2_request(client, &head, has_no_body, !is_idle).await });
                last_activity = Instant::now();
                request_count = request_count.saturating_add(1);
                if request_count == REQUESTS_MAX {
                    closing_since = Some(last_activity);
                    connection.graceful_shutdown();
                }
            }
            () = poll_fn(|_| if is_flooded.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }) => {
                // Nothing more is read; what it gets is the reason.
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let _ = timeout(GOAWAY_WRITE_TIMEOUT, poll_fn(|cx| connection.poll_closed(cx))).await;
                break;
            }
            () = sleep_until(deadline), if is_idle => {
                if closing_since.is_some() {
                    break;
                }
                closing_since = Some(Instant::now());
                connection.graceful_shutdown();
            }
        }
    }
    drop(connection);
    // A caller that goes does not end what it began: a copy is finished, or given up in order.
    while running.join_next().await.is_some() {}
}

/// A connection that is read on while it closes, until the caller closes too: what arrives at a socket that was closed
/// has the system throw away what it had not delivered yet, and callers say all the time how much they have read.
///
/// Who floods it with frames that carry nothing is not read on.
struct LingeringStream {
    stream: Stream,
    linger_timer: Option<Pin<Box<Sleep>>>,
    flood_detector: FloodDetector,
    is_flooded: Arc<AtomicBool>,
}

impl LingeringStream {
    fn new(stream: Stream, is_flooded: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            linger_timer: None,
            flood_detector: FloodDetector::new(std::time::Instant::now()),
            is_flooded,
        }
    }
}

impl AsyncRead for LingeringStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let Self { flood_detector: flood, is_flooded: flooded, .. } = &mut *self;
        flood.inspect_bytes(buffer.filled().get(before..).unwrap_or_default(), std::time::Instant::now());
        if flood.is_flooded() {
            flooded.store(true, Ordering::Relaxed);
            buffer.set_filled(before);
            // Nobody is woken by more bytes: the loop of the connection sees the flag, and ends it.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LingeringStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger_timer.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let Self { stream, linger_timer: closed, .. } = &mut *self;
        let end = closed.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
        let mut sink = [0; 4096];
        while end.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut sink);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

type IncomingRequest = (http::Request<RecvStream>, SendResponse<Bytes>);

/// Moves the connection on; the next request where one may run. `None`: the connection has ended.
fn poll_next_request(
    connection: &mut Connection<LingeringStream, Bytes>,
    may_run: bool,
    cx: &mut Context<'_>,
) -> Poll<Option<IncomingRequest>> {
    if may_run {
        return connection.poll_accept(cx).map(|accepted| accepted?.ok());
    }
    // Requests that were given up do not count for the framing, but here until they have ended.
    connection.poll_closed(cx).map(|_| None)
}
