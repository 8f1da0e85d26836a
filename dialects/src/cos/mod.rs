//! The dialect of Tencent Cloud Object Storage (COS), as documented in its API documentation.
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

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::dialect::{BucketSettings, CommonHeaders, Dialect, DigestHeader, Manual};
use crate::model::{ChecksumAlgorithm, ErrorKind, Operation, Timestamp};

/// The entry of this folder in the list of dialects.
pub const DIALECT: &Dialect = &COS;

/// Tencent COS.
pub static COS: Dialect = Dialect {
    name: "cos",
    examples: include_str!("examples.http"),
    family: "cos",
    profiles: &[],
    vendor_profile: Some("tencent"),
    embedded_store: None,
    auth: &auth::AUTH,
    signatures: &[auth::SCHEME],
    signing_versions: &[],
    // Clients choose which headers and parameters they sign, and may sign none, so the configuration can require all.
    strict_signing_config_key: Some("cos_signing"),
    hosts: route::HOSTS,
    // COS serves S3 clients on the same hosts.
    serves_families: &["s3"],
    // COS, error PathStyleDomainForbidden: path style is rejected for every bucket created since 2024.
    path_style: false,
    routes: route::ROUTES,
    settings: settings::SCHEMAS,
    absent_settings: settings::ABSENT_SETTINGS,
    acl_style: settings::ACL_STYLE,
    sub_resources: route::SUB_RESOURCES,
    parameters_ignore_case: true,
    header_prefix: "x-cos-",
    metadata_prefix: "x-cos-meta-",
    ignored_headers: headers::IGNORED_HEADERS,
    metadata_kept_prefixes: &[],
    // COS returns metadata as it was sent, so it must not be encoded for its clients.
    metadata_encoded_words: false,
    // COS, GET Object, request parameters: x-cos-traffic-limit is the only header that is also valid as a parameter.
    is_header_parameter: |name| name == "x-cos-traffic-limit",
    checksum_headers: &[("x-cos-hash-crc64ecma", ChecksumAlgorithm::Crc64Ecma)],
    // Older SDKs send this SHA-1, and COS rejects a body that does not match it (InvalidSHA1Digest).
    digest_headers: &[DigestHeader {
        header: "x-cos-content-sha1",
        algorithm: ChecksumAlgorithm::Sha1,
        absent_value: None,
        mismatch_error: ErrorKind::BadSha1,
    }],
    trailer_header: None,
    checksum_algorithm_header: None,
    field_name: headers::field_name,
    field_names_by_operation: &[],
    additional_field_names: &[],
    strip_transport_text: |_, text| text,
    unsupported_fields: headers::UNSUPPORTED_FIELDS,
    unsupported_operations: &[],
    unsupported_settings: &[],
    honours_subresources: true,
    needs_lock_digest: false,
    absent_fields_by_operation: headers::ABSENT_FIELDS_BY_OPERATION,
    unsupported_fields_by_operation: &[],
    // An empty version ID is valid, because SDKs send it for the current version.
    non_empty_fields: &[],
    number_bounds: &[],
    check_request: headers::check_request,
    response_field_name: headers::response_field_name,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    errors: errors::ERRORS,
    error_sentences: errors::SENTENCES,
    defaults: defaults::DEFAULTS,
    limits: defaults::LIMITS,
    etag_is_md5: false,
    etag_upper_case: false,
    success_statuses: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    common_headers: CommonHeaders {
        server: "tencent-cos",
        request_id_header: "x-cos-request-id",
        trace_id_header: Some("x-cos-trace-id"),
        format_request_id,
        server_time_header: None,
        head_error_header: None,
    },
    complete_response: headers::complete_response,
    sdk_part_size_name: "PartSize (Python, MiB), ChunkSize or SliceSize (Node.js, browsers), MinimumUploadPartSize (Java), part_size (coscmd)",
    bucket_head_parameter: None,
    // COS, DELETE Bucket: unfinished multipart uploads also prevent the deletion.
    open_uploads_block_deletion: true,
    part_bytes_min_header: None,
    supports_chunked_uploads: true,
    form_policy_covers_all: false,
    uses_form_file_type: false,
    manual: Manual { name: "Tencent Cloud COS", titles: route::TITLES },
    sample_endpoint: "cos.ap-guangzhou.myqcloud.com",
    endpoint: Some(|region| format!("cos.{region}.myqcloud.com")),
    write_create_bucket_body: |_, _| Vec::new(),
    bucket_settings: BucketSettings::NONE,
};

/// A request ID in the form of COS: base64 of the time and further fields in hex.
fn format_request_id(random: u128, now: Timestamp) -> String {
    let low = random & u128::from(u64::MAX);
    STANDARD_NO_PAD.encode(format!(
        "{:08x}_{:08x}_{:04x}_{:05x}",
        now.0,
        low >> 32,
        (low >> 16) & 0xffff,
        low & 0xffff
    ))
}
