//! Copying in S3 (section 4).

use crate::dialect::{ConditionCombination, CopyRules, SelfCopyRule, TargetCopySource};
use crate::encoding::percent;
use crate::model::{CopySource, ErrorKind, Rejection};

/// 4.3 to 4.10
pub const RULES: CopyRules = CopyRules {
    source_header: "x-amz-copy-source",
    source_grammar: "[/]bucket/key[?versionId=id], the key percent-encoded.",
    parse_source,
    write_source,
    combination: ConditionCombination::Precedence,
    repeats_conditions: false,
    uses_not_modified_status: false,
    ignores_future_dates: true,
    self_copy: SelfCopyRule::AnyChange,
    strict_range: true,
    accepts_late_error: true,
    bytes_max: 5 * 1024 * 1024 * 1024,
    needs_metadata_check: false,
};

/// 4.2: `[/]bucket/key[?versionId=id]`. Split at the first raw `?`, decoded once, `+` being a space.
fn parse_source(value: &str, _: Option<&str>) -> Result<CopySource, Rejection> {
    let (path, tail) = value.split_once('?').map_or((value, None), |(path, tail)| (path, Some(tail)));
    let version = tail.map(parse_version).transpose()?;
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

/// Nothing but a version may follow: a `?` that belongs to the key has to be encoded.
fn parse_version(tail: &str) -> Result<String, Rejection> {
    let version = tail.strip_prefix("versionId=").and_then(|id| percent::decode(id).ok());
    version.filter(|id| !id.is_empty()).ok_or_else(|| build_source_rejection("Invalid version id specified"))
}

fn build_source_rejection(message: &str) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidCopySource, message)
        .with_detail("ArgumentName", "x-amz-copy-source")
        .with_detail("ArgumentValue", "x-amz-copy-source")
}

/// 4.2: the one form that every server here accepts.
fn write_source(at: &TargetCopySource<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("/{}/{}{version}", at.bucket, percent::encode_path(at.key))
}
