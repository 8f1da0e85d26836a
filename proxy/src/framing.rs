//! Where a message begins and ends: the one reading of a request head that everybody agrees on, or a refusal.
//!
//! Works on the bytes of the wire and repairs nothing (security, sections 3.1 V7 and 3.4): what two readers could
//! take for two different messages is refused before it means anything.

use blobfish_dialects::model::{Fault, RawHead, Refusal};
use http::request::Parts;

/// Methods that some vendor's interface knows.
const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];

/// What ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A head that was read without doubt.
#[derive(Debug)]
pub struct Framed {
    /// The head as it arrived.
    pub head: RawHead,
    /// How its body ends.
    pub body: BodyLength,
    /// Whether the connection may serve another request.
    pub keep_alive: bool,
    /// Whether the caller waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the caller reads chunked answers: those of HTTP/1.0 do not.
    pub chunks: bool,
}

/// How a request's body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    Absent,
    /// After this many bytes.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

/// A head that is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Two readers could disagree on what it says. Holds what is wrong with it.
    #[error("{0}")]
    Ambiguous(&'static str),
    /// A method that nobody here serves.
    #[error("the method is not served")]
    Method,
    /// A change of protocol.
    #[error("the protocol cannot be changed")]
    Upgrade,
}

impl Flaw {
    /// What to tell the caller.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Ambiguous(what) => Refusal::say(Fault::InvalidRequest, what),
            Self::Method => Refusal::new(Fault::MethodNotAllowed),
            Self::Upgrade => Refusal::say(Fault::NotImplemented, "the protocol cannot be changed"),
        }
    }
}

use Flaw::Ambiguous;

/// Looks for the end of a head that arrives piece by piece. Every byte is looked at once, however small the pieces.
#[derive(Debug, Default)]
pub struct Scan {
    seen: usize,
    line: usize,
    after_cr: bool,
}

impl Scan {
    /// Whether the head in a buffer is complete: where its body begins. The buffer is the one of the last call, and
    /// what came since.
    ///
    /// # Errors
    /// A bare CR or LF, or a control byte, however much of the head has arrived.
    pub fn end(&mut self, bytes: &[u8]) -> Result<Option<usize>, Flaw> {
        for byte in bytes.get(self.seen..).unwrap_or_default() {
            self.seen = self.seen.saturating_add(1);
            match (self.after_cr, byte) {
                (true, b'\n') if self.line == 0 => return Ok(Some(self.seen)),
                (true, b'\n') => self.line = 0,
                (true, _) => return Err(Ambiguous("a CR without LF in the head")),
                (false, b'\n') => return Err(Ambiguous("an LF without CR in the head")),
                (false, b'\r') => {}
                (false, b'\t' | 0x20..=0x7e | 0x80..) => self.line = self.line.saturating_add(1),
                (false, _) => return Err(Ambiguous("a control byte in the head")),
            }
            self.after_cr = *byte == b'\r';
        }
        Ok(None)
    }
}

/// Reads a complete head.
///
/// # Errors
/// [`Flaw`].
pub fn read(head: &[u8], headers_max: usize, secure: bool) -> Result<Framed, Flaw> {
    if Scan::default().end(head)? != Some(head.len()) {
        return Err(Ambiguous("the head does not end"));
    }
    let text = head.strip_suffix(HEAD_END).unwrap_or_default();
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (method, target, minor) = request_line(lines.next().unwrap_or_default())?;
    let headers = Headers(lines.map(header).collect::<Result<_, _>>()?);
    let body = body_length(&headers, minor)?;
    checked(method, target, headers, headers_max, minor, body, secure)
}

/// Reads a head of HTTP/2, whose own rules were kept: names are words, nothing tells of the connection, one length.
/// `ended`: no body follows.
///
/// # Errors
/// [`Flaw`].
pub fn read_parts(parts: &Parts, ended: bool, headers_max: usize) -> Result<Framed, Flaw> {
    let row = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let mut headers: Vec<_> = parts.headers.iter().map(row).collect();
    if let Some(authority) = parts.uri.authority() {
        // The same said twice is one host; anything else is refused as two.
        headers.retain(|row| row.0 != "host" || !row.1.eq_ignore_ascii_case(authority.as_str().as_bytes()));
        headers.insert(0, ("host".to_owned(), authority.as_str().as_bytes().to_vec()));
    }
    let headers = Headers(headers);
    if headers.all("transfer-encoding").next().is_some() {
        return Err(Ambiguous("a transfer coding in HTTP/2"));
    }
    let body = match body_length(&headers, 1)? {
        BodyLength::Absent if !ended => BodyLength::Chunked,
        length => length,
    };
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    checked(method(parts.method.as_str().as_bytes())?, target.as_bytes(), headers, headers_max, 1, body, true)
}

/// Bytes that a head of HTTP/2 would have in HTTP/1.1.
pub fn size_of(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let host = parts.uri.authority().map_or(0, |authority| authority.as_str().len());
    let lines = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    parts.method.as_str().len() + target + "  HTTP/1.1\r\nhost: \r\n\r\n".len() + host + lines.sum::<usize>()
}

fn checked(
    method: String,
    target: &[u8],
    headers: Headers,
    headers_max: usize,
    minor: u8,
    body: BodyLength,
    secure: bool,
) -> Result<Framed, Flaw> {
    if headers.0.len() > headers_max {
        return Err(Ambiguous("too many headers"));
    }
    let host = host(&headers)?;
    let (path, query) = path_and_query(target, &host)?;
    let keep_alive = connection(&headers, minor)?;
    if headers.all("upgrade").next().is_some() {
        return Err(Flaw::Upgrade);
    }
    let expects_continue = expects_continue(&headers)? && minor > 0 && body != BodyLength::Absent;
    let head = RawHead { method, path, query, headers: headers.0, secure };
    Ok(Framed { head, body, keep_alive, expects_continue, chunks: minor > 0 })
}

struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |row| row.0 == name).map(|row| row.1.as_slice())
    }

    /// The only value of a header.
    fn only(&self, name: &str, doubled: &'static str) -> Result<Option<&[u8]>, Flaw> {
        let mut values = self.0.iter().filter(|row| row.0 == name).map(|row| row.1.as_slice());
        let first = values.next();
        if values.next().is_some() { Err(Ambiguous(doubled)) } else { Ok(first) }
    }
}

/// Method, target and minor version.
fn request_line(line: &[u8]) -> Result<(String, &[u8], u8), Flaw> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(verb), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Ambiguous("the request line does not have three words"));
    };
    let minor = match version {
        b"HTTP/1.1" => 1,
        b"HTTP/1.0" => 0,
        _ => return Err(Ambiguous("the version is not HTTP/1.1")),
    };
    Ok((method(verb)?, target, minor))
}

fn method(method: &[u8]) -> Result<String, Flaw> {
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Ambiguous("the method is not a word"));
    }
    let known = METHODS.iter().find(|known| known.as_bytes() == method).ok_or(Flaw::Method)?;
    Ok((*known).to_owned())
}

fn header(line: &[u8]) -> Result<(String, Vec<u8>), Flaw> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Ambiguous("a header without colon"))?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    // White space before the colon or at the start of a line (a folded header) is no part of a name.
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Ambiguous("a header's name is not a word"));
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let value = value.get(1..).unwrap_or_default();
    Ok((name, trimmed(value).to_vec()))
}

fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn host(headers: &Headers) -> Result<String, Flaw> {
    let host = headers.only("host", "more than one Host")?.ok_or(Ambiguous("no Host"))?;
    authority(host).ok_or(Ambiguous("Host is not a host"))
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`, in lower case.
fn authority(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (v6, rest) = rest.split_once(']')?;
            v6.parse::<std::net::Ipv6Addr>().ok()?;
            (v6, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text.as_str(), None), |(name, port)| (name, Some(port))),
    };
    let port_is_one =
        port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let name_is_one = text.starts_with('[') || (!name.is_empty() && name.bytes().all(is_name));
    (port_is_one && name_is_one).then_some(text)
}

/// Path and query, exactly as sent. Of an absolute target, scheme and authority are taken away: they must say
/// what `Host` says.
fn path_and_query(target: &[u8], host: &str) -> Result<(String, Option<String>), Flaw> {
    if !target.iter().all(|byte| matches!(byte, 0x21..=0x7e)) {
        return Err(Ambiguous("the target holds bytes that must be escaped"));
    }
    let target = std::str::from_utf8(target).map_err(|_| Ambiguous("the target is not text"))?;
    if target.contains('#') {
        return Err(Ambiguous("the target holds a fragment"));
    }
    let local = if target.starts_with('/') { target.to_owned() } else { reduced(target, host)? };
    Ok(match local.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (local, None),
    })
}

/// An absolute target without scheme and authority.
fn reduced(target: &str, host: &str) -> Result<String, Flaw> {
    let (scheme, rest) =
        target.split_once("://").ok_or(Ambiguous("the target is neither a path nor a URL"))?;
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(Ambiguous("the target's scheme is not HTTP")),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (named, local) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let named = authority(named.as_bytes()).ok_or(Ambiguous("the target's authority is not a host"))?;
    let plain = |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_owned();
    if plain(&named) != plain(host) {
        return Err(Ambiguous("the target and Host disagree"));
    }
    Ok(if local.starts_with('/') { local.to_owned() } else { format!("/{local}") })
}

fn body_length(headers: &Headers, minor: u8) -> Result<BodyLength, Flaw> {
    let length = headers.only("content-length", "more than one Content-Length")?;
    let coding = headers.only("transfer-encoding", "more than one Transfer-Encoding")?;
    match (length, coding) {
        (Some(_), Some(_)) => Err(Ambiguous("both Content-Length and Transfer-Encoding")),
        (None, None) => Ok(BodyLength::Absent),
        (None, Some(coding)) if !coding.eq_ignore_ascii_case(b"chunked") => {
            Err(Ambiguous("a transfer coding other than chunked"))
        }
        (None, Some(_)) if minor == 0 => Err(Ambiguous("a transfer coding in HTTP/1.0")),
        (None, Some(_)) => Ok(BodyLength::Chunked),
        (Some(length), None) => {
            decimal(length).map(BodyLength::Bytes).ok_or(Ambiguous("Content-Length is no number"))
        }
    }
}

/// 1 to 19 digits and nothing else.
pub fn decimal(value: &[u8]) -> Option<u64> {
    let fits = (1..=19).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    fits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

/// Whether the connection is kept. A name of another header here would have it removed by some readers only.
fn connection(headers: &Headers, minor: u8) -> Result<bool, Flaw> {
    let (mut keep, mut close) = (minor > 0, false);
    let values: Vec<u8> = headers.all("connection").collect::<Vec<_>>().join(&b","[..]);
    for word in values.split(|byte| *byte == b',').map(trimmed).filter(|word| !word.is_empty()) {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        match word.as_str() {
            "close" => close = true,
            "keep-alive" => keep = true,
            "te" | "proxy-connection" => {}
            "upgrade" | "http2-settings" => return Err(Flaw::Upgrade),
            _ => return Err(Ambiguous("Connection names a header")),
        }
    }
    Ok(keep && !close)
}

fn expects_continue(headers: &Headers) -> Result<bool, Flaw> {
    match headers.only("expect", "more than one Expect")? {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Ambiguous("an expectation other than 100-continue")),
    }
}

/// The host that a head names first, if it can be seen at all: for the words of a refusal, never for a decision.
pub fn glimpsed_host(bytes: &[u8]) -> Option<String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let host = lines.filter_map(|line| std::str::from_utf8(line).ok()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    host.and_then(plain_host)
}

/// The same, of a host.
pub fn plain_host(host: &str) -> Option<String> {
    let plain =
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:".contains(&byte));
    plain.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Framed, Flaw> {
        read(text.as_bytes(), 100, false)
    }

    #[track_caller]
    fn served(text: &str) -> Framed {
        of(text).unwrap_or_else(|flaw| panic!("{text:?}: {flaw}"))
    }

    #[track_caller]
    fn refused(text: &str) {
        assert!(of(text).is_err(), "served: {text:?}");
    }

    /// A head with these lines beside `Host`.
    fn with(lines: &str) -> String {
        format!("PUT /b/k HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
    }

    #[test]
    fn an_ordinary_head_is_read_as_sent() {
        let framed =
            served("GET /b/a%2Fb//c?x=%20&y HTTP/1.1\r\nHost: b.s3.example:9000\r\nX-A:  one two \t\r\n\r\n");
        assert_eq!(framed.head.method, "GET");
        assert_eq!(framed.head.path, "/b/a%2Fb//c");
        assert_eq!(framed.head.query.as_deref(), Some("x=%20&y"));
        assert_eq!(framed.head.header("x-a"), Some(&b"one two"[..]));
        assert_eq!(framed.body, BodyLength::Absent);
        assert!(framed.keep_alive && framed.chunks && !framed.expects_continue);
    }

    #[test]
    fn lengths_are_one_number() {
        assert_eq!(served(&with("Content-Length: 5\r\n")).body, BodyLength::Bytes(5));
        assert_eq!(served(&with("Content-Length: 0\r\n")).body, BodyLength::Bytes(0));
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
            refused(&with(lines));
        }
    }

    #[test]
    fn the_only_coding_is_chunked() {
        assert_eq!(served(&with("Transfer-Encoding: chunked\r\n")).body, BodyLength::Chunked);
        assert_eq!(served(&with("transfer-encoding: Chunked\r\n")).body, BodyLength::Chunked);
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
            refused(&with(lines));
        }
        refused("PUT /b/k HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    }

    #[test]
    fn there_is_one_host() {
        for host in ["h", "h:9000", "b.s3.example.com", "127.0.0.1:9000", "[::1]:9000", "my_bucket.localhost"]
        {
            served(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        }
        for host in ["", "a b", "a,b", "a/b", "u@h", "h:", "h:x", "h:99999", "[::1", "[x]", "h#", "a\u{e9}"] {
            refused(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        }
        refused("GET / HTTP/1.1\r\n\r\n");
        refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
        refused("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n");
    }

    #[test]
    fn an_absolute_target_says_what_host_says() {
        let framed = served("PUT http://B.example:9000/k?x HTTP/1.1\r\nHost: b.example:9000\r\n\r\n");
        assert_eq!((framed.head.path.as_str(), framed.head.query.as_deref()), ("/k", Some("x")));
        assert_eq!(served("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n").head.path, "/");
        let bare = served("GET http://h?acl HTTP/1.1\r\nHost: h\r\n\r\n").head;
        assert_eq!((bare.path.as_str(), bare.query.as_deref()), ("/", Some("acl")));
        served("GET http://h:80/ HTTP/1.1\r\nHost: h\r\n\r\n");
        for target in
            ["http://other/k", "http://u@h/k", "http://h:81/k", "ftp://h/k", "h:80", "*", "k", "http://"]
        {
            refused(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
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
            refused(text);
        }
        let wire = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbody\n";
        for step in 1..wire.len() {
            let mut scan = Scan::default();
            let ends =
                (1..=wire.len().div_ceil(step)).map(|at| scan.end(&wire[..(at * step).min(wire.len())]));
            assert_eq!(ends.flat_map(Result::unwrap).next(), Some(27), "{step}");
        }
    }

    #[test]
    fn control_bytes_are_refused() {
        for value in ["a\0b", "a\u{1}b", "a\u{7f}b", "a\u{b}b"] {
            refused(&with(&format!("X-A: {value}\r\n")));
        }
        served(&with("X-A: a\tb\r\n"));
        served(&with("X-A: \u{e9}\r\n"));
        for lines in ["X A: b\r\n", ": b\r\n", "X-A\r\n", "X-A : b\r\n", "X\u{e9}: b\r\n"] {
            refused(&with(lines));
        }
    }

    #[test]
    fn nothing_in_the_target_is_repaired() {
        for target in ["/a b", "/a#b", "/a\u{e9}", "", "/a\tb"] {
            refused(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
        assert_eq!(served("GET //a/../b/./c\\d HTTP/1.1\r\nHost: h\r\n\r\n").head.path, "//a/../b/./c\\d");
    }

    #[test]
    fn methods_and_versions_are_known() {
        for method in ["CONNECT", "TRACE", "PATCH", "PROPFIND", "get", "GETX"] {
            assert_eq!(
                of(&format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n")).err(),
                Some(Flaw::Method),
                "{method}"
            );
        }
        for version in ["HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", "HTTP/01.1"] {
            refused(&format!("GET / {version}\r\nHost: h\r\n\r\n"));
        }
        refused("GET /\r\nHost: h\r\n\r\n");
        refused("PRI * HTTP/2.0\r\n\r\n");
    }

    #[test]
    fn a_connection_names_no_header() {
        assert!(!served(&with("Connection: close\r\n")).keep_alive);
        assert!(served(&with("Connection: Keep-Alive, TE\r\n")).keep_alive);
        assert!(!served("GET / HTTP/1.0\r\nHost: h\r\n\r\n").keep_alive);
        assert!(served("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n").keep_alive);
        for name in ["host", "authorization", "content-length", "range", "x-meta-a", "close, date"] {
            refused(&with(&format!("Connection: {name}\r\n")));
        }
        assert_eq!(of(&with("Connection: Upgrade\r\nUpgrade: h2c\r\n")).err(), Some(Flaw::Upgrade));
        assert_eq!(of(&with("Upgrade: websocket\r\n")).err(), Some(Flaw::Upgrade));
    }

    #[test]
    fn one_expectation_is_known() {
        assert!(served(&with("Expect: 100-Continue\r\nContent-Length: 1\r\n")).expects_continue);
        refused(&with("Expect: 200-ok\r\n"));
        refused(&with("Expect: 100-continue\r\nExpect: 100-continue\r\n"));
    }

    /// A head of HTTP/2, whose body follows.
    fn parts(uri: &str, lines: &[(&str, &str)]) -> Result<Framed, Flaw> {
        let request = http::Request::builder().method("PUT").uri(uri);
        let request = lines.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let parts = request.body(()).unwrap().into_parts().0;
        let text = format!("PUT {} HTTP/1.1\r\nhost: {}\r\n", &uri[9..], &uri[8..9]);
        let text = lines.iter().fold(text, |text, (name, value)| format!("{text}{name}: {value}\r\n"));
        assert_eq!(size_of(&parts), text.len() + 2, "{text:?}");
        read_parts(&parts, false, 10)
    }

    #[test]
    fn a_head_of_http_2_keeps_the_same_rules() {
        let framed = parts("https://h/b/a%2Fb//c?x=%20&y", &[("x-a", "one two"), ("x-a", "3")]).unwrap();
        assert_eq!(
            (framed.head.path.as_str(), framed.head.query.as_deref()),
            ("/b/a%2Fb//c", Some("x=%20&y"))
        );
        let rows = |name| {
            framed
                .head
                .headers
                .iter()
                .filter(|row| row.0 == name)
                .map(|row| row.1.as_slice())
                .collect::<Vec<_>>()
        };
        assert_eq!(rows("host"), [b"h"]);
        assert_eq!(rows("x-a"), [&b"one two"[..], b"3"]);
        assert_eq!(framed.body, BodyLength::Chunked);
        assert!(framed.chunks && framed.head.secure && !framed.expects_continue);
        assert_eq!(parts("https://h/k", &[("content-length", "5")]).unwrap().body, BodyLength::Bytes(5));
        assert!(parts("https://h/k", &[("expect", "100-continue")]).unwrap().expects_continue);
        assert!(parts("https://h/k", &[("host", "H")]).is_ok());
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
            assert!(parts("https://h/k", lines).is_err(), "{lines:?}");
        }
        let bare = http::Request::builder().uri("/k").body(()).unwrap().into_parts().0;
        assert_eq!(read_parts(&bare, true, 10).err(), Some(Ambiguous("no Host")));
    }

    #[test]
    fn headers_are_counted() {
        let many: String = (0..101).map(|at| format!("X-{at}: a\r\n")).collect();
        refused(&with(&many));
    }
}
