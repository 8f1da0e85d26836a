//! Listings: buckets, objects (both versions of the call), versions and uploads, in UTF-8 byte order.

use crate::bucket::Bucket;
use crate::errors::{internal_error, invalid_argument_error};
use crate::meta::{MetadataReader, Object, RankedVersion, Upload, Version, decode_row, parse_version_rank};
use crate::objects::Core;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::S3Result;
use s3s::dto::EncodingType;

/// The maximum size of a page.
const PAGE_SIZE_MAX: usize = 1000;

/// The characters that `encoding-type=url` does not encode.
const UNENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'~').remove(b'/');

/// The parameters of a listing.
#[derive(Clone, Debug)]
pub(crate) struct ListQuery {
    pub(crate) bucket: String,
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    pub(crate) max: usize,
    pub(crate) encoding: KeyEncoding,
}

impl ListQuery {
    pub(crate) fn new(
        bucket: String,
        prefix: Option<String>,
        delimiter: Option<String>,
        max: Option<i32>,
        encoding: Option<&EncodingType>,
    ) -> S3Result<Self> {
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
        let encoding = KeyEncoding::new(encoding)?;
        Ok(Self {
            bucket,
            prefix: prefix.unwrap_or_default(),
            delimiter,
            max: parse_page_size(max, "max-keys")?,
            encoding,
        })
    }

    /// The common prefix of a key.
    fn find_common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.as_deref()?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        key.get(..self.prefix.len().checked_add(at)?.checked_add(delimiter.len())?)
    }

    /// The first key of a listing that continues after `marker`.
    fn get_start_after(&self, marker: &str) -> Vec<u8> {
        if self.find_common_prefix(marker) == Some(marker) && marker.starts_with(&self.prefix) {
            return get_prefix_end(marker);
        }
        get_next_key(marker)
    }

    /// The position of the marker, but not before the first key that can match.
    fn get_start(&self, marker: Option<&str>) -> Vec<u8> {
        let first = self.prefix.as_bytes().to_vec();
        marker
            .filter(|marker| !marker.is_empty())
            .map_or(first.clone(), |marker| self.get_start_after(marker).max(first))
    }
}

/// The requested page size, limited to the maximum.
pub(crate) fn parse_page_size(requested: Option<i32>, name: &str) -> S3Result<usize> {
    let Some(requested) = requested else { return Ok(PAGE_SIZE_MAX) };
    let page_size_error = |_| {
        invalid_argument_error(
            &format!("Argument {name} must be an integer between 0 and 2147483647"),
            name,
            &requested.to_string(),
        )
    };
    Ok(usize::try_from(requested).map_err(page_size_error)?.min(PAGE_SIZE_MAX))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyEncoding {
    url: bool,
}

impl KeyEncoding {
    fn new(requested: Option<&EncodingType>) -> S3Result<Self> {
        match requested.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some("url") => Ok(Self { url: true }),
            Some(other) => Err(invalid_argument_error(
                "Invalid Encoding Method specified in Request",
                "encoding-type",
                other,
            )),
        }
    }

    pub(crate) fn encode(self, text: &str) -> String {
        if self.url { percent_encode_key(text) } else { text.to_owned() }
    }

    pub(crate) fn to_encoding_type(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }
}

/// A key in the form of `encoding-type=url`.
pub(crate) fn percent_encode_key(text: &str) -> String {
    utf8_percent_encode(text, UNENCODED).to_string()
}

/// A key in a response. It is left out if XML 1.0 cannot represent it, because a client would reject the whole
/// document.
pub(crate) fn filter_xml_key(key: &str) -> Option<String> {
    let is_xml_char =
        |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') || matches!(c, '\t' | '\n' | '\r');
    key.chars().all(is_xml_char).then(|| key.to_owned())
}

/// The smallest key greater than `key`.
fn get_next_key(key: &str) -> Vec<u8> {
    let mut bytes = key.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// The smallest byte string greater than everything that begins with `prefix`.
fn get_prefix_end(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // UTF-8 has no byte 0xFF, so the last byte can always be incremented.
    if let Some(last) = bytes.last_mut() {
        *last = last.saturating_add(1);
    }
    bytes
}

/// One page of a listing.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) prefixes: Vec<String>,
    /// The key or prefix after which the next page begins, if there is one.
    pub(crate) next_marker: Option<String>,
}

impl<T> Page<T> {
    fn new() -> Self {
        Self { entries: Vec::new(), prefixes: Vec::new(), next_marker: None }
    }

    fn len(&self) -> usize {
        self.entries.len().saturating_add(self.prefixes.len())
    }
}

/// The continuation token of version 2: the position in opaque form.
pub(crate) fn encode_token(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("1{place}"))
}

pub(crate) fn decode_token(token: &str) -> S3Result<String> {
    let decoded = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .and_then(|text| text.strip_prefix('1').map(str::to_owned))
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            invalid_argument_error(
                "The continuation token provided is incorrect",
                "continuation-token",
                token,
            )
        })
}

pub(crate) struct ListedObject {
    pub(crate) key: String,
    pub(crate) modified_ms: u64,
    pub(crate) object: Object,
}

pub(crate) struct ListedVersion {
    pub(crate) key: String,
    pub(crate) ranked_version: RankedVersion,
}

pub(crate) struct ListedUpload {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) upload: Upload,
}

impl Core {
    pub(crate) async fn list_buckets(&self) -> S3Result<Vec<(String, Bucket)>> {
        let work = |reading: &MetadataReader| {
            let rows = reading.buckets.range::<&str>(..).map_err(internal_error)?;
            rows.map(|row| {
                let (name, bucket) = row.map_err(internal_error)?;
                Ok((name.value().to_owned(), decode_row(bucket.value())?))
            })
            .collect()
        };
        self.meta.read(work).await
    }

    pub(crate) async fn list_objects(
        &self,
        query: ListQuery,
        marker: Option<String>,
    ) -> S3Result<Page<ListedObject>> {
        self.meta.read(move |reading| collect_objects(reading, &query, marker.as_deref())).await
    }

    pub(crate) async fn list_versions(
        &self,
        query: ListQuery,
        key_marker: Option<String>,
        version_marker: Option<String>,
    ) -> S3Result<Page<ListedVersion>> {
        self.meta
            .read(move |reading| {
                collect_versions(reading, &query, key_marker.as_deref(), version_marker.as_deref())
            })
            .await
    }

    pub(crate) async fn list_uploads(
        &self,
        query: ListQuery,
        key_marker: Option<String>,
        id_marker: Option<String>,
    ) -> S3Result<Page<ListedUpload>> {
        self.meta
            .read(move |reading| {
                collect_uploads(reading, &query, key_marker.as_deref(), id_marker.as_deref())
            })
            .await
    }
}

fn decode_key(bytes: &[u8]) -> S3Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(internal_error)
}

fn collect_objects(
    reading: &MetadataReader,
    query: &ListQuery,
    marker: Option<&str>,
) -> S3Result<Page<ListedObject>> {
    reading.get_bucket(&query.bucket)?;
    let mut page = Page::new();
    if query.max == 0 {
        return Ok(page);
    }
    let mut from = query.get_start(marker);
    let mut last = None;
    loop {
        // The first row of a key is its current version, so one lookup per key is enough.
        let start = (query.bucket.as_str(), from.as_slice(), 0);
        let row = reading
            .versions
            .range(start..)
            .map_err(internal_error)?
            .next()
            .transpose()
            .map_err(internal_error)?;
        let Some((at, row)) = row else { break };
        let (bucket, key, _) = at.value();
        if bucket != query.bucket || !key.starts_with(query.prefix.as_bytes()) {
            break;
        }
        let key = decode_key(key)?;
        let version: Version = decode_row(row.value())?;
        from = get_next_key(&key);
        // A delete marker hides the key. It does not count as an entry of the page.
        let Some(object) = version.object else { continue };
        if page.len() >= query.max {
            page.next_marker = last;
            break;
        }
        if let Some(prefix) = query.find_common_prefix(&key) {
            // Skips all keys below the prefix with one lookup, however many there are.
            from = get_prefix_end(prefix);
            page.prefixes.push(prefix.to_owned());
            last = Some(prefix.to_owned());
        } else {
            last = Some(key.clone());
            page.entries.push(ListedObject { key, modified_ms: version.modified_ms, object });
        }
    }
    Ok(page)
}

fn collect_versions(
    reading: &MetadataReader,
    query: &ListQuery,
    key_marker: Option<&str>,
    version_marker: Option<&str>,
) -> S3Result<Page<ListedVersion>> {
    reading.get_bucket(&query.bucket)?;
    let version_marker = version_marker.filter(|id| !id.is_empty());
    let key_marker = key_marker.filter(|key| !key.is_empty());
    let mut from = match (key_marker, version_marker) {
        (None, Some(id)) => {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(invalid_argument_error(message, "version-id-marker", id));
        }
        (Some(key), Some(id)) => (key.as_bytes().to_vec(), get_rank_after(reading, query, key, id)?),
        (key, None) => (query.get_start(key), 0),
    };
    if from.0.as_slice() < query.prefix.as_bytes() {
        from = (query.prefix.as_bytes().to_vec(), 0);
    }
    let mut page: Page<ListedVersion> = Page::new();
    if query.max == 0 {
        return Ok(page);
    }
    let mut last = None;
    loop {
        let start = (query.bucket.as_str(), from.0.as_slice(), from.1);
        let row = reading
            .versions
            .range(start..)
            .map_err(internal_error)?
            .next()
            .transpose()
            .map_err(internal_error)?;
        let Some((at, row)) = row else { break };
        let (bucket, key, rank) = at.value();
        if bucket != query.bucket || !key.starts_with(query.prefix.as_bytes()) {
            break;
        }
        let key = decode_key(key)?;
        if page.len() >= query.max {
            page.next_marker = last;
            break;
        }
        if let Some(prefix) = query.find_common_prefix(&key) {
            from = (get_prefix_end(prefix), 0);
            page.prefixes.push(prefix.to_owned());
            last = Some(prefix.to_owned());
            continue;
        }
        // A page can begin in the middle of a key, so the newest version may not be part of it.
        let newest = reading.versions.range((bucket, key.as_bytes(), 0)..).map_err(internal_error)?.next();
        let newest = newest.transpose().map_err(internal_error)?.map(|row| row.0.value().2);
        from = (key.as_bytes().to_vec(), rank.saturating_add(1));
        last = Some(key.clone());
        let found =
            RankedVersion { rank, version: decode_row(row.value())?, is_latest: newest == Some(rank) };
        page.entries.push(ListedVersion { key, ranked_version: found });
    }
    Ok(page)
}

/// The rank after the version of a marker. A deleted `null` version could have had any rank, so no version of its key
/// is skipped.
fn get_rank_after(reading: &MetadataReader, query: &ListQuery, key: &str, id: &str) -> S3Result<u64> {
    if let Some(rank) = parse_version_rank(id) {
        return Ok(rank.saturating_add(1));
    }
    let found = reading.find_version(&query.bucket, key, id)?;
    Ok(found.map_or(0, |found| found.rank.saturating_add(1)))
}

/// The version marker of the next page. It contains the rank, which stays valid after the version is deleted.
pub(crate) fn to_version_marker(found: &RankedVersion) -> String {
    parse_version_rank(&found.version.id)
        .map_or_else(|| format!("{:016x}{:016x}", found.rank, 0), |_| found.version.id.clone())
}

fn collect_uploads(
    reading: &MetadataReader,
    query: &ListQuery,
    key_marker: Option<&str>,
    id_marker: Option<&str>,
) -> S3Result<Page<ListedUpload>> {
    reading.get_bucket(&query.bucket)?;
    let key_marker = key_marker.filter(|key| !key.is_empty());
    // S3 ignores an upload ID marker without a key marker (S3, "ListMultipartUploads", upload-id-marker).
    let mut from = match (key_marker, id_marker.filter(|id| !id.is_empty())) {
        (Some(key), Some(id)) => (key.as_bytes().to_vec(), format!("{id}\0")),
        (key, _) => (query.get_start(key), String::new()),
    };
    if from.0.as_slice() < query.prefix.as_bytes() {
        from = (query.prefix.as_bytes().to_vec(), String::new());
    }
    let mut page: Page<ListedUpload> = Page::new();
    if query.max == 0 {
        return Ok(page);
    }
    let mut last = None;
    loop {
        let start = (query.bucket.as_str(), from.0.as_slice(), from.1.as_str());
        let row = reading
            .uploads
            .range(start..)
            .map_err(internal_error)?
            .next()
            .transpose()
            .map_err(internal_error)?;
        let Some((at, row)) = row else { break };
        let (bucket, key, id) = at.value();
        if bucket != query.bucket || !key.starts_with(query.prefix.as_bytes()) {
            break;
        }
        if page.len() >= query.max {
            page.next_marker = last;
            break;
        }
        let key = decode_key(key)?;
        if let Some(prefix) = query.find_common_prefix(&key) {
            from = (get_prefix_end(prefix), String::new());
            page.prefixes.push(prefix.to_owned());
            last = Some(prefix.to_owned());
            continue;
        }
        last = Some(key.clone());
        from = (key.as_bytes().to_vec(), format!("{id}\0"));
        page.entries.push(ListedUpload { key, id: id.to_owned(), upload: decode_row(row.value())? });
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_and_decodes_tokens() {
        assert_eq!(decode_token(&encode_token("a/b")).unwrap(), "a/b");
        for bad in ["", "!", "MQ", "Mg"] {
            assert!(decode_token(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn url_encoding_can_be_decoded_as_a_form() {
        let encoding = KeyEncoding { url: true };
        assert_eq!(encoding.encode("a b+c/%?\u{6587}\u{1}"), "a%20b%2Bc/%25%3F%E6%96%87%01");
    }
}
