//! The dialect of Alibaba Cloud Object Storage Service (OSS), as documented in its API reference.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`.

pub mod auth;
pub mod copy;
pub mod defaults;
pub mod errors;
pub mod headers;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::dialect::{
    BucketSettingLocation, BucketSettings, CommonHeaders, Dialect, DigestHeader, FieldName, Manual,
};
use crate::model::{ChecksumAlgorithm, ErrorKind, Field, Operation, Timestamp};

/// The entry of this folder in the list of dialects.
pub const DIALECT: &Dialect = &OSS;

/// Alibaba OSS.
pub static OSS: Dialect = Dialect {
    name: "oss",
    examples: include_str!("examples.http"),
    family: "oss",
    profiles: &[],
    vendor_profile: Some("aliyun"),
    embedded_store: None,
    auth: &auth::AUTH,
    signatures: &[auth::SCHEME_V1, auth::SCHEME_V4],
    signing_versions: &[("v4", &auth::AUTH), ("v1", &auth::AUTH_V1)],
    strict_signing_config_key: None,
    hosts: route::HOSTS,
    // OSS serves S3 clients on the same hosts.
    serves_families: &["s3"],
    // OSS itself rejects path style (SecondLevelDomainForbidden). It is accepted from clients, because the SDKs use it
    // for an IP address, and it is safe because the signature covers the bucket.
    path_style: true,
    routes: route::ROUTES,
    settings: settings::SCHEMAS,
    absent_settings: settings::ABSENT_SETTINGS,
    acl_style: settings::ACL_STYLE,
    sub_resources: route::SUB_RESOURCES,
    parameters_ignore_case: false,
    header_prefix: "x-oss-",
    metadata_prefix: "x-oss-meta-",
    ignored_headers: headers::IGNORED_HEADERS,
    // The SDKs for client-side encryption store the encrypted data key in this metadata. A copy that replaced it could
    // not be decrypted, so it is copied from the source.
    metadata_kept_prefixes: &["client-side-encryption-"],
    // OSS returns metadata as it was sent, so it must not be encoded for its clients.
    metadata_encoded_words: false,
    // OSS documents these headers as parameters of presigned URLs, too.
    is_header_parameter: |name| {
        matches!(name, "x-oss-traffic-limit" | "x-oss-process" | "x-oss-request-payer")
    },
    checksum_headers: &[("x-oss-hash-crc64ecma", ChecksumAlgorithm::Crc64Ecma)],
    // The signature covers the value of the header but not the body, so the body is compared with the value here.
    digest_headers: &[DigestHeader {
        header: "x-oss-content-sha256",
        algorithm: ChecksumAlgorithm::Sha256,
        absent_value: Some("UNSIGNED-PAYLOAD"),
        mismatch_error: ErrorKind::PayloadHashMismatch,
    }],
    trailer_header: None,
    checksum_algorithm_header: None,
    field_name: headers::field_name,
    field_names_by_operation: &[],
    // Earlier versions of OSS, DeleteMultipleObjects have the parameter as a header, and some clients still send it.
    additional_field_names: &[(
        Operation::DeleteObjects,
        Field::EncodingType,
        FieldName::Header("encoding-type"),
    )],
    strip_transport_text: |_, text| text,
    unsupported_fields: headers::UNSUPPORTED_FIELDS,
    unsupported_operations: &[],
    unsupported_settings: &[],
    honours_subresources: true,
    needs_lock_digest: false,
    absent_fields_by_operation: headers::ABSENT_FIELDS_BY_OPERATION,
    unsupported_fields_by_operation: &[],
    non_empty_fields: headers::NON_EMPTY_FIELDS,
    number_bounds: headers::NUMBER_BOUNDS,
    check_request: |_| Ok(()),
    response_field_name: headers::response_field_name,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    errors: errors::ERRORS,
    error_sentences: errors::SENTENCES,
    defaults: defaults::DEFAULTS,
    limits: defaults::LIMITS,
    etag_is_md5: false,
    etag_upper_case: true,
    success_statuses: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    common_headers: CommonHeaders {
        server: "AliyunOSS",
        request_id_header: "x-oss-request-id",
        trace_id_header: None,
        format_request_id,
        server_time_header: Some("x-oss-server-time"),
        head_error_header: Some("x-oss-err"),
    },
    complete_response: headers::complete_response,
    sdk_part_size_name: "part_size (Python), partSize (Node.js, Java), PartSize (Go)",
    // OSS does not document HEAD of a bucket, so its location is read instead.
    bucket_head_parameter: Some("location"),
    // OSS, DeleteBucket: unfinished multipart uploads also prevent the deletion.
    open_uploads_block_deletion: true,
    part_bytes_min_header: None,
    supports_chunked_uploads: true,
    form_policy_covers_all: false,
    uses_form_file_type: true,
    manual: Manual { name: "Alibaba Cloud OSS", titles: &[] },
    sample_endpoint: "oss-cn-hangzhou.aliyuncs.com",
    endpoint: Some(|region| format!("oss-{region}.aliyuncs.com")),
    write_create_bucket_body: xml::write_create_bucket_body,
    // OSS, PutBucket, request elements StorageClass and DataRedundancyType.
    bucket_settings: BucketSettings {
        class: Some(BucketSettingLocation::Document),
        redundancy: Some(xml::REDUNDANCY),
    },
};

/// OSS, Common response headers, x-oss-request-id: 24 upper-case hex digits.
fn format_request_id(random: u128, _now: Timestamp) -> String {
    format!("{:024X}", random & ((1 << 96) - 1))
}
