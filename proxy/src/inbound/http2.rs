//! HTTP/2 on the https listeners: concurrent requests on one connection, each handled like one of HTTP/1.1.
//!
//! The h2 crate does the framing. This module limits the streams, memory and time of a connection.

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
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::inbound::connection::{ClientConnection, REQUESTS_MAX};
use crate::inbound::http2_flood::FloodDetector;
use crate::inbound::http2_stream::Http2Stream;
use crate::inbound::proxy_protocol::ClientOrigin;
use crate::inbound::shutdown::wait_until_stopped;

/// Maximum number of concurrent streams: the minimum that RFC 9113, section 6.5.2 recommends.
const CONCURRENT_STREAMS_MAX: usize = 100;

/// Flow-control window of a stream, and so the memory that one body can take while its target is slow. It allows
/// 20 MiB/s at a round-trip time of 50 ms.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// Flow-control window of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Maximum number of unsent bytes of one response.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Overhead that HTTP/2 counts for each header (RFC 9113, section 6.5.2).
const HEADER_OVERHEAD_BYTES: usize = 32;

/// Time limit for the client's preface and settings.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for writing GOAWAY.
const GOAWAY_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client may take to receive what was written before the connection closes.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);

/// Handles the requests of a connection, so that this module does not depend on the handling.
pub(crate) trait Http2Server: Send + Sync + 'static {
    /// The limits of the active configuration.
    fn limits(&self) -> Limits;

    /// The idle timeout of the active configuration.
    fn idle_timeout(&self) -> Duration;

    /// The idle timeout after a shutdown has started.
    fn closing_idle_timeout(&self) -> Duration;

    /// Handles one request. `is_additional` if other requests of the connection are running.
    fn serve_http2_request(
        &self,
        connection: ClientConnection,
        head: &Parts,
        has_no_body: bool,
        is_additional: bool,
    ) -> impl Future<Output = ()> + Send;
}

/// Serves a connection until it is closed and all its requests have ended.
pub(crate) async fn serve_http2<S: Http2Server>(
    server: &Arc<S>,
    stream: Stream,
    origin: ClientOrigin,
    shutdown: &ShutdownWatch,
) {
    let limits = server.limits();
    // Above our own limit, so that a head that exceeds that one gets an error response in the caller dialect instead
    // of a reset by h2.
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
            // Responses are still being sent.
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
                // GOAWAY lets the running requests finish, and the client opens a new connection for the next ones.
                if request_count == REQUESTS_MAX {
                    closing_since = Some(last_activity);
                    connection.graceful_shutdown();
                }
            }
            () = poll_fn(|_| if is_flooded.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }) => {
                // Stop reading and send only the reason.
                // The error code that RFC 9113, section 10.5 has for suspicious activity.
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
    // A disconnect does not cancel requests: a copy is completed, or aborted with a cleanup.
    while running.join_next().await.is_some() {}
}

/// A connection that is read while it closes, until the client closes it too. Data that arrives at a closed socket
/// makes the system discard what it has not sent yet, and HTTP/2 clients send window updates all the time.
///
/// A connection that is flooded with control frames is not read any further.
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
            // No waker is registered: `serve_http2` polls the flag right after this and closes the connection.
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
        // The write side is closed only once; later polls continue to read.
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

/// Drives the connection and returns the next request if one may run. `None` if the connection has ended.
fn poll_next_request(
    connection: &mut Connection<LingeringStream, Bytes>,
    may_run: bool,
    cx: &mut Context<'_>,
) -> Poll<Option<IncomingRequest>> {
    if may_run {
        return connection.poll_accept(cx).map(|accepted| accepted?.ok());
    }
    // h2 no longer counts streams that the client has reset, but their requests still run here and are counted.
    connection.poll_closed(cx).map(|_| None)
}
