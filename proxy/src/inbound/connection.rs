//! A client's connection: reads request heads and bodies, writes responses, and limits the time of each wait. In
//! HTTP/2 the value represents one stream.
//!
//! It reads heads itself instead of using Pingora's parser: that one normalizes some malformed heads, which then
//! could no longer be rejected.

use std::io::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::chunked_body::{ChunkError, ChunkedDecoder, DecodedPiece};
use crate::header_syntax::is_valid_header;
use crate::inbound::connection_error::{ReadBodyError, ReadHeadError, WriteError};
use crate::inbound::http2_stream::Http2Stream;
use crate::inbound::proxy_protocol::ClientOrigin;
use crate::inbound::request_head::{BodyLength, HeadScanner};

/// Maximum number of requests on one connection. A load balancer distributes connections and not requests, so
/// long-lived connections would never move to a new process or machine.
pub(crate) const REQUESTS_MAX: usize = 1000;

/// Time limit from the first byte of a head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Initial size of the head buffer, which most heads fit into.
const HEAD_BUFFER_BYTES: usize = 1024;

/// Time limit for each [`WRITE_UNIT_BYTES`] of a write: a minimum rate of about 1 KiB/s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of bytes that have the time limit [`WRITE_TIMEOUT`].
const WRITE_UNIT_BYTES: usize = 32 * 1024;

/// Maximum size of one write, so that a client which reads nothing is noticed soon.
const WRITE_BYTES_MAX: usize = 128 * 1024;

/// Initial size of the buffer for a response head with a small body.
const RESPONSE_BUFFER_BYTES: usize = 2048;

/// Up to this size, the head and pieces of a response are copied together, so that one packet contains them.
const JOINED_WRITE_BYTES_MAX: usize = 16 * 1024;

/// Size of the body read buffer.
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// How long a body may be slower than [`BODY_BYTES_PER_SECOND_MIN`].
const BODY_RATE_GRACE: Duration = Duration::from_secs(10);

/// Minimum rate of a request body. A slower one only occupies its connection and one to the target.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;

/// Maximum size of an unread body that is drained to reuse the connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// Time limit for the drain.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum number of bytes that are read of a rejected body after the response. A client that gets a reset while it
/// sends may lose the response and retry the whole upload (RFC 9112, section 9.6).
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Time limit for reading a rejected body, and its idle timeout.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
const LINGER_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How the response body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFraming {
    /// There is no body, whatever the headers announce: a response to HEAD, or 304.
    None,
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

#[derive(Debug)]
enum BodyState {
    Bytes(u64),
    Chunked(ChunkedDecoder),
    /// Until the end of the HTTP/2 stream.
    UntilStreamEnd,
    End,
    Broken,
}

/// The transport of requests and responses.
enum Transport {
    /// An HTTP/1 connection with sequential requests.
    Connection(Stream),
    /// A stream of an HTTP/2 connection.
    Http2Stream(Http2Stream),
}

/// A client's connection.
pub(crate) struct ClientConnection {
    transport: Transport,
    /// The client's address and scheme.
    pub origin: ClientOrigin,
    unread: BytesMut,
    body: BodyState,
    body_idle_timeout: Duration,
    /// Time spent waiting for this request's body. Time spent on the target's side does not count.
    body_wait: Duration,
    expects_continue: bool,
    keep_alive: bool,
    is_response_started: bool,
    framing: ResponseFraming,
    /// The head and small pieces of the response that are written together.
    unsent: Vec<u8>,
    /// Size of the request body read so far.
    pub bytes_in: u64,
    /// Size of the response body written so far.
    pub bytes_out: u64,
}

impl ClientConnection {
    /// Wraps a new HTTP/1 connection.
    pub(crate) fn new(stream: Stream, origin: ClientOrigin) -> Self {
        Self::with_transport(Transport::Connection(stream), origin)
    }

    /// A stream of an HTTP/2 connection.
    pub(crate) fn from_http2(stream: Http2Stream, origin: ClientOrigin) -> Self {
        Self::with_transport(Transport::Http2Stream(stream), origin)
    }

    fn with_transport(transport: Transport, origin: ClientOrigin) -> Self {
        Self {
            transport,
            origin,
            unread: BytesMut::new(),
            body: BodyState::End,
            body_idle_timeout: Duration::from_secs(30),
            body_wait: Duration::ZERO,
            expects_continue: false,
            keep_alive: true,
            is_response_started: false,
            framing: ResponseFraming::None,
            unsent: Vec::new(),
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Reads the next request head, and waits for its first byte for `idle_timeout`.
    ///
    /// # Errors
    /// [`ReadHeadError`].
    pub(crate) async fn read_head(
        &mut self,
        idle_timeout: Duration,
        bytes_max: usize,
    ) -> Result<Bytes, ReadHeadError> {
        self.body = BodyState::End;
        self.is_response_started = false;
        let Transport::Connection(stream) = &mut self.transport else {
            return Err(ReadHeadError::Disconnected);
        };
        if self.unread.is_empty() {
            // A new buffer, because that of the previous request may be large and an idle connection would keep it.
            self.unread = BytesMut::with_capacity(HEAD_BUFFER_BYTES);
            let first = timeout(idle_timeout, stream.read_buf(&mut self.unread)).await;
            if !matches!(first, Ok(Ok(1..))) {
                return Err(ReadHeadError::Disconnected);
            }
        }
        // One deadline for the whole head: a timeout per read would let a client hold the connection with single bytes.
        let deadline = Instant::now() + HEAD_TIMEOUT;
        let mut scan = HeadScanner::default();
        loop {
            match scan.find_end(&self.unread) {
                Err(flaw) => return Err(ReadHeadError::Invalid(flaw)),
                Ok(Some(end)) if end <= bytes_max => return Ok(self.unread.split_to(end).freeze()),
                Ok(None) if self.unread.len() < bytes_max => {}
                Ok(_) => return Err(ReadHeadError::TooLarge),
            }
            match timeout_at(deadline, stream.read_buf(&mut self.unread)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Err(ReadHeadError::Disconnected),
                Err(_) => return Err(ReadHeadError::TimedOut),
            }
        }
    }

    /// Reads the first head of a connection within a total time limit.
    ///
    /// # Errors
    /// [`ReadHeadError`].
    pub(crate) async fn read_head_within(
        &mut self,
        time_max: Duration,
        bytes_max: usize,
    ) -> Result<Bytes, ReadHeadError> {
        timeout(time_max, self.read_head(time_max, bytes_max)).await.unwrap_or(Err(ReadHeadError::TimedOut))
    }

    /// The received bytes that were not consumed: after a failed read, the start of the head.
    pub(crate) fn unread_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.unread)
    }

    /// Starts a request with this announced body.
    pub(crate) fn begin_request(
        &mut self,
        length: BodyLength,
        expects_continue: bool,
        keep_alive: bool,
        body_idle_timeout: Duration,
    ) {
        let has_body = !matches!(length, BodyLength::Absent | BodyLength::Bytes(0));
        let (body, is_sending_body) = match (&mut self.transport, length) {
            (Transport::Http2Stream(exchange), _) => (BodyState::UntilStreamEnd, exchange.has_body_bytes()),
            (Transport::Connection(_), BodyLength::Bytes(bytes)) => {
                (BodyState::Bytes(bytes), !self.unread.is_empty())
            }
            (Transport::Connection(_), _) => {
                (BodyState::Chunked(ChunkedDecoder::new()), !self.unread.is_empty())
            }
        };
        self.body = if has_body { body } else { BodyState::End };
        // A client that already sends its body does not wait for 100 Continue.
        self.expects_continue = expects_continue && !is_sending_body;
        self.body_idle_timeout = body_idle_timeout;
        self.body_wait = Duration::ZERO;
        self.keep_alive = keep_alive;
        self.is_response_started = false;
        self.framing = ResponseFraming::None;
        self.bytes_in = 0;
        self.bytes_out = 0;
    }

    /// Sends `100 Continue` if the client waits for it.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(crate) async fn send_continue(&mut self) -> Result<(), WriteError> {
        if !self.expects_continue {
            return Ok(());
        }
        self.expects_continue = false;
        if let Transport::Http2Stream(exchange) = &mut self.transport {
            return exchange.send_continue();
        }
        self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        self.flush().await
    }

    /// Reads the next bytes of the body, `None` at its end. Cancellation safe.
    ///
    /// # Errors
    /// [`ReadBodyError`]. The connection cannot be reused after an error.
    pub(crate) async fn read_body(&mut self) -> Result<Option<Bytes>, ReadBodyError> {
        loop {
            match self.take_unread_body() {
                Ok(DecodedPiece::Bytes(bytes)) => {
                    self.bytes_in = self.bytes_in.saturating_add(to_u64(bytes.len()));
                    return Ok(Some(bytes));
                }
                Ok(DecodedPiece::End) => return Ok(None),
                Ok(DecodedPiece::NeedMore) => {}
                Err(bad) => return Err(self.fail_body(ReadBodyError::Malformed(bad))),
            }
            // Only the time in this call counts for the minimum rate, because the client does not cause the
            // pauses of a slow target.
            let since = Instant::now();
            match timeout(self.body_idle_timeout, self.wait_for_body_bytes()).await {
                Ok(Ok(())) => self.body_wait += since.elapsed(),
                Ok(Err(gone)) => return Err(self.fail_body(gone)),
                Err(_) => return Err(self.fail_body(ReadBodyError::TimedOut)),
            }
            if self.bytes_in.saturating_add(to_u64(self.unread.len())) < min_bytes_after(self.body_wait) {
                return Err(self.fail_body(ReadBodyError::TimedOut));
            }
        }
    }

    /// Waits until more of the body, or its end, has arrived.
    async fn wait_for_body_bytes(&mut self) -> Result<(), ReadBodyError> {
        match &mut self.transport {
            Transport::Connection(stream) => {
                let bytes_left = match self.body {
                    BodyState::Bytes(left) => usize::try_from(left).unwrap_or(usize::MAX),
                    _ => READ_BUFFER_BYTES,
                };
                self.unread.reserve(bytes_left.clamp(1, READ_BUFFER_BYTES));
                match stream.read_buf(&mut self.unread).await {
                    Ok(1..) => Ok(()),
                    // Zero bytes are the end of the stream, which within a body is an error.
                    _ => Err(ReadBodyError::Disconnected),
                }
            }
            Transport::Http2Stream(exchange) => {
                match exchange.read_body().await {
                    // The buffer was empty, so it takes over the bytes without copying.
                    Some(Ok(bytes)) => self.unread = bytes.into(),
                    Some(Err(_)) => return Err(ReadBodyError::Disconnected),
                    None => self.body = BodyState::End,
                }
                Ok(())
            }
        }
    }

    fn fail_body(&mut self, error: ReadBodyError) -> ReadBodyError {
        // The position in the stream is unknown after an error, so the connection cannot serve another request.
        self.body = BodyState::Broken;
        self.keep_alive = false;
        error
    }

    fn take_unread_body(&mut self) -> Result<DecodedPiece, ChunkError> {
        match &mut self.body {
            BodyState::End | BodyState::Broken => Ok(DecodedPiece::End),
            BodyState::Chunked(chunks) => {
                let piece = chunks.decode_next(&mut self.unread)?;
                if piece == DecodedPiece::End {
                    self.body = BodyState::End;
                }
                Ok(piece)
            }
            BodyState::Bytes(0) => {
                self.body = BodyState::End;
                Ok(DecodedPiece::End)
            }
            BodyState::Bytes(_) | BodyState::UntilStreamEnd if self.unread.is_empty() => {
                Ok(DecodedPiece::NeedMore)
            }
            BodyState::UntilStreamEnd => Ok(DecodedPiece::Bytes(self.unread.split().freeze())),
            BodyState::Bytes(left) => {
                let taken_bytes = usize::try_from(*left).unwrap_or(usize::MAX).min(self.unread.len());
                *left = left.saturating_sub(to_u64(taken_bytes));
                Ok(DecodedPiece::Bytes(self.unread.split_to(taken_bytes).freeze()))
            }
        }
    }

    /// Whether a response head was written.
    pub(crate) fn is_response_started(&self) -> bool {
        self.is_response_started
    }

    /// Closes the connection after this request, whether it succeeds or fails.
    pub(crate) fn disable_keep_alive(&mut self) {
        self.keep_alive = false;
    }

    /// Writes the response head. `headers` must not contain framing or connection headers.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(crate) async fn write_response_head(
        &mut self,
        status: u16,
        headers: &[(String, Vec<u8>)],
        framing: ResponseFraming,
    ) -> Result<(), WriteError> {
        self.is_response_started = true;
        self.framing = framing;
        if let Transport::Http2Stream(exchange) = &mut self.transport {
            let length = if let ResponseFraming::Bytes(bytes) = framing { Some(bytes) } else { None };
            return exchange.write_head(status, headers, length, framing == ResponseFraming::None);
        }
        // A client that did not get 100 Continue may or may not send its body, so the next bytes could be a body or a
        // request. A body that is longer than the drain limit is not read to its end.
        let is_long = matches!(self.body, BodyState::Bytes(left) if left > to_u64(DRAIN_BYTES_MAX));
        let is_body_pending = self.expects_continue || is_long || matches!(self.body, BodyState::Broken);
        self.keep_alive = self.keep_alive && !is_body_pending;
        let mut head = Vec::with_capacity(RESPONSE_BUFFER_BYTES);
        // Writing to a vector cannot fail.
        let _ = write!(head, "HTTP/1.1 {status} {}\r\n", reason_phrase(status));
        for (name, value) in headers {
            // Protects against response splitting. Values are also checked where they are read.
            if !is_valid_header(name, value) {
                self.keep_alive = false;
                return Err(WriteError);
            }
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        match framing {
            ResponseFraming::None => {}
            ResponseFraming::Bytes(bytes) => {
                let _ = write!(head, "Content-Length: {bytes}\r\n");
            }
            ResponseFraming::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        head.extend_from_slice(if self.keep_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
        self.unsent = head;
        Ok(())
    }

    /// Writes a piece of the response body. Small pieces are sent together by the next flush.
    ///
    /// # Errors
    /// [`WriteError`]; also if the body is longer than announced.
    pub(crate) async fn write_response_body(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match &mut self.framing {
            _ if bytes.is_empty() => return Ok(()),
            ResponseFraming::None => return Err(WriteError),
            ResponseFraming::Bytes(left) => {
                // The client would take surplus bytes for the next response.
                *left = left.checked_sub(to_u64(bytes.len())).ok_or(WriteError)?
            }
            ResponseFraming::Chunked => {}
        }
        let is_chunked =
            self.framing == ResponseFraming::Chunked && matches!(self.transport, Transport::Connection(_));
        if is_chunked {
            // Writing to a vector cannot fail.
            let _ = write!(self.unsent, "{:x}\r\n", bytes.len());
        }
        if matches!(self.transport, Transport::Connection(_))
            && self.unsent.len().saturating_add(bytes.len()) <= JOINED_WRITE_BYTES_MAX
        {
            self.unsent.extend_from_slice(bytes);
        } else {
            self.write_unsent().await?;
            self.write_all(bytes).await?;
        }
        if is_chunked {
            self.unsent.extend_from_slice(b"\r\n");
        }
        self.bytes_out = self.bytes_out.saturating_add(to_u64(bytes.len()));
        Ok(())
    }

    /// Ends the response.
    ///
    /// # Errors
    /// [`WriteError`]; also if the body is shorter than announced.
    pub(crate) async fn finish_response(&mut self) -> Result<(), WriteError> {
        match (self.framing, &mut self.transport) {
            // The connection is aborted then, so that the client notices the missing bytes.
            (ResponseFraming::Bytes(1..), _) => return Err(WriteError),
            (ResponseFraming::None, _) | (ResponseFraming::Bytes(0), Transport::Connection(_)) => {}
            (_, Transport::Http2Stream(exchange)) => exchange.finish()?,
            (ResponseFraming::Chunked, Transport::Connection(_)) => {
                self.unsent.extend_from_slice(b"0\r\n\r\n");
            }
        }
        self.flush().await
    }

    /// Flushes written data to the client.
    ///
    /// # Errors
    /// [`WriteError`].
    pub(crate) async fn flush(&mut self) -> Result<(), WriteError> {
        self.write_unsent().await?;
        let Transport::Connection(stream) = &mut self.transport else { return Ok(()) };
        match timeout(WRITE_TIMEOUT, stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(WriteError),
        }
    }

    /// Writes what was collected. An idle connection keeps no memory for it.
    async fn write_unsent(&mut self) -> Result<(), WriteError> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let unsent = std::mem::take(&mut self.unsent);
        self.write_all(&unsent).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        // One timeout for the whole slice would not distinguish a slow client from one that reads nothing.
        for piece in bytes.chunks(WRITE_BYTES_MAX) {
            let write = async {
                match &mut self.transport {
                    Transport::Connection(stream) => stream.write_all(piece).await.map_err(|_| WriteError),
                    Transport::Http2Stream(exchange) => exchange.write_body(piece).await,
                }
            };
            let units = u32::try_from(piece.len().div_ceil(WRITE_UNIT_BYTES)).unwrap_or(u32::MAX);
            match timeout(WRITE_TIMEOUT.saturating_mul(units), write).await {
                Ok(Ok(())) => {}
                _ => {
                    self.keep_alive = false;
                    return Err(WriteError);
                }
            }
        }
        Ok(())
    }

    /// Waits until the client disconnects. Cancellation safe.
    pub(crate) async fn wait_for_disconnect(&mut self) {
        match &mut self.transport {
            Transport::Http2Stream(exchange) => return exchange.wait_for_reset().await,
            // Bytes that have arrived belong to a pipelined request, so the client is still connected.
            Transport::Connection(stream) if self.unread.is_empty() => {
                self.unread.reserve(HEAD_BUFFER_BYTES);
                if !matches!(stream.read_buf(&mut self.unread).await, Ok(1..)) {
                    self.keep_alive = false;
                    return;
                }
            }
            Transport::Connection(_) => {}
        }
        std::future::pending().await
    }

    /// Prepares the connection for the next request after a complete response, and drains the rest of a small body.
    /// `false` if the connection must be closed.
    pub(crate) async fn drain_for_reuse(&mut self) -> bool {
        self.keep_alive && self.drain_body().await
    }

    async fn drain_body(&mut self) -> bool {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        let mut drained_bytes = 0_usize;
        while !matches!(self.body, BodyState::End) {
            match timeout_at(deadline, self.read_body()).await {
                Ok(Ok(Some(bytes))) => drained_bytes = drained_bytes.saturating_add(bytes.len()),
                Ok(Ok(None)) => return matches!(self.body, BodyState::End),
                _ => return false,
            }
            if drained_bytes > DRAIN_BYTES_MAX {
                return false;
            }
        }
        true
    }

    /// Closes the connection so that the response is not lost if the client is still sending. An HTTP/2 stream needs
    /// nothing, because the end of the stream is part of the response.
    ///
    /// First closes the write side, then reads for a while, as RFC 9112, section 9.6 recommends.
    pub(crate) async fn close(self) {
        // A client that still waits for 100 Continue is not sending.
        let is_sending_body = !matches!(self.body, BodyState::End) && !self.expects_continue;
        let Transport::Connection(mut stream) = self.transport else { return };
        // Without a response nothing can be lost, so there is no reason to read any further.
        if timeout(WRITE_TIMEOUT, stream.shutdown()).await.is_err() || !self.is_response_started {
            return;
        }
        let (bytes_max, time_max) = if is_sending_body {
            (LINGER_BYTES_MAX, LINGER_TIMEOUT)
        } else {
            (DRAIN_BYTES_MAX, DRAIN_TIMEOUT)
        };
        let deadline = Instant::now() + time_max;
        let (mut drained_bytes, mut sink) = (0_usize, BytesMut::new());
        while drained_bytes < bytes_max {
            sink.clear();
            sink.reserve(16 * 1024);
            let silence = deadline.min(Instant::now() + LINGER_IDLE_TIMEOUT);
            match timeout_at(silence, stream.read_buf(&mut sink)).await {
                Ok(Ok(read @ 1..)) => drained_bytes = drained_bytes.saturating_add(read),
                _ => return,
            }
        }
    }

    /// Closes the connection without a flush, so that the client does not take an incomplete response for a complete one.
    pub(crate) fn abort(self) {
        match self.transport {
            // The missing last chunk, or the missing bytes, show the client that the response is truncated.
            Transport::Connection(stream) => drop(stream),
            Transport::Http2Stream(exchange) => exchange.abort(),
        }
    }
}

/// The minimum number of body bytes that must have arrived after this wait.
fn min_bytes_after(body_wait: Duration) -> u64 {
    body_wait.saturating_sub(BODY_RATE_GRACE).as_secs().saturating_mul(BODY_BYTES_PER_SECOND_MIN)
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}
