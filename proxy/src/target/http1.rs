//! The HTTP/1 heads of requests to targets and of their responses.

use blobfish_dialects::dialect::addressing::strip_port;
use blobfish_dialects::model::OutgoingRequest;
use pingora::http::RequestHeader;

use crate::content_length::parse_content_length;
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;

/// Whether an [`OutgoingRequest`] contains its whole body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyMode {
    /// It contains the whole body.
    Whole,
    /// The body is streamed.
    Streamed,
}

/// How the response body ends.
pub(crate) enum TargetResponseFraming {
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection closes, which cannot be distinguished from a truncated body.
    UntilClose,
}

/// Reads from the received bytes how the body ends, because Pingora's parser resolves contradictions silently.
///
/// # Errors
/// [`ExchangeError::Malformed`] if the headers are contradictory.
pub(crate) fn parse_response_framing(raw: &[u8]) -> Result<TargetResponseFraming, ExchangeError> {
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
    // RFC 9112, section 6.1: HTTP/1.0 has no chunked coding, so an HTTP/1.0 parser takes the chunks for the body.
    if !codings.is_empty() && !raw.starts_with(b"HTTP/1.1") {
        return Err(ExchangeError::Malformed);
    }
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(TargetResponseFraming::UntilClose),
        ([length], []) => {
            parse_content_length(length).map(TargetResponseFraming::Bytes).ok_or(ExchangeError::Malformed)
        }
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(TargetResponseFraming::Chunked),
        _ => Err(ExchangeError::Malformed),
    }
}

/// Builds the request head.
///
/// # Errors
/// [`ExchangeError::Unwritable`].
pub(crate) fn build_request_header(
    request: &OutgoingRequest,
    body_mode: BodyMode,
) -> Result<Box<RequestHeader>, ExchangeError> {
    let target = request.request_target();
    // Without the case-preserving variant, which costs a second map: header names are case-insensitive.
    let mut header =
        RequestHeader::build_no_case(request.method, target.as_bytes(), Some(request.headers.len() + 2))
            .map_err(|_| ExchangeError::Unwritable)?;
    // The signature covers the path as it is, so a path that would be normalized on the way must not be sent.
    if header.raw_path() != target.as_bytes() {
        return Err(ExchangeError::Unwritable);
    }
    for (name, value) in &request.headers {
        header.append_header(name.clone(), value.as_slice()).map_err(|_| ExchangeError::Unwritable)?;
    }
    if !header.headers.contains_key("host") {
        header.insert_header("host", &request.host).map_err(|_| ExchangeError::Unwritable)?;
    }
    let has_framing =
        ["content-length", "transfer-encoding"].into_iter().any(|name| header.headers.contains_key(name));
    let is_bodiless = request.body.is_empty() && matches!(request.method, "GET" | "HEAD" | "DELETE");
    match body_mode {
        // Without framing headers the target could not find the end of the body.
        BodyMode::Streamed if !has_framing => return Err(ExchangeError::Unwritable),
        BodyMode::Whole if !has_framing && !is_bodiless => {
            header
                .insert_header("content-length", request.body.len())
                .map_err(|_| ExchangeError::Unwritable)?;
        }
        BodyMode::Streamed | BodyMode::Whole => {}
    }
    Ok(Box::new(header))
}

/// Returns the host to connect to. It is always the configured one, or a bucket's label before it, so that no client
/// input can direct signed requests to another host.
///
/// # Errors
/// [`ExchangeError::Unwritable`].
pub(crate) fn check_connect_host<'h>(
    target: &TargetRuntime,
    authority: &'h str,
) -> Result<&'h str, ExchangeError> {
    let own = target.spec.authority.as_str();
    let label = authority.strip_suffix(own).and_then(|rest| rest.strip_suffix('.'));
    let is_label = |label: &str| {
        label.split('.').all(|label| !label.is_empty())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    };
    if authority == own || label.is_some_and(is_label) {
        Ok(strip_port(authority))
    } else {
        Err(ExchangeError::Unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_framing(lines: &str) -> Result<TargetResponseFraming, ExchangeError> {
        parse_response_framing(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes())
    }

    #[test]
    fn a_response_has_one_framing() {
        assert!(matches!(parse_framing("Content-Length: 5\r\n"), Ok(TargetResponseFraming::Bytes(5))));
        assert!(matches!(
            parse_framing("transfer-encoding: chunked\r\n"),
            Ok(TargetResponseFraming::Chunked)
        ));
        assert!(matches!(parse_framing(""), Ok(TargetResponseFraming::UntilClose)));
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: x\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(parse_framing(lines).is_err(), "{lines:?}");
        }
        let parse_http_1_0 =
            |lines: &str| parse_response_framing(format!("HTTP/1.0 200 OK\r\n{lines}\r\n").as_bytes());
        assert!(matches!(parse_http_1_0("Content-Length: 5\r\n"), Ok(TargetResponseFraming::Bytes(5))));
        assert!(parse_http_1_0("Transfer-Encoding: chunked\r\n").is_err());
    }
}
