//! Pages of buckets: what a caller asked for of all that it may see.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;

use crate::engine::dialect::Dialect;
use crate::model::{BucketList, Fault, Field, Fields, Operation, Refusal, Request, Timestamp, Value};

/// Marks a continuation token of ours.
const OUR_TOKEN: &str = "bfb.";

/// Name, creation, region.
pub type Row = (String, Timestamp, String);

/// When a bucket was made of which only the name is known.
pub const UNKNOWN: Timestamp = Timestamp(0);

/// Refuses what cannot be answered here, before any target is asked.
///
/// # Errors
/// `NotImplemented`, naming the parameter; a token that is none.
pub fn check(caller: &Dialect, request: &Request) -> Result<(), Refusal> {
    for field in [Field::BucketTagKey, Field::BucketTagValue] {
        if request.fields.has(field) {
            return Err(cannot(caller, field, "tags of buckets are not looked at here"));
        }
    }
    after(&request.fields).map(drop)
}

/// The page that a caller asked for, of all the buckets that it may see, in any order.
///
/// # Errors
/// As [`check`]; a filter by time where a bucket's time is not known.
pub fn page(caller: &Dialect, request: &Request, rows: Vec<Row>) -> Result<BucketList, Refusal> {
    check(caller, request)?;
    let fields = &request.fields;
    let mut rows = chosen(caller, fields, rows)?;
    rows.sort();
    let asked = fields.number(Field::MaxKeys);
    let max_keys = match (asked, caller.absent.max_buckets, caller.limits.buckets_page) {
        (Some(asked), _, most) => asked.min(most.unwrap_or(u64::MAX)),
        (None, usual, _) => usual.unwrap_or(u64::MAX),
    };
    let kept = usize::try_from(max_keys).unwrap_or(usize::MAX);
    let more = rows.len() > kept;
    rows.truncate(kept);
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| match caller.name_in(Field::ContinuationToken, Operation::ListBuckets) {
        Some(_) => format!("{OUR_TOKEN}{}", TOKEN.encode(&row.0)),
        None => row.0.clone(),
    });
    Ok(BucketList {
        prefix: fields.text(Field::Prefix).map(str::to_owned),
        marker: fields.text(Field::Marker).map(str::to_owned),
        max_keys,
        next,
        limited: fields.iter().next().is_some(),
        buckets: rows,
        ..BucketList::default()
    })
}

fn chosen(caller: &Dialect, fields: &Fields, rows: Vec<Row>) -> Result<Vec<Row>, Refusal> {
    let prefix = fields.text(Field::Prefix).unwrap_or_default();
    let after = after(fields)?;
    let region = fields.text(Field::BucketRegion);
    let fits = |row: &Row| {
        row.0.starts_with(prefix)
            && after.as_ref().is_none_or(|after| row.0 > *after)
            && region.is_none_or(|region| row.2 == region)
    };
    let mut rows: Vec<Row> = rows.into_iter().filter(fits).collect();
    if let (Some(time), Some(range)) = (fields.number(Field::CreatedTime), fields.text(Field::CreatedRange)) {
        if rows.iter().any(|row| row.1 == UNKNOWN) {
            return Err(cannot(caller, Field::CreatedTime, "when a bucket was made is not known"));
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

/// The name behind which the page begins.
fn after(fields: &Fields) -> Result<Option<String>, Refusal> {
    let marker = fields.text(Field::Marker).map(str::to_owned);
    let Some(token) = fields.text(Field::ContinuationToken) else { return Ok(marker) };
    let name = token.strip_prefix(OUR_TOKEN).and_then(|name| TOKEN.decode(name).ok());
    name.and_then(|name| String::from_utf8(name).ok()).map(Some).ok_or_else(|| {
        Refusal::say(Fault::InvalidArgument, "The continuation token provided is incorrect")
            .with("ArgumentName", "continuation-token")
    })
}

fn cannot(caller: &Dialect, field: Field, why: &str) -> Refusal {
    let name = caller.name_in(field, Operation::ListBuckets);
    let name = name.map_or_else(|| field.name(), |name| name.as_str().to_owned());
    Refusal::say(Fault::NotImplemented, format!("{name} cannot be carried out here: {why}"))
        .with("Header", name)
}

/// The question for a target's buckets: all of them, or the page that begins with `next`, which the page before told.
/// What the caller asked for is chosen here, since targets call their buckets otherwise.
#[must_use]
pub fn question(target: &Dialect, next: Option<String>) -> Request {
    let mut request = Request::new(Operation::ListBuckets);
    if let Some(most) = target.limits.buckets_page {
        request.fields.set(Field::MaxKeys, Value::Number(most));
    }
    if let Some(next) = next {
        let tokens = target.says(Field::ContinuationToken, Operation::ListBuckets).is_some();
        let field = if tokens { Field::ContinuationToken } else { Field::Marker };
        request.fields.set(field, Value::Text(next));
    }
    request
}
