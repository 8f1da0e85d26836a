//! The dialect of Alibaba Cloud Object Storage Service. Section numbers are those of the OSS reference.
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
    BucketSettingLocation, BucketSettings, CommonHeaders, Dialect, FieldName, Manual, StatedDigest,
};
use crate::model::{ChecksumAlgorithm, ErrorKind, Field, Operation, Timestamp};

/// Alibaba OSS.
pub static OSS: Dialect = Dialect {
    name: "oss",
    family: "oss",
    auth: &auth::AUTH,
    legacy_auth: Some(&auth::AUTH_V1),
    hosts: route::HOSTS,
    // 8; 1.2: forbidden at the vendor, but what its SDKs send to an IP address, and the signature covers the bucket.
    serves_families: &["s3"],
    path_style: true,
    routes: route::ROUTES,
    settings: settings::SCHEMAS,
    acl_style: settings::ACL_STYLE,
    sub_resources: route::SUB_RESOURCES,
    parameters_ignore_case: false,
    header_prefix: "x-oss-",
    metadata_prefix: "x-oss-meta-",
    ignored_headers: headers::IGNORED_HEADERS,
    // What opens an object that its SDKs have encrypted: their own suites copy so, and read the copy.
    metadata_kept_prefixes: &["client-side-encryption-"],
    // 5.5
    metadata_encoded_words: false,
    // 3.4, 5.6: what the documents have as parameters too.
    is_header_parameter: |name| {
        matches!(name, "x-oss-traffic-limit" | "x-oss-process" | "x-oss-request-payer")
    },
    checksum_headers: &[("x-oss-hash-crc64ecma", ChecksumAlgorithm::Crc64Ecma)],
    // 2.5, 5.6
    digest_headers: &[StatedDigest {
        header: "x-oss-content-sha256",
        algorithm: ChecksumAlgorithm::Sha256,
        absent_value: Some("UNSIGNED-PAYLOAD"),
        mismatch_error: ErrorKind::PayloadHashMismatch,
    }],
    trailer_header: None,
    checksum_algorithm_header: None,
    field_name: headers::field_name,
    field_names_by_operation: &[],
    // 3.5, of older documents.
    additional_field_names: &[(
        Operation::DeleteObjects,
        Field::EncodingType,
        FieldName::Header("encoding-type"),
    )],
    strip_transport_text: |_, text| text,
    unsupported_fields: headers::UNSUPPORTED_FIELDS,
    unsupported_operations: &[],
    unsupported_settings: &[],
    distinguishes_settings: true,
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
    // 3.1: HEAD of a bucket is not a documented call.
    part_size_setting: "part_size (Python), partSize (Node.js, Java), PartSize (Go)",
    bucket_probe_parameter: Some("location"),
    // DeleteBucket: unfinished uploads also block.
    uploads_fill_bucket: true,
    part_bytes_min_header: None,
    supports_chunked_uploads: true,
    form_policy_covers_all: false,
    uses_form_file_type: true,
    manual: Manual { name: "Alibaba Cloud OSS", titles: &[] },
    sample_endpoint: "oss-cn-hangzhou.aliyuncs.com",
    endpoint: Some(|region| format!("oss-{region}.aliyuncs.com")),
    write_create_bucket_body: xml::write_create_bucket_body,
    // 3.7
    bucket_settings: BucketSettings {
        class: Some(BucketSettingLocation::Document),
        redundancy: Some(BucketSettingLocation::Document),
    },
};

/// 1.4: 24 upper-case hex digits.
fn format_request_id(random: u128, _now: Timestamp) -> String {
    format!("{:024X}", random & ((1 << 96) - 1))
}
