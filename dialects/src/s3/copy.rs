//! Copies in S3.

use crate::dialect::{ConditionCombination, CopyRules, SelfCopyRule, TargetCopySource};
use crate::encoding::percent;
use crate::model::{CopySource, ErrorKind, Rejection};

/// Amazon S3, CopyObject and UploadPartCopy.
pub(crate) const RULES: CopyRules = CopyRules {
    source_header: "x-amz-copy-source",
    source_grammar: "[/]bucket/key[?versionId=id], the key percent-encoded.",
    parse_source,
    write_source,
    // Amazon S3, CopyObject, x-amz-copy-source-if-match: it takes precedence over
    // x-amz-copy-source-if-unmodified-since.
    combination: ConditionCombination::Precedence,
    repeats_conditions: false,
    uses_not_modified_status: false,
    ignores_future_dates: true,
    self_copy: SelfCopyRule::NeedsChange,
    // A range that exceeds the source is an error in S3, so it must not be sent to a target that would copy the whole
    // source instead.
    strict_range: true,
    accepts_error_after_200: true,
    bytes_max: 5 * 1024 * 1024 * 1024,
    needs_metadata_check: false,
};

/// Amazon S3, CopyObject, x-amz-copy-source: `[/]bucket/key[?versionId=id]`.
fn parse_source(value: &str, _: Option<&str>) -> Result<CopySource, Rejection> {
    // The value is split before it is decoded, because an encoded `?` is part of the key.
    let (path, tail) = value.split_once('?').map_or((value, None), |(path, tail)| (path, Some(tail)));
    let version = tail.map(parse_version).transpose()?;
    // Amazon S3 reads `+` as a space here. It is decoded only once, since SDKs may send a key that contains `%`.
    let path =
        percent::decode_form(path).map_err(|_| build_source_rejection("Invalid copy source encoding"))?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) =
        path.split_once('/').ok_or_else(|| build_source_rejection("Invalid copy source object key"))?;
    if key.is_empty() {
        return Err(build_source_rejection("Invalid copy source object key"));
    }
    Ok(CopySource { bucket: bucket.to_owned(), key: key.to_owned(), version })
}

/// Parses the text after the `?`. Only a version ID is valid, because a `?` in the key must be encoded.
fn parse_version(tail: &str) -> Result<String, Rejection> {
    let version = tail.strip_prefix("versionId=").and_then(|id| percent::decode(id).ok());
    version.filter(|id| !id.is_empty()).ok_or_else(|| build_source_rejection("Invalid version id specified"))
}

fn build_source_rejection(message: &str) -> Rejection {
    // Amazon S3 repeats the name of the header as its value, so that is what clients expect.
    Rejection::with_message(ErrorKind::InvalidCopySource, message)
        .with_detail("ArgumentName", "x-amz-copy-source")
        .with_detail("ArgumentValue", "x-amz-copy-source")
}

/// Writes the form that all S3-compatible servers accept.
// The leading `/` is optional in S3, but some older servers require it. Space and plus are sent as `%20` and `%2B`,
// because servers disagree about the meaning of `+`.
fn write_source(at: &TargetCopySource<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("/{}/{}{version}", at.bucket, percent::encode_path(at.key))
}
