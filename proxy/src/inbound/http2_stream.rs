//! One request of an HTTP/2 connection: its body as it arrives, and its response.

use std::future::poll_fn;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Response};

use crate::inbound::connection_error::WriteError;

/// One request and its response.
pub struct Http2Stream {
    body: RecvStream,
    /// Bytes handed out whose place in the window was not given back yet.
    unreleased_bytes: usize,
    responder: SendResponse<Bytes>,
    response_body: Option<SendStream<Bytes>>,
}

impl Http2Stream {
    /// Nothing is read or written yet.
    pub fn new(body: RecvStream, responder: SendResponse<Bytes>) -> Self {
        Self { body, unreleased_bytes: 0, responder, response_body: None }
    }

    /// The next bytes of the body. Who asks is done with the last ones: the caller may send as many again. Losing the
    /// future loses no bytes.
    pub async fn read_body(&mut self) -> Option<Result<Bytes, h2::Error>> {
        let released_bytes = std::mem::take(&mut self.unreleased_bytes);
        // Fails for a stream that has ended, which the next line finds.
        let _ = self.body.flow_control().release_capacity(released_bytes);
        let piece = self.body.data().await;
        if let Some(Ok(bytes)) = &piece {
            self.unreleased_bytes = bytes.len();
        }
        piece
    }

    /// Whether bytes of the body, or its end, are there already.
    pub fn has_body_bytes(&mut self) -> bool {
        self.body.flow_control().used_capacity() > 0 || self.body.is_end_stream()
    }

    /// Tells a caller that waits for it to send its body.
    pub fn send_continue(&mut self) -> Result<(), WriteError> {
        let mut head = Response::new(());
        *head.status_mut() = http::StatusCode::CONTINUE;
        self.responder.send_informational(head).map_err(|_| WriteError)
    }

    /// The head of the answer; `end` where nothing follows.
    pub fn write_head(
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

    /// Some of the answer's body, as fast as the caller takes it.
    pub async fn write_body(&mut self, mut bytes: &[u8]) -> Result<(), WriteError> {
        let response_body = self.response_body.as_mut().ok_or(WriteError)?;
        while !bytes.is_empty() {
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

    /// Ends the answer.
    pub fn finish(&mut self) -> Result<(), WriteError> {
        let response_body = self.response_body.as_mut().ok_or(WriteError)?;
        response_body.send_data(Bytes::new(), true).map_err(|_| WriteError)
    }

    /// Waits until the caller gives the request up, or goes.
    pub async fn wait_for_reset(&mut self) {
        let reset = match &mut self.response_body {
            Some(response_body) => poll_fn(|cx| response_body.poll_reset(cx)).await,
            None => poll_fn(|cx| self.responder.poll_reset(cx)).await,
        };
        // Either way nobody waits for the answer any more.
        drop(reset);
    }

    /// Breaks the answer off in a way that shows that it is not complete.
    pub fn abort(mut self) {
        self.responder.send_reset(Reason::INTERNAL_ERROR);
    }
}
