//! Copying in S3 (section 4).

use crate::engine::dialect::{Combination, CopyRules, SelfCopy, SourceAt};
use crate::model::{Fault, Refusal, Source};
use crate::wire::percent;

/// 4.3 to 4.10
pub const RULES: CopyRules = CopyRules {
    header: "x-amz-copy-source",
    grammar: "[/]bucket/key[?versionId=id], the key percent-encoded.",
    read_source,
    write_source,
    combination: Combination::Precedence,
    conditions_repeated: false,
    not_modified: false,
    future_ignored: true,
    onto_itself: SelfCopy::AnyChange,
    strict_range: true,
    tells_under_way: true,
    bytes_max: 5 * 1024 * 1024 * 1024,
    check_metadata: false,
};

/// 4.2: `[/]bucket/key[?versionId=id]`. Split at the first raw `?`, decoded once, `+` being a space.
fn read_source(value: &str, _: Option<&str>) -> Result<Source, Refusal> {
    let (path, tail) = value.split_once('?').map_or((value, None), |(path, tail)| (path, Some(tail)));
    let version = tail.map(read_version).transpose()?;
    let path = percent::decode_form(path).map_err(|_| wrong("Invalid copy source encoding"))?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').ok_or_else(|| wrong("Invalid copy source object key"))?;
    if key.is_empty() {
        return Err(wrong("Invalid copy source object key"));
    }
    Ok(Source { bucket: bucket.to_owned(), key: key.to_owned(), version })
}

/// Nothing but a version may follow: a `?` that belongs to the key has to be encoded.
fn read_version(tail: &str) -> Result<String, Refusal> {
    let version = tail.strip_prefix("versionId=").and_then(|id| percent::decode(id).ok());
    version.filter(|id| !id.is_empty()).ok_or_else(|| wrong("Invalid version id specified"))
}

fn wrong(message: &str) -> Refusal {
    Refusal::say(Fault::InvalidCopySource, message)
        .with("ArgumentName", "x-amz-copy-source")
        .with("ArgumentValue", "x-amz-copy-source")
}

/// 4.2: the one form that every server here accepts.
fn write_source(at: &SourceAt<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("/{}/{}{version}", at.bucket, percent::encode_path(at.key))
}
