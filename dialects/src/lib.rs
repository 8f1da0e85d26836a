//! The dialects of object storage, and the translation between them.
//!
//! Pure: no IO, clock, environment, threads or runtime. A request head comes in as bytes, what to send and
//! what to tell comes out as values; time and keys are arguments. `model` holds the canonical types, `engine`
//! the translation that is written once and names no vendor, `wire` vendor-free helpers, and each remaining
//! folder one dialect with the same file names.

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
