//! Listings between dialects: page sizes, encodings, and the second version on targets that have only the first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::dialect::route::Route;
use crate::encoding::hash;
use crate::model::{Document, ErrorKind, Field, Fields, ObjectListing, Operation, Rejection, Request, Value};

/// Marks a continuation token that holds a marker of ours, and where it belongs.
const OUR_TOKEN: &str = "bf2.";

/// The largest page of every vendor here.
const PAGE_MAX: u64 = 1000;

/// The request as the target has to be asked.
///
/// # Errors
/// A continuation token that is none, a page size out of the caller's bounds.
pub fn adapt_listing(route: &Route<'_>, request: &Request) -> Result<Request, Rejection> {
    let mut target_request = request.clone();
    match request.operation {
        operation if operation.is_listing() => {
            target_request.fields.set(Field::EncodingType, Value::Text("url".to_owned()));
            match operation {
                Operation::ListMultipartUploads => {
                    target_request
                        .fields
                        .set(Field::MaxUploads, Value::Number(choose_max_uploads(&request.fields)));
                }
                _ => target_request
                    .fields
                    .set(Field::MaxKeys, Value::Number(choose_max_keys(route, &request.fields))),
            }
            target_request.fields.remove(Field::FetchOwner);
            if request.operation == Operation::ListObjectsV2 {
                downgrade_to_v1(route, &mut target_request)?;
            }
        }
        // A document with a key that XML cannot hold could not be read.
        operation if operation.has_keys_in_response() => {
            target_request.fields.remove(Field::EncodingType);
            if route.target.dialect.target_field_name(Field::EncodingType, operation).is_some() {
                target_request.fields.set(Field::EncodingType, Value::Text("url".to_owned()));
            }
            if let Some(parts) = target_request.fields.number(Field::MaxParts) {
                target_request.fields.set(Field::MaxParts, Value::Number(parts.min(PAGE_MAX)));
            }
        }
        _ => {}
    }
    Ok(target_request)
}

fn choose_max_keys(route: &Route<'_>, fields: &Fields) -> u64 {
    fields.number(Field::MaxKeys).unwrap_or(route.caller.defaults.max_keys).min(PAGE_MAX)
}

fn choose_max_uploads(fields: &Fields) -> u64 {
    fields.number(Field::MaxUploads).unwrap_or(PAGE_MAX).min(PAGE_MAX)
}

/// Towards a target without the second version a token is the marker, and a start is one too.
fn downgrade_to_v1(route: &Route<'_>, target_request: &mut Request) -> Result<(), Rejection> {
    if route.target.dialect.find_route(Operation::ListObjectsV2).is_some() {
        return Ok(());
    }
    target_request.operation = Operation::ListObjects;
    let token = target_request.fields.remove(Field::ContinuationToken);
    let start = target_request.fields.remove(Field::StartAfter);
    let marker = match (token, start) {
        (Some(Value::Text(token)), _) => Some(Value::Text(parse_continuation_token(route, &token)?)),
        (_, start) => start,
    };
    if let Some(marker) = marker {
        target_request.fields.set(Field::Marker, marker);
    }
    Ok(())
}

fn write_continuation_token(route: &Route<'_>, marker: &str) -> String {
    format!("{OUR_TOKEN}{}.{}", TOKEN.encode(marker), TOKEN.encode(compute_seal(route, marker)))
}

/// What binds a marker to its bucket: made of what all replicas know, so that every replica and every start makes
/// the same.
fn compute_seal(route: &Route<'_>, marker: &str) -> Zeroizing<Vec<u8>> {
    let secret = route.target.seal_secret.expose_secret();
    let key = hash::derive_key(secret.as_bytes(), &["continuation token", &route.bucket]);
    hash::hmac_sha256(&key, marker.as_bytes())
}

fn parse_continuation_token(route: &Route<'_>, token: &str) -> Result<String, Rejection> {
    let parts = token.strip_prefix(OUR_TOKEN).and_then(|parts| parts.split_once('.'));
    let marker = parts.and_then(|(marker, sealed)| {
        let marker = String::from_utf8(TOKEN.decode(marker).ok()?).ok()?;
        hash::constant_time_eq(&TOKEN.decode(sealed).ok()?, &compute_seal(route, &marker)).then_some(marker)
    });
    marker.ok_or_else(|| {
        Rejection::with_message(ErrorKind::InvalidArgument, "The continuation token provided is incorrect")
            .with_detail("ArgumentName", "continuation-token")
    })
}

/// The page as the caller asked for it: its own words come back, and a next page has a name in its version.
pub fn complete_listing(route: &Route<'_>, request: &Request, document: &mut Document) {
    let text = |field: Field| request.fields.text(field).map(str::to_owned);
    match document {
        Document::Objects(listing) => {
            listing.is_v2 = request.operation == Operation::ListObjectsV2;
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.marker = text(Field::Marker);
            listing.start_after = text(Field::StartAfter);
            listing.continuation_token = text(Field::ContinuationToken);
            listing.max_keys = choose_max_keys(route, &request.fields);
            listing.encoded = request.fields.has(Field::EncodingType);
            listing.include_owners = !listing.is_v2 || request.fields.has(Field::FetchOwner);
            set_next_page(route, listing);
        }
        Document::Versions(listing) => {
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.key_marker = text(Field::KeyMarker).unwrap_or_default();
            listing.version_marker = text(Field::VersionIdMarker).unwrap_or_default();
            listing.max_keys = choose_max_keys(route, &request.fields);
            listing.encoded = request.fields.has(Field::EncodingType);
        }
        Document::Uploads(listing) => {
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.key_marker = text(Field::KeyMarker).unwrap_or_default();
            listing.upload_marker = text(Field::UploadIdMarker).unwrap_or_default();
            listing.max_uploads = choose_max_uploads(&request.fields);
            listing.encoded = request.fields.has(Field::EncodingType);
        }
        Document::Initiated { encoded, .. } | Document::Completed { encoded, .. } => {
            *encoded = request.fields.has(Field::EncodingType);
        }
        Document::Parts(list) => {
            list.upload_id = text(Field::UploadId).unwrap_or_default();
            list.encoded = request.fields.has(Field::EncodingType);
        }
        _ => {}
    }
}

fn set_next_page(route: &Route<'_>, listing: &mut ObjectListing) {
    if !listing.truncated {
        return;
    }
    if listing.next_marker.is_none() {
        let last_key = listing.objects.last().map(|object| object.key.clone());
        let last_prefix = listing.prefixes.last().cloned();
        listing.next_marker = last_key.max(last_prefix);
    }
    if listing.is_v2 && listing.next_continuation_token.is_none() {
        let marker = listing.next_marker.as_deref().unwrap_or_default();
        listing.next_continuation_token = Some(write_continuation_token(route, marker));
    }
}
