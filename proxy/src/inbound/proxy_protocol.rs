//! Client addresses behind load balancers: the PROXY protocol at the start of a connection, and `X-Forwarded-For`,
//! `X-Forwarded-Proto` and `X-Forwarded-Host` in a request. Only proxies that the configuration lists are trusted,
//! because any client can send these headers with a false address.
//!
//! Source: "The PROXY protocol, versions 1 & 2" (haproxy.org, proxy-protocol.txt).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::access::DynAccess;
use async_trait::async_trait;
use blobfish_config::Listeners;
use blobfish_dialects::model::RawHead;
use pingora::listeners::PreTlsProcess;
use pingora::protocols::l4::{socket, stream::Stream as TcpStream};
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::{Error, ErrorType};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::inbound::request_head::parse_plain_host;
use crate::telemetry::metrics::METRICS;

/// Time limit for the PROXY header. The sender writes it first, in one piece.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes to read first: the signature of version 2, which is shorter than any header of version 1.
const V2_PREFIX_BYTES: usize = v2::PROTOCOL_PREFIX.len();

/// Maximum length of the line of version 1, with its line end.
const V1_LINE_BYTES_MAX: usize = 107;

/// Maximum length of what follows the first 16 bytes in version 2: addresses, and optional TLS and vendor fields.
const V2_PAYLOAD_BYTES_MAX: usize = 4096;

/// Why no PROXY header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProxyHeaderError {
    /// The connection was closed without data, as the health check of a load balancer does.
    #[error("no data was sent")]
    NothingSent,
    /// The connection starts with other data.
    #[error("the connection does not start with a PROXY header")]
    NotProxyHeader,
    /// The header arrived too slowly or incomplete.
    #[error("the PROXY header was incomplete when the time limit expired")]
    Incomplete,
    /// The header is malformed.
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// Whether the peer must start the connection with a PROXY header.
pub(crate) fn must_send_proxy_header(listen: &Listeners, peer: Option<IpAddr>) -> bool {
    listen.proxy_protocol && peer.is_some_and(|peer| listen.is_trusted_proxy(peer))
}

/// Returns the client address of a newly accepted connection: the one in the PROXY header if the peer must send
/// one, otherwise the peer's own.
///
/// # Errors
/// The header is missing or malformed. The caller of this function closes the connection without a response.
pub(crate) async fn read_client_address<S: AsyncRead + Unpin + ?Sized>(
    stream: &mut S,
    peer: Option<IpAddr>,
    sends_header: bool,
) -> Result<Option<IpAddr>, ProxyHeaderError> {
    if !sends_header {
        return Ok(peer);
    }
    let header_address = timeout(PROXY_HEADER_TIMEOUT, read_proxy_header(stream))
        .await
        .unwrap_or(Err(ProxyHeaderError::Incomplete));
    if let Err(error) = header_address
        && error != ProxyHeaderError::NothingSent
    {
        METRICS.rejections.with_label_values(&["ProxyHeader"]).inc();
        // Only configured proxies reach this line, so that arbitrary clients cannot fill the log.
        tracing::warn!(peer = ?peer.map(|peer| peer.to_string()), "closed a connection: {error}");
    }
    Ok(header_address?.map(|address| address.to_canonical()).or(peer))
}

/// The peer's address. IPv4-mapped IPv6 addresses are returned as IPv4, so that they match configured networks.
pub(crate) fn peer_address(stream: &(impl GetSocketDigest + ?Sized)) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    Some(digest.peer_addr()?.as_inet()?.ip().to_canonical())
}

/// Reads a header and no byte after it. `None` if the load balancer opened the connection for itself, or does not
/// know the client.
async fn read_proxy_header(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
) -> Result<Option<IpAddr>, ProxyHeaderError> {
    let mut bytes = Vec::with_capacity(128);
    // The first byte is read alone, to distinguish a health check that sends nothing from an incomplete header.
    read_exactly(stream, &mut bytes, 1).await.map_err(|_| ProxyHeaderError::NothingSent)?;
    read_exactly(stream, &mut bytes, V2_PREFIX_BYTES.saturating_sub(1)).await?;
    if bytes == v2::PROTOCOL_PREFIX {
        return read_v2_header(stream, bytes).await;
    }
    if !bytes.starts_with(v1::PROTOCOL_PREFIX.as_bytes()) {
        return Err(ProxyHeaderError::NotProxyHeader);
    }
    // Version 1 has no length field. Reading byte by byte leaves the TLS or HTTP data after the header in the socket,
    // where Pingora reads it.
    while !bytes.ends_with(v1::PROTOCOL_SUFFIX.as_bytes()) {
        if bytes.len() >= V1_LINE_BYTES_MAX {
            return Err(ProxyHeaderError::Malformed);
        }
        read_exactly(stream, &mut bytes, 1).await?;
    }
    let header = v1::Header::try_from(bytes.as_slice()).map_err(|_| ProxyHeaderError::Malformed)?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(tcp) => Some(tcp.source_address.into()),
        v1::Addresses::Tcp6(tcp) => Some(tcp.source_address.into()),
        v1::Addresses::Unknown => None,
    })
}

async fn read_v2_header(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    mut bytes: Vec<u8>,
) -> Result<Option<IpAddr>, ProxyHeaderError> {
    read_exactly(stream, &mut bytes, 4).await?;
    let length = match bytes.as_slice() {
        [.., high, low] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return Err(ProxyHeaderError::Malformed),
    };
    if length > V2_PAYLOAD_BYTES_MAX {
        return Err(ProxyHeaderError::Malformed);
    }
    read_exactly(stream, &mut bytes, length).await?;
    let header = v2::Header::try_from(bytes.as_slice()).map_err(|_| ProxyHeaderError::Malformed)?;
    Ok(match (header.command, header.addresses) {
        // LOCAL: a connection of the load balancer itself, such as a health check. Its addresses must be ignored.
        (v2::Command::Local, _) => None,
        (v2::Command::Proxy, _) if header.protocol == v2::Protocol::Datagram => {
            return Err(ProxyHeaderError::Malformed);
        }
        (v2::Command::Proxy, v2::Addresses::IPv4(tcp)) => Some(tcp.source_address.into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(tcp)) => Some(tcp.source_address.into()),
        (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
    })
}

async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    bytes: &mut Vec<u8>,
    count: usize,
) -> Result<(), ProxyHeaderError> {
    let start = bytes.len();
    bytes.resize(start.saturating_add(count), 0);
    let unfilled = bytes.get_mut(start..).unwrap_or_default();
    stream.read_exact(unfilled).await.map(|_| ()).map_err(|_| ProxyHeaderError::Incomplete)
}

/// Reads PROXY headers before the TLS handshake.
pub(crate) struct ProxyHeaderReader(pub Arc<dyn DynAccess<Listeners> + Send + Sync>);

#[async_trait]
impl PreTlsProcess for ProxyHeaderReader {
    async fn process(&self, stream: &mut TcpStream) -> pingora::Result<()> {
        let peer = peer_address(stream);
        let sends_header = must_send_proxy_header(&self.0.load(), peer);
        let client_address = read_client_address(stream, peer, sends_header)
            .await
            .map_err(|_| Error::explain(ErrorType::HandshakeError, "no PROXY header"))?;
        // The digest passes the client address to the later stages, which have no other access to this result. The
        // port is not known and not needed.
        if let Some(address) = client_address {
            let digest = SocketDigest::from_raw_fd(std::os::fd::AsRawFd::as_raw_fd(stream));
            let _ = digest.peer_addr.set(Some(socket::SocketAddr::Inet(SocketAddr::new(address, 0))));
            stream.set_socket_digest(digest);
        }
        Ok(())
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientOrigin {
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client's connection is encrypted.
    pub secure: bool,
}

impl ClientOrigin {
    /// Applies the forwarded headers of trusted proxies.
    pub(crate) fn with_forwarded_headers(self, listen: &Listeners, head: &RawHead) -> Self {
        let Some(peer) = self.address.filter(|peer| listen.is_trusted_proxy(*peer)) else { return self };
        // The last value is the one that the trusted peer appended; earlier ones may come from the client.
        let secure = match list_values(head, "x-forwarded-proto").last() {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            _ => self.secure,
        };
        Self { address: Some(forwarded_address(listen, peer, &list_values(head, "x-forwarded-for"))), secure }
    }
}

/// Restores the host that the client sent. A trusted proxy that changes the host reports the original one in
/// `X-Forwarded-Host`; the client signed that one. If there are several values, the first is the client's.
pub(crate) fn restore_forwarded_host(listen: &Listeners, peer: Option<IpAddr>, head: RawHead) -> RawHead {
    if !peer.is_some_and(|peer| listen.is_trusted_proxy(peer)) {
        return head;
    }
    // A client that forges this value gains nothing: it could as well send that host itself.
    let host = list_values(&head, "x-forwarded-host").first().and_then(|host| parse_plain_host(host));
    match host {
        Some(host) => head.with_host(host),
        None => head,
    }
}

/// Finds the client address in `X-Forwarded-For`. Each proxy appends the address of its peer, so the list is read
/// from the right for as long as the addresses are trusted proxies. What is further left may be forged.
fn forwarded_address(listen: &Listeners, peer: IpAddr, values: &[&str]) -> IpAddr {
    let mut address = peer;
    for word in values.iter().rev() {
        match parse_address(word) {
            Some(before) if listen.is_trusted_proxy(address) => address = before,
            _ => break,
        }
    }
    address
}

/// Parses an address. Some load balancers append the port.
fn parse_address(word: &str) -> Option<IpAddr> {
    let with_port = || word.parse::<SocketAddr>().map(|socket| socket.ip());
    let bare = word.strip_prefix('[').and_then(|word| word.strip_suffix(']')).unwrap_or(word);
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok().map(|address| address.to_canonical())
}

/// The comma-separated values of all lines of a header, in order.
fn list_values<'a>(head: &'a RawHead, name: &str) -> Vec<&'a str> {
    let lines = head.headers.iter().filter(|row| row.0 == name);
    let values = lines.map(|row| std::str::from_utf8(&row.1).unwrap_or_default());
    values.flat_map(|value| value.split(',')).map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_listen() -> Listeners {
        Listeners {
            http: Vec::new(),
            https: Vec::new(),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            proxy_protocol: true,
            default_dialect: "s3".to_owned(),
        }
    }

    /// Reads a header from these bytes. Returns the result and the bytes after the header.
    async fn read_header_from(mut bytes: &[u8]) -> (Result<Option<IpAddr>, ProxyHeaderError>, Vec<u8>) {
        let result = read_proxy_header(&mut bytes).await;
        (result, bytes.to_vec())
    }

    fn build_v2_header(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [v2::PROTOCOL_PREFIX, &[0x20 | command, family], &length, body, b"rest"].concat()
    }

    #[tokio::test]
    async fn the_header_is_read_and_no_byte_after_it() {
        let seven: IpAddr = "192.0.2.7".parse().unwrap();
        let tcp4 = [192, 0, 2, 7, 192, 0, 2, 1, 1, 2, 3, 4];
        let more = [&tcp4[..], &[4, 0, 1, 42]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\nrest".to_vec(), Some(seven)),
            (
                b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\nrest".to_vec(),
                Some("2001:db8::7".parse().unwrap()),
            ),
            (b"PROXY UNKNOWN\r\nrest".to_vec(), None),
            (b"PROXY UNKNOWN ::1 ::1 1 1\r\nrest".to_vec(), None),
            (build_v2_header(1, 0x11, &tcp4), Some(seven)),
            (build_v2_header(1, 0x11, &more), Some(seven)),
            (build_v2_header(0, 0x11, &tcp4), None),
            (build_v2_header(0, 0, &[]), None),
            (build_v2_header(1, 0, &[]), None),
        ] {
            let label = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(read_header_from(&bytes).await, (Ok(expected), b"rest".to_vec()), "{label:?}");
        }
    }

    #[tokio::test]
    async fn other_data_is_rejected() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)).into_bytes();
        let tcp4 = [192, 0, 2, 7, 192, 0, 2, 1, 1, 2, 3, 4];
        let mut other_version = build_v2_header(1, 0x11, &tcp4);
        other_version[12] = 0x31;
        for (bytes, error) in [
            (b"".to_vec(), ProxyHeaderError::NothingSent),
            (b"PROXY TCP4".to_vec(), ProxyHeaderError::Incomplete),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711".to_vec(), ProxyHeaderError::Incomplete),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ProxyHeaderError::NotProxyHeader),
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00".to_vec(),
                ProxyHeaderError::NotProxyHeader,
            ),
            (b"PROXY TCP4 192.0.2.999 192.0.2.1 4711 443\r\n".to_vec(), ProxyHeaderError::Malformed),
            (b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 9\r\n".to_vec(), ProxyHeaderError::Malformed),
            (b"PROXY TCP6 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), ProxyHeaderError::Malformed),
            (b"PROXY TCP4  192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), ProxyHeaderError::Malformed),
            (b"PROXY SCTP 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), ProxyHeaderError::Malformed),
            (b"PROXYTCP4 192.0.2.7 192.0.2.1 4711 443\r\n".to_vec(), ProxyHeaderError::Malformed),
            (long, ProxyHeaderError::Malformed),
            (build_v2_header(2, 0x11, &tcp4), ProxyHeaderError::Malformed),
            (build_v2_header(1, 0x11, &tcp4[..8]), ProxyHeaderError::Malformed),
            (build_v2_header(1, 0x12, &tcp4), ProxyHeaderError::Malformed),
            (build_v2_header(1, 0, &[0; V2_PAYLOAD_BYTES_MAX + 1]), ProxyHeaderError::Malformed),
            (other_version, ProxyHeaderError::Malformed),
        ] {
            let label = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(read_header_from(&bytes).await.0, Err(error), "{label:?}");
        }
    }

    #[tokio::test]
    async fn arbitrary_bytes_do_not_panic() {
        let tcp6 = build_v2_header(1, 0x21, &[7; 36]);
        for whole in [&b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"[..], &tcp6[..52]] {
            for at in 0..whole.len() {
                assert!(read_header_from(&whole[..at]).await.0.is_err(), "{at}");
                for byte in 0..=255 {
                    let mut changed = whole.to_vec();
                    changed[at] = byte;
                    let _ = read_header_from(&changed).await;
                }
            }
            assert!(read_header_from(whole).await.0.is_ok());
        }
    }

    #[track_caller]
    fn assert_origin(peer: &str, lines: &[(&str, &str)], address: &str, secure: bool) {
        let row = |row: &(&str, &str)| (row.0.to_owned(), row.1.as_bytes().to_vec());
        let head = RawHead {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            query: None.into(),
            headers: lines.iter().map(row).collect(),
            over_tls: false,
        };
        let direct = ClientOrigin { address: Some(peer.parse().unwrap()), secure: false };
        let expected = ClientOrigin { address: Some(address.parse().unwrap()), secure };
        assert_eq!(direct.with_forwarded_headers(&test_listen(), &head), expected, "{peer} {lines:?}");
    }

    #[test]
    fn only_listed_proxies_are_trusted() {
        let forwarded_for = |value| [("x-forwarded-for", value)];
        assert_origin("10.0.0.1", &[], "10.0.0.1", false);
        assert_origin("10.0.0.1", &forwarded_for("192.0.2.7"), "192.0.2.7", false);
        assert_origin("fd00::1", &forwarded_for("192.0.2.7:4711"), "192.0.2.7", false);
        assert_origin("10.0.0.1", &forwarded_for("[2001:db8::7]:4711"), "2001:db8::7", false);
        assert_origin("10.0.0.1", &forwarded_for("[2001:db8::7]"), "2001:db8::7", false);
        assert_origin("192.0.2.9", &forwarded_for("192.0.2.7"), "192.0.2.9", false);
        // A value that the client forged is further left than the address that the trusted proxy appended.
        assert_origin("10.0.0.1", &forwarded_for("198.51.100.1, 192.0.2.7"), "192.0.2.7", false);
        assert_origin("10.0.0.1", &forwarded_for("198.51.100.1, 192.0.2.7, 10.0.0.2"), "192.0.2.7", false);
        assert_origin("10.0.0.1", &forwarded_for("10.0.0.3, 10.0.0.2"), "10.0.0.3", false);
        assert_origin("10.0.0.1", &forwarded_for("192.0.2.7, unknown, 10.0.0.2"), "10.0.0.2", false);
        assert_origin("10.0.0.1", &forwarded_for(""), "10.0.0.1", false);
        let two = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "192.0.2.7")];
        assert_origin("10.0.0.1", &two, "192.0.2.7", false);
    }

    #[test]
    fn the_signed_host_is_restored_for_trusted_proxies() {
        for (peer, forwarded, host) in [
            ("10.0.0.1", &["b.files.example.com:8443"][..], "b.files.example.com:8443"),
            ("10.0.0.1", &["files.example.com, inner.example.com"][..], "files.example.com"),
            ("10.0.0.1", &["files.example.com", "inner.example.com"][..], "files.example.com"),
            ("192.0.2.9", &["files.example.com"][..], "127.0.0.1:9000"),
            ("10.0.0.1", &[][..], "127.0.0.1:9000"),
            ("10.0.0.1", &[""][..], "127.0.0.1:9000"),
            ("10.0.0.1", &["not a host"][..], "127.0.0.1:9000"),
        ] {
            let lines = forwarded.iter().map(|value| ("x-forwarded-host", *value));
            let all = [("host", "127.0.0.1:9000")].into_iter().chain(lines);
            let head = RawHead {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                query: None.into(),
                headers: all.map(|(name, value)| (name.to_owned(), value.into())).collect(),
                over_tls: false,
            };
            let restored = restore_forwarded_host(&test_listen(), Some(peer.parse().unwrap()), head);
            assert_eq!(restored.host(), host, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn the_forwarded_scheme_is_used_for_trusted_proxies() {
        assert_origin("10.0.0.1", &[("x-forwarded-proto", "https")], "10.0.0.1", true);
        assert_origin("10.0.0.1", &[("x-forwarded-proto", "HTTPS")], "10.0.0.1", true);
        assert_origin("10.0.0.1", &[("x-forwarded-proto", "https, http")], "10.0.0.1", false);
        assert_origin("10.0.0.1", &[("x-forwarded-proto", "gopher")], "10.0.0.1", false);
        assert_origin("192.0.2.9", &[("x-forwarded-proto", "https")], "192.0.2.9", false);
    }
}
