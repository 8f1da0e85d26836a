//! Listings between dialects: page sizes, encodings, and the second version on targets that have only the first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::engine::way::Way;
use crate::model::{Document, Fault, Field, Fields, Listing, Operation, Refusal, Request, Value};
use crate::wire::hash;

/// Marks a continuation token that holds a marker of ours, and where it belongs.
const OUR_TOKEN: &str = "bf2.";

/// The largest page of every vendor here.
const PAGE_MAX: u64 = 1000;

/// The request as the target has to be asked.
///
/// # Errors
/// A continuation token that is none, a page size out of the caller's bounds.
pub fn adapted(way: &Way<'_>, asked: &Request) -> Result<Request, Refusal> {
    let mut sent = asked.clone();
    match asked.operation {
        operation if operation.lists() => {
            sent.fields.set(Field::EncodingType, Value::Text("url".to_owned()));
            match operation {
                Operation::ListMultipartUploads => {
                    sent.fields.set(Field::MaxUploads, Value::Number(uploads(&asked.fields)));
                }
                _ => sent.fields.set(Field::MaxKeys, Value::Number(page(way, &asked.fields))),
            }
            sent.fields.remove(Field::FetchOwner);
            if asked.operation == Operation::ListObjectsV2 {
                second(way, &mut sent)?;
            }
        }
        // A document with a key that XML cannot hold could not be read.
        operation if operation.answers_with_key() => {
            sent.fields.remove(Field::EncodingType);
            if way.target.dialect.says(Field::EncodingType, operation).is_some() {
                sent.fields.set(Field::EncodingType, Value::Text("url".to_owned()));
            }
            if let Some(parts) = sent.fields.number(Field::MaxParts) {
                sent.fields.set(Field::MaxParts, Value::Number(parts.min(PAGE_MAX)));
            }
        }
        _ => {}
    }
    Ok(sent)
}

fn page(way: &Way<'_>, fields: &Fields) -> u64 {
    fields.number(Field::MaxKeys).unwrap_or(way.caller.absent.max_keys).min(PAGE_MAX)
}

fn uploads(fields: &Fields) -> u64 {
    fields.number(Field::MaxUploads).unwrap_or(PAGE_MAX).min(PAGE_MAX)
}

/// Towards a target without the second version a token is the marker, and a start is one too.
fn second(way: &Way<'_>, sent: &mut Request) -> Result<(), Refusal> {
    if way.target.dialect.route(Operation::ListObjectsV2).is_some() {
        return Ok(());
    }
    sent.operation = Operation::ListObjects;
    let token = sent.fields.remove(Field::ContinuationToken);
    let start = sent.fields.remove(Field::StartAfter);
    let marker = match (token, start) {
        (Some(Value::Text(token)), _) => Some(Value::Text(read_token(way, &token)?)),
        (_, start) => start,
    };
    if let Some(marker) = marker {
        sent.fields.set(Field::Marker, marker);
    }
    Ok(())
}

fn write_token(way: &Way<'_>, marker: &str) -> String {
    format!("{OUR_TOKEN}{}.{}", TOKEN.encode(marker), TOKEN.encode(seal(way, marker)))
}

/// What binds a marker to its bucket: made of what all replicas know, so that every replica and every start makes
/// the same.
fn seal(way: &Way<'_>, marker: &str) -> Zeroizing<Vec<u8>> {
    let secret = way.target.seal.expose_secret();
    let key = hash::derived_key(secret.as_bytes(), &["continuation token", &way.bucket]);
    hash::hmac_sha256(&key, marker.as_bytes())
}

fn read_token(way: &Way<'_>, token: &str) -> Result<String, Refusal> {
    let parts = token.strip_prefix(OUR_TOKEN).and_then(|parts| parts.split_once('.'));
    let marker = parts.and_then(|(marker, sealed)| {
        let marker = String::from_utf8(TOKEN.decode(marker).ok()?).ok()?;
        hash::same(&TOKEN.decode(sealed).ok()?, &seal(way, &marker)).then_some(marker)
    });
    marker.ok_or_else(|| {
        Refusal::say(Fault::InvalidArgument, "The continuation token provided is incorrect")
            .with("ArgumentName", "continuation-token")
    })
}

/// The page as the caller asked for it: its own words come back, and a next page has a name in its version.
pub fn completed(way: &Way<'_>, asked: &Request, document: &mut Document) {
    let text = |field: Field| asked.fields.text(field).map(str::to_owned);
    match document {
        Document::Objects(listing) => {
            listing.second = asked.operation == Operation::ListObjectsV2;
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.marker = text(Field::Marker);
            listing.start_after = text(Field::StartAfter);
            listing.token = text(Field::ContinuationToken);
            listing.max_keys = page(way, &asked.fields);
            listing.encoded = asked.fields.has(Field::EncodingType);
            listing.owners = !listing.second || asked.fields.has(Field::FetchOwner);
            name_next(way, listing);
        }
        Document::Versions(listing) => {
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.key_marker = text(Field::KeyMarker).unwrap_or_default();
            listing.version_marker = text(Field::VersionIdMarker).unwrap_or_default();
            listing.max_keys = page(way, &asked.fields);
            listing.encoded = asked.fields.has(Field::EncodingType);
        }
        Document::Uploads(listing) => {
            listing.prefix = text(Field::Prefix).unwrap_or_default();
            listing.delimiter = text(Field::Delimiter);
            listing.key_marker = text(Field::KeyMarker).unwrap_or_default();
            listing.upload_marker = text(Field::UploadIdMarker).unwrap_or_default();
            listing.max_uploads = uploads(&asked.fields);
            listing.encoded = asked.fields.has(Field::EncodingType);
        }
        Document::Initiated { encoded, .. } | Document::Completed { encoded, .. } => {
            *encoded = asked.fields.has(Field::EncodingType);
        }
        Document::Parts(list) => {
            list.upload_id = text(Field::UploadId).unwrap_or_default();
            list.encoded = asked.fields.has(Field::EncodingType);
        }
        _ => {}
    }
}

fn name_next(way: &Way<'_>, listing: &mut Listing) {
    if !listing.truncated {
        return;
    }
    if listing.next_marker.is_none() {
        let last_key = listing.objects.last().map(|object| object.key.clone());
        let last_prefix = listing.prefixes.last().cloned();
        listing.next_marker = last_key.max(last_prefix);
    }
    if listing.second && listing.next_token.is_none() {
        let marker = listing.next_marker.as_deref().unwrap_or_default();
        listing.next_token = Some(write_token(way, marker));
    }
}
