//! Pages of buckets. The proxy filters and pages the buckets that a caller may list, because they can be at several
//! targets.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use crate::dialect::Dialect;
use crate::model::{
    BucketListing, ErrorKind, Field, Fields, Operation, Rejection, Request, Timestamp, Value,
};

/// The prefix of the proxy's own continuation tokens.
const TOKEN_PREFIX: &str = "bfb.";

/// Name, creation time, region.
pub type BucketRow = (String, Timestamp, String);

/// The creation time of a bucket of which only the name is known.
pub const CREATION_UNKNOWN: Timestamp = Timestamp(0);

/// Rejects filters that the proxy cannot evaluate, before it sends requests to targets.
///
/// # Errors
/// `NotImplemented` with the name of the parameter; `InvalidArgument` for an invalid continuation token.
pub fn check_bucket_filters(caller: &Dialect, request: &Request) -> Result<(), Rejection> {
    for field in [Field::BucketTagKey, Field::BucketTagValue] {
        if request.fields.has(field) {
            return Err(reject_unsupported_filter(caller, field, "the proxy does not read bucket tags"));
        }
    }
    read_start_after(&request.fields).map(drop)
}

/// Builds the page that a caller requested from all buckets that it may list. `rows` can have any order.
///
/// # Errors
/// As [`check_bucket_filters`]; a filter by creation time if the time of a bucket is not known.
pub fn build_bucket_page(
    caller: &Dialect,
    request: &Request,
    rows: Vec<BucketRow>,
) -> Result<BucketListing, Rejection> {
    check_bucket_filters(caller, request)?;
    let fields = &request.fields;
    let mut rows = filter_buckets(caller, fields, rows)?;
    rows.sort();
    let requested_max = fields.number(Field::MaxKeys);
    let max_keys = match (requested_max, caller.defaults.max_buckets, caller.limits.buckets_page_max) {
        (Some(requested_max), _, page_max) => requested_max.min(page_max.unwrap_or(u64::MAX)),
        (None, default_max, _) => default_max.unwrap_or(u64::MAX),
    };
    let page_len = usize::try_from(max_keys).unwrap_or(usize::MAX);
    let is_truncated = rows.len() > page_len;
    rows.truncate(page_len);
    let last = rows.last().filter(|_| is_truncated);
    let next = last.map(|row| match caller.field_name_in(Field::ContinuationToken, Operation::ListBuckets) {
        Some(_) => format!("{TOKEN_PREFIX}{}", TOKEN.encode(&row.0)),
        None => row.0.clone(),
    });
    Ok(BucketListing {
        prefix: fields.text(Field::Prefix).map(str::to_owned),
        marker: fields.text(Field::Marker).map(str::to_owned),
        max_keys,
        next_page: next,
        is_paged: fields.iter().next().is_some(),
        buckets: rows,
        ..BucketListing::default()
    })
}

fn filter_buckets(
    caller: &Dialect,
    fields: &Fields,
    rows: Vec<BucketRow>,
) -> Result<Vec<BucketRow>, Rejection> {
    let prefix = fields.text(Field::Prefix).unwrap_or_default();
    let start_after = read_start_after(fields)?;
    let region = fields.text(Field::BucketRegion);
    let is_match = |row: &BucketRow| {
        row.0.starts_with(prefix)
            && start_after.as_ref().is_none_or(|after| row.0 > *after)
            && region.is_none_or(|region| row.2 == region)
    };
    let mut rows: Vec<BucketRow> = rows.into_iter().filter(is_match).collect();
    if let (Some(time), Some(range)) = (fields.number(Field::CreatedTime), fields.text(Field::CreatedRange)) {
        if rows.iter().any(|row| row.1 == CREATION_UNKNOWN) {
            return Err(reject_unsupported_filter(
                caller,
                Field::CreatedTime,
                "the creation time of a bucket is not known",
            ));
        }
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        rows.retain(|row| match range {
            "lt" => row.1.0 < time,
            "lte" => row.1.0 <= time,
            "gt" => row.1.0 > time,
            _ => row.1.0 >= time,
        });
    }
    Ok(rows)
}

/// The name after which the page begins.
fn read_start_after(fields: &Fields) -> Result<Option<String>, Rejection> {
    let marker = fields.text(Field::Marker).map(str::to_owned);
    let Some(token) = fields.text(Field::ContinuationToken) else { return Ok(marker) };
    let name = token.strip_prefix(TOKEN_PREFIX).and_then(|name| TOKEN.decode(name).ok());
    name.and_then(|name| String::from_utf8(name).ok()).map(Some).ok_or_else(|| {
        Rejection::with_message(ErrorKind::InvalidArgument, "The continuation token provided is incorrect")
            .with_detail("ArgumentName", "continuation-token")
    })
}

fn reject_unsupported_filter(caller: &Dialect, field: Field, why: &str) -> Rejection {
    let name = caller.field_name_in(field, Operation::ListBuckets);
    let name = name.map_or_else(|| field.name(), |name| name.as_str().to_owned());
    Rejection::with_message(ErrorKind::NotImplemented, format!("{name} is not supported: {why}"))
        .with_detail("Header", name)
}

/// Builds a ListBuckets request to a target: for all buckets, or for the page that begins at `next`, the marker of
/// the page before.
#[must_use]
pub fn build_list_buckets_request(target: &Dialect, next: Option<String>) -> Request {
    // The caller's filters are not sent: bucket names at the target can differ from the caller's.
    let mut request = Request::for_bucket_list();
    if let Some(page_max) = target.limits.buckets_page_max {
        request.fields.set(Field::MaxKeys, Value::Number(page_max));
    }
    if let Some(next) = next {
        let uses_tokens =
            target.target_field_name(Field::ContinuationToken, Operation::ListBuckets).is_some();
        let field = if uses_tokens { Field::ContinuationToken } else { Field::Marker };
        request.fields.set(field, Value::Text(next));
    }
    request
}
