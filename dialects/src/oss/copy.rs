//! Copying in OSS (section 4).

use crate::engine::dialect::{Combination, CopyRules, SelfCopy, SourceAt};
use crate::model::{Fault, Refusal, Source};
use crate::wire::percent;

/// 4.3 to 4.9
pub const RULES: CopyRules = CopyRules {
    header: "x-oss-copy-source",
    grammar: "/bucket/key[?versionId=id], the key percent-encoded.",
    read_source,
    write_source,
    combination: Combination::All,
    // 4.2: ali-oss
    conditions_repeated: true,
    not_modified: true,
    future_ignored: false,
    onto_itself: SelfCopy::TakesRequest,
    strict_range: false,
    tells_under_way: false,
    bytes_max: 5 * 1024 * 1024 * 1024,
    check_metadata: false,
};

/// 4.1: `/bucket/key[?versionId=id]`, split at the `?` that a version follows; a raw `+` is the Go SDK's space.
fn read_source(value: &str, _: Option<&str>) -> Result<Source, Refusal> {
    let (path, version) = match value.split_once('?') {
        None => (value, None),
        Some((path, tail)) => (path, Some(read_version(tail)?)),
    };
    let path = path.strip_prefix('/').ok_or_else(malformed)?;
    let (bucket, key) = path.split_once('/').ok_or_else(malformed)?;
    let bucket = percent::decode(bucket).map_err(|_| malformed())?;
    let key = percent::decode_form(key).map_err(|_| malformed())?;
    if key.is_empty() {
        return Err(malformed());
    }
    Ok(Source { bucket, key, version })
}

fn read_version(tail: &str) -> Result<String, Refusal> {
    let id = tail.strip_prefix("versionId=").and_then(|id| percent::decode(id).ok()).ok_or_else(malformed)?;
    if id.is_empty() {
        return Err(Refusal::say(Fault::InvalidCopySource, "Version id can not be the empty string."));
    }
    if id.contains('&') {
        return Err(Refusal::say(Fault::InvalidCopySource, "Invalid version id specified."));
    }
    Ok(id)
}

fn malformed() -> Refusal {
    Refusal::new(Fault::InvalidCopySource).with("ArgumentName", RULES.header)
}

/// With the leading slash, which is required.
fn write_source(at: &SourceAt<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("/{}/{}{version}", at.bucket, percent::encode_path(at.key))
}
