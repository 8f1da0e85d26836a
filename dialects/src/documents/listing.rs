//! Listings: page sizes, key encoding, and ListObjectsV2 on targets that have only ListObjects.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::dialect::route::Route;
use crate::encoding::hash;
use crate::model::{Document, ErrorKind, Field, Fields, ObjectListing, Operation, Rejection, Request, Value};

/// The prefix of the proxy's own continuation tokens. They contain a marker and a code that binds it to its bucket.
const CONTINUATION_TOKEN_PREFIX: &str = "bf2.";

/// The largest page, which is the same at every vendor.
const PAGE_MAX: u64 = 1000;

/// Adapts a listing request to the target.
///
/// # Errors
/// An invalid continuation token.
pub fn adapt_listing(route: &Route<'_>, request: &Request) -> Result<Request, Rejection> {
    let mut target_request = request.clone();
    match request.operation {
        operation if operation.is_listing() => {
            // Always, because a key may contain characters that XML cannot contain.
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
            // The proxy writes its own owner, so the target's is not needed.
            target_request.fields.remove(Field::FetchOwner);
            if request.operation == Operation::ListObjectsV2 {
                downgrade_to_v1(route, &mut target_request)?;
            }
        }
        // As for listings: the response repeats the key.
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

/// Converts ListObjectsV2 to ListObjects for a target that does not have it: the marker is the one in the
/// continuation token, or `start-after`.
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

fn write_continuation_token(route: &Route<'_>, marker: &str) -> Result<String, Rejection> {
    let seal = compute_seal(route, marker)?;
    Ok(format!("{CONTINUATION_TOKEN_PREFIX}{}.{}", TOKEN.encode(marker), TOKEN.encode(seal)))
}

/// The code that authenticates a marker and binds it to its bucket.
fn compute_seal(route: &Route<'_>, marker: &str) -> Result<Zeroizing<Vec<u8>>, Rejection> {
    // From the configuration only, so that a token of one replica is valid at the others, and after a restart.
    let secret = route.target.token_signing_secret.expose_secret();
    let key = hash::derive_key(secret.as_bytes(), &["continuation token", route.require_bucket()?]);
    Ok(hash::hmac_sha256(&key, marker.as_bytes()))
}

fn parse_continuation_token(route: &Route<'_>, token: &str) -> Result<String, Rejection> {
    let parts = token.strip_prefix(CONTINUATION_TOKEN_PREFIX).and_then(|parts| parts.split_once('.'));
    let marker = parts.and_then(|(marker, sealed)| {
        let marker = String::from_utf8(TOKEN.decode(marker).ok()?).ok()?;
        let seal = compute_seal(route, &marker).ok()?;
        hash::constant_time_eq(&TOKEN.decode(sealed).ok()?, &seal).then_some(marker)
    });
    marker.ok_or_else(|| {
        Rejection::with_message(ErrorKind::InvalidArgument, "The continuation token provided is incorrect")
            .with_detail("ArgumentName", "continuation-token")
    })
}

/// Completes a page for the caller: with the values of the caller's request instead of those sent to the target, and
/// with the marker of the next page in the caller's version of the listing.
///
/// # Errors
/// As [`Route::require_bucket`].
pub fn complete_listing(
    route: &Route<'_>,
    request: &Request,
    document: &mut Document,
) -> Result<(), Rejection> {
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
            set_next_page(route, listing)?;
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
    Ok(())
}

fn set_next_page(route: &Route<'_>, listing: &mut ObjectListing) -> Result<(), Rejection> {
    if !listing.truncated {
        return Ok(());
    }
    // ListObjects of S3 returns a marker only with a delimiter: without one, the last key is the marker.
    if listing.next_marker.is_none() {
        let last_key = listing.objects.last().map(|object| object.key.clone());
        let last_prefix = listing.prefixes.last().cloned();
        listing.next_marker = last_key.max(last_prefix);
    }
    if listing.is_v2 && listing.next_continuation_token.is_none() {
        let marker = listing.next_marker.as_deref().unwrap_or_default();
        listing.next_continuation_token = Some(write_continuation_token(route, marker)?);
    }
    Ok(())
}
