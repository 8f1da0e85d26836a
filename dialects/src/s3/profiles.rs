//! Profiles of S3-compatible servers, as targets. They list what a server does not support according to its
//! documentation, or ignores without an error.

use crate::dialect::{
    BucketSettingLocation, BucketSettings, Defaults, Dialect, FieldName, Limits, OperationRoute,
    ResourceLevel, WordTables, Words,
};
use crate::model::{CannedAcl, Field, Operation, ResponseField, Setting, StorageClass};
use crate::s3::base::BASE;
use crate::s3::{defaults, headers, route, words};

/// All profiles.
pub static ALL: &[&Dialect] = &[&AWS, &CEPH, &MINIO, &GARAGE, &SEAWEEDFS, &R2, &B2, &WASABI];

/// Amazon S3.
pub static AWS: Dialect = Dialect {
    name: "aws",
    honours_subresources: true,
    // Amazon S3, CompleteMultipartUpload, x-amz-mp-object-size: a wrong size is rejected, so the field is supported.
    unsupported_fields_by_operation: &[],
    limits: Limits { buckets_page_max: Some(10_000), ..defaults::LIMITS },
    ..BASE
};

/// The embedded store of demo mode. It cannot be configured as a target.
// It supports what S3 does not have and clients of COS and OSS use: CRC-64 checksums, AppendObject in the form of S3
// directory buckets, small parts, and a default storage class of a bucket. Otherwise the demo would reject their
// requests.
pub static EMBEDDED: Dialect = Dialect {
    name: "embedded",
    honours_subresources: true,
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

/// Ceph RGW.
// Some releases ignore the conditions on the source of a copy, so the proxy evaluates them itself.
pub(crate) static CEPH: Dialect =
    Dialect { name: "ceph", unsupported_fields: &Field::SOURCE_CONDITIONS, endpoint: None, ..BASE };

/// MinIO: only the ACL `private` is supported.
pub(crate) static MINIO: Dialect = Dialect {
    name: "minio",
    words: &PRIVATE_ACL_ONLY,
    limits: Limits {
        // MinIO stores keys as paths of a file system, so it rejects keys that are not valid paths.
        key_segments_forbidden: &["", ".", ".."],
        key_bytes_forbidden: b"\0",
        ..defaults::LIMITS
    },
    endpoint: None,
    ..BASE
};

/// Garage: no ACLs, versioning, tags or object lock (Garage, S3 compatibility status).
pub(crate) static GARAGE: Dialect = Dialect {
    name: "garage",
    unsupported_fields: &[
        Field::Acl,
        Field::BucketAcl,
        Field::Tagging,
        Field::TaggingDirective,
        Field::VersionId,
        // Garage ignores conditions on writes without an error, so that an object would be overwritten.
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

/// SeaweedFS.
pub static SEAWEEDFS: Dialect = Dialect {
    name: "seaweedfs",
    // A copy inherits the storage class of its source if the request does not contain one.
    defaults: Defaults { class_always_explicit: true, ..defaults::DEFAULTS },
    // It ignores these sub-resources, so that the request would create, list or delete the bucket itself.
    unsupported_operations: &[Operation::Put(Setting::RequestPayment)],
    unsupported_settings: &[Setting::Website],
    endpoint: None,
    ..BASE
};

/// Cloudflare R2: two storage classes; no ACLs, versioning, tags, object lock or SSE-KMS (Cloudflare R2, S3 API
/// compatibility).
pub(crate) static R2: Dialect = Dialect {
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

/// Backblaze B2: no tags, websites, policies, checksums or conditions on writes (Backblaze B2, S3-Compatible API).
pub(crate) static B2: Dialect = Dialect {
    name: "b2",
    // The ACL of an object must be that of its bucket, so no other canned ACL can be sent.
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

/// Wasabi: one storage class.
pub(crate) static WASABI: Dialect = Dialect {
    name: "wasabi",
    words: &ONE_CLASS,
    // Its documentation does not mention conditions on writes. They might be ignored, so they are not sent.
    unsupported_fields: &[Field::ForbidOverwrite, Field::OverwriteIfMatch],
    sample_endpoint: "s3.eu-central-1.wasabisys.com",
    endpoint: Some(|region| format!("s3.{region}.wasabisys.com")),
    ..BASE
};

static PRIVATE_ACL_ONLY: WordTables = WordTables {
    acl: Words(
        &[(CannedAcl::Private, "private")],
        &[
            CannedAcl::Inherit,
            CannedAcl::PublicRead,
            CannedAcl::PublicReadWrite,
            CannedAcl::AuthenticatedRead,
            CannedAcl::BucketOwnerRead,
            CannedAcl::BucketOwnerFullControl,
            CannedAcl::ExecRead,
            CannedAcl::LogDeliveryWrite,
        ],
    ),
    ..words::TABLES
};

/// The storage classes of S3, and a separate value for the class of OSS that has no counterpart in S3.
// Without it, an OSS client of the demo would read back another storage class than it wrote.
static ALL_CLASSES: WordTables = WordTables {
    class: Words(
        &[
            (StorageClass::Standard, "STANDARD"),
            (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
            (StorageClass::StandardIa, "STANDARD_IA"),
            (StorageClass::OneZoneIa, "ONEZONE_IA"),
            (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
            (StorageClass::ArchiveInstant, "GLACIER_IR"),
            (StorageClass::Archive, "GLACIER"),
            (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
            (StorageClass::ColdArchive, "COLD_ARCHIVE"),
        ],
        &[
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    ..words::TABLES
};

static ONE_CLASS: WordTables = WordTables {
    class: Words(
        &[(StorageClass::Standard, "STANDARD")],
        &[
            StorageClass::ReducedRedundancy,
            StorageClass::StandardIa,
            StorageClass::OneZoneIa,
            StorageClass::IntelligentTiering,
            StorageClass::ArchiveInstant,
            StorageClass::Archive,
            StorageClass::ColdArchive,
            StorageClass::DeepArchive,
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    ..words::TABLES
};

static TWO_CLASSES: WordTables = WordTables {
    class: Words(
        &[(StorageClass::Standard, "STANDARD"), (StorageClass::StandardIa, "STANDARD_IA")],
        &[
            StorageClass::ReducedRedundancy,
            StorageClass::OneZoneIa,
            StorageClass::IntelligentTiering,
            StorageClass::ArchiveInstant,
            StorageClass::Archive,
            StorageClass::ColdArchive,
            StorageClass::DeepArchive,
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    ..words::TABLES
};
