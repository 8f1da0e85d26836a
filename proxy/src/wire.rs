//! The heads of requests to targets and of their answers, byte for byte.

use blobfish_dialects::engine::hosts::without_port;
use blobfish_dialects::model::Outgoing;
use pingora_http::RequestHeader;

use crate::failed::Failed;
use crate::snapshot::Upstream;

/// Whether an [`Outgoing`] holds its whole body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It does.
    Whole,
    /// It follows piece by piece.
    Streamed,
}

/// How an answer says that it ends.
pub enum AnswerFraming {
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection closes, which nobody can tell from a cut.
    UntilClose,
}

/// How an answer says that it ends, read from the bytes received: the connector would settle contradictions silently.
///
/// # Errors
/// [`Failed::Malformed`] where it says it in two ways.
pub fn framing_of(raw: &[u8]) -> Result<AnswerFraming, Failed> {
    let (mut lengths, mut codings) = (Vec::new(), Vec::new());
    for line in raw.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-length" => lengths.push(value),
            b"transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    // RFC 9112, 6.1: who speaks HTTP/1.0 has no chunks, and another reader would take them for the body.
    if !codings.is_empty() && !raw.starts_with(b"HTTP/1.1") {
        return Err(Failed::Malformed);
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(AnswerFraming::UntilClose),
        ([length], []) => crate::framing::decimal(length).map(AnswerFraming::Bytes).ok_or(Failed::Malformed),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(AnswerFraming::Chunked),
        _ => Err(Failed::Malformed),
    }
}

/// The head to send.
///
/// # Errors
/// [`Failed::Unwritable`].
pub fn request_header(out: &Outgoing, sent: Sent) -> Result<Box<RequestHeader>, Failed> {
    let target = out.target();
    let mut header = RequestHeader::build_no_case(out.method, target.as_bytes(), Some(out.headers.len() + 2))
        .map_err(|_| Failed::Unwritable)?;
    // The signature covers the path as it stands: what would be repaired on the way must not be sent.
    if header.raw_path() != target.as_bytes() {
        return Err(Failed::Unwritable);
    }
    for (name, value) in &out.headers {
        header.append_header(name.clone(), value.as_slice()).map_err(|_| Failed::Unwritable)?;
    }
    if !header.headers.contains_key("host") {
        header.insert_header("host", &out.host).map_err(|_| Failed::Unwritable)?;
    }
    let framed =
        ["content-length", "transfer-encoding"].into_iter().any(|name| header.headers.contains_key(name));
    let bodiless = out.body.is_empty() && matches!(out.method, "GET" | "HEAD" | "DELETE");
    match sent {
        Sent::Streamed if !framed => return Err(Failed::Unwritable),
        Sent::Whole if !framed && !bodiless => {
            header.insert_header("content-length", out.body.len()).map_err(|_| Failed::Unwritable)?;
        }
        Sent::Streamed | Sent::Whole => {}
    }
    Ok(Box::new(header))
}

/// The host to connect to. It is the configured one, or a bucket's label before it, and never another (O1).
///
/// # Errors
/// [`Failed::Unwritable`].
pub fn destination<'h>(upstream: &Upstream, authority: &'h str) -> Result<&'h str, Failed> {
    let own = upstream.target.authority.as_str();
    let label = authority.strip_suffix(own).and_then(|rest| rest.strip_suffix('.'));
    let is_label = |label: &str| {
        label.split('.').all(|label| !label.is_empty())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    if authority == own || label.is_some_and(is_label) {
        Ok(without_port(authority))
    } else {
        Err(Failed::Unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(lines: &str) -> Result<AnswerFraming, Failed> {
        framing_of(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn an_answer_ends_in_one_way() {
        assert!(matches!(framed("Content-Length: 5\r\n"), Ok(AnswerFraming::Bytes(5))));
        assert!(matches!(framed("transfer-encoding: chunked\r\n"), Ok(AnswerFraming::Chunked)));
        assert!(matches!(framed(""), Ok(AnswerFraming::UntilClose)));
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: x\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(framed(lines).is_err(), "{lines:?}");
        }
        let old = |lines: &str| framing_of(format!("HTTP/1.0 200 OK\r\n{lines}\r\n").as_bytes());
        assert!(matches!(old("Content-Length: 5\r\n"), Ok(AnswerFraming::Bytes(5))));
        assert!(old("Transfer-Encoding: chunked\r\n").is_err());
    }
}
