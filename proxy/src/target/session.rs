//! One HTTP/1 exchange on a connection to a target.
//!
//! It writes the head of a request together with the first bytes of its body, and returns the bytes of a response body as
//! they were received, without a copy. Pingora's client session does neither, and it resolves contradictory framing
//! silently.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::chunked_body::{ChunkedDecoder, DecodedPiece};
use crate::target::error::ExchangeError;
use crate::target::http1::{
    RequestFraming, RequestHead, ResponseHead, TargetResponseFraming, parse_response_head,
};

/// Maximum size of a response head.
const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Memory for a response head, which is enough for most responses with a small body.
const HEAD_BUFFER_BYTES: usize = 4 * 1024;

/// Memory for a piece of a response body.
const BODY_BUFFER_BYTES: usize = 128 * 1024;

/// Up to this size, head and body are copied together, so that one packet contains both.
const JOINED_WRITE_BYTES_MAX: usize = 16 * 1024;

/// One request and its response.
pub(crate) struct TargetSession {
    stream: Stream,
    /// Bytes of the request that are sent with the next ones.
    unsent: Vec<u8>,
    request_body: RequestFraming,
    write_timeout: Duration,
    /// Received bytes that were not returned yet.
    received: BytesMut,
    response_body: ResponseBody,
    /// Whether the target keeps the connection open after the response.
    keeps_alive: bool,
    /// Whether the connection stays open because of the version of HTTP and not because of a header.
    has_default_persistence: bool,
}

/// What is left of the response body.
enum ResponseBody {
    /// There is no response head yet.
    Unknown,
    Bytes(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    End,
}

impl TargetSession {
    /// Starts an exchange. The head is sent with the first bytes of the body, or at the end of the request. Each write
    /// must end within `write_timeout`.
    pub(crate) fn new(stream: Stream, head: RequestHead, write_timeout: Duration) -> Self {
        Self {
            stream,
            unsent: head.bytes,
            request_body: head.framing,
            write_timeout,
            received: BytesMut::new(),
            response_body: ResponseBody::Unknown,
            keeps_alive: false,
            has_default_persistence: false,
        }
    }

    /// Writes a piece of the request body. An empty piece sends only the head.
    ///
    /// # Errors
    /// [`ExchangeError::Write`]; also if the body is longer than its head announces.
    pub(crate) async fn write_body(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        if bytes.is_empty() && self.unsent.is_empty() {
            return Ok(());
        }
        let is_chunked = match &mut self.request_body {
            RequestFraming::Bytes(left) => {
                let byte_count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                *left = left.checked_sub(byte_count).ok_or(ExchangeError::Write)?;
                false
            }
            RequestFraming::Chunked => !bytes.is_empty(), // An empty chunk would end the body.
        };
        if is_chunked {
            self.unsent.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        }
        if self.unsent.len().saturating_add(bytes.len()) <= JOINED_WRITE_BYTES_MAX {
            self.unsent.extend_from_slice(bytes);
            self.end_chunk(is_chunked);
            return self.send(&[]).await;
        }
        self.send(bytes).await?;
        // The end of a large chunk is sent with the next piece.
        self.end_chunk(is_chunked);
        Ok(())
    }

    fn end_chunk(&mut self, is_chunked: bool) {
        if is_chunked {
            self.unsent.extend_from_slice(b"\r\n");
        }
    }

    /// Ends the request.
    ///
    /// # Errors
    /// [`ExchangeError::Write`]; also if the body is shorter than its head announces.
    pub(crate) async fn finish_request(&mut self) -> Result<(), ExchangeError> {
        match self.request_body {
            RequestFraming::Bytes(0) => {}
            RequestFraming::Bytes(_) => return Err(ExchangeError::Write),
            RequestFraming::Chunked => self.unsent.extend_from_slice(b"0\r\n\r\n"),
        }
        self.request_body = RequestFraming::Bytes(0);
        if self.unsent.is_empty() { Ok(()) } else { self.send(&[]).await }
    }

    /// Sends the unsent bytes, and then `bytes`.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), ExchangeError> {
        let write = async {
            self.stream.write_all(&self.unsent).await?;
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let written = timeout(self.write_timeout, write).await;
        self.unsent.clear();
        if matches!(written, Ok(Ok(()))) { Ok(()) } else { Err(ExchangeError::Write) }
    }

    /// Reads the next response head, which may be that of an interim response. Cancellation safe.
    ///
    /// # Errors
    /// [`ExchangeError::Read`], [`ExchangeError::Malformed`], [`ExchangeError::TooLarge`].
    pub(crate) async fn read_head(&mut self) -> Result<ResponseHead, ExchangeError> {
        loop {
            if let Some((head, head_bytes)) = parse_response_head(&self.received)? {
                if head_bytes > RESPONSE_HEAD_BYTES_MAX {
                    return Err(ExchangeError::TooLarge);
                }
                let _ = self.received.split_to(head_bytes);
                return Ok(head);
            }
            if self.received.len() > RESPONSE_HEAD_BYTES_MAX {
                return Err(ExchangeError::TooLarge);
            }
            self.received.reserve(HEAD_BUFFER_BYTES);
            match self.stream.read_buf(&mut self.received).await {
                Ok(1..) => {}
                _ => return Err(ExchangeError::Read),
            }
        }
    }

    /// Starts the body of a response. `framing` is `None` if the response cannot have a body, whatever its head announces.
    pub(crate) fn begin_response_body(
        &mut self,
        head: &ResponseHead,
        framing: Option<&TargetResponseFraming>,
    ) {
        self.response_body = match framing {
            None | Some(TargetResponseFraming::Bytes(0)) => ResponseBody::End,
            Some(TargetResponseFraming::Bytes(bytes)) => ResponseBody::Bytes(*bytes),
            Some(TargetResponseFraming::Chunked) => ResponseBody::Chunked(ChunkedDecoder::new()),
            Some(TargetResponseFraming::UntilClose) => ResponseBody::UntilClose,
        };
        self.keeps_alive = head.keeps_alive() && !matches!(self.response_body, ResponseBody::UntilClose);
        self.has_default_persistence = head.has_default_persistence();
    }

    /// Reads the next bytes of the response body, `None` at its end. Cancellation safe.
    ///
    /// # Errors
    /// [`ExchangeError::Truncated`], [`ExchangeError::BodyTimeout`] after `read_timeout` without bytes, and
    /// [`ExchangeError::Malformed`] if bytes follow the end of the body.
    pub(crate) async fn read_body(&mut self, read_timeout: Duration) -> Result<Option<Bytes>, ExchangeError> {
        loop {
            if let Some(bytes) = self.take_received_body()? {
                // Nobody has requested these bytes. The target may take them for the response to the next request.
                let has_excess_bytes = self.is_body_complete() && !self.received.is_empty();
                return match has_excess_bytes && self.has_default_persistence {
                    true => Err(ExchangeError::Malformed),
                    false => Ok(Some(bytes)),
                };
            }
            if self.is_body_complete() {
                return Ok(None);
            }
            let bytes_left = match self.response_body {
                // One more shows whether the target sends more than it has announced.
                ResponseBody::Bytes(left) => usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX),
                _ => BODY_BUFFER_BYTES,
            };
            self.received.reserve(bytes_left.min(BODY_BUFFER_BYTES));
            match timeout(read_timeout, self.stream.read_buf(&mut self.received)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) if matches!(self.response_body, ResponseBody::UntilClose) => {
                    self.response_body = ResponseBody::End;
                }
                Ok(_) => return Err(ExchangeError::Truncated),
                Err(_) => return Err(ExchangeError::BodyTimeout),
            }
        }
    }

    /// Removes the next piece of the body from the received bytes, if there is one.
    fn take_received_body(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        match &mut self.response_body {
            ResponseBody::Unknown | ResponseBody::End => Ok(None),
            ResponseBody::Chunked(decoder) => match decoder.decode_next(&mut self.received) {
                Ok(DecodedPiece::Bytes(bytes)) => Ok(Some(bytes)),
                Ok(DecodedPiece::NeedMore) => Ok(None),
                Ok(DecodedPiece::End) => {
                    self.response_body = ResponseBody::End;
                    Ok(None)
                }
                Err(_) => Err(ExchangeError::Truncated),
            },
            _ if self.received.is_empty() => Ok(None),
            ResponseBody::UntilClose => Ok(Some(self.received.split().freeze())),
            ResponseBody::Bytes(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(self.received.len());
                *left = left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
                let is_end = *left == 0;
                let bytes = self.received.split_to(taken).freeze();
                if is_end {
                    self.response_body = ResponseBody::End;
                }
                Ok(Some(bytes))
            }
        }
    }

    fn is_body_complete(&self) -> bool {
        matches!(self.response_body, ResponseBody::End)
    }

    /// Ends the exchange. Returns the connection if it can serve another request, and closes it otherwise.
    pub(crate) async fn into_reusable_stream(mut self) -> Option<Stream> {
        let is_request_complete = self.request_body == RequestFraming::Bytes(0) && self.unsent.is_empty();
        let is_response_complete = self.is_body_complete() && self.received.is_empty();
        if self.keeps_alive && is_request_complete && is_response_complete {
            return Some(self.stream);
        }
        let _ = timeout(self.write_timeout, self.stream.shutdown()).await;
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(50);

    /// A session with an empty request, and the target's end of its connection.
    async fn start_session(framing: RequestFraming) -> (TargetSession, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let stream: Stream = Box::new(pingora::protocols::l4::stream::Stream::from(client));
        let head = RequestHead { bytes: b"HEAD".to_vec(), framing };
        (TargetSession::new(stream, head, TIMEOUT), listener.accept().await.unwrap().0)
    }

    async fn receive(end: &mut TcpStream, byte_count: usize) -> String {
        let mut bytes = vec![0; byte_count];
        end.read_exact(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Sends a response in pieces of `step` bytes, reads it, and returns its body, or the error, with the session.
    async fn exchange(
        response: &'static [u8],
        step: usize,
        closes: bool,
    ) -> (Result<Vec<u8>, ExchangeError>, TargetSession) {
        let (mut session, mut end) = start_session(RequestFraming::Bytes(0)).await;
        session.finish_request().await.unwrap();
        let writer = tokio::spawn(async move {
            // A connection that is closed with unread bytes is reset.
            receive(&mut end, 4).await;
            for piece in response.chunks(step) {
                end.write_all(piece).await.unwrap();
                end.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            // The connection stays open, unless the end of the response is the end of the connection.
            (!closes).then_some(end)
        });
        let read = async {
            let head = session.read_head().await?;
            session.begin_response_body(&head, Some(&head.parse_framing()?));
            let mut body = Vec::new();
            while let Some(bytes) = session.read_body(SHORT).await? {
                body.extend_from_slice(&bytes);
            }
            Ok(body)
        };
        let result = read.await;
        drop(writer.await.unwrap());
        (result, session)
    }

    #[tokio::test]
    async fn head_and_small_body_are_sent_together() {
        let (mut session, mut end) = start_session(RequestFraming::Bytes(4)).await;
        session.write_body(b"body").await.unwrap();
        // One read returns what one write has sent.
        let mut bytes = [0; 64];
        let count = end.read(&mut bytes).await.unwrap();
        assert_eq!(bytes.get(..count), Some(b"HEADbody".as_slice()));
        assert_eq!(session.write_body(b"x").await, Err(ExchangeError::Write), "longer than announced");
    }

    #[tokio::test]
    async fn an_empty_piece_sends_the_head() {
        let (mut session, mut end) = start_session(RequestFraming::Bytes(1)).await;
        session.write_body(b"").await.unwrap();
        assert_eq!(receive(&mut end, 4).await, "HEAD");
        assert_eq!(session.finish_request().await, Err(ExchangeError::Write), "shorter than announced");
    }

    #[tokio::test]
    async fn chunks_of_any_size_are_framed() {
        let (mut session, mut end) = start_session(RequestFraming::Chunked).await;
        let large = vec![b'x'; JOINED_WRITE_BYTES_MAX + 1];
        let expected =
            format!("HEAD{:x}\r\n{}\r\n3\r\nabc\r\n0\r\n\r\n", large.len(), "x".repeat(large.len()));
        let expected_len = expected.len();
        let reader = tokio::spawn(async move { receive(&mut end, expected_len).await });
        session.write_body(&large).await.unwrap();
        session.write_body(b"").await.unwrap();
        session.write_body(b"abc").await.unwrap();
        session.finish_request().await.unwrap();
        assert_eq!(reader.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn responses_are_read_in_any_split_and_the_connection_is_reused() {
        for response in [
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".as_slice(),
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        ] {
            for step in [1, 2, 7, 1000] {
                let (body, session) = exchange(response, step, false).await;
                assert_eq!(body.as_deref(), Ok(b"hello".as_slice()), "{step}");
                assert!(session.into_reusable_stream().await.is_some(), "{step}");
            }
        }
    }

    #[tokio::test]
    async fn a_connection_is_reused_only_if_the_end_of_the_response_is_certain() {
        let until_close = b"HTTP/1.1 200 OK\r\n\r\nhello".as_slice();
        let (body, session) = exchange(until_close, 1000, true).await;
        assert_eq!(body.as_deref(), Ok(b"hello".as_slice()));
        assert!(session.into_reusable_stream().await.is_none());

        let closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello".as_slice();
        assert!(exchange(closing, 1000, false).await.1.into_reusable_stream().await.is_none());

        let excess = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n".as_slice();
        let (body, session) = exchange(excess, 1000, false).await;
        assert_eq!(body, Err(ExchangeError::Malformed));
        assert!(session.into_reusable_stream().await.is_none());

        let chunked_excess =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1"
                .as_slice();
        assert!(exchange(chunked_excess, 1000, false).await.1.into_reusable_stream().await.is_none());
    }

    #[tokio::test]
    async fn incomplete_and_malformed_responses_are_errors() {
        for (response, closes, error) in [
            (b"HTTP/1.1 200".as_slice(), true, ExchangeError::Read),
            (b"nonsense\r\n\r\n", false, ExchangeError::Malformed),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", true, ExchangeError::Truncated),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", false, ExchangeError::BodyTimeout),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", false, ExchangeError::Truncated),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
                true,
                ExchangeError::Truncated,
            ),
        ] {
            assert_eq!(exchange(response, 1000, closes).await.0, Err(error));
        }
    }

    #[tokio::test]
    async fn a_head_has_a_maximum_size() {
        let (mut session, mut end) = start_session(RequestFraming::Bytes(0)).await;
        let writer = tokio::spawn(async move {
            let _ = end.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while end
                .write_all(b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
                .await
                .is_ok()
            {}
        });
        // The number of headers is limited too.
        let error = session.read_head().await.map(drop);
        assert!(matches!(error, Err(ExchangeError::TooLarge | ExchangeError::Malformed)), "{error:?}");
        drop(session);
        writer.await.unwrap();
    }
}
