//! The attributes of an object: metadata, storage class, ACL, tags, lock.

use crate::errors::{invalid_argument_error, invalid_request_error, not_implemented_error, s3_error};
use crate::lock::ObjectLock;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use s3s::dto::Tag;
use s3s::{S3Error, S3Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const METADATA_PREFIX: &str = "x-amz-meta-";
/// Names and values together.
const METADATA_BYTES_MAX: usize = 2048;
const TAGS_MAX: usize = 10;
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
const STANDARD: &str = "STANDARD";
const STORAGE_CLASSES: [&str; 9] = [
    STANDARD,
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "GLACIER_IR",
    "DEEP_ARCHIVE",
    // An OSS class between GLACIER and DEEP_ARCHIVE. Only the proxy sends it.
    "COLD_ARCHIVE",
];
/// Headers that the metadata directive covers besides user metadata. Requests and responses use the same names.
const SYSTEM_HEADERS: [&str; 6] = [
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

/// Headers that this store does not support. They are rejected, never dropped.
const UNSUPPORTED_HEADERS: [&str; 6] = [
    "x-amz-grant-read",
    "x-amz-grant-write",
    "x-amz-grant-read-acp",
    "x-amz-grant-write-acp",
    "x-amz-grant-full-control",
    "x-amz-write-offset-bytes",
];

/// The attributes that a metadata directive covers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    system: BTreeMap<String, HeaderText>,
    user: BTreeMap<String, HeaderText>,
}

/// A header value, byte for byte. A row contains it as text if it is UTF-8, else as a list of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
struct HeaderText(Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<Written> for HeaderText {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self(text.into_bytes()),
            Written::Bytes(bytes) => Self(bytes),
        }
    }
}

impl From<HeaderText> for Written {
    fn from(HeaderText(bytes): HeaderText) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }
}

impl Metadata {
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let mut metadata = Self::default();
        for name in SYSTEM_HEADERS {
            if let Some(value) = read_header_bytes(headers, name).filter(|value| !value.is_empty()) {
                metadata.system.insert(name.to_owned(), HeaderText(value));
            }
        }
        if let Some(value) =
            metadata.system.remove("content-encoding").and_then(|value| strip_aws_chunked(value.0))
        {
            metadata.system.insert("content-encoding".to_owned(), HeaderText(value));
        }
        let default_content_type = || HeaderText(b"binary/octet-stream".to_vec());
        metadata.system.entry("content-type".to_owned()).or_insert_with(default_content_type);
        for name in headers.keys().map(HeaderName::as_str) {
            let Some(short) = name.strip_prefix(METADATA_PREFIX).filter(|short| !short.is_empty()) else {
                continue;
            };
            metadata
                .user
                .insert(short.to_owned(), HeaderText(read_header_bytes(headers, name).unwrap_or_default()));
        }
        let size: usize =
            metadata.user.iter().map(|(name, value)| name.len().saturating_add(value.0.len())).sum();
        if size > METADATA_BYTES_MAX {
            let message = "Your metadata headers exceed the maximum allowed metadata size";
            let elements = [("Size", size.to_string()), ("MaxSizeAllowed", METADATA_BYTES_MAX.to_string())];
            let elements: Vec<_> = elements.iter().map(|(name, value)| (*name, value.as_str())).collect();
            return Err(s3_error(400, "MetadataTooLarge", message, &elements));
        }
        Ok(metadata)
    }

    /// The headers of GET and HEAD.
    fn to_headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let system = self.system.iter().map(|(name, value)| (name.clone(), value));
        let user = self.user.iter().map(|(name, value)| (format!("{METADATA_PREFIX}{name}"), value));
        system
            .chain(user)
            .filter_map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_bytes(&value.0).ok()?)))
    }
}

/// The attributes of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) metadata: Metadata,
    /// STANDARD by default.
    pub(crate) class: String,
    pub(crate) acl: Acl,
    pub(crate) redirect: Option<String>,
    pub(crate) tags: Tags,
    #[serde(default)]
    pub(crate) lock: ObjectLock,
}

/// The storage class of an object and, as an extension to S3, the default of a new bucket.
pub(crate) const STORAGE_CLASS_HEADER: &str = "x-amz-storage-class";

/// The storage class in a request.
pub(crate) fn read_class(headers: &HeaderMap) -> S3Result<Option<String>> {
    let class = read_utf8_header(headers, STORAGE_CLASS_HEADER)?;
    match class.as_deref().filter(|class| !STORAGE_CLASSES.contains(class)) {
        None => Ok(class),
        Some(class) => {
            let message = "The storage class you specified is not valid";
            Err(s3_error(400, "InvalidStorageClass", message, &[("StorageClassRequested", class)]))
        }
    }
}

impl Attributes {
    /// Reads the headers of a put, a copy or the beginning of an upload.
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        // A dropped grant would store an object with another ACL than the client requested.
        if let Some(name) = UNSUPPORTED_HEADERS.into_iter().find(|name| headers.contains_key(*name)) {
            return Err(not_implemented_error(name));
        }
        let class = read_class(headers)?.unwrap_or_else(|| STANDARD.to_owned());
        let tags = read_utf8_header(headers, "x-amz-tagging")?
            .map_or(Ok(Tags::default()), |value| Tags::parse(&value))?;
        let redirect = read_utf8_header(headers, "x-amz-website-redirect-location")?;
        let (metadata, acl, lock) =
            (Metadata::read(headers)?, Acl::read(headers)?, ObjectLock::read(headers)?);
        Ok(Self { metadata, class, acl, redirect, tags, lock })
    }

    /// The headers of GET and HEAD.
    pub(crate) fn to_headers(&self) -> HeaderMap {
        let mut headers: HeaderMap = self.metadata.to_headers().collect();
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
        };
        if self.class != STANDARD {
            put(STORAGE_CLASS_HEADER, &self.class);
        }
        if !self.tags.0.is_empty() {
            put("x-amz-tagging-count", &self.tags.0.len().to_string());
        }
        if let Some(redirect) = &self.redirect {
            put("x-amz-website-redirect-location", redirect);
        }
        self.lock.add_headers(&mut headers);
        headers
    }
}

/// One header value, byte for byte. Repeated headers are joined with commas, as in S3.
fn read_header_bytes(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let values: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    (!values.is_empty()).then(|| values.join(&b','))
}

/// One header that has to be text.
fn read_utf8_header(headers: &HeaderMap, name: &str) -> S3Result<Option<String>> {
    read_header_bytes(headers, name)
        .map(String::from_utf8)
        .transpose()
        .map_err(|_| s3_error(400, "InvalidArgument", "The header is not UTF-8", &[("ArgumentName", name)]))
}

/// Removes `aws-chunked`, which describes the transfer of the request and not the object.
fn strip_aws_chunked(value: Vec<u8>) -> Option<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(&value) else { return Some(value) };
    if !text.to_ascii_lowercase().contains("aws-chunked") {
        return Some(value);
    }
    let codings: Vec<&str> =
        text.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    (!codings.is_empty()).then(|| codings.join(",").into_bytes())
}

/// A canned ACL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Acl {
    #[default]
    Private,
    PublicRead,
    PublicReadWrite,
    AuthenticatedRead,
    AwsExecRead,
    BucketOwnerRead,
    BucketOwnerFullControl,
}

pub(crate) const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
pub(crate) const AUTHENTICATED_USERS: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

const ACLS: [(Acl, &str); 7] = [
    (Acl::Private, "private"),
    (Acl::PublicRead, "public-read"),
    (Acl::PublicReadWrite, "public-read-write"),
    (Acl::AuthenticatedRead, "authenticated-read"),
    (Acl::AwsExecRead, "aws-exec-read"),
    (Acl::BucketOwnerRead, "bucket-owner-read"),
    (Acl::BucketOwnerFullControl, "bucket-owner-full-control"),
];

impl Acl {
    pub(crate) fn read(headers: &HeaderMap) -> S3Result<Self> {
        let Some(value) = read_utf8_header(headers, "x-amz-acl")? else { return Ok(Self::default()) };
        let row = ACLS.iter().find(|row| row.1 == value);
        row.map(|row| row.0).ok_or_else(|| invalid_argument_error("", "x-amz-acl", &value))
    }

    /// The grants to groups: group, permission.
    pub(crate) fn group_grants(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::PublicRead => &[(ALL_USERS, "READ")],
            Self::PublicReadWrite => &[(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
            Self::AuthenticatedRead => &[(AUTHENTICATED_USERS, "READ")],
            Self::Private | Self::AwsExecRead | Self::BucketOwnerRead | Self::BucketOwnerFullControl => &[],
        }
    }

    /// The canned ACL with exactly these grants to groups, in any order.
    pub(crate) fn from_group_grants(grants: &[(String, String)]) -> Option<Self> {
        [Self::Private, Self::PublicRead, Self::PublicReadWrite, Self::AuthenticatedRead].into_iter().find(
            |acl| {
                let expected = acl.group_grants();
                expected.len() == grants.len()
                    && expected.iter().all(|own| grants.iter().any(|g| (g.0.as_str(), g.1.as_str()) == *own))
            },
        )
    }
}

/// At most ten tags with distinct keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tags(Vec<(String, String)>);

impl Tags {
    /// Reads the form-encoded header.
    pub(crate) fn parse(value: &str) -> S3Result<Self> {
        let tagging_header_error = || {
            let message = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
                           parameters without tag name duplicates.";
            invalid_argument_error(message, "x-amz-tagging", value)
        };
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text)
                .decode_utf8()
                .map(|text| text.into_owned())
                .map_err(|_| tagging_header_error())
        };
        let mut tags = Vec::new();
        for pair in value.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            tags.push((decode(key)?, decode(value)?));
        }
        Self::validate(tags, TAGS_MAX).map_err(|problem| match problem {
            TagError::DuplicateKey(_) => tagging_header_error(),
            other => other.into(),
        })
    }

    /// Reads the XML form.
    pub(crate) fn from_xml(tags: &[Tag]) -> S3Result<Self> {
        let pair = |tag: &Tag| (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default());
        Ok(Self::validate(tags.iter().map(pair).collect(), TAGS_MAX)?)
    }

    /// Checks the tags of a bucket, at most `max`.
    pub(crate) fn check_bucket_tags(tags: Vec<(String, String)>, max: usize) -> S3Result<()> {
        Self::validate(tags, max)?;
        Ok(())
    }

    pub(crate) fn to_xml(&self) -> Vec<Tag> {
        let tag =
            |(key, value): &(String, String)| Tag { key: Some(key.clone()), value: Some(value.clone()) };
        self.0.iter().map(tag).collect()
    }

    fn validate(tags: Vec<(String, String)>, max: usize) -> Result<Self, TagError> {
        if tags.len() > max {
            return Err(TagError::TooMany(max));
        }
        for (index, (key, value)) in tags.iter().enumerate() {
            let is_allowed = |text: &str| {
                text.chars().all(|c| {
                    c.is_alphanumeric()
                        || c.is_whitespace() && c != '\n' && c != '\r'
                        || "+-=._:/@".contains(c)
                })
            };
            // Source: S3, "Categorizing your objects using tags": the `aws:` prefix is reserved.
            if key.is_empty()
                || key.chars().count() > TAG_KEY_CHARS_MAX
                || !is_allowed(key)
                || key.starts_with("aws:")
            {
                return Err(TagError::InvalidKey(key.clone()));
            }
            if value.chars().count() > TAG_VALUE_CHARS_MAX || !is_allowed(value) {
                return Err(TagError::InvalidValue(key.clone()));
            }
            if tags.iter().take(index).any(|before| before.0 == *key) {
                return Err(TagError::DuplicateKey(key.clone()));
            }
        }
        Ok(Self(tags))
    }
}

enum TagError {
    TooMany(usize),
    InvalidKey(String),
    InvalidValue(String),
    DuplicateKey(String),
}

impl From<TagError> for S3Error {
    fn from(problem: TagError) -> Self {
        match problem {
            TagError::TooMany(TAGS_MAX) => {
                s3_error(400, "BadRequest", "Object tags cannot be greater than 10", &[])
            }
            TagError::TooMany(max) => {
                let message = format!("Bucket tag count cannot be greater than {max}");
                s3_error(400, "BadRequest", &message, &[])
            }
            TagError::InvalidKey(key) => {
                s3_error(400, "InvalidTag", "The TagKey you have provided is invalid", &[("TagKey", &key)])
            }
            TagError::InvalidValue(key) => {
                s3_error(400, "InvalidTag", "The TagValue you have provided is invalid", &[("TagKey", &key)])
            }
            TagError::DuplicateKey(key) => s3_error(
                400,
                "InvalidTag",
                "Cannot provide multiple Tags with the same key",
                &[("TagKey", &key)],
            ),
        }
    }
}

/// A directive of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Copy,
    Replace,
}

impl Directive {
    /// `kind` is "metadata" or "tagging".
    pub(crate) fn read(headers: &HeaderMap, kind: &str) -> S3Result<Self> {
        let name = format!("x-amz-{kind}-directive");
        match read_utf8_header(headers, &name)?.as_deref() {
            None | Some("" | "COPY") => Ok(Self::Copy),
            Some("REPLACE") => Ok(Self::Replace),
            Some(other) => Err(invalid_argument_error(&format!("Unknown {kind} directive."), &name, other)),
        }
    }
}

/// Reads the ACL of `?acl`, from `x-amz-acl` or from the body. Both together are rejected, and so is neither.
pub(crate) fn read_acl(headers: &HeaderMap, grants: Option<Vec<(String, String)>>) -> S3Result<Acl> {
    if let Some(name) = UNSUPPORTED_HEADERS.into_iter().find(|name| headers.contains_key(*name)) {
        return Err(not_implemented_error(name));
    }
    match (headers.contains_key("x-amz-acl"), grants) {
        (true, None) => Acl::read(headers),
        (true, Some(_)) => {
            Err(s3_error(400, "UnexpectedContent", "This request does not support content", &[]))
        }
        (false, Some(grants)) => Acl::from_group_grants(&grants)
            .ok_or_else(|| invalid_request_error("Only grants that equal a canned ACL are supported")),
        (false, None) => {
            let message = "Your request was missing a required header";
            Err(s3_error(400, "MissingSecurityHeader", message, &[("MissingHeaderName", "x-amz-acl")]))
        }
    }
}
