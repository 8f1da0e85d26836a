//! A strict parser for request heads, which also decides where the body ends.
//!
//! It works on the received bytes and corrects nothing: a head that two parsers could understand differently is
//! rejected, because such a difference between a proxy and a server allows request smuggling.

use blobfish_dialects::model::{ErrorKind, RawHead, Rejection};
use http::request::Parts;

use crate::content_length::parse_content_length;

/// The methods of the vendors' APIs.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];

/// The end of a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A valid request head.
#[derive(Debug)]
pub(crate) struct ParsedRequest {
    /// The head as received.
    pub head: RawHead,
    /// How the body ends.
    pub body: BodyLength,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client understands chunked responses. HTTP/1.0 clients do not.
    pub accepts_chunked: bool,
}

/// How the request body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// There is no body.
    Absent,
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

/// Why a head is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// The head is malformed or ambiguous. Contains the reason.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// A method that no vendor's API has.
    #[error("the method is not supported")]
    UnknownMethod,
    /// A protocol upgrade.
    #[error("protocol upgrades are not supported")]
    Upgrade,
}

impl FramingError {
    /// The rejection to send to the client.
    pub(crate) fn to_rejection(self) -> Rejection {
        match self {
            Self::Ambiguous(what) => Rejection::with_message(ErrorKind::InvalidRequest, what),
            Self::UnknownMethod => Rejection::new(ErrorKind::MethodNotAllowed),
            Self::Upgrade => {
                Rejection::with_message(ErrorKind::NotImplemented, "protocol upgrades are not supported")
            }
        }
    }
}

use FramingError::Ambiguous;

/// Finds the end of a head that arrives in pieces. It examines each byte only once, so that many small pieces do not
/// cost quadratic time.
#[derive(Debug, Default)]
pub(crate) struct HeadScanner {
    /// Where the current line begins.
    line_start: usize,
    /// The end of the examined bytes. A CR at their end counts as not examined, because an LF may follow it.
    examined: usize,
}

impl HeadScanner {
    /// Returns where the head in the buffer ends, if it is complete. The buffer must start with the bytes of the previous
    /// call.
    ///
    /// # Errors
    /// The head contains a bare CR or LF, or another control character. Reported before the head is complete.
    pub(crate) fn find_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, FramingError> {
        loop {
            let rest = bytes.get(self.examined..).unwrap_or_default();
            let Some(line_bytes) = memchr::memchr(b'\n', rest) else {
                let examined = rest.strip_suffix(b"\r").unwrap_or(rest);
                check_line(examined)?;
                self.examined = self.examined.saturating_add(examined.len());
                return Ok(None);
            };
            let (line, _) = rest.split_at_checked(line_bytes).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(Ambiguous("an LF without CR in the head"))?;
            check_line(line)?;
            let is_empty = line.is_empty() && self.line_start == self.examined;
            self.examined = self.examined.saturating_add(line_bytes).saturating_add(1);
            self.line_start = self.examined;
            if is_empty {
                return Ok(Some(self.examined));
            }
        }
    }
}

/// Checks a part of a line of a head, without its line end.
fn check_line(line: &[u8]) -> Result<(), FramingError> {
    // Without an early exit the compiler can examine many bytes in one instruction.
    if line.iter().fold(false, |has_control, byte| has_control | is_control(*byte)) {
        return Err(match line.contains(&b'\r') {
            true => Ambiguous("a CR without LF in the head"),
            false => Ambiguous("a control character in the head"),
        });
    }
    Ok(())
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Parses a complete HTTP/1 head.
///
/// # Errors
/// [`FramingError`].
pub(crate) fn parse_request_head(
    head: &[u8],
    headers_max: usize,
    is_secure: bool,
) -> Result<ParsedRequest, FramingError> {
    if HeadScanner::default().find_end(head)? != Some(head.len()) {
        return Err(Ambiguous("the head is incomplete"));
    }
    let text = head.strip_suffix(HEAD_END).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (method, target, minor) = parse_request_line(lines.next().unwrap_or_default())?;
    let headers = HeaderList(lines.map(parse_header_line).collect::<Result<_, _>>()?);
    let body = parse_body_length(&headers, minor)?;
    validate_head(method, target, headers, headers_max, minor, body, is_secure)
}

/// Validates an HTTP/2 head. The h2 crate has already checked the syntax of names and that there are no
/// connection-specific headers. `has_no_body` if the stream has ended with the head.
///
/// # Errors
/// [`FramingError`].
pub(crate) fn parse_http2_parts(
    parts: &Parts,
    has_no_body: bool,
    headers_max: usize,
) -> Result<ParsedRequest, FramingError> {
    let row = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let mut headers: Vec<_> = parts.headers.iter().map(row).collect();
    if let Some(authority) = parts.uri.authority() {
        // Clients may send `host` besides `:authority`. Equal values count as one host, others as a duplicate.
        headers.retain(|row| row.0 != "host" || !row.1.eq_ignore_ascii_case(authority.as_str().as_bytes()));
        headers.insert(0, ("host".to_owned(), authority.as_str().as_bytes().to_vec()));
    }
    let headers = HeaderList(headers);
    if headers.values("transfer-encoding").next().is_some() {
        return Err(Ambiguous("a transfer coding in HTTP/2"));
    }
    let body = match parse_body_length(&headers, 1)? {
        // HTTP/2 needs no length: the end of the stream ends the body, as the last chunk does in HTTP/1.1.
        BodyLength::Absent if !has_no_body => BodyLength::Chunked,
        length => length,
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    validate_head(
        parse_method(parts.method.as_str().as_bytes())?,
        target.as_bytes(),
        headers,
        headers_max,
        1,
        body,
        true,
    )
}

/// The size that an HTTP/2 head would have in HTTP/1.1, so that the same limit applies to both.
pub(crate) fn http1_head_size(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let host = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    let lines = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    parts.method.as_str().len() + target + "  HTTP/1.1\r\nhost: \r\n\r\n".len() + host + lines.sum::<usize>()
}

fn validate_head(
    method: String,
    target: &[u8],
    headers: HeaderList,
    headers_max: usize,
    minor: u8,
    body: BodyLength,
    is_secure: bool,
) -> Result<ParsedRequest, FramingError> {
    if headers.0.len() > headers_max {
        return Err(Ambiguous("too many headers"));
    }
    let host = parse_host(&headers)?;
    let (path, query) = split_target(target, &host)?;
    let keep_alive = parse_keep_alive(&headers, minor)?;
    if headers.values("upgrade").next().is_some() {
        return Err(FramingError::Upgrade);
    }
    // RFC 9110, section 10.1.1: the expectation of an HTTP/1.0 client, or of a request without a body, is ignored.
    let expects_continue = parse_expect_continue(&headers)? && minor > 0 && body != BodyLength::Absent;
    let head = RawHead { method, path, query: query.into(), headers: headers.0, over_tls: is_secure };
    Ok(ParsedRequest { head, body, keep_alive, expects_continue, accepts_chunked: minor > 0 })
}

struct HeaderList(Vec<(String, Vec<u8>)>);

impl HeaderList {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |row| row.0 == name).map(|row| row.1.as_slice())
    }

    /// The value of a header that may occur only once.
    fn single_value(
        &self,
        name: &str,
        duplicate_message: &'static str,
    ) -> Result<Option<&[u8]>, FramingError> {
        let mut values = self.0.iter().filter(|row| row.0 == name).map(|row| row.1.as_slice());
        let first = values.next();
        // Equal values are rejected too: some servers use the first one, and others join them to a list.
        if values.next().is_some() { Err(Ambiguous(duplicate_message)) } else { Ok(first) }
    }
}

/// Parses the request line into method, target and minor version.
fn parse_request_line(line: &[u8]) -> Result<(String, &[u8], u8), FramingError> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(verb), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Ambiguous("the request line does not have three parts"));
    };
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        // HTTP/2 is negotiated with ALPN and has its own parser.
        _ => return Err(Ambiguous("the version is not HTTP/1.1 or HTTP/1.0")),
    };
    Ok((parse_method(verb)?, target, minor))
}

fn parse_method(method: &[u8]) -> Result<String, FramingError> {
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Ambiguous("the method is not a token"));
    }
    // Methods are case-sensitive (RFC 9110, section 9.1), so `get` is unknown.
    let known = METHODS.iter().find(|known| known.as_bytes() == method).ok_or(FramingError::UnknownMethod)?;
    Ok((*known).to_owned())
}

fn parse_header_line(line: &[u8]) -> Result<(String, Vec<u8>), FramingError> {
    let colon = memchr::memchr(b':', line).ok_or(Ambiguous("a header line without a colon"))?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    // This also rejects white space before the colon and folded headers, which parsers treat differently.
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Ambiguous("a header name is not a token"));
    }
    // Names are case-insensitive; in lower case they can be compared directly.
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let value = value.get(1..).unwrap_or_default();
    Ok((name, trim_blanks(value).to_vec()))
}

fn trim_blanks(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !is_blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

/// Whether a token may contain a byte (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}

fn parse_host(headers: &HeaderList) -> Result<String, FramingError> {
    let host =
        headers.single_value("host", "more than one Host header")?.ok_or(Ambiguous("no Host header"))?;
    parse_authority(host).ok_or(Ambiguous("the Host header is malformed"))
}

/// Parses `name`, `name:port`, `[v6]` or `[v6]:port`, and returns it in lower case.
fn parse_authority(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (v6, rest) = rest.split_once(']')?;
            v6.parse::<std::net::Ipv6Addr>().ok()?;
            (v6, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text.as_str(), None), |(name, port)| (name, Some(port))),
    };
    let is_valid_port =
        port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    // DNS names have no underscore, but old bucket names in virtual-hosted URLs do.
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let is_valid_name = text.starts_with('[') || (!name.is_empty() && name.bytes().all(is_name));
    (is_valid_port && is_valid_name).then_some(text)
}

/// Splits the target into path and query, exactly as sent, because the signature covers them. The scheme and
/// authority of an absolute target are removed; the authority must equal `Host`.
fn split_target(target: &[u8], host: &str) -> Result<(String, Option<String>), FramingError> {
    if !target.iter().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return Err(Ambiguous("the target contains bytes that must be percent-encoded"));
    }
    let target = std::str::from_utf8(target).map_err(|_| Ambiguous("the target is not text"))?;
    // A fragment is never sent in HTTP; some parsers end the path there and others do not.
    if target.contains('#') {
        return Err(Ambiguous("the target contains a fragment"));
    }
    let local = if target.starts_with('/') { target.to_owned() } else { to_origin_form(target, host)? };
    Ok(match local.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (local, None),
    })
}

/// Removes scheme and authority from an absolute target.
fn to_origin_form(target: &str, host: &str) -> Result<String, FramingError> {
    let (scheme, rest) =
        target.split_once("://").ok_or(Ambiguous("the target is neither a path nor a URL"))?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(Ambiguous("the scheme of the target is not http or https")),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority_text, local) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let named = parse_authority(authority_text.as_bytes())
        .ok_or(Ambiguous("the authority of the target is malformed"))?;
    let without_default_port =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_owned();
    if without_default_port(&named) != without_default_port(host) {
        return Err(Ambiguous("the target and the Host header differ"));
    }
    Ok(if local.starts_with('/') { local.to_owned() } else { format!("/{local}") })
}

fn parse_body_length(headers: &HeaderList, minor: u8) -> Result<BodyLength, FramingError> {
    let length = headers.single_value("content-length", "more than one Content-Length header")?;
    let coding = headers.single_value("transfer-encoding", "more than one Transfer-Encoding header")?;
    match (length, coding) {
        // RFC 9112, section 6.3 lets a server ignore the length here; rejecting it excludes request smuggling.
        (Some(_), Some(_)) => Err(Ambiguous("both Content-Length and Transfer-Encoding")),
        (None, None) => Ok(BodyLength::Absent),
        (None, Some(coding)) if !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(Ambiguous("a transfer coding other than chunked"))
        }
        // RFC 9112, section 6.1: such a message must be treated as having faulty framing.
        (None, Some(_)) if minor == 0 => Err(Ambiguous("a transfer coding in HTTP/1.0")),
        (None, Some(_)) => Ok(BodyLength::Chunked),
        (Some(length), None) => parse_content_length(length)
            .map(BodyLength::Bytes)
            .ok_or(Ambiguous("Content-Length is not a number")),
    }
}

/// Whether the connection stays open. `Connection` must not name another header: some proxies would remove that
/// header and others would not.
fn parse_keep_alive(headers: &HeaderList, minor: u8) -> Result<bool, FramingError> {
    let (mut keep, mut close) = (minor > 0, false);
    let values: Vec<u8> = headers.values("connection").collect::<Vec<_>>().join(&b","[..]);
    for word in values.split(|byte| *byte == b',').map(trim_blanks).filter(|word| !word.is_empty()) {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        match word.as_str() {
            "close" => close = true,
            "keep-alive" => keep = true,
            // Some HTTP libraries send these names; the headers themselves have no effect here.
            "te" | "proxy-connection" => {}
            "upgrade" | "http2-settings" => return Err(FramingError::Upgrade),
            _ => return Err(Ambiguous("Connection names a header")),
        }
    }
    Ok(keep && !close)
}

fn parse_expect_continue(headers: &HeaderList) -> Result<bool, FramingError> {
    match headers.single_value("expect", "more than one Expect header")? {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Ambiguous("an expectation other than 100-continue")),
    }
}

/// Finds the first `Host` in an invalid head. Used only for the error response, never to route or authorize.
pub(crate) fn guess_host(bytes: &[u8]) -> Option<String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let host = lines.filter_map(|line| std::str::from_utf8(line).ok()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    host.and_then(parse_plain_host)
}

/// Returns the host if it has only characters that are safe to repeat in a response.
pub(crate) fn parse_plain_host(host: &str) -> Option<String> {
    let is_plain =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    is_plain.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<ParsedRequest, FramingError> {
        parse_request_head(text.as_bytes(), 100, false)
    }

    #[track_caller]
    fn assert_parses(text: &str) -> ParsedRequest {
        parse_text(text).unwrap_or_else(|flaw| panic!("{text:?}: {flaw}"))
    }

    #[track_caller]
    fn assert_rejects(text: &str) {
        assert!(parse_text(text).is_err(), "not rejected: {text:?}");
    }

    /// A head with these lines after `Host`.
    fn head_with(lines: &str) -> String {
        format!("PUT /b/k HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
    }

    #[test]
    fn an_ordinary_head_is_parsed_as_sent() {
        let request = assert_parses(
            "GET /b/a%2Fb//c?x=%20&y HTTP/1.1\r\nHost: b.s3.example:9000\r\nX-A:  one two \t\r\n\r\n",
        );
        assert_eq!(request.head.method, "GET");
        assert_eq!(request.head.path, "/b/a%2Fb//c");
        assert_eq!(request.head.query.as_deref(), Some("x=%20&y"));
        assert_eq!(request.head.header("x-a"), Some(&b"one two"[..]));
        assert_eq!(request.body, BodyLength::Absent);
        assert!(request.keep_alive && request.accepts_chunked && !request.expects_continue);
    }

    #[test]
    fn content_length_is_one_number() {
        assert_eq!(assert_parses(&head_with("Content-Length: 5\r\n")).body, BodyLength::Bytes(5));
        assert_eq!(assert_parses(&head_with("Content-Length: 0\r\n")).body, BodyLength::Bytes(0));
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5,5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5 5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 12345678901234567890\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        ] {
            assert_rejects(&head_with(lines));
        }
    }

    #[test]
    fn chunked_is_the_only_transfer_coding() {
        assert_eq!(assert_parses(&head_with("Transfer-Encoding: chunked\r\n")).body, BodyLength::Chunked);
        assert_eq!(assert_parses(&head_with("transfer-encoding: Chunked\r\n")).body, BodyLength::Chunked);
        for lines in [
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: identity, chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding : chunked\r\n",
            " Transfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\u{b}chunked\r\n",
        ] {
            assert_rejects(&head_with(lines));
        }
        assert_rejects("PUT /b/k HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    }

    #[test]
    fn exactly_one_host_is_required() {
        for host in ["h", "h:9000", "b.s3.example.com", "127.0.0.1:9000", "[::1]:9000", "my_bucket.localhost"]
        {
            assert_parses(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        }
        for host in ["", "a b", "a,b", "a/b", "u@h", "h:", "h:x", "h:99999", "[::1", "[x]", "h#", "a\u{e9}"] {
            assert_rejects(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        }
        assert_rejects("GET / HTTP/1.1\r\n\r\n");
        assert_rejects("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
        assert_rejects("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n");
    }

    #[test]
    fn the_authority_of_an_absolute_target_equals_host() {
        let request = assert_parses("PUT http://B.example:9000/k?x HTTP/1.1\r\nHost: b.example:9000\r\n\r\n");
        assert_eq!((request.head.path.as_str(), request.head.query.as_deref()), ("/k", Some("x")));
        assert_eq!(assert_parses("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n").head.path, "/");
        let bare = assert_parses("GET http://h?acl HTTP/1.1\r\nHost: h\r\n\r\n").head;
        assert_eq!((bare.path.as_str(), bare.query.as_deref()), ("/", Some("acl")));
        assert_parses("GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n");
        for target in
            ["http://other/k", "http://u@h/k", "http://h:81/k", "ftp://h/k", "h:80", "*", "k", "http://"]
        {
            assert_rejects(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
    }

    #[test]
    fn lines_end_in_crlf() {
        for text in [
            "GET / HTTP/1.1\nHost: h\n\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n",
        ] {
            assert_rejects(text);
        }
        let wire = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbody\n";
        for step in 1..wire.len() {
            let mut scan = HeadScanner::default();
            let ends =
                (1..=wire.len().div_ceil(step)).map(|at| scan.find_end(&wire[..(at * step).min(wire.len())]));
            assert_eq!(ends.flat_map(Result::unwrap).next(), Some(27), "{step}");
        }
    }

    #[test]
    fn control_characters_are_rejected() {
        for value in ["a\0b", "a\u{1}b", "a\u{7f}b", "a\u{b}b"] {
            assert_rejects(&head_with(&format!("X-A: {value}\r\n")));
        }
        assert_parses(&head_with("X-A: a\tb\r\n"));
        assert_parses(&head_with("X-A: \u{e9}\r\n"));
        for lines in ["X A: b\r\n", ": b\r\n", "X-A\r\n", "X-A : b\r\n", "X\u{e9}: b\r\n"] {
            assert_rejects(&head_with(lines));
        }
    }

    #[test]
    fn the_target_is_not_normalized() {
        for target in ["/a b", "/a#b", "/a\u{e9}", "", "/a\tb"] {
            assert_rejects(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
        assert_eq!(
            assert_parses("GET //a/../b/./c\\d HTTP/1.1\r\nHost: h\r\n\r\n").head.path,
            "//a/../b/./c\\d"
        );
    }

    #[test]
    fn unknown_methods_and_versions_are_rejected() {
        for method in ["CONNECT", "TRACE", "PATCH", "PROPFIND", "get", "GETX"] {
            assert_eq!(
                parse_text(&format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n")).err(),
                Some(FramingError::UnknownMethod),
                "{method}"
            );
        }
        for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/01.1"] {
            assert_rejects(&format!("GET / {version}\r\nHost: h\r\n\r\n"));
        }
        assert_rejects("GET /\r\nHost: h\r\n\r\n");
        assert_rejects("PRI * HTTP/2.0\r\n\r\n");
    }

    #[test]
    fn connection_must_not_name_headers() {
        assert!(!assert_parses(&head_with("Connection: close\r\n")).keep_alive);
        assert!(assert_parses(&head_with("Connection: Keep-Alive, TE\r\n")).keep_alive);
        assert!(!assert_parses("GET / HTTP/1.0\r\nHost: h\r\n\r\n").keep_alive);
        assert!(assert_parses("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").keep_alive);
        for name in ["host", "authorization", "content-length", "range", "x-meta-a", "close, date"] {
            assert_rejects(&head_with(&format!("Connection: {name}\r\n")));
        }
        assert_eq!(
            parse_text(&head_with("Connection: Upgrade\r\nUpgrade: h2c\r\n")).err(),
            Some(FramingError::Upgrade)
        );
        assert_eq!(parse_text(&head_with("Upgrade: websocket\r\n")).err(), Some(FramingError::Upgrade));
    }

    #[test]
    fn the_only_expectation_is_100_continue() {
        assert!(assert_parses(&head_with("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expects_continue);
        assert_rejects(&head_with("Expect: 200-ok\r\n"));
        assert_rejects(&head_with("Expect: 100-continue\r\nExpect: 100-continue\r\n"));
    }

    /// Parses an HTTP/2 head that a body follows.
    fn parse_http2(uri: &str, lines: &[(&str, &str)]) -> Result<ParsedRequest, FramingError> {
        let request = http::Request::builder().method("PUT").uri(uri);
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let parts = request.body(()).unwrap().into_parts().0;
        let text = format!("PUT {} HTTP/1.1\r\nhost: {}\r\n", &uri[9..], &uri[8..9]);
        let text = lines.iter().fold(text, |text, (name, value)| format!("{text}{name}: {value}\r\n"));
        assert_eq!(http1_head_size(&parts), text.len() + 2, "{text:?}");
        parse_http2_parts(&parts, false, 10)
    }

    #[test]
    fn http2_heads_follow_the_same_rules() {
        let request =
            parse_http2("https://h/b/a%2Fb//c?x=%20&y", &[("x-a", "one two"), ("x-a", "3")]).unwrap();
        assert_eq!(
            (request.head.path.as_str(), request.head.query.as_deref()),
            ("/b/a%2Fb//c", Some("x=%20&y"))
        );
        let rows = |name| {
            request
                .head
                .headers
                .iter()
                .filter(|row| row.0 == name)
                .map(|row| row.1.as_slice())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows("host"), [b"h"]);
        assert_eq!(rows("x-a"), [&b"one two"[..], b"3"]);
        assert_eq!(request.body, BodyLength::Chunked);
        assert!(request.accepts_chunked && request.head.over_tls && !request.expects_continue);
        assert_eq!(
            parse_http2("https://h/k", &[("content-length", "5")]).unwrap().body,
            BodyLength::Bytes(5)
        );
        assert!(parse_http2("https://h/k", &[("expect", "100-continue")]).unwrap().expects_continue);
        assert!(parse_http2("https://h/k", &[("host", "H")]).is_ok());
        for lines in [
            &[("host", "other")][..],
            &[("host", "h"), ("host", "other")],
            &[("content-length", "5"), ("content-length", "5")],
            &[("content-length", "+5")],
            &[("transfer-encoding", "chunked")],
            &[("connection", "x-a")],
            &[("upgrade", "h2c")],
            &[("expect", "200-ok")],
            &[("x-a", "1"); 11],
        ] {
            assert!(parse_http2("https://h/k", lines).is_err(), "{lines:?}");
        }
        let bare = http::Request::builder().uri("/k").body(()).unwrap().into_parts().0;
        assert_eq!(parse_http2_parts(&bare, true, 10).err(), Some(Ambiguous("no Host header")));
    }

    #[test]
    fn the_number_of_headers_is_limited() {
        let many: String = (0..101).map(|at| format!("X-{at}: a\r\n")).collect();
        assert_rejects(&head_with(&many));
    }
}
