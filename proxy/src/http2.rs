//! HTTP/2 on the https listeners: one connection, several requests at once, each run as one of HTTP/1.1 is.
//!
//! The framing is the h2 crate's; how much one connection may ask for and hold, and how long, is decided here.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Response};
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::caller::{CallerConnection, NotWritten};
use crate::flood::Flood;
use crate::front::{DataFront, REQUESTS_MAX, stopped};
use crate::proxies::Origin;

/// Requests of one connection that run at once. The least that clients count on.
const STREAMS_MAX: usize = 100;

/// Bytes of one body that may be on their way, and be held here while its target does not take them: 20 MiB/s over a
/// distance of 50 ms.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;

/// The same for all bodies of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Bytes of one answer that wait for the caller.
const SEND_BYTES_MAX: usize = 64 * 1024;

/// What HTTP/2 counts for each header beside its bytes.
const HEADER_OVERHEAD_BYTES: usize = 32;

/// The caller's first words.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How long the reason for an end may take to be written.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);

/// How long a caller may take for what was written before the connection closes.
const LINGER_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves a connection until it ends, and every request of it.
pub async fn serve(front: &Arc<DataFront>, stream: Stream, origin: Origin, shutdown: &ShutdownWatch) {
    let limits = front.current.load().config.limits.clone();
    // Somewhat more than is served, so that what is too much is told in the caller's dialect.
    let head_bytes = limits
        .head_bytes_max
        .saturating_mul(2)
        .saturating_add(limits.headers_max.saturating_mul(HEADER_OVERHEAD_BYTES));
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BYTES_MAX);
    let flooded = Arc::new(AtomicBool::new(false));
    let Ok(Ok(mut connection)) =
        timeout(HANDSHAKE_TIME_MAX, builder.handshake(Lingering::new(stream, Arc::clone(&flooded)))).await
    else {
        return;
    };
    let (mut stopping, mut closing, mut served) = (shutdown.clone(), None, 0_usize);
    let (mut running, mut last) = (JoinSet::new(), Instant::now());
    loop {
        let idle = front.current.load().config.limits.keepalive_idle;
        let end = match closing {
            None => last + idle,
            // Answers wait for a caller to take them.
            Some(since) if connection.has_streams() => last.max(since) + idle,
            Some(since) => (since + front.stop.patience()).max(last + LINGER_TIME_MAX),
        };
        let (may_run, is_idle) = (running.len() < STREAMS_MAX, running.is_empty());
        tokio::select! {
            biased;
            Some(_) = running.join_next() => last = Instant::now(),
            () = stopped(&mut stopping), if closing.is_none() => {
                closing = Some(Instant::now());
                connection.graceful_shutdown();
            }
            request = poll_fn(|cx| next(&mut connection, may_run, cx)) => {
                let Some((request, respond)) = request else { break };
                let (head, body) = request.into_parts();
                let ended = body.is_end_stream();
                let caller = CallerConnection::of(Exchange::new(body, respond), origin);
                let front = Arc::clone(front);
                running.spawn(async move { front.exchange(caller, &head, ended, !is_idle).await });
                last = Instant::now();
                served = served.saturating_add(1);
                if served == REQUESTS_MAX {
                    closing = Some(last);
                    connection.graceful_shutdown();
                }
            }
            () = poll_fn(|_| if flooded.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }) => {
                // Nothing more is read; what it gets is the reason.
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                let _ = timeout(LAST_WORDS_TIME_MAX, poll_fn(|cx| connection.poll_closed(cx))).await;
                break;
            }
            () = sleep_until(end), if is_idle => {
                if closing.is_some() {
                    break;
                }
                closing = Some(Instant::now());
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
struct Lingering {
    stream: Stream,
    closed: Option<Pin<Box<Sleep>>>,
    flood: Flood,
    flooded: Arc<AtomicBool>,
}

impl Lingering {
    fn new(stream: Stream, flooded: Arc<AtomicBool>) -> Self {
        Self { stream, closed: None, flood: Flood::new(std::time::Instant::now()), flooded }
    }
}

impl AsyncRead for Lingering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let Self { flood, flooded, .. } = &mut *self;
        flood.take(buffer.filled().get(before..).unwrap_or_default(), std::time::Instant::now());
        if flood.is_flooded() {
            flooded.store(true, Ordering::Relaxed);
            buffer.set_filled(before);
            // Nobody is woken by more bytes: the loop of the connection sees the flag, and ends it.
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closed.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        let Self { stream, closed, .. } = &mut *self;
        let end = closed.get_or_insert_with(|| Box::pin(sleep(LINGER_TIME_MAX)));
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

type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

/// Moves the connection on; the next request where one may run. `None`: the connection has ended.
fn next(
    connection: &mut Connection<Lingering, Bytes>,
    may_run: bool,
    cx: &mut Context<'_>,
) -> Poll<Option<Accepted>> {
    if may_run {
        return connection.poll_accept(cx).map(|accepted| accepted?.ok());
    }
    // Requests that were given up do not count for the framing, but here until they have ended.
    connection.poll_closed(cx).map(|_| None)
}

/// One request and its answer.
pub struct Exchange {
    body: RecvStream,
    /// Bytes handed out whose place in the window was not given back yet.
    handed_out: usize,
    respond: SendResponse<Bytes>,
    answer: Option<SendStream<Bytes>>,
}

impl Exchange {
    fn new(body: RecvStream, respond: SendResponse<Bytes>) -> Self {
        Self { body, handed_out: 0, respond, answer: None }
    }

    /// The next bytes of the body. Who asks is done with the last ones: the caller may send as many again. Losing the
    /// future loses no bytes.
    pub async fn body(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let done = std::mem::take(&mut self.handed_out);
        // Fails for a stream that has ended, which the next line finds.
        let _ = self.body.flow_control().release_capacity(done);
        let piece = self.body.data().await;
        if let Some(Ok(bytes)) = &piece {
            self.handed_out = bytes.len();
        }
        piece
    }

    /// Whether bytes of the body, or its end, are there already.
    pub fn has_body(&mut self) -> bool {
        self.body.flow_control().used_capacity() > 0 || self.body.is_end_stream()
    }

    /// Tells a caller that waits for it to send its body.
    pub fn invite(&mut self) -> Result<(), NotWritten> {
        let mut head = Response::new(());
        *head.status_mut() = http::StatusCode::CONTINUE;
        self.respond.send_informational(head).map_err(|_| NotWritten)
    }

    /// The head of the answer; `end` where nothing follows.
    pub fn head(
        &mut self,
        status: u16,
        headers: &[(String, Vec<u8>)],
        length: Option<u64>,
        end: bool,
    ) -> Result<(), NotWritten> {
        let mut head = Response::new(());
        *head.status_mut() = http::StatusCode::from_u16(status).map_err(|_| NotWritten)?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotWritten)?;
            head.headers_mut().append(name, HeaderValue::from_bytes(value).map_err(|_| NotWritten)?);
        }
        if let Some(length) = length {
            head.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        self.answer = Some(self.respond.send_response(head, end).map_err(|_| NotWritten)?);
        Ok(())
    }

    /// Some of the answer's body, as fast as the caller takes it.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), NotWritten> {
        let answer = self.answer.as_mut().ok_or(NotWritten)?;
        while !bytes.is_empty() {
            answer.reserve_capacity(bytes.len());
            if answer.capacity() == 0 {
                let room = poll_fn(|cx| answer.poll_capacity(cx)).await;
                room.ok_or(NotWritten)?.map_err(|_| NotWritten)?;
            }
            let (piece, rest) =
                bytes.split_at_checked(answer.capacity().min(bytes.len())).ok_or(NotWritten)?;
            if !piece.is_empty() {
                answer.send_data(Bytes::copy_from_slice(piece), false).map_err(|_| NotWritten)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Ends the answer.
    pub fn end(&mut self) -> Result<(), NotWritten> {
        let answer = self.answer.as_mut().ok_or(NotWritten)?;
        answer.send_data(Bytes::new(), true).map_err(|_| NotWritten)
    }

    /// Waits until the caller gives the request up, or goes.
    pub async fn gone(&mut self) {
        let reset = match &mut self.answer {
            Some(answer) => poll_fn(|cx| answer.poll_reset(cx)).await,
            None => poll_fn(|cx| self.respond.poll_reset(cx)).await,
        };
        // Either way nobody waits for the answer any more.
        drop(reset);
    }

    /// Breaks the answer off in a way that shows that it is not complete.
    pub fn abort(mut self) {
        self.respond.send_reset(Reason::INTERNAL_ERROR);
    }
}
