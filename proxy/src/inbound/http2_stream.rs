//! One HTTP/2 stream: the body of its request, and its response.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Response};

use crate::inbound::connection_error::WriteError;

/// One request and its response.
pub(crate) struct Http2Stream {
    body: RecvStream,
    /// Bytes that were returned and not yet released to the flow-control window.
    unreleased_bytes: usize,
    responder: SendResponse<Bytes>,
    response_body: Option<SendStream<Bytes>>,
}

impl Http2Stream {
    /// Wraps a stream of which nothing has been read or written.
    pub(crate) fn new(body: RecvStream, responder: SendResponse<Bytes>) -> Self {
        Self { body, unreleased_bytes: 0, responder, response_body: None }
    }

    /// Reads the next bytes of the body. The call releases the previous bytes, so that the client may send more.
    /// Cancellation safe.
    pub(crate) async fn read_body(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let released_bytes = std::mem::take(&mut self.unreleased_bytes);
        // Fails if the stream has ended, which the next line reports.
        let _ = self.body.flow_control().release_capacity(released_bytes);
        let piece = self.body.data().await;
        if let Some(Ok(bytes)) = &piece {
            self.unreleased_bytes = bytes.len();
        }
        piece
    }

    /// Whether bytes of the body, or its end, have already arrived.
    pub(crate) fn has_body_bytes(&mut self) -> bool {
        self.body.flow_control().used_capacity() > 0 || self.body.is_end_stream()
    }

    /// Sends `100 Continue`.
    pub(crate) fn send_continue(&mut self) -> Result<(), WriteError> {
        let mut head = Response::new(());
        *head.status_mut() = http::StatusCode::CONTINUE;
        self.responder.send_informational(head).map_err(|_| WriteError)
    }

    /// Writes the response head. `end_stream` if there is no body.
    pub(crate) fn write_head(
        &mut self,
        status: u16,
        headers: &[(String, Vec<u8>)],
        length: Option<u64>,
        end_stream: bool,
    ) -> Result<(), WriteError> {
        let mut head = Response::new(());
        *head.status_mut() = http::StatusCode::from_u16(status).map_err(|_| WriteError)?;
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| WriteError)?;
            head.headers_mut().append(name, HeaderValue::from_bytes(value).map_err(|_| WriteError)?);
        }
        if let Some(length) = length {
            head.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        }
        self.response_body = Some(self.responder.send_response(head, end_stream).map_err(|_| WriteError)?);
        Ok(())
    }

    /// Writes a piece of the response body, as fast as flow control allows.
    pub(crate) async fn write_body(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        let response_body = self.response_body.as_mut().ok_or(WriteError)?;
        while !bytes.is_empty() {
            // h2 buffers whatever is sent beyond the window, so only granted capacity is used.
            response_body.reserve_capacity(bytes.len());
            if response_body.capacity() == 0 {
                let room = poll_fn(|cx| response_body.poll_capacity(cx)).await;
                room.ok_or(WriteError)?.map_err(|_| WriteError)?;
            }
            let (piece, rest) =
                bytes.split_at_checked(response_body.capacity().min(bytes.len())).ok_or(WriteError)?;
            if !piece.is_empty() {
                response_body.send_data(Bytes::copy_from_slice(piece), false).map_err(|_| WriteError)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Ends the response.
    pub(crate) fn finish(&mut self) -> Result<(), WriteError> {
        let response_body = self.response_body.as_mut().ok_or(WriteError)?;
        response_body.send_data(Bytes::new(), true).map_err(|_| WriteError)
    }

    /// Waits until the client resets the stream or closes the connection.
    pub(crate) async fn wait_for_reset(&mut self) {
        let reset = match &mut self.response_body {
            Some(response_body) => poll_fn(|cx| response_body.poll_reset(cx)).await,
            None => poll_fn(|cx| self.responder.poll_reset(cx)).await,
        };
        // An error also means that the client no longer waits for the response.
        drop(reset);
    }

    /// Resets the stream, so that the client does not take an incomplete response for a complete one.
    pub(crate) fn abort(mut self) {
        self.responder.send_reset(Reason::INTERNAL_ERROR);
    }
}
