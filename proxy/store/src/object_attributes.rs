//! GetObjectAttributes, answered here: the protocol library quotes the ETag, which S3 does not.

use crate::digests::Checksum;
use crate::errors::{invalid_argument, invalid_request};
use crate::meta::{Body as Segments, Reading};
use crate::objects::{Core, http_date, marker_fault, put, put_version};
use crate::request::{Facts, query};
use crate::sealing::CustomerKey;
use crate::settings::bucket_and_key;
use crate::xml::Element;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use s3s::{Body, S3Response, S3Result};

const NAMES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
const WANTED: &str = "x-amz-object-attributes";
const PARTS_MAX: usize = 1000;

/// Answers the call; none where the request is another.
pub(crate) async fn answer(
    core: &Core,
    method: &Method,
    uri: &Uri,
    facts: &Facts,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = bucket_and_key(uri).filter(|(_, key)| !key.is_empty()) else { return Ok(None) };
    let named = |name: &str| query(uri).find(|(known, _)| known == name).map(|(_, value)| value);
    if *method != Method::GET || named("attributes").is_none() {
        return Ok(None);
    }
    let wanted = wanted(&facts.headers)?;
    let (max, after) = (number(facts, "x-amz-max-parts")?, number(facts, "x-amz-part-number-marker")?);
    let customer = CustomerKey::read(&facts.headers)?;
    let version = named("versionId");
    let work = move |reading: &Reading| {
        let (found, row) = reading.object(&bucket, &key, version.as_deref())?;
        let Some(object) = found.version.object.clone() else {
            return Err(marker_fault(&found, &key, version.is_some()));
        };
        let body = reading.body(&bucket, &key, found.rank)?;
        Ok((found, row, object, body))
    };
    let (found, row, object, body) = core.meta.read(work).await?;
    object.sealing.open(customer.as_ref(), &core.meta.blobs.managed)?;
    let has = |name: &str| wanted.iter().any(|wanted| wanted == name);
    let mut children = Vec::new();
    children.extend(has("ETag").then(|| Element::leaf("ETag", &object.etag)));
    children.extend(object.checksum.as_ref().filter(|_| has("Checksum")).map(checksum));
    if has("ObjectParts") && body.multipart {
        let max = max.map_or(PARTS_MAX, |max| max.min(PARTS_MAX));
        children.push(parts(&body, max, after.unwrap_or_default()));
    }
    children.extend(has("StorageClass").then(|| Element::leaf("StorageClass", &object.attributes.class)));
    children.extend(has("ObjectSize").then(|| Element::leaf("ObjectSize", &object.size.to_string())));
    let root = Element::group("GetObjectAttributesResponse", children);
    let mut response = S3Response::with_status(Body::from(root.document()), StatusCode::OK);
    response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    put(&mut response.headers, "last-modified", &http_date(found.version.modified_ms));
    put_version(&mut response.headers, row.versioning, &found.version.id);
    Ok(Some(response))
}

/// The attributes asked for, in one header or many.
fn wanted(headers: &HeaderMap) -> S3Result<Vec<String>> {
    let values = headers.get_all(WANTED).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let all: Vec<String> = values
        .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .collect();
    if all.is_empty() {
        return Err(invalid_request(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    if let Some(unknown) = all.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(invalid_argument("Invalid attribute name specified.", WANTED, unknown));
    }
    Ok(all)
}

fn number(facts: &Facts, name: &str) -> S3Result<Option<usize>> {
    let Some(value) = facts.headers.get(name) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let number = text.parse::<u32>().ok().and_then(|number| usize::try_from(number).ok());
    let message = format!("Provided {name} not an integer or within integer range");
    number.map(Some).ok_or_else(|| invalid_argument(&message, name, text))
}

fn sum(checksum: &Checksum) -> Element {
    // A composite value stands without the number of its parts here.
    let value = checksum.value.split('-').next().unwrap_or_default();
    Element::leaf(&checksum.algorithm.element(), value)
}

fn checksum(checksum: &Checksum) -> Element {
    Element::group("Checksum", vec![sum(checksum), Element::leaf("ChecksumType", checksum.kind())])
}

/// One page of the parts. They are numbered anew from 1, as a read by part number counts them.
fn parts(body: &Segments, max: usize, after: usize) -> Element {
    let count = body.segments.len();
    let last = after.saturating_add(max).min(count);
    let leaf = |name: &str, number: usize| Element::leaf(name, &number.to_string());
    let mut children = vec![
        leaf("PartsCount", count),
        leaf("PartNumberMarker", after),
        leaf("NextPartNumberMarker", last.max(after)),
        leaf("MaxParts", max),
        Element::leaf("IsTruncated", if last < count && max > 0 { "true" } else { "false" }),
    ];
    let rows = body.segments.iter().zip(&body.sums).enumerate().skip(after).take(max);
    children.extend(rows.map(|(index, (segment, checksum))| {
        let size = Element::leaf("Size", &segment.length.to_string());
        Element::group("Part", vec![leaf("PartNumber", index.saturating_add(1)), size, sum(checksum)])
    }));
    Element::group("ObjectParts", children)
}
