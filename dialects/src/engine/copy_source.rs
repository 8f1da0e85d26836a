//! The source of a copy: the request for its head, the range of a part copy, and the metadata that a copy keeps.

use crate::dialect::Dialect;
use crate::model::{ByteRange, CopySource, ErrorKind, Field, Fields, Operation, Rejection, Request, Value};

/// Builds the request for the source's head.
///
/// # Errors
/// The request is not a copy.
pub fn build_source_head_request(client_request: &Request) -> Result<Request, Rejection> {
    let mut request = build_source_request(client_request, Operation::HeadObject)?;
    // S3 returns the checksums of an object only if the request enables them.
    request.fields.set(Field::ChecksumMode, Value::Text("ENABLED".to_owned()));
    Ok(request)
}

/// The customer key fields of a copy's source, and the names of the same fields in a read.
pub(crate) const CUSTOMER_KEY_FIELDS: [(Field, Field); 3] = [
    (Field::SourceCustomerAlgorithm, Field::CustomerAlgorithm),
    (Field::SourceCustomerKey, Field::CustomerKey),
    (Field::SourceCustomerKeyMd5, Field::CustomerKeyMd5),
];

pub(crate) fn build_source_request(
    client_request: &Request,
    operation: Operation,
) -> Result<Request, Rejection> {
    let CopySource { bucket, key, version } = client_request.require_source()?.clone();
    let mut fields = Fields::default();
    for (from, to) in CUSTOMER_KEY_FIELDS {
        if let Some(value) = client_request.fields.get(from) {
            fields.set(to, value.clone());
        }
    }
    // A requester-pays bucket rejects a HEAD without this field, although the copy itself would be allowed.
    if let Some(payer) = client_request.fields.get(Field::RequestPayer) {
        fields.set(Field::RequestPayer, payer.clone());
    }
    // The expected owner protects the source, so it must also hold for the read.
    if let Some(owner) = client_request.fields.get(Field::SourceExpectedOwner) {
        fields.set(Field::ExpectedOwner, owner.clone());
    }
    if let Some(version) = version {
        fields.set(Field::VersionId, Value::Text(version));
    }
    Ok(Request::for_object(operation, bucket, key, fields))
}

/// The rejection of a part copy with a range that its source does not have.
pub(crate) fn build_copy_range_rejection(range: ByteRange, length: u64) -> Rejection {
    match range {
        ByteRange::Span(first, _) | ByteRange::From(first) if first >= length => {
            ErrorKind::CopyRangeBeyond.into()
        }
        _ => Rejection::with_message(
            ErrorKind::InvalidCopyRange,
            format!("Range specified is not valid for source object of size: {length}"),
        ),
    }
}

/// Adds the entries of the source's metadata that a copy keeps although it replaces the rest.
pub(crate) fn merge_kept_metadata(
    caller: &Dialect,
    metadata: &mut Vec<(String, Vec<u8>)>,
    source: &[(String, Vec<u8>)],
) {
    let is_kept = |name: &str| caller.metadata_kept_prefixes.iter().any(|start| name.starts_with(start));
    // An entry of the request takes precedence over that of the source.
    for (name, value) in source.iter().filter(|row| is_kept(&row.0)) {
        if metadata.iter().all(|row| row.0 != *name) {
            metadata.push((name.clone(), value.clone()));
        }
    }
}
