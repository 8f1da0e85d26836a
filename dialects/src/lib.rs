//! The dialects of object storage, and the translation between them.
//!
//! Pure: no IO, clock, environment, threads or runtime. A request head comes in as bytes; what to send to a target and
//! what to respond come out as values. Time and keys are arguments. Each folder states in its `mod.rs` which folders it
//! uses; this file knows all of them.

pub mod authentication;
pub mod cos;
pub mod dialect;
pub mod documents;
pub mod encoding;
pub mod engine;
pub mod jdcloud;
pub mod model;
pub mod oss;
pub mod s3;
pub mod translator;

use dialect::Dialect;

/// Every dialect that callers may speak and targets may be. Of one family the first is the common one.
pub static DIALECTS: &[&Dialect] = &[&s3::S3, &jdcloud::JDCLOUD, &cos::COS, &oss::OSS];

/// Servers that are only ever targets: a dialect with stated differences.
pub static PROFILES: &[&Dialect] = s3::profiles::ALL;

/// The dialects and their profiles, as configuration names them.
pub static DIALECT_PROFILES: &[(&str, &[&str])] = &[
    ("s3", &["aws", "jdcloud", "ceph", "minio", "garage", "seaweedfs", "r2", "b2", "wasabi"]),
    ("cos", &["tencent"]),
    ("oss", &["aliyun"]),
];

/// What demo mode configures for itself.
pub static DEMO_PROFILES: &[(&str, &[&str])] = &[("s3", &["embedded"])];

/// The dialect of a configured name and profile, or of its own name.
pub fn find_dialect(dialect: &str, profile: Option<&str>) -> Option<&'static Dialect> {
    let find_by_name = |name: &str| {
        DIALECTS
            .iter()
            .chain(PROFILES)
            .chain(&[&s3::profiles::EMBEDDED])
            .copied()
            .find(|dialect| dialect.name == name)
    };
    profile.and_then(find_by_name).or_else(|| find_by_name(dialect))
}

/// The smallest part that a caller may upload in any dialect, where it is not the last of its upload.
pub fn smallest_part_bytes() -> u64 {
    DIALECTS.iter().map(|dialect| dialect.limits.part_bytes_min).min().unwrap_or_default()
}
