//! GetObjectAttributes. It is implemented here because the s3s library quotes the ETag, which S3 does not.

use crate::dates::format_http_date;
use crate::digests::Checksum;
use crate::encryption::CustomerKey;
use crate::errors::{invalid_argument_error, invalid_request_error};
use crate::headers::insert_header;
use crate::meta::{MetadataReader, ObjectBody as Segments};
use crate::objects::{Core, delete_marker_error, insert_version_id};
use crate::request::{RequestHead, parse_query};
use crate::settings::parse_bucket_and_key;
use crate::xml::Element;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use s3s::{Body, S3Response, S3Result};

const ATTRIBUTE_NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
const ATTRIBUTES_HEADER: &str = "x-amz-object-attributes";
const PARTS_MAX: usize = 1000;

/// Handles the request; `None` for any other request.
pub(crate) async fn handle_get_object_attributes(
    core: &Core,
    method: &Method,
    uri: &Uri,
    request_head: &RequestHead,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = parse_bucket_and_key(uri).filter(|(_, key)| !key.is_empty()) else {
        return Ok(None);
    };
    let find_parameter =
        |name: &str| parse_query(uri).find(|(known, _)| known == name).map(|(_, value)| value);
    if *method != Method::GET || find_parameter("attributes").is_none() {
        return Ok(None);
    }
    let attribute_names = read_attribute_names(&request_head.headers)?;
    let (max, after) = (
        read_number_header(request_head, "x-amz-max-parts")?,
        read_number_header(request_head, "x-amz-part-number-marker")?,
    );
    let customer = CustomerKey::read(&request_head.headers)?;
    let version = find_parameter("versionId");
    let work = move |reading: &MetadataReader| {
        let (found, row) = reading.get_version(&bucket, &key, version.as_deref())?;
        let Some(object) = found.version.object.clone() else {
            return Err(delete_marker_error(&found, &key, version.is_some()));
        };
        let body = reading.get_body(&bucket, &key, found.rank)?;
        Ok((found, row, object, body))
    };
    let (found, row, object, body) = core.meta.read(work).await?;
    // No bytes are read, but S3 requires the customer key here too.
    object.sealing.resolve_key(customer.as_ref(), &core.meta.blobs.managed_key)?;
    let is_requested = |name: &str| attribute_names.iter().any(|wanted| wanted == name);
    // The order of the elements is the one in S3's response syntax.
    let mut children = Vec::new();
    children.extend(is_requested("ETag").then(|| Element::with_text("ETag", &object.etag)));
    children.extend(object.checksum.as_ref().filter(|_| is_requested("Checksum")).map(build_checksum));
    // An object of a single put has no parts, also if it has several segments from appends.
    if is_requested("ObjectParts") && body.multipart {
        let max = max.map_or(PARTS_MAX, |max| max.min(PARTS_MAX));
        children.push(build_object_parts(&body, max, after.unwrap_or_default()));
    }
    children.extend(
        is_requested("StorageClass").then(|| Element::with_text("StorageClass", &object.attributes.class)),
    );
    children.extend(
        is_requested("ObjectSize").then(|| Element::with_text("ObjectSize", &object.size.to_string())),
    );
    let root = Element::with_children("GetObjectAttributesResponse", children);
    let mut response = S3Response::with_status(Body::from(root.to_document()), StatusCode::OK);
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    insert_header(&mut response.headers, "last-modified", &format_http_date(found.version.modified_ms));
    insert_version_id(&mut response.headers, row.versioning, &found.version.id);
    Ok(Some(response))
}

/// The requested attributes, in one header or several.
fn read_attribute_names(headers: &HeaderMap) -> S3Result<Vec<String>> {
    let values =
        headers.get_all(ATTRIBUTES_HEADER).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all: Vec<String> = values
        .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .collect();
    if all.is_empty() {
        return Err(invalid_request_error(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    if let Some(unknown) = all.iter().find(|name| !ATTRIBUTE_NAMES.contains(&name.as_str())) {
        return Err(invalid_argument_error("Invalid attribute name specified.", ATTRIBUTES_HEADER, unknown));
    }
    Ok(all)
}

fn read_number_header(request_head: &RequestHead, name: &str) -> S3Result<Option<usize>> {
    let Some(value) = request_head.headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let number = text.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok());
    // The text of S3, word for word.
    let message = format!("Provided {name} not an integer or within integer range");
    number.map(Some).ok_or_else(|| invalid_argument_error(&message, name, text))
}

fn build_checksum_value(checksum: &Checksum) -> Element {
    // In this document a composite value has no number of parts.
    let value = checksum.value.split('-').next().unwrap_or_default();
    Element::with_text(&checksum.algorithm.element_name(), value)
}

fn build_checksum(checksum: &Checksum) -> Element {
    Element::with_children(
        "Checksum",
        vec![build_checksum_value(checksum), Element::with_text("ChecksumType", checksum.kind())],
    )
}

/// One page of the parts. They are numbered from 1, like the part numbers of a GET.
fn build_object_parts(body: &Segments, max: usize, after: usize) -> Element {
    let count = body.segments.len();
    let last = after.saturating_add(max).min(count);
    let leaf = |name: &str, number: usize| Element::with_text(name, &number.to_string());
    let mut children = vec![
        leaf("PartsCount", count),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", last.max(after)),
        leaf("MaxParts", max),
        Element::with_text("IsTruncated", if last < count && max > 0 { "true" } else { "false" }),
    ];
    let rows = body.segments.iter().zip(&body.sums).enumerate().skip(after).take(max);
    children.extend(rows.map(|(index, (segment, checksum))| {
        let size = Element::with_text("Size", &segment.length.to_string());
        Element::with_children(
            "Part",
            vec![leaf("PartNumber", index.saturating_add(1)), size, build_checksum_value(checksum)],
        )
    }));
    Element::with_children("ObjectParts", children)
}
