//! Copies in OSS.

use crate::dialect::{ConditionCombination, CopyRules, SelfCopyRule, TargetCopySource};
use crate::encoding::percent;
use crate::model::{CopySource, ErrorKind, Rejection};

/// OSS, CopyObject and UploadPartCopy.
pub(crate) const RULES: CopyRules = CopyRules {
    source_header: "x-oss-copy-source",
    source_grammar: "/bucket/key[?versionId=id], the key percent-encoded.",
    parse_source,
    write_source,
    combination: ConditionCombination::All,
    // ali-oss sends each condition twice, with and without the prefix x-oss-copy-source-, so the second must not count
    // as a condition on the destination.
    repeats_conditions: true,
    uses_not_modified_status: true,
    ignores_future_dates: false,
    self_copy: SelfCopyRule::AlwaysReplacesMetadata,
    // OSS, UploadPartCopy, x-oss-copy-source-range: an invalid range copies the whole source instead of an error, so an
    // OSS client must get the same result from any target.
    strict_range: false,
    accepts_error_after_200: false,
    bytes_max: 5 * 1024 * 1024 * 1024,
    needs_metadata_check: false,
};

/// OSS, CopyObject, x-oss-copy-source: `/bucket/key[?versionId=id]`.
fn parse_source(value: &str, _: Option<&str>) -> Result<CopySource, Rejection> {
    let (path, version) = match value.split_once('?') {
        None => (value, None),
        Some((path, tail)) => (path, Some(parse_version(tail)?)),
    };
    let path = path.strip_prefix('/').ok_or_else(build_source_rejection)?;
    let (bucket, key) = path.split_once('/').ok_or_else(build_source_rejection)?;
    let bucket = percent::decode(bucket).map_err(|_| build_source_rejection())?;
    // aliyun-oss-go-sdk encodes a space as `+`, and all SDKs encode a plus sign, so `+` must be decoded as a space.
    let key = percent::decode_form(key).map_err(|_| build_source_rejection())?;
    if key.is_empty() {
        return Err(build_source_rejection());
    }
    Ok(CopySource { bucket, key, version })
}

fn parse_version(tail: &str) -> Result<String, Rejection> {
    let id = tail
        .strip_prefix("versionId=")
        .and_then(|id| percent::decode(id).ok())
        .ok_or_else(build_source_rejection)?;
    if id.is_empty() {
        return Err(Rejection::with_message(
            ErrorKind::InvalidCopySource,
            "Version id can not be the empty string.",
        ));
    }
    if id.contains('&') {
        return Err(Rejection::with_message(ErrorKind::InvalidCopySource, "Invalid version id specified."));
    }
    Ok(id)
}

fn build_source_rejection() -> Rejection {
    Rejection::new(ErrorKind::InvalidCopySource).with_detail("ArgumentName", RULES.source_header)
}

/// Writes the documented form. Unlike in S3, the leading `/` is required.
fn write_source(at: &TargetCopySource<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("/{}/{}{version}", at.bucket, percent::encode_path(at.key))
}
