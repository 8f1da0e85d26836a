//! Servers that speak S3 with stated differences, as targets. Section 11 of the S3 reference. What is only said to have been
//! so in older releases is not relied on.

use crate::dialect::{
    BucketSettingLocation, BucketSettings, Defaults, Dialect, FieldName, Limits, OperationRoute,
    ResourceLevel, WordTables, Words,
};
use crate::model::{CannedAcl, Field, Operation, ResponseField, Setting, StorageClass};
use crate::s3::{BASE, defaults, headers, route, words};

/// Every profile, by name.
pub static ALL: &[&Dialect] = &[&AWS, &CEPH, &MINIO, &GARAGE, &SEAWEEDFS, &R2, &B2, &WASABI];

/// Amazon S3 itself.
pub static AWS: Dialect = Dialect {
    name: "aws",
    distinguishes_settings: true,
    // 3.7
    unsupported_fields_by_operation: &[],
    limits: Limits { buckets_page_max: Some(10_000), ..defaults::LIMITS },
    ..BASE
};

/// The embedded store of demo mode. It has what callers of other vendors know and S3 does not: a CRC-64, appending, which it
/// does as directory buckets do, parts as small as the caller's vendor takes them, and classes of buckets. Nobody configures it.
pub static EMBEDDED: Dialect = Dialect {
    name: "embedded",
    distinguishes_settings: true,
    unsupported_fields_by_operation: &[],
    routes: &EMBEDDED_ROUTES,
    field_name: embedded_field_name,
    response_field_name: embedded_response_field_name,
    words: &ALL_CLASSES,
    limits: Limits { part_bytes_min: 1, ..defaults::LIMITS },
    part_bytes_min_header: Some("x-amz-blobfish-part-bytes-min"),
    defaults: Defaults { class: None, ..defaults::DEFAULTS },
    bucket_settings: BucketSettings {
        class: Some(BucketSettingLocation::Header("x-amz-storage-class")),
        ..BucketSettings::NONE
    },
    endpoint: None,
    ..BASE
};

const EMBEDDED_ROUTES: [OperationRoute; route::ROUTES.len() + 1] = {
    let mut all =
        [OperationRoute::new("PUT", ResourceLevel::Object, Operation::AppendObject); route::ROUTES.len() + 1];
    let (first, _) = all.split_at_mut(route::ROUTES.len());
    first.copy_from_slice(route::ROUTES);
    all
};

fn embedded_field_name(field: Field) -> Option<FieldName> {
    match field {
        Field::Position => Some(FieldName::Header("x-amz-write-offset-bytes")),
        _ => headers::field_name(field),
    }
}

fn embedded_response_field_name(field: ResponseField) -> Option<&'static str> {
    match field {
        ResponseField::Crc64Ecma => Some("x-blobfish-hash-crc64ecma"),
        ResponseField::ObjectType => Some("x-blobfish-object-type"),
        ResponseField::NextAppendPosition => Some("x-amz-object-size"),
        _ => headers::response_field_name(field),
    }
}

/// Ceph RGW: some releases pass over a copy's conditions.
pub static CEPH: Dialect =
    Dialect { name: "ceph", unsupported_fields: &Field::SOURCE_CONDITIONS, endpoint: None, ..BASE };

/// MinIO: everything is private, and keys are paths.
pub static MINIO: Dialect = Dialect {
    name: "minio",
    words: &PRIVATE_ACL_ONLY,
    limits: Limits {
        key_segments_forbidden: &["", ".", ".."],
        key_bytes_forbidden: b"\0",
        ..defaults::LIMITS
    },
    endpoint: None,
    ..BASE
};

/// Garage: nothing of access, versions, tags or locks; conditions of writes are passed over.
pub static GARAGE: Dialect = Dialect {
    name: "garage",
    unsupported_fields: &[
        Field::Acl,
        Field::BucketAcl,
        Field::Tagging,
        Field::TaggingDirective,
        Field::VersionId,
        Field::ForbidOverwrite,
        Field::OverwriteIfMatch,
        Field::BucketLock,
        Field::LockMode,
        Field::LockUntil,
        Field::LegalHold,
        Field::BypassLock,
    ],
    unsupported_operations: &[Operation::ListObjectVersions],
    unsupported_settings: &[
        Setting::ObjectAcl,
        Setting::BucketAcl,
        Setting::ObjectTagging,
        Setting::BucketTagging,
        Setting::Versioning,
        Setting::Policy,
        Setting::PolicyStatus,
        Setting::ObjectLock,
        Setting::Retention,
        Setting::LegalHold,
    ],
    endpoint: None,
    ..BASE
};

/// SeaweedFS: a copy keeps the class of its source unless it is told another. What is asked about websites, and what sets
/// who pays, is taken for requests about the bucket itself.
pub static SEAWEEDFS: Dialect = Dialect {
    name: "seaweedfs",
    defaults: Defaults { class_always_explicit: true, ..defaults::DEFAULTS },
    unsupported_operations: &[Operation::Put(Setting::RequestPayment)],
    unsupported_settings: &[Setting::Website],
    endpoint: None,
    ..BASE
};

/// Cloudflare R2: two classes; nothing of access, versions, tags, locks or keys of a key service.
pub static R2: Dialect = Dialect {
    name: "r2",
    words: &TWO_CLASSES,
    unsupported_fields: &[
        Field::Acl,
        Field::BucketAcl,
        Field::Tagging,
        Field::TaggingDirective,
        Field::VersionId,
        Field::BucketLock,
        Field::LockMode,
        Field::LockUntil,
        Field::LegalHold,
        Field::BypassLock,
        Field::Encryption,
        Field::EncryptionKeyId,
        Field::EncryptionContext,
        Field::EncryptionBucketKey,
        Field::RequestPayer,
        Field::ExpectedOwner,
        Field::SourceExpectedOwner,
        Field::WebsiteRedirect,
    ],
    unsupported_operations: &[Operation::ListObjectVersions],
    unsupported_settings: &[
        Setting::ObjectAcl,
        Setting::BucketAcl,
        Setting::ObjectTagging,
        Setting::BucketTagging,
        Setting::Versioning,
        Setting::Website,
        Setting::Policy,
        Setting::PolicyStatus,
        Setting::ObjectLock,
        Setting::Retention,
        Setting::LegalHold,
        Setting::RequestPayment,
    ],
    endpoint: None,
    ..BASE
};

/// Backblaze B2: no tags, websites or policies, no checksums, and no conditions of writes; a bucket's access is its objects'.
pub static B2: Dialect = Dialect {
    name: "b2",
    words: &PRIVATE_ACL_ONLY,
    unsupported_fields: &[
        Field::Tagging,
        Field::TaggingDirective,
        Field::ForbidOverwrite,
        Field::OverwriteIfMatch,
        Field::ChecksumAlgorithm,
        Field::ChecksumType,
        Field::ChecksumMode,
        Field::ObjectSize,
    ],
    unsupported_settings: &[
        Setting::ObjectTagging,
        Setting::BucketTagging,
        Setting::Website,
        Setting::Policy,
        Setting::PolicyStatus,
    ],
    sample_endpoint: "s3.us-west-004.backblazeb2.com",
    endpoint: Some(|region| format!("s3.{region}.backblazeb2.com")),
    ..BASE
};

/// Wasabi: one class. Whether it keeps conditions of writes is not known, so they are not relied on.
pub static WASABI: Dialect = Dialect {
    name: "wasabi",
    words: &ONE_CLASS,
    unsupported_fields: &[Field::ForbidOverwrite, Field::OverwriteIfMatch],
    sample_endpoint: "s3.eu-central-1.wasabisys.com",
    endpoint: Some(|region| format!("s3.{region}.wasabisys.com")),
    ..BASE
};

static PRIVATE_ACL_ONLY: WordTables =
    WordTables { acl: Words(&[(CannedAcl::Private, "private")]), ..words::TABLES };

/// S3 has one class where OSS has two.
static ALL_CLASSES: WordTables = WordTables {
    class: Words(&[
        (StorageClass::Standard, "STANDARD"),
        (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
        (StorageClass::StandardIa, "STANDARD_IA"),
        (StorageClass::OneZoneIa, "ONEZONE_IA"),
        (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
        (StorageClass::ArchiveInstant, "GLACIER_IR"),
        (StorageClass::Archive, "GLACIER"),
        (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
        (StorageClass::ColdArchive, "COLD_ARCHIVE"),
    ]),
    ..words::TABLES
};

static ONE_CLASS: WordTables =
    WordTables { class: Words(&[(StorageClass::Standard, "STANDARD")]), ..words::TABLES };

static TWO_CLASSES: WordTables = WordTables {
    class: Words(&[(StorageClass::Standard, "STANDARD"), (StorageClass::StandardIa, "STANDARD_IA")]),
    ..words::TABLES
};
