//! ListParts, answered here: the protocol library's types know too few checksums.

use crate::errors::invalid_argument;
use crate::list::{echo, page_size};
use crate::meta::{Part, Reading, Upload};
use crate::objects::{Core, iso_date};
use crate::request::{Facts, query};
use crate::sealing::CustomerKey;
use crate::service::OWNER;
use crate::settings::bucket_and_key;
use crate::uploads::UploadAt;
use crate::xml::Element;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode, Uri};
use s3s::{Body, S3Response, S3Result};

/// Answers the call; none where the request is another.
pub(crate) async fn answer(
    core: &Core,
    method: &Method,
    uri: &Uri,
    facts: &Facts,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = bucket_and_key(uri).filter(|(_, key)| !key.is_empty()) else { return Ok(None) };
    let named = |name: &str| query(uri).find(|(known, _)| known == name).map(|(_, value)| value);
    let Some(id) = named("uploadId").filter(|_| *method == Method::GET) else { return Ok(None) };
    // A key may be sent here; one that is malformed is still told.
    CustomerKey::read(&facts.headers)?;
    let number = |name: &str| {
        let number =
            named(name).filter(|text| !text.is_empty()).map(|text| text.parse::<i32>().map_err(|_| text));
        let message = format!("Provided {name} not an integer or within integer range");
        number.transpose().map_err(|text| invalid_argument(&message, name, &text))
    };
    let max = page_size(number("max-parts")?, "max-parts")?;
    let after = u32::try_from(number("part-number-marker")?.unwrap_or_default()).unwrap_or_default();
    let at = UploadAt::new(bucket, key, id)?;
    let wanted = at.clone();
    let work = move |reading: &Reading| {
        reading.bucket(&wanted.bucket)?;
        let upload = reading.upload(&wanted.bucket, &wanted.key, &wanted.id)?;
        Ok((upload, reading.parts(&wanted.id, after)?))
    };
    let (upload, parts) = core.meta.read(work).await?;
    let document = listed(&at, &upload, &parts, max, after).document();
    let mut response = S3Response::with_status(Body::from(document), StatusCode::OK);
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    Ok(Some(response))
}

fn listed(at: &UploadAt, upload: &Upload, parts: &[(u32, Part)], max: usize, after: u32) -> Element {
    let shown: Vec<&(u32, Part)> = parts.iter().take(max).collect();
    let last = shown.last().map_or(0, |row| row.0);
    let leaf = Element::leaf;
    let person = |name: &str| Element::group(name, vec![leaf("ID", OWNER)]);
    let mut children = vec![leaf("Bucket", &at.bucket)];
    children.extend(echo(&at.key).map(|key| leaf("Key", &key)));
    children.extend([
        leaf("UploadId", &at.id),
        person("Initiator"),
        person("Owner"),
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
    children.extend(shown.into_iter().map(|(number, part)| {
        let mut row = vec![
            leaf("PartNumber", &number.to_string()),
            leaf("LastModified", &iso_date(part.modified_ms)),
            leaf("ETag", &format!("\"{}\"", part.etag)),
            leaf("Size", &part.segment.length.to_string()),
        ];
        row.extend(part.checksum.as_ref().map(|sum| leaf(&sum.algorithm.element(), &sum.value)));
        Element::group("Part", row)
    }));
    Element::group("ListPartsResult", children)
}
