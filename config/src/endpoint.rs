//! Endpoints: scheme, host and port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::mistake::ValueError;

/// The endpoint of a target, from a URL without path, query or user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// HTTPS; otherwise plain HTTP.
    pub tls: bool,
    /// DNS name in lower case, or an IP address; IPv6 without brackets.
    pub host: String,
    /// Port, 1 to 65,535; by default the port of the scheme.
    pub port: u16,
    /// Whether the port is the default of the scheme, and so not part of `Host`.
    pub port_is_default: bool,
}

impl Endpoint {
    /// Reads `http://host[:port]` or `https://host[:port]`.
    ///
    /// # Errors
    /// The scheme is missing or unknown, something follows the port, there is a user name, or the host is neither a
    /// DNS name nor an IP address in the usual notation.
    pub fn parse(url: &str) -> Result<Self, ValueError> {
        let Some((scheme, authority)) = url.split_once("://") else {
            return Err(ValueError::new("invalid URL").with_hint("write https://host or http://host:port"));
        };
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(ValueError::new("unknown scheme").with_hint("write http or https")),
        };
        // The message must not print the URL, because it contains a password or a token.
        if authority.contains('@') {
            return Err(ValueError::new("the URL must not contain a user name or password")
                .with_hint("use access_key and secret_key")
                .with_secret());
        }
        if authority.contains(['?', '#']) {
            return Err(ValueError::new("the endpoint must not contain a query or a fragment").with_secret());
        }
        if let Some((authority, _path)) = authority.split_once('/') {
            return Err(ValueError::new("the endpoint must not contain a path")
                .with_hint(format!("write {scheme}://{authority}")));
        }
        let (host, port) = parse_host_and_port(authority)?;
        let default_port = if tls { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        Ok(Self { tls, host, port, port_is_default: port == default_port })
    }

    /// The value of `Host` for this endpoint: IPv6 in brackets, the port only if it is not the default of the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port_is_default { host } else { format!("{host}:{}", self.port) }
    }

    /// The address, if the host is an IP address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether this is the same machine: a loopback address, `localhost` or `*.localhost` (RFC 6761, section 6.3).
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self.ip() {
            Some(ip) => ip.to_canonical().is_loopback(),
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }
}

fn parse_host_and_port(authority: &str) -> Result<(String, Option<u16>), ValueError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (ip, rest) = rest.split_once(']').ok_or_else(new_host_error)?;
        let ip: Ipv6Addr = ip.parse().map_err(|_| new_host_error())?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port)?),
            None if rest.is_empty() => None,
            None => return Err(new_host_error()),
        };
        return Ok((ip.to_string(), port));
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err(ValueError::new("invalid host").with_hint("write an IPv6 address in brackets"))
        }
        Some((host, port)) => Ok((parse_host_name(host)?, Some(parse_port(port)?))),
        None => Ok((parse_host_name(authority)?, None)),
    }
}

fn parse_port(text: &str) -> Result<u16, ValueError> {
    // `u16::parse` also accepts a leading `+`.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let port = text.parse().ok().filter(|&port: &u16| digits && port > 0);
    port.ok_or_else(|| ValueError::new("invalid port").with_hint("a port is a number from 1 to 65535"))
}

/// Parses a DNS name or an IPv4 address. The result is in lower case.
pub(crate) fn parse_host_name(text: &str) -> Result<String, ValueError> {
    let name = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // Resolvers accept `127.1`, `0x7f000001` and `2130706433` as addresses. Here they would count as names, and so as
    // another machine, although they are loopback.
    let is_number = last.starts_with(|c: char| c.is_ascii_digit())
        && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x"));
    let is_host = name.len() <= 253 && name.split('.').all(is_label);
    if is_host && (!is_number || name.parse::<Ipv4Addr>().is_ok()) { Ok(name) } else { Err(new_host_error()) }
}

fn new_host_error() -> ValueError {
    ValueError::new("invalid host").with_hint("write a DNS name or an IP address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_endpoint(url: &str, tls: bool, host: &str, port: u16, authority: &str) {
        let endpoint = Endpoint::parse(url).unwrap();
        assert_eq!((endpoint.tls, endpoint.host.as_str(), endpoint.port), (tls, host, port), "{url}");
        assert_eq!(endpoint.authority(), authority, "{url}");
    }

    #[test]
    fn parses_endpoints() {
        check_endpoint(
            "https://OSS-cn-hangzhou.aliyuncs.com",
            true,
            "oss-cn-hangzhou.aliyuncs.com",
            443,
            "oss-cn-hangzhou.aliyuncs.com",
        );
        check_endpoint("http://127.0.0.1:9001", false, "127.0.0.1", 9001, "127.0.0.1:9001");
        check_endpoint("http://[::1]:9001", false, "::1", 9001, "[::1]:9001");
        check_endpoint("https://[2001:DB8::1]", true, "2001:db8::1", 443, "[2001:db8::1]");
        check_endpoint("HTTPS://a:443", true, "a", 443, "a");
        check_endpoint("http://a:443", false, "a", 443, "a:443");
    }

    #[test]
    fn rejects_invalid_endpoints() {
        for url in [
            "",
            "host",
            "ftp://host",
            "https://",
            "https://host/",
            "https://host/path",
            "https://user@host",
            "https://host?x=1",
            "https://host#x",
            "https://host:",
            "https://host:0",
            "https://host:65536",
            "https://host:+80",
            "https://::1",
            "https://[::1",
            "https://[::1]x",
            "https://[127.0.0.1]",
            "https://a..b",
            "https://a.",
            "https://-a",
            "https://a b",
            "https://a\n",
            "http://127.1",
            "http://2130706433",
            "http://0x7f000001",
            "http://256.0.0.1",
            "https://b\u{fc}cher.example",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url:?}");
        }
    }

    #[test]
    fn hides_a_url_that_may_contain_a_secret() {
        assert!(Endpoint::parse("https://key:word@host").unwrap_err().is_secret);
        assert!(Endpoint::parse("https://host?token=word").unwrap_err().is_secret);
    }

    #[test]
    fn recognizes_loopback_addresses_and_names() {
        for url in [
            "http://127.0.0.1",
            "http://127.9.9.9",
            "http://[::1]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost",
            "http://b.S3.localhost:1",
        ] {
            assert!(Endpoint::parse(url).unwrap().is_loopback(), "{url}");
        }
        for url in [
            "http://0.0.0.0",
            "http://10.0.0.1",
            "http://notlocalhost",
            "http://localhost.example",
            "http://[::]",
        ] {
            assert!(!Endpoint::parse(url).unwrap().is_loopback(), "{url}");
        }
    }
}
