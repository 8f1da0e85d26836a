//! One caller's connection: heads and bodies in, answers out, each wait with an end. In HTTP/2 it is one request of a
//! connection.
//!
//! Reads heads itself instead of leaving it to the framework, because what was repaired, joined or dropped there
//! could not be refused any more (security, section 4).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::inbound::chunked_body::{ChunkError, ChunkedDecoder, DecodedPiece};
use crate::inbound::connection_error::{ReadBodyError, ReadHeadError, WriteError};
use crate::inbound::http2_stream::Http2Stream;
use crate::inbound::proxy_protocol::ClientOrigin;
use crate::inbound::request_head::{BodyLength, HeadScanner};

/// Requests on one connection. A load balancer distributes connections, so that long-lived ones are closed now and then.
pub const REQUESTS_MAX: usize = 1000;

/// From the first byte of a head to its last.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What most heads fit in.
const HEAD_BUFFER_BYTES: usize = 2048;

/// One write: with [`WRITE_BYTES`] it is about 1 KiB/s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes written at once, so that [`WRITE_TIME_MAX`] is a rate.
const WRITE_BYTES_MAX: usize = 32 * 1024;

/// Bytes read at once of a body.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// So long a body may be slower than [`BODY_BYTES_PER_SECOND`].
const BODY_RATE_GRACE: Duration = Duration::from_secs(10);

/// Slower, a body only keeps a connection and a target's one busy.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1024;

/// What is read of an unwanted body before the connection is closed.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// What is read of a refused body after the answer: who gets a reset while it still sends may lose the answer, and try the
/// whole again (RFC 9112, 9.6).
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long that may take, and how long nothing may come.
const LINGER_TIMEOUT: Duration = Duration::from_secs(10);
const LINGER_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is none, whatever the headers say.
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
    /// Until the transport says that it ends.
    UntilStreamEnd,
    End,
    Broken,
}

/// What carries requests and answers.
enum Transport {
    /// A connection, for one request after another.
    Connection(Stream),
    /// One request of an HTTP/2 connection.
    Http2Stream(Http2Stream),
}

/// A caller's connection.
pub struct ClientConnection {
    transport: Transport,
    /// Who is at its other end.
    pub origin: ClientOrigin,
    unread: BytesMut,
    body: BodyState,
    body_idle_timeout: Duration,
    /// How long this request's body was waited for, our own pauses left out.
    body_wait: Duration,
    expects_continue: bool,
    keep_alive: bool,
    has_response_head: bool,
    framing: ResponseFraming,
    /// Bytes of bodies read from the caller in this request.
    pub bytes_in: u64,
    /// Bytes of bodies written to the caller in this request.
    pub bytes_out: u64,
}

impl ClientConnection {
    /// A new connection.
    pub fn new(stream: Stream, origin: ClientOrigin) -> Self {
        Self::with_transport(Transport::Connection(stream), origin)
    }

    /// One request of an HTTP/2 connection.
    pub fn from_http2(stream: Http2Stream, origin: ClientOrigin) -> Self {
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
            has_response_head: false,
            framing: ResponseFraming::None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Reads the next head, waiting for its first byte for `idle`.
    ///
    /// # Errors
    /// [`NoHead`].
    pub async fn read_head(
        &mut self,
        idle_timeout: Duration,
        bytes_max: usize,
    ) -> Result<Bytes, ReadHeadError> {
        self.body = BodyState::End;
        self.has_response_head = false;
        let Transport::Connection(stream) = &mut self.transport else {
            return Err(ReadHeadError::Disconnected);
        };
        if self.unread.is_empty() {
            // A new one: the last request's may be large, and this one waits.
            self.unread = BytesMut::with_capacity(HEAD_BUFFER_BYTES);
            let first = timeout(idle_timeout, stream.read_buf(&mut self.unread)).await;
            if !matches!(first, Ok(Ok(1..))) {
                return Err(ReadHeadError::Disconnected);
            }
        }
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

    /// The first head of a connection that gets no more than this time for it.
    ///
    /// # Errors
    /// [`NoHead`].
    pub async fn read_head_within(
        &mut self,
        time_max: Duration,
        bytes_max: usize,
    ) -> Result<Bytes, ReadHeadError> {
        timeout(time_max, self.read_head(time_max, bytes_max)).await.unwrap_or(Err(ReadHeadError::TimedOut))
    }

    /// What has arrived and was not read: of a head that could not be, its beginning.
    pub fn unread_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(&self.unread)
    }

    /// Begins a request whose head said this of its body.
    pub fn begin_request(
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
        // Who already sends its body waits for nothing.
        self.expects_continue = expects_continue && !is_sending_body;
        self.body_idle_timeout = body_idle_timeout;
        self.body_wait = Duration::ZERO;
        self.keep_alive = keep_alive;
        self.has_response_head = false;
        self.framing = ResponseFraming::None;
        self.bytes_in = 0;
        self.bytes_out = 0;
    }

    /// Tells a caller that waits for it to send its body.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn send_continue(&mut self) -> Result<(), WriteError> {
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

    /// The next bytes of the body, `None` at its end. Losing the future loses no bytes.
    ///
    /// # Errors
    /// [`NoBody`]; the connection cannot be kept then.
    pub async fn read_body(&mut self) -> Result<Option<Bytes>, ReadBodyError> {
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

    /// Waits until more of the body is there to be read, or its end.
    async fn wait_for_body_bytes(&mut self) -> Result<(), ReadBodyError> {
        match &mut self.transport {
            Transport::Connection(stream) => {
                self.unread.reserve(READ_BUFFER_BYTES);
                match stream.read_buf(&mut self.unread).await {
                    Ok(1..) => Ok(()),
                    _ => Err(ReadBodyError::Disconnected),
                }
            }
            Transport::Http2Stream(exchange) => {
                match exchange.read_body().await {
                    // As it is: nothing else is in there, and nothing was left before.
                    Some(Ok(bytes)) => self.unread = bytes.into(),
                    Some(Err(_)) => return Err(ReadBodyError::Disconnected),
                    None => self.body = BodyState::End,
                }
                Ok(())
            }
        }
    }

    fn fail_body(&mut self, error: ReadBodyError) -> ReadBodyError {
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

    /// Whether an answer's head was written.
    pub fn has_response_head(&self) -> bool {
        self.has_response_head
    }

    /// Closes the connection after this request, however it ends.
    pub fn disable_keep_alive(&mut self) {
        self.keep_alive = false;
    }

    /// Writes the head of the answer. `headers` say nothing of framing or connection.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn write_response_head(
        &mut self,
        status: u16,
        headers: &[(String, Vec<u8>)],
        framing: ResponseFraming,
    ) -> Result<(), WriteError> {
        self.has_response_head = true;
        self.framing = framing;
        if let Transport::Http2Stream(exchange) = &mut self.transport {
            let length = if let ResponseFraming::Bytes(bytes) = framing { Some(bytes) } else { None };
            return exchange.write_head(status, headers, length, framing == ResponseFraming::None);
        }
        // A caller that was not invited, or is not done, may still send a body or not: nobody can tell what the
        // next bytes are.
        let is_long = matches!(self.body, BodyState::Bytes(left) if left > to_u64(DRAIN_BYTES_MAX));
        let is_body_pending = self.expects_continue || is_long || matches!(self.body, BodyState::Broken);
        self.keep_alive = self.keep_alive && !is_body_pending;
        let mut head = Vec::with_capacity(1024);
        head.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status)).as_bytes());
        for (name, value) in headers {
            // What would break the head apart must not be in it; every value was checked where it came from.
            if !name.bytes().all(is_header_name_byte) || !value.iter().all(|byte| is_header_value_byte(*byte))
            {
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
                head.extend_from_slice(format!("Content-Length: {bytes}\r\n").as_bytes())
            }
            ResponseFraming::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        head.extend_from_slice(if self.keep_alive {
            b"Connection: keep-alive\r\n\r\n"
        } else {
            b"Connection: close\r\n\r\n"
        });
        self.write_all(&head).await
    }

    /// Writes some of the answer's body.
    ///
    /// # Errors
    /// [`NotWritten`]; more bytes than announced.
    pub async fn write_response_body(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        match &mut self.framing {
            _ if bytes.is_empty() => return Ok(()),
            ResponseFraming::None => return Err(WriteError),
            ResponseFraming::Bytes(left) => {
                *left = left.checked_sub(to_u64(bytes.len())).ok_or(WriteError)?
            }
            ResponseFraming::Chunked => {}
        }
        let is_chunked =
            self.framing == ResponseFraming::Chunked && matches!(self.transport, Transport::Connection(_));
        if is_chunked {
            self.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        }
        self.write_all(bytes).await?;
        if is_chunked {
            self.write_all(b"\r\n").await?;
        }
        self.bytes_out = self.bytes_out.saturating_add(to_u64(bytes.len()));
        Ok(())
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`NotWritten`]; fewer bytes than announced.
    pub async fn finish_response(&mut self) -> Result<(), WriteError> {
        match (self.framing, &mut self.transport) {
            (ResponseFraming::Bytes(1..), _) => return Err(WriteError),
            (ResponseFraming::None, _) | (ResponseFraming::Bytes(0), Transport::Connection(_)) => {}
            (_, Transport::Http2Stream(exchange)) => exchange.finish()?,
            (ResponseFraming::Chunked, Transport::Connection(_)) => self.write_all(b"0\r\n\r\n").await?,
        }
        self.flush().await
    }

    /// Hands what was written on to the caller.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        let Transport::Connection(stream) = &mut self.transport else { return Ok(()) };
        match timeout(WRITE_TIMEOUT, stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(WriteError),
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        for piece in bytes.chunks(WRITE_BYTES_MAX) {
            let write = async {
                match &mut self.transport {
                    Transport::Connection(stream) => stream.write_all(piece).await.map_err(|_| WriteError),
                    Transport::Http2Stream(exchange) => exchange.write_body(piece).await,
                }
            };
            match timeout(WRITE_TIMEOUT, write).await {
                Ok(Ok(())) => {}
                _ => {
                    self.keep_alive = false;
                    return Err(WriteError);
                }
            }
        }
        Ok(())
    }

    /// Waits until the caller goes. Does not return while it stays; losing the future loses no bytes.
    pub async fn wait_for_disconnect(&mut self) {
        match &mut self.transport {
            Transport::Http2Stream(exchange) => return exchange.wait_for_reset().await,
            // What came already is its next request.
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

    /// After a whole answer: whether another request may follow. Reads what is left of a small body.
    pub async fn drain_for_reuse(&mut self) -> bool {
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

    /// Closes in peace: the answer is not lost because the caller was still sending. In HTTP/2 that is said with the
    /// end of the request.
    ///
    /// In stages: the answer, the end of what we say, and then what still comes is read on for a while.
    pub async fn close(self) {
        // Who waits to be asked for its body sends none.
        let is_sending_body = !matches!(self.body, BodyState::End) && !self.expects_continue;
        let Transport::Connection(mut stream) = self.transport else { return };
        if timeout(WRITE_TIMEOUT, stream.shutdown()).await.is_err() || !self.has_response_head {
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

    /// Closes in a way that shows that the answer is not complete: nothing more is flushed.
    pub fn abort(self) {
        match self.transport {
            Transport::Connection(stream) => drop(stream),
            Transport::Http2Stream(exchange) => exchange.abort(),
        }
    }
}

/// What must have arrived of a body after this much waiting.
fn min_bytes_after(body_wait: Duration) -> u64 {
    body_wait.saturating_sub(BODY_RATE_GRACE).as_secs().saturating_mul(BODY_BYTES_PER_SECOND_MIN)
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn is_header_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_header_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}
