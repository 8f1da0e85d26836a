//! Copying in COS (section 4).

use crate::engine::dialect::{Combination, CopyRules, SelfCopy, SourceAt};
use crate::engine::hosts;
use crate::model::{Fault, Refusal, Source};
use crate::wire::percent;

/// 4.3 to 4.6
pub const RULES: CopyRules = CopyRules {
    header: "x-cos-copy-source",
    grammar: "bucket-appid.cos.region.myqcloud.com/key[?versionId=id], the key percent-encoded.",
    read_source,
    write_source,
    combination: Combination::Pairs,
    conditions_repeated: false,
    not_modified: false,
    future_ignored: false,
    onto_itself: SelfCopy::Replaced,
    strict_range: true,
    tells_under_way: true,
    bytes_max: 5 * 1024 * 1024 * 1024,
    check_metadata: false,
};

/// 4.2: `host/key[?versionId=]`, and the bucket form that OpenDAL sends. `+` is a plus.
fn read_source(value: &str, endpoint: Option<&str>) -> Result<Source, Refusal> {
    let value = value.strip_prefix("https://").or(value.strip_prefix("http://")).unwrap_or(value);
    let value = value.strip_prefix('/').unwrap_or(value);
    let (path, tail) = value.split_once('?').map_or((value, None), |(path, tail)| (path, Some(tail)));
    let version = tail.map(read_version).transpose()?.flatten();
    let (place, key) = path.split_once('/').ok_or(Fault::InvalidCopySource)?;
    let known = hosts::bucket_of_host(place, super::route::HOSTS).or_else(|| bucket_at(place, endpoint?));
    let bucket = match (place.contains(['.', ':']), known) {
        (_, Some(bucket)) => bucket,
        (false, None) => percent::decode(place).map_err(|_| Fault::InvalidCopySource)?,
        // A host that is none of COS' forms, nor of the endpoint that is spoken to, names no bucket of ours.
        (true, None) => return Err(Fault::InvalidCopySource.into()),
    };
    let key = percent::decode(key).map_err(|_| Fault::InvalidCopySource)?;
    if key.is_empty() {
        return Err(Fault::InvalidCopySource.into());
    }
    Ok(Source { bucket, key, version })
}

/// The bucket of a host at an endpoint. SDKs that are given an endpoint of one's own write their sources with it.
fn bucket_at(host: &str, endpoint: &str) -> Option<String> {
    let host = hosts::without_port(host).to_ascii_lowercase();
    let bucket = host.strip_suffix(&endpoint.to_ascii_lowercase())?.strip_suffix('.')?;
    (!bucket.is_empty() && !bucket.contains('.')).then(|| bucket.to_owned())
}

/// The name in any letter case; nothing else may follow. Empty, as the PHP SDK sends it, it names no version.
fn read_version(tail: &str) -> Result<Option<String>, Refusal> {
    let (name, id) = tail.split_once('=').ok_or(Fault::InvalidCopySource)?;
    let id = percent::decode(id).map_err(|_| Fault::InvalidCopySource)?;
    if name.eq_ignore_ascii_case("versionId") && !id.contains('&') {
        Ok(Some(id).filter(|id| !id.is_empty()))
    } else {
        Err(Fault::InvalidCopySource.into())
    }
}

/// The documented form: the source's host, whatever its region.
fn write_source(at: &SourceAt<'_>) -> String {
    let version = at.version.map(|id| format!("?versionId={}", percent::encode(id))).unwrap_or_default();
    format!("{}.{}/{}{version}", at.bucket, at.authority, percent::encode_path(at.key))
}
