//! ListParts. It is implemented here because the types of the s3s library lack the newer checksum algorithms.

use crate::dates::format_iso_date;
use crate::encryption::CustomerKey;
use crate::errors::invalid_argument_error;
use crate::list::{filter_xml_key, parse_page_size};
use crate::meta::{MetadataReader, Part, Upload};
use crate::objects::Core;
use crate::request::{RequestHead, parse_query};
use crate::service::OWNER;
use crate::settings::parse_bucket_and_key;
use crate::uploads::UploadLocation;
use crate::xml::Element;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, Uri};
use s3s::{Body, S3Response, S3Result};

/// Handles the request; `None` for any other request.
pub(crate) async fn handle_list_parts(
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
    let Some(id) = find_parameter("uploadId").filter(|_| *method == Method::GET) else { return Ok(None) };
    // A customer key is allowed here but not needed. S3 still rejects an invalid one.
    CustomerKey::read(&request_head.headers)?;
    let number = |name: &str| {
        let number = find_parameter(name)
            .filter(|text| !text.is_empty())
            .map(|text| text.parse::<i32>().map_err(|_| text));
        let message = format!("Provided {name} not an integer or within integer range");
        number.transpose().map_err(|text| invalid_argument_error(&message, name, &text))
    };
    let max = parse_page_size(number("max-parts")?, "max-parts")?;
    let after = u32::try_from(number("part-number-marker")?.unwrap_or_default()).unwrap_or_default();
    let at = UploadLocation::new(bucket, key, id)?;
    let location = at.clone();
    let work = move |reading: &MetadataReader| {
        reading.get_bucket(&location.bucket)?;
        let upload = reading.get_upload(&location.bucket, &location.key, &location.id)?;
        Ok((upload, reading.list_parts(&location.id, after)?))
    };
    let (upload, parts) = core.meta.read(work).await?;
    let document = build_part_list(&at, &upload, &parts, max, after).to_document();
    let mut response = S3Response::with_status(Body::from(document), StatusCode::OK);
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Ok(Some(response))
}

fn build_part_list(
    at: &UploadLocation,
    upload: &Upload,
    parts: &[(u32, Part)],
    max: usize,
    after: u32,
) -> Element {
    let page: Vec<&(u32, Part)> = parts.iter().take(max).collect();
    let last = page.last().map_or(0, |row| row.0);
    let leaf = Element::with_text;
    let owner_element = |name: &str| Element::with_children(name, vec![leaf("ID", OWNER)]);
    let mut children = vec![leaf("Bucket", &at.bucket)];
    children.extend(filter_xml_key(&at.key).map(|key| leaf("Key", &key)));
    children.extend([
        leaf("UploadId", &at.id),
        owner_element("Initiator"),
        owner_element("Owner"),
        leaf("StorageClass", &upload.attributes.class),
        leaf("PartNumberMarker", &after.to_string()),
        leaf("NextPartNumberMarker", &last.to_string()),
        leaf("MaxParts", &max.to_string()),
        leaf("IsTruncated", if max > 0 && parts.len() > max { "true" } else { "false" }),
    ]);
    if upload.chosen {
        children.push(leaf("ChecksumAlgorithm", upload.algorithm.name()));
        children.push(leaf("ChecksumType", if upload.composite { "COMPOSITE" } else { "FULL_OBJECT" }));
    }
    children.extend(page.into_iter().map(|(number, part)| {
        let mut row = vec![
            leaf("PartNumber", &number.to_string()),
            leaf("LastModified", &format_iso_date(part.modified_ms)),
            leaf("ETag", &format!("\"{}\"", part.etag)),
            leaf("Size", &part.segment.length.to_string()),
        ];
        row.extend(part.checksum.as_ref().map(|sum| leaf(&sum.algorithm.element_name(), &sum.value)));
        Element::with_children("Part", row)
    }));
    Element::with_children("ListPartsResult", children)
}
