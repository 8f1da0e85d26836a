//! Translation between the APIs of object storage, without IO, clock, environment, threads or runtime.
//!
//! A request head comes in as bytes; what to send to the target and how to respond come out as values. The time and all
//! keys are arguments. `model` has the canonical types, `engine` the translation that is written once and names no
//! vendor, `encoding` helpers that know no vendor, and each of `s3`, `jdcloud`, `cos` and `oss` one dialect.
//!
//! A copy that a COS client sends, as Alibaba OSS gets it:
//!
//! ```
//! use blobfish_dialects::find_dialect;
//! use blobfish_dialects::translator::explain::explain;
//!
//! let (cos, oss) = (find_dialect("cos", None).unwrap(), find_dialect("oss", None).unwrap());
//! let request = "PUT /copy.jpg HTTP/1.1\r\n\
//!     Host: photos-1250000000.cos.ap-guangzhou.myqcloud.com\r\n\
//!     x-cos-copy-source: photos-1250000000.cos.ap-guangzhou.myqcloud.com/original.jpg\r\n\
//!     x-cos-metadata-directive: Replaced\r\n\
//!     x-cos-meta-album: summer\r\n\r\n";
//! let explanation = explain(request, cos, oss).unwrap();
//! let header = |name: &str| {
//!     let row = explanation.outgoing.as_ref()?.headers.iter().find(|row| row.0 == name)?;
//!     Some(String::from_utf8_lossy(&row.1).into_owned())
//! };
//! assert_eq!(header("x-oss-copy-source").as_deref(), Some("/photos-1250000000/original.jpg"));
//! assert_eq!(header("x-oss-metadata-directive").as_deref(), Some("REPLACE"));
//! assert_eq!(header("x-oss-meta-album").as_deref(), Some("summer"));
//! ```

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
