//! The HTTP/1 heads of requests to targets and of their responses.

use blobfish_dialects::dialect::addressing::strip_port;
use blobfish_dialects::model::OutgoingRequest;

use crate::content_length::parse_content_length;
use crate::header_syntax::is_valid_header;
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

/// The head of a request as it is sent, and how its body ends.
pub(crate) struct RequestHead {
    /// The bytes of the head.
    pub bytes: Vec<u8>,
    /// How the body ends.
    pub framing: RequestFraming,
}

/// How a request body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestFraming {
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

/// The head of a response as received.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// The status.
    pub status: u16,
    /// Lower-case names and values, in the order received.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The minor version of HTTP/1.
    minor_version: u8,
}

/// How the response body ends.
#[derive(Debug)]
pub(crate) enum TargetResponseFraming {
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
    /// When the connection closes, which cannot be distinguished from a truncated body.
    UntilClose,
}

/// The maximum number of headers in a response.
const RESPONSE_HEADERS_MAX: usize = 256;

/// Memory for the head of a request, which is enough for most.
const HEAD_BYTES: usize = 1024;

/// Parses a response head. Returns `None` if it is incomplete, and otherwise its length in bytes too.
///
/// # Errors
/// [`ExchangeError::Malformed`].
pub(crate) fn parse_response_head(bytes: &[u8]) -> Result<Option<(ResponseHead, usize)>, ExchangeError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; RESPONSE_HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let mut parser = httparse::ParserConfig::default();
    // Some servers and the devices in front of them write heads that RFC 9112 asks clients to tolerate.
    parser.allow_spaces_after_header_name_in_responses(true);
    parser.allow_obsolete_multiline_headers_in_responses(true);
    let head_bytes = match parser.parse_response(&mut response, bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(ExchangeError::Malformed),
    };
    let headers = response.headers.iter().map(|header| {
        // RFC 9112, section 5.2: a folded line continues after a space.
        let value = header.value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte });
        (header.name.to_ascii_lowercase(), value.collect())
    });
    let head = ResponseHead {
        // RFC 9110, section 15: no status is below 100.
        status: response.code.filter(|status| *status >= 100).ok_or(ExchangeError::Malformed)?,
        headers: headers.collect(),
        minor_version: response.version.ok_or(ExchangeError::Malformed)?,
    };
    Ok(Some((head, head_bytes)))
}

impl ResponseHead {
    fn values<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.headers.iter().filter(move |row| row.0 == name).map(|row| row.1.trim_ascii())
    }

    /// How the body ends.
    ///
    /// # Errors
    /// [`ExchangeError::Malformed`] if the headers are contradictory.
    pub(crate) fn parse_framing(&self) -> Result<TargetResponseFraming, ExchangeError> {
        let mut lengths = self.values("content-length");
        let mut codings = self.values("transfer-encoding");
        let (length, coding) = (lengths.next(), codings.next());
        if lengths.next().is_some() || codings.next().is_some() {
            return Err(ExchangeError::Malformed);
        }
        match (length, coding) {
            (None, None) => Ok(TargetResponseFraming::UntilClose),
            (Some(length), None) => {
                parse_content_length(length).map(TargetResponseFraming::Bytes).ok_or(ExchangeError::Malformed)
            }
            // RFC 9112, section 6.1: HTTP/1.0 has no chunked coding, so an HTTP/1.0 parser takes the chunks for the body.
            (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") && self.minor_version == 1 => {
                Ok(TargetResponseFraming::Chunked)
            }
            _ => Err(ExchangeError::Malformed),
        }
    }

    /// Whether the target keeps the connection open after the response (RFC 9112, section 9.3).
    pub(crate) fn keeps_alive(&self) -> bool {
        let has_option = |wanted: &[u8]| {
            let options = self.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
            options.map(<[u8]>::trim_ascii).any(|option| option.eq_ignore_ascii_case(wanted))
        };
        !has_option(b"close") && (self.minor_version == 1 || has_option(b"keep-alive"))
    }

    /// Whether the connection stays open because of the version of HTTP and not because of a header.
    pub(crate) fn has_default_persistence(&self) -> bool {
        self.minor_version == 1 && self.values("connection").next().is_none()
    }
}

/// Builds the head of a request. `extra_headers` are not covered by its signature; one that cannot be sent is left out.
///
/// # Errors
/// [`ExchangeError::Unwritable`].
pub(crate) fn build_request_head(
    request: &OutgoingRequest,
    body_mode: BodyMode,
    extra_headers: &[(String, String)],
) -> Result<RequestHead, ExchangeError> {
    let target = request.request_target();
    // A space or a line break would end the request line, and the signature covers the path as it is.
    if !target.starts_with('/') || !target.bytes().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return Err(ExchangeError::Unwritable);
    }
    let mut bytes = Vec::with_capacity(HEAD_BYTES);
    for piece in [request.method, " ", &target, " HTTP/1.1\r\n"] {
        bytes.extend_from_slice(piece.as_bytes());
    }
    for (name, value) in &request.headers {
        write_header(&mut bytes, name, value).ok_or(ExchangeError::Unwritable)?;
    }
    let has_header = |wanted: &str| request.headers.iter().any(|row| row.0.eq_ignore_ascii_case(wanted));
    if !has_header("host") {
        write_header(&mut bytes, "host", request.host.as_bytes()).ok_or(ExchangeError::Unwritable)?;
    }
    let framing = match parse_request_framing(request)? {
        Some(framing) => framing,
        // Without framing headers the target could not find the end of the body.
        None if body_mode == BodyMode::Streamed => return Err(ExchangeError::Unwritable),
        None => {
            let length = u64::try_from(request.body.len()).map_err(|_| ExchangeError::Unwritable)?;
            if length > 0 || !matches!(request.method, "GET" | "HEAD" | "DELETE") {
                write_header(&mut bytes, "content-length", length.to_string().as_bytes())
                    .ok_or(ExchangeError::Unwritable)?;
            }
            RequestFraming::Bytes(length)
        }
    };
    for (name, value) in extra_headers {
        // A request without a trace context is better than a failed request.
        let _ = write_header(&mut bytes, name, value.as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(RequestHead { bytes, framing })
}

/// The framing that the headers of a request announce.
///
/// # Errors
/// [`ExchangeError::Unwritable`] if they are contradictory.
fn parse_request_framing(request: &OutgoingRequest) -> Result<Option<RequestFraming>, ExchangeError> {
    let mut values = request.headers.iter().filter_map(|(name, value)| match () {
        () if name.eq_ignore_ascii_case("content-length") => {
            Some(parse_content_length(value).map(RequestFraming::Bytes))
        }
        () if name.eq_ignore_ascii_case("transfer-encoding") => {
            Some((value == b"chunked").then_some(RequestFraming::Chunked))
        }
        () => None,
    });
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Some(framing)), None) => Ok(Some(framing)),
        _ => Err(ExchangeError::Unwritable),
    }
}

/// Appends a header line; `None` if its name or value cannot be sent.
fn write_header(bytes: &mut Vec<u8>, name: &str, value: &[u8]) -> Option<()> {
    if !is_valid_header(name, value) {
        return None;
    }
    bytes.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
    Some(())
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
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn parse_head(version: &str, lines: &str) -> ResponseHead {
        let bytes = format!("HTTP/{version} 200 OK\r\n{lines}\r\nrest");
        let (head, head_bytes) = parse_response_head(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(&bytes[head_bytes..], "rest");
        head
    }

    fn parse_framing(lines: &str) -> Result<TargetResponseFraming, ExchangeError> {
        parse_head("1.1", lines).parse_framing()
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
        let parse_http_1_0 = |lines: &str| parse_head("1.0", lines).parse_framing();
        assert!(matches!(parse_http_1_0("Content-Length: 5\r\n"), Ok(TargetResponseFraming::Bytes(5))));
        assert!(parse_http_1_0("Transfer-Encoding: chunked\r\n").is_err());
    }

    #[test]
    fn only_complete_and_well_formed_heads_are_parsed() {
        for partial in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"] {
            assert!(parse_response_head(partial.as_bytes()).unwrap().is_none(), "{partial:?}");
        }
        for malformed in [
            "HTTP/1.1 099 No\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            assert!(parse_response_head(malformed.as_bytes()).is_err(), "{malformed:?}");
        }
        let folded = parse_head("1.1", "X-Long: a\r\n b\r\n");
        assert!(folded.headers[0].1.iter().all(|byte| !byte.is_ascii_control()), "{folded:?}");
    }

    #[test]
    fn persistence_follows_version_and_connection_header() {
        assert!(parse_head("1.1", "").keeps_alive() && parse_head("1.1", "").has_default_persistence());
        assert!(!parse_head("1.0", "").keeps_alive() && !parse_head("1.0", "").has_default_persistence());
        assert!(parse_head("1.0", "Connection: Keep-Alive\r\n").keeps_alive());
        let closing = parse_head("1.1", "Connection: x, Close\r\n");
        assert!(!closing.keeps_alive() && !closing.has_default_persistence());
    }

    fn request(headers: &[(&str, &str)], body: &[u8]) -> OutgoingRequest {
        let to_header = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        OutgoingRequest {
            method: "PUT",
            host: "store.example".to_owned(),
            scope: blobfish_dialects::model::RequestScope::Service,
            path: "/b/k".to_owned(),
            query: Vec::new(),
            headers: headers.iter().map(to_header).collect(),
            body: body.to_vec(),
            payload_hash: blobfish_dialects::model::PayloadHash::Unsigned,
            is_long_running: false,
        }
    }

    #[test]
    fn a_request_head_has_one_framing() {
        let build = |headers: &[(&str, &str)], body: &[u8], mode| {
            build_request_head(
                &request(headers, body),
                mode,
                &[("traceparent".to_owned(), "00-a".to_owned())],
            )
            .map(|head| (String::from_utf8(head.bytes).unwrap(), head.framing))
        };
        let whole = build(&[("X-A", "b")], b"12", BodyMode::Whole).unwrap();
        let text = "PUT /b/k HTTP/1.1\r\nx-a: b\r\nhost: store.example\r\ncontent-length: 2\r\ntraceparent: 00-a\r\n\r\n";
        assert_eq!(whole, (text.to_owned(), RequestFraming::Bytes(2)));
        let chunked =
            build(&[("host", "h"), ("transfer-encoding", "chunked")], b"", BodyMode::Streamed).unwrap();
        assert_eq!(chunked.1, RequestFraming::Chunked);
        assert_eq!(chunked.0.matches("host").count(), 1);
        assert!(build(&[], b"", BodyMode::Streamed).is_err(), "no framing");
        for headers in [
            [("content-length", "1"), ("transfer-encoding", "chunked")],
            [("content-length", "1"), ("content-length", "1")],
            [("transfer-encoding", "gzip"), ("x", "y")],
            [("content-length", "1"), ("x", "a\r\nb: c")],
            [("content-length", "1"), ("x y", "a")],
        ] {
            assert!(build(&headers, b"", BodyMode::Streamed).is_err(), "{headers:?}");
        }
        let mut split = request(&[], b"");
        split.path = "/a b".to_owned();
        assert!(build_request_head(&split, BodyMode::Whole, &[]).is_err());
    }
}
