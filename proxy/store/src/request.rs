//! The parsed headers of a verified request.
//!
//! The s3s library rejects or misreads some headers that S3 accepts: an invalid `Range`, dates in other forms, lists of
//! entity tags, an `Expires` that is not a date, and, in earlier releases, an encoded `?` in a copy source. Those
//! headers are read here, by one function each, and removed before the library reads the request.

use crate::conditions::Conditions;
use crate::digests::ExpectedDigests;
use crate::errors::{access_denied_error, invalid_argument_error, invalid_version_id_error, s3_error};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode;
use s3s::{S3Error, S3Result, TrailingHeaders};
use std::sync::Arc;

/// The account that owns every bucket.
pub(crate) const ACCOUNT_ID: &str = "000000000000";
/// The maximum length of a key in UTF-8.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// The source of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopySource {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

const COPY_SOURCE: &str = "x-amz-copy-source";

impl CopySource {
    /// Reads `[/]bucket/key[?versionId=id]`: splits at the first raw `?`, then decodes once.
    ///
    /// As on AWS, a `+` is a space, and a raw `?` that does not begin a version ID belongs to the key.
    pub(crate) fn parse(raw: &[u8]) -> S3Result<Self> {
        let (path, version) = match split_at_byte(raw, b'?') {
            Some((path, query)) => match query.strip_prefix(b"versionId=") {
                Some(id) => (path, Some(id)),
                None => (raw, None),
            },
            None => (raw, None),
        };
        let plus_is_space: Vec<u8> =
            path.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        let path = percent_decode_source(&plus_is_space)?;
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if !s3s::path::check_bucket_name(bucket) {
            return Err(copy_source_error("Invalid copy source bucket name"));
        }
        if key.is_empty() {
            return Err(copy_source_error("Invalid copy source object key"));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(key_too_long_error(key));
        }
        let version = version.map(percent_decode_source).transpose()?;
        if version.as_deref() == Some("") {
            return Err(invalid_version_id_error(""));
        }
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version })
    }
}

fn split_at_byte(bytes: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == wanted)?;
    let (head, tail) = bytes.split_at_checked(at)?;
    Some((head, tail.get(1..)?))
}

fn percent_decode_source(bytes: &[u8]) -> S3Result<String> {
    let encoding_error = || copy_source_error("Invalid copy source encoding");
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        let is_hex_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
        if *byte == b'%' && !(is_hex_digit(rest.next()) && is_hex_digit(rest.next())) {
            return Err(encoding_error());
        }
    }
    let text = percent_decode(bytes).decode_utf8().map_err(|_| encoding_error())?;
    Ok(text.into_owned())
}

fn copy_source_error(message: &str) -> S3Error {
    // AWS puts the name in place of the value.
    invalid_argument_error(message, COPY_SOURCE, COPY_SOURCE)
}

fn key_too_long_error(key: &str) -> S3Error {
    let (size, max) = (key.len().to_string(), KEY_BYTES_MAX.to_string());
    s3_error(400, "KeyTooLongError", "Your key is too long", &[("Size", &size), ("MaxSizeAllowed", &max)])
}

/// A `Range` of exactly one range in bytes. Any other form is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    From { first: u64, last: Option<u64> },
    Last(u64),
}

impl ByteRange {
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
        match (first, last) {
            // `bytes=-5` is the last five bytes (RFC 9110, section 14.1.2).
            ("", last) => Some(Self::Last(parse_digits(last)?)),
            (first, "") => Some(Self::From { first: parse_digits(first)?, last: None }),
            (first, last) => {
                let (first, last) = (parse_digits(first)?, parse_digits(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The first byte and the length within an object of `size` bytes; `None` if the range is not satisfiable.
    pub(crate) fn resolve(self, size: u64) -> Option<(u64, u64)> {
        let end = size.checked_sub(1)?;
        let (first, last) = match self {
            // RFC 9110, section 14.1.2: a suffix length of zero is unsatisfiable.
            Self::Last(0) => return None,
            Self::Last(count) => (size.saturating_sub(count), end),
            Self::From { first, last } => (first, last.map_or(end, |last| last.min(end))),
        };
        let length = last.checked_sub(first)?.checked_add(1)?;
        (first <= end).then_some((first, length))
    }
}

/// Parses digits only. A number above 64 bits becomes the maximum.
fn parse_digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A range may end far beyond the object; RFC 9110, section 14.1.2 sets no limit on the number.
    all.then(|| text.parse().unwrap_or(u64::MAX))
}

/// The parsed headers.
#[derive(Clone)]
pub(crate) struct RequestHead(Arc<RequestHeadFields>);

impl std::fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The headers may contain a customer key.
        f.write_str("RequestHead(..)")
    }
}

pub(crate) struct RequestHeadFields {
    /// The verified headers, unchanged.
    pub(crate) headers: HeaderMap,
    pub(crate) source: Option<CopySource>,
    pub(crate) source_conditions: Conditions,
    pub(crate) conditions: Conditions,
    pub(crate) range: Option<ByteRange>,
    /// The range as written.
    pub(crate) range_text: String,
    pub(crate) expected_digests: ExpectedDigests,
    /// The length of the decoded body in bytes, if the request has it.
    pub(crate) content_length: Option<u64>,
    /// Replacements for response headers, from the query.
    pub(crate) response_overrides: Vec<(HeaderName, HeaderValue)>,
}

impl std::ops::Deref for RequestHead {
    type Target = RequestHeadFields;

    fn deref(&self) -> &RequestHeadFields {
        &self.0
    }
}

impl RequestHead {
    /// Parses the headers, and leaves in `headers` only those that the library reads correctly.
    pub(crate) fn take_from_headers(
        headers: &mut HeaderMap,
        uri: &Uri,
        trailers: Option<TrailingHeaders>,
    ) -> S3Result<Self> {
        // First, because every other function reads only headers.
        copy_query_to_headers(headers, uri);
        check_expected_owner(headers)?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
        let source = headers.get(COPY_SOURCE).map(|raw| CopySource::parse(raw.as_bytes())).transpose()?;
        let inner = RequestHeadFields {
            source_conditions: Conditions::read(headers, "x-amz-copy-source-"),
            conditions: Conditions::read(headers, ""),
            range: text("range").and_then(ByteRange::parse),
            range_text: text("range").unwrap_or_default().to_owned(),
            expected_digests: ExpectedDigests::read(headers, trailers)?,
            content_length: number("x-amz-decoded-content-length").or_else(|| number("content-length")),
            response_overrides: read_response_overrides(uri)?,
            headers: headers.clone(),
            source,
        };
        // Left in place, they would make the library reject requests that S3 accepts.
        for name in HANDLED_HEADERS {
            headers.remove(name);
        }
        // The library rejects metadata that is not ASCII, which S3 accepts.
        let user: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("x-amz-meta-")).cloned().collect();
        for name in user {
            headers.remove(name);
        }
        if inner.source.is_some() {
            // The library needs a value here. It is never used.
            headers.insert(COPY_SOURCE, HeaderValue::from_static("read/above"));
        }
        Ok(Self(Arc::new(inner)))
    }
}

/// Parsed above, and hidden from the library.
const HANDLED_HEADERS: [&str; 24] = [
    "authorization",
    "range",
    "expires",
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "x-amz-website-redirect-location",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-none-match",
    "x-amz-copy-source-if-modified-since",
    "x-amz-copy-source-if-unmodified-since",
    "x-amz-copy-source-range",
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-expected-bucket-owner",
];

/// In a presigned request, a query parameter `x-amz-*` counts as the header of this name.
fn copy_query_to_headers(headers: &mut HeaderMap, uri: &Uri) {
    const SIGNING: [&str; 8] = [
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-signedheaders",
        "x-amz-signature",
        "x-amz-security-token",
        "x-amz-content-sha256",
    ];
    for (name, value) in parse_query(uri) {
        let name = name.to_ascii_lowercase();
        // The parameters of the signature itself are not headers, and a real header has priority.
        if !name.starts_with("x-amz-") || SIGNING.contains(&name.as_str()) || headers.contains_key(&name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.insert(name, value);
        }
    }
}

/// The decoded query parameters. One that is not UTF-8 is left out; the signature check already rejected it.
pub(crate) fn parse_query(uri: &Uri) -> impl Iterator<Item = (String, String)> {
    uri.query().unwrap_or_default().split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(|text| text.into_owned())
        };
        Some((decode(name)?, decode(value)?))
    })
}

fn read_response_overrides(uri: &Uri) -> S3Result<Vec<(HeaderName, HeaderValue)>> {
    const NAMES: [(&str, HeaderName); 6] = [
        ("response-content-type", http::header::CONTENT_TYPE),
        ("response-content-language", http::header::CONTENT_LANGUAGE),
        ("response-expires", http::header::EXPIRES),
        ("response-cache-control", http::header::CACHE_CONTROL),
        ("response-content-disposition", http::header::CONTENT_DISPOSITION),
        ("response-content-encoding", http::header::CONTENT_ENCODING),
    ];
    let mut found = Vec::new();
    for (name, value) in parse_query(uri) {
        let Some((_, header)) = NAMES.into_iter().find(|row| row.0 == name) else { continue };
        let header_value_error = |_| invalid_argument_error("The header value is not valid", &name, &value);
        found.push((header, HeaderValue::from_bytes(value.as_bytes()).map_err(header_value_error)?));
    }
    Ok(found)
}

fn check_expected_owner(headers: &HeaderMap) -> S3Result<()> {
    for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        let Some(owner) = headers.get(name) else { continue };
        let owner = owner.as_bytes();
        if owner.len() != ACCOUNT_ID.len() || !owner.iter().all(u8::is_ascii_digit) {
            let message = "The value of the expected bucket owner parameter must be an AWS account ID";
            return Err(s3_error(400, "InvalidBucketOwnerAWSAccountID", message, &[]));
        }
        // The client names this header to avoid writing to a bucket that somebody else owns by now.
        if owner != ACCOUNT_ID.as_bytes() {
            return Err(access_denied_error("Access Denied"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_copy_source(raw: &str, expected: Option<(&str, &str, Option<&str>)>) {
        let source = CopySource::parse(raw.as_bytes()).ok();
        let got = source.as_ref().map(|s| (s.bucket.as_str(), s.key.as_str(), s.version.as_deref()));
        assert_eq!(got, expected, "{raw}");
    }

    #[test]
    fn splits_a_copy_source_before_decoding() {
        check_copy_source("photos/cat.png", Some(("photos", "cat.png", None)));
        check_copy_source("/photos/cat.png?versionId=7", Some(("photos", "cat.png", Some("7"))));
        check_copy_source("photos/why%3F.png", Some(("photos", "why?.png", None)));
        check_copy_source(
            "photos/why%3FversionId=1?versionId=null",
            Some(("photos", "why?versionId=1", Some("null"))),
        );
        check_copy_source("photos/why?.png", Some(("photos", "why?.png", None)));
        check_copy_source("photos/a+b%2Bc%20d", Some(("photos", "a b+c d", None)));
        check_copy_source("photos%2Fa", Some(("photos", "a", None)));
        check_copy_source("/photos//a", Some(("photos", "/a", None)));
        check_copy_source("photos/./../a//b/", Some(("photos", "./../a//b/", None)));
        check_copy_source("photos/100%25", Some(("photos", "100%", None)));
        check_copy_source("photos/100%2525", Some(("photos", "100%25", None)));
        check_copy_source("photos/\u{6587}\u{4ef6}", Some(("photos", "\u{6587}\u{4ef6}", None)));
        for bad in [
            "photos",
            "photos/",
            "/",
            "",
            "photos/%",
            "photos/%zz",
            "photos/%ff",
            "Photos_/x",
            "photos/a?versionId=",
        ] {
            check_copy_source(bad, None);
        }
        check_copy_source(&format!("photos/{}", "k".repeat(1025)), None);
        assert!(CopySource::parse(format!("photos/{}", "k".repeat(1024)).as_bytes()).is_ok());
    }

    #[test]
    fn parses_ranges() {
        let resolve = |text: &str, size| ByteRange::parse(text).map(|range| range.resolve(size));
        assert_eq!(resolve("bytes=0-9", 5), Some(Some((0, 5))));
        assert_eq!(resolve("bytes=2-", 5), Some(Some((2, 3))));
        assert_eq!(resolve("bytes=-2", 5), Some(Some((3, 2))));
        assert_eq!(resolve("bytes=-9", 5), Some(Some((0, 5))));
        assert_eq!(resolve("bytes=-0", 5), Some(None));
        assert_eq!(resolve("bytes=5-", 5), Some(None));
        assert_eq!(resolve("bytes=0-0", 0), Some(None));
        assert_eq!(resolve("bytes=99999999999999999999999-", 5), Some(None));
        for ignored in ["bytes=1-0", "bytes=-1-", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "0-1", "bytes=a-b"]
        {
            assert_eq!(resolve(ignored, 5), None, "{ignored}");
        }
    }
}
