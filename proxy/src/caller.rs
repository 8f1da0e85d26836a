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

use crate::chunks::{BadChunk, Chunks, Piece};
use crate::framing::{BodyLength, Flaw, Scan};
use crate::http2::Exchange;
use crate::proxies::Origin;

/// From the first byte of a head to its last.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// What most heads fit in.
const HEAD_BYTES_USUAL: usize = 2048;

/// One write: with [`WRITE_BYTES`] it is about 1 KiB/s.
const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes written at once, so that [`WRITE_TIME_MAX`] is a rate.
const WRITE_BYTES: usize = 32 * 1024;

/// Bytes read at once of a body.
const READ_BYTES: usize = 64 * 1024;

/// So long a body may be slower than [`BODY_BYTES_PER_SECOND`].
const BODY_TIME_FREE: Duration = Duration::from_secs(10);

/// Slower, a body only keeps a connection and a target's one busy.
const BODY_BYTES_PER_SECOND: u64 = 1024;

/// What is read of an unwanted body before the connection is closed.
const DRAIN_BYTES_MAX: usize = 64 * 1024;

/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

/// What is read of a refused body after the answer: who gets a reset while it still sends may lose the answer, and try the
/// whole again (RFC 9112, 9.6).
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long that may take, and how long nothing may come.
const LINGER_TIME_MAX: Duration = Duration::from_secs(10);
const LINGER_SILENCE_MAX: Duration = Duration::from_secs(2);

/// A head that did not arrive.
#[derive(Debug)]
pub enum NoHead {
    /// The caller went, or never said anything: nobody is there to be told.
    Gone,
    /// It said too much.
    TooLarge,
    /// It said it too slowly.
    Slow,
    /// It said it in a way that is refused.
    Flawed(Flaw),
}

/// A body that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum NoBody {
    /// The caller went before the end.
    #[error("the caller went before the end of its body")]
    Gone,
    /// Nothing came for too long.
    #[error("the caller was silent for too long")]
    Slow,
    /// The coding was violated.
    #[error(transparent)]
    Malformed(#[from] BadChunk),
}

/// The answer did not reach the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the caller cannot be written to")]
pub struct NotWritten;

/// How an answer's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none, whatever the headers say.
    None,
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

#[derive(Debug)]
enum Body {
    Bytes(u64),
    Chunked(Chunks),
    /// Until the transport says that it ends.
    Framed,
    End,
    Broken,
}

/// What carries requests and answers.
enum Transport {
    /// A connection, for one request after another.
    Connection(Stream),
    /// One request of an HTTP/2 connection.
    Exchange(Exchange),
}

/// A caller's connection.
pub struct CallerConnection {
    transport: Transport,
    /// Who is at its other end.
    pub origin: Origin,
    unread: BytesMut,
    body: Body,
    body_idle: Duration,
    /// How long this request's body was waited for, our own pauses left out.
    waited: Duration,
    continue_due: bool,
    keep: bool,
    answered: bool,
    framing: Framing,
    /// Bytes of bodies read from the caller in this request.
    pub bytes_in: u64,
    /// Bytes of bodies written to the caller in this request.
    pub bytes_out: u64,
}

impl CallerConnection {
    /// A new connection.
    pub fn new(stream: Stream, origin: Origin) -> Self {
        Self::over(Transport::Connection(stream), origin)
    }

    /// One request of an HTTP/2 connection.
    pub fn of(exchange: Exchange, origin: Origin) -> Self {
        Self::over(Transport::Exchange(exchange), origin)
    }

    fn over(transport: Transport, origin: Origin) -> Self {
        Self {
            transport,
            origin,
            unread: BytesMut::new(),
            body: Body::End,
            body_idle: Duration::from_secs(30),
            waited: Duration::ZERO,
            continue_due: false,
            keep: true,
            answered: false,
            framing: Framing::None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// Reads the next head, waiting for its first byte for `idle`.
    ///
    /// # Errors
    /// [`NoHead`].
    pub async fn head(&mut self, idle: Duration, bytes_max: usize) -> Result<Bytes, NoHead> {
        self.body = Body::End;
        self.answered = false;
        let Transport::Connection(stream) = &mut self.transport else { return Err(NoHead::Gone) };
        if self.unread.is_empty() {
            // A new one: the last request's may be large, and this one waits.
            self.unread = BytesMut::with_capacity(HEAD_BYTES_USUAL);
            let first = timeout(idle, stream.read_buf(&mut self.unread)).await;
            if !matches!(first, Ok(Ok(1..))) {
                return Err(NoHead::Gone);
            }
        }
        let deadline = Instant::now() + HEAD_TIME_MAX;
        let mut scan = Scan::default();
        loop {
            match scan.end(&self.unread) {
                Err(flaw) => return Err(NoHead::Flawed(flaw)),
                Ok(Some(end)) if end <= bytes_max => return Ok(self.unread.split_to(end).freeze()),
                Ok(None) if self.unread.len() < bytes_max => {}
                Ok(_) => return Err(NoHead::TooLarge),
            }
            match timeout_at(deadline, stream.read_buf(&mut self.unread)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Err(NoHead::Gone),
                Err(_) => return Err(NoHead::Slow),
            }
        }
    }

    /// What has arrived and was not read: of a head that could not be, its beginning.
    pub fn unread(&self) -> Bytes {
        Bytes::copy_from_slice(&self.unread)
    }

    /// Begins a request whose head said this of its body.
    pub fn begin(&mut self, length: BodyLength, expects_continue: bool, keep: bool, body_idle: Duration) {
        let has_body = !matches!(length, BodyLength::Absent | BodyLength::Bytes(0));
        let (body, sends_already) = match (&mut self.transport, length) {
            (Transport::Exchange(exchange), _) => (Body::Framed, exchange.has_body()),
            (Transport::Connection(_), BodyLength::Bytes(bytes)) => {
                (Body::Bytes(bytes), !self.unread.is_empty())
            }
            (Transport::Connection(_), _) => (Body::Chunked(Chunks::new()), !self.unread.is_empty()),
        };
        self.body = if has_body { body } else { Body::End };
        // Who already sends its body waits for nothing.
        self.continue_due = expects_continue && !sends_already;
        self.body_idle = body_idle;
        self.waited = Duration::ZERO;
        self.keep = keep;
        self.answered = false;
        self.framing = Framing::None;
        self.bytes_in = 0;
        self.bytes_out = 0;
    }

    /// Tells a caller that waits for it to send its body.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn invite_body(&mut self) -> Result<(), NotWritten> {
        if !self.continue_due {
            return Ok(());
        }
        self.continue_due = false;
        if let Transport::Exchange(exchange) = &mut self.transport {
            return exchange.invite();
        }
        self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        self.flush().await
    }

    /// The next bytes of the body, `None` at its end. Losing the future loses no bytes.
    ///
    /// # Errors
    /// [`NoBody`]; the connection cannot be kept then.
    pub async fn body(&mut self) -> Result<Option<Bytes>, NoBody> {
        loop {
            match self.unread_body() {
                Ok(Piece::Bytes(bytes)) => {
                    self.bytes_in = self.bytes_in.saturating_add(count(bytes.len()));
                    return Ok(Some(bytes));
                }
                Ok(Piece::End) => return Ok(None),
                Ok(Piece::More) => {}
                Err(bad) => return Err(self.broken(NoBody::Malformed(bad))),
            }
            let since = Instant::now();
            match timeout(self.body_idle, self.arrived()).await {
                Ok(Ok(())) => self.waited += since.elapsed(),
                Ok(Err(gone)) => return Err(self.broken(gone)),
                Err(_) => return Err(self.broken(NoBody::Slow)),
            }
            if self.bytes_in.saturating_add(count(self.unread.len())) < bytes_due(self.waited) {
                return Err(self.broken(NoBody::Slow));
            }
        }
    }

    /// Waits until more of the body is there to be read, or its end.
    async fn arrived(&mut self) -> Result<(), NoBody> {
        match &mut self.transport {
            Transport::Connection(stream) => {
                self.unread.reserve(READ_BYTES);
                match stream.read_buf(&mut self.unread).await {
                    Ok(1..) => Ok(()),
                    _ => Err(NoBody::Gone),
                }
            }
            Transport::Exchange(exchange) => {
                match exchange.body().await {
                    // As it is: nothing else is in there, and nothing was left before.
                    Some(Ok(bytes)) => self.unread = bytes.into(),
                    Some(Err(_)) => return Err(NoBody::Gone),
                    None => self.body = Body::End,
                }
                Ok(())
            }
        }
    }

    fn broken(&mut self, why: NoBody) -> NoBody {
        self.body = Body::Broken;
        self.keep = false;
        why
    }

    fn unread_body(&mut self) -> Result<Piece, BadChunk> {
        match &mut self.body {
            Body::End | Body::Broken => Ok(Piece::End),
            Body::Chunked(chunks) => {
                let piece = chunks.next(&mut self.unread)?;
                if piece == Piece::End {
                    self.body = Body::End;
                }
                Ok(piece)
            }
            Body::Bytes(0) => {
                self.body = Body::End;
                Ok(Piece::End)
            }
            Body::Bytes(_) | Body::Framed if self.unread.is_empty() => Ok(Piece::More),
            Body::Framed => Ok(Piece::Bytes(self.unread.split().freeze())),
            Body::Bytes(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(self.unread.len());
                *left = left.saturating_sub(count(taken));
                Ok(Piece::Bytes(self.unread.split_to(taken).freeze()))
            }
        }
    }

    /// Whether an answer's head was written.
    pub fn answered(&self) -> bool {
        self.answered
    }

    /// Closes the connection after this request, however it ends.
    pub fn close_after(&mut self) {
        self.keep = false;
    }

    /// Writes the head of the answer. `headers` say nothing of framing or connection.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn answer_head(
        &mut self,
        status: u16,
        headers: &[(String, Vec<u8>)],
        framing: Framing,
    ) -> Result<(), NotWritten> {
        self.answered = true;
        self.framing = framing;
        if let Transport::Exchange(exchange) = &mut self.transport {
            let length = if let Framing::Bytes(bytes) = framing { Some(bytes) } else { None };
            return exchange.head(status, headers, length, framing == Framing::None);
        }
        // A caller that was not invited, or is not done, may still send a body or not: nobody can tell what the
        // next bytes are.
        let long = matches!(self.body, Body::Bytes(left) if left > count(DRAIN_BYTES_MAX));
        let unclear = self.continue_due || long || matches!(self.body, Body::Broken);
        self.keep = self.keep && !unclear;
        let mut head = Vec::with_capacity(1024);
        head.extend_from_slice(format!("HTTP/1.1 {status} {}\r\n", reason(status)).as_bytes());
        for (name, value) in headers {
            // What would break the head apart must not be in it; every value was checked where it came from.
            if !name.bytes().all(is_name) || !value.iter().all(|byte| is_value(*byte)) {
                self.keep = false;
                return Err(NotWritten);
            }
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        match framing {
            Framing::None => {}
            Framing::Bytes(bytes) => {
                head.extend_from_slice(format!("Content-Length: {bytes}\r\n").as_bytes())
            }
            Framing::Chunked => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        head.extend_from_slice(if self.keep {
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
    pub async fn answer_body(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        match &mut self.framing {
            _ if bytes.is_empty() => return Ok(()),
            Framing::None => return Err(NotWritten),
            Framing::Bytes(left) => *left = left.checked_sub(count(bytes.len())).ok_or(NotWritten)?,
            Framing::Chunked => {}
        }
        let chunk = self.framing == Framing::Chunked && matches!(self.transport, Transport::Connection(_));
        if chunk {
            self.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        }
        self.write_all(bytes).await?;
        if chunk {
            self.write_all(b"\r\n").await?;
        }
        self.bytes_out = self.bytes_out.saturating_add(count(bytes.len()));
        Ok(())
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`NotWritten`]; fewer bytes than announced.
    pub async fn answer_end(&mut self) -> Result<(), NotWritten> {
        match (self.framing, &mut self.transport) {
            (Framing::Bytes(1..), _) => return Err(NotWritten),
            (Framing::None, _) | (Framing::Bytes(0), Transport::Connection(_)) => {}
            (_, Transport::Exchange(exchange)) => exchange.end()?,
            (Framing::Chunked, Transport::Connection(_)) => self.write_all(b"0\r\n\r\n").await?,
        }
        self.flush().await
    }

    /// Hands what was written on to the caller.
    ///
    /// # Errors
    /// [`NotWritten`].
    pub async fn flush(&mut self) -> Result<(), NotWritten> {
        let Transport::Connection(stream) = &mut self.transport else { return Ok(()) };
        match timeout(WRITE_TIME_MAX, stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotWritten),
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> Result<(), NotWritten> {
        for piece in bytes.chunks(WRITE_BYTES) {
            let written = async {
                match &mut self.transport {
                    Transport::Connection(stream) => stream.write_all(piece).await.map_err(|_| NotWritten),
                    Transport::Exchange(exchange) => exchange.write(piece).await,
                }
            };
            match timeout(WRITE_TIME_MAX, written).await {
                Ok(Ok(())) => {}
                _ => {
                    self.keep = false;
                    return Err(NotWritten);
                }
            }
        }
        Ok(())
    }

    /// Waits until the caller goes. Does not return while it stays; losing the future loses no bytes.
    pub async fn gone(&mut self) {
        match &mut self.transport {
            Transport::Exchange(exchange) => return exchange.gone().await,
            // What came already is its next request.
            Transport::Connection(stream) if self.unread.is_empty() => {
                self.unread.reserve(HEAD_BYTES_USUAL);
                if !matches!(stream.read_buf(&mut self.unread).await, Ok(1..)) {
                    self.keep = false;
                    return;
                }
            }
            Transport::Connection(_) => {}
        }
        std::future::pending().await
    }

    /// After a whole answer: whether another request may follow. Reads what is left of a small body.
    pub async fn settle(&mut self) -> bool {
        self.keep && self.drained().await
    }

    async fn drained(&mut self) -> bool {
        let deadline = Instant::now() + DRAIN_TIME_MAX;
        let mut drained = 0_usize;
        while !matches!(self.body, Body::End) {
            match timeout_at(deadline, self.body()).await {
                Ok(Ok(Some(bytes))) => drained = drained.saturating_add(bytes.len()),
                Ok(Ok(None)) => return matches!(self.body, Body::End),
                _ => return false,
            }
            if drained > DRAIN_BYTES_MAX {
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
        let sends = !matches!(self.body, Body::End) && !self.continue_due;
        let Transport::Connection(mut stream) = self.transport else { return };
        if timeout(WRITE_TIME_MAX, stream.shutdown()).await.is_err() || !self.answered {
            return;
        }
        let (bytes_max, time_max) =
            if sends { (LINGER_BYTES_MAX, LINGER_TIME_MAX) } else { (DRAIN_BYTES_MAX, DRAIN_TIME_MAX) };
        let deadline = Instant::now() + time_max;
        let (mut drained, mut sink) = (0_usize, BytesMut::new());
        while drained < bytes_max {
            sink.clear();
            sink.reserve(16 * 1024);
            let silence = deadline.min(Instant::now() + LINGER_SILENCE_MAX);
            match timeout_at(silence, stream.read_buf(&mut sink)).await {
                Ok(Ok(read @ 1..)) => drained = drained.saturating_add(read),
                _ => return,
            }
        }
    }

    /// Closes in a way that shows that the answer is not complete: nothing more is flushed.
    pub fn abort(self) {
        match self.transport {
            Transport::Connection(stream) => drop(stream),
            Transport::Exchange(exchange) => exchange.abort(),
        }
    }
}

/// What must have arrived of a body after this much waiting.
fn bytes_due(waited: Duration) -> u64 {
    waited.saturating_sub(BODY_TIME_FREE).as_secs().saturating_mul(BODY_BYTES_PER_SECOND)
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn is_value(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}
