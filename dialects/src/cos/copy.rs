//! Copies in COS.

use crate::dialect::addressing;
use crate::dialect::{ConditionCombination, CopyRules, SelfCopyRule, TargetCopySource};
use crate::encoding::percent;
use crate::model::{CopySource, ErrorKind, Rejection};

/// COS, PUT Object - Copy and Upload Part - Copy.
pub(crate) const RULES: CopyRules = CopyRules {
    source_header: "x-cos-copy-source",
    source_grammar: "bucket-appid.cos.region.myqcloud.com/key[?versionId=id], the key percent-encoded.",
    parse_source,
    write_source,
    // COS, Upload Part - Copy, request headers: two conditions are only valid in the listed pairs, so others are
    // rejected before a target with other rules evaluates them.
    combination: ConditionCombination::Pairs,
    repeats_conditions: false,
    uses_not_modified_status: false,
    ignores_future_dates: false,
    self_copy: SelfCopyRule::Replaced,
    strict_range: true,
    accepts_error_after_200: true,
    bytes_max: 5 * 1024 * 1024 * 1024,
    needs_metadata_check: false,
};

/// COS, PUT Object - Copy, x-cos-copy-source: `host/key[?versionId=id]`. The form `[/]bucket/key` that OpenDAL sends is
/// accepted too.
fn parse_source(value: &str, endpoint: Option<&str>) -> Result<CopySource, Rejection> {
    // A scheme and a leading `/` are not part of the documented form, but are accepted because clients send them.
    let value = value.strip_prefix("https://").or(value.strip_prefix("http://")).unwrap_or(value);
    let value = value.strip_prefix('/').unwrap_or(value);
    let (path, tail) = value.split_once('?').map_or((value, None), |(path, tail)| (path, Some(tail)));
    let version = tail.map(parse_version).transpose()?.flatten();
    let (bucket_or_host, key) = path.split_once('/').ok_or(ErrorKind::InvalidCopySource)?;
    let known_bucket = addressing::find_bucket_in_host(bucket_or_host, super::route::HOSTS)
        .or_else(|| find_bucket_at_endpoint(bucket_or_host, endpoint?));
    let bucket = match (bucket_or_host.contains(['.', ':']), known_bucket) {
        (_, Some(bucket)) => bucket,
        (false, None) => percent::decode(bucket_or_host).map_err(|_| ErrorKind::InvalidCopySource)?,
        // A host that is neither a COS host nor at the endpoint of the request is rejected, because a bucket of that
        // name here would be another one.
        (true, None) => return Err(ErrorKind::InvalidCopySource.into()),
    };
    // Unlike in S3 and OSS, `+` is a plus sign, so the key must not be decoded as a form value.
    let key = percent::decode(key).map_err(|_| ErrorKind::InvalidCopySource)?;
    if key.is_empty() {
        return Err(ErrorKind::InvalidCopySource.into());
    }
    Ok(CopySource { bucket, key, version })
}

/// The bucket in a host at the endpoint of the request. SDKs with a configured endpoint write copy sources with it.
fn find_bucket_at_endpoint(host: &str, endpoint: &str) -> Option<String> {
    let host = addressing::strip_port(host).to_ascii_lowercase();
    let bucket = host.strip_suffix(&endpoint.to_ascii_lowercase())?.strip_suffix('.')?;
    (!bucket.is_empty() && !bucket.contains('.')).then(|| bucket.to_owned())
}

/// Parses `versionId=id`. The name is not case-sensitive, and nothing else may follow.
fn parse_version(tail: &str) -> Result<Option<String>, Rejection> {
    let (name, id) = tail.split_once('=').ok_or(ErrorKind::InvalidCopySource)?;
    let id = percent::decode(id).map_err(|_| ErrorKind::InvalidCopySource)?;
    if name.eq_ignore_ascii_case("versionId") && !id.contains('&') {
        // cos-php-sdk-v5 sends an empty version ID for the current version, so it must not be rejected.
        Ok(Some(id).filter(|id| !id.is_empty()))
    } else {
        Err(ErrorKind::InvalidCopySource.into())
    }
}

/// Writes the documented form, with the host of the source. Its region may be another one than that of the target.
fn write_source(at: &TargetCopySource<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("{}.{}/{}{version}", at.bucket, at.authority, percent::encode_path(at.key))
}
