//! The source of a copy: how its head is read, which range of it fits, what a copy keeps of its metadata.

use crate::dialect::Dialect;
use crate::model::{ByteRange, ErrorKind, Field, Fields, Operation, Rejection, Request, Value};

/// The question for the source's head.
pub fn build_source_head_request(client_request: &Request) -> Request {
    let mut request = build_source_request(client_request, Operation::HeadObject);
    request.fields.set(Field::ChecksumMode, Value::Text("ENABLED".to_owned()));
    request
}

/// The fields that open a source, and a read's names for them.
pub(crate) const CUSTOMER_KEY_FIELDS: [(Field, Field); 3] = [
    (Field::SourceCustomerAlgorithm, Field::CustomerAlgorithm),
    (Field::SourceCustomerKey, Field::CustomerKey),
    (Field::SourceCustomerKeyMd5, Field::CustomerKeyMd5),
];

pub(crate) fn build_source_request(client_request: &Request, operation: Operation) -> Request {
    let mut fields = Fields::default();
    for (from, to) in CUSTOMER_KEY_FIELDS {
        if let Some(value) = client_request.fields.get(from) {
            fields.set(to, value.clone());
        }
    }
    if let Some(payer) = client_request.fields.get(Field::RequestPayer) {
        fields.set(Field::RequestPayer, payer.clone());
    }
    if let Some(owner) = client_request.fields.get(Field::SourceExpectedOwner) {
        fields.set(Field::ExpectedOwner, owner.clone());
    }
    let source = client_request.source.clone();
    let (bucket, key, version) =
        source.map_or_else(Default::default, |source| (source.bucket, source.key, source.version));
    if let Some(version) = version {
        fields.set(Field::VersionId, Value::Text(version));
    }
    Request::for_object(operation, bucket, key, fields)
}

/// The refusal of a part copy whose range does not fit its source.
pub fn build_copy_range_rejection(range: ByteRange, length: u64) -> Rejection {
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

/// Adds what a copy keeps of its source's metadata although it replaces the rest.
pub fn keep_metadata(caller: &Dialect, metadata: &mut Vec<(String, Vec<u8>)>, source: &[(String, Vec<u8>)]) {
    let is_kept = |name: &str| caller.metadata_kept_prefixes.iter().any(|start| name.starts_with(start));
    for (name, value) in source.iter().filter(|row| is_kept(&row.0)) {
        if metadata.iter().all(|row| row.0 != *name) {
            metadata.push((name.clone(), value.clone()));
        }
    }
}
