//! The S3 dialect as AWS documents it. Section numbers are those of the S3 reference.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`.

pub mod auth;
pub mod chunked;
pub mod copy;
pub mod defaults;
pub mod errors;
pub mod headers;
pub mod profiles;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::dialect::{BucketSettings, CommonHeaders, Dialect, Manual};
use crate::model::{ChecksumAlgorithm, Operation, Timestamp};

/// Amazon S3.
pub static S3: Dialect = BASE;

/// The tables of S3, for profiles that differ in a few.
pub const BASE: Dialect = Dialect {
    name: "s3",
    family: "s3",
    auth: &auth::AUTH,
    legacy_auth: None,
    hosts: route::HOSTS,
    serves_families: &[],
    path_style: true,
    routes: route::ROUTES,
    settings: settings::SCHEMAS,
    acl_style: settings::ACL_STYLE,
    sub_resources: route::SUB_RESOURCES,
    parameters_ignore_case: false,
    header_prefix: "x-amz-",
    metadata_prefix: "x-amz-meta-",
    ignored_headers: headers::IGNORED_HEADERS,
    metadata_kept_prefixes: &[],
    // 7.1
    metadata_encoded_words: true,
    // 2.3: any header may come as a parameter.
    is_header_parameter: |name| name.starts_with("x-amz-"),
    checksum_headers: CHECKSUM_HEADERS,
    // x-amz-content-sha256 belongs to the signature.
    digest_headers: &[],
    trailer_header: Some("x-amz-trailer"),
    // 2.5
    checksum_algorithm_header: Some("x-amz-sdk-checksum-algorithm"),
    field_name: headers::field_name,
    field_names_by_operation: headers::FIELD_NAMES_BY_OPERATION,
    additional_field_names: &[],
    strip_transport_text: headers::strip_transport_text,
    unsupported_fields: &[],
    unsupported_operations: &[],
    unsupported_settings: &[],
    distinguishes_settings: false,
    needs_lock_digest: true,
    absent_fields_by_operation: headers::ABSENT_FIELDS_BY_OPERATION,
    unsupported_fields_by_operation: headers::UNSUPPORTED_FIELDS_BY_OPERATION,
    non_empty_fields: headers::NON_EMPTY_FIELDS,
    number_bounds: headers::NUMBER_BOUNDS,
    check_request: headers::check_request,
    response_field_name: headers::response_field_name,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    errors: errors::ERRORS,
    defaults: defaults::DEFAULTS,
    limits: defaults::LIMITS,
    etag_is_md5: true,
    etag_upper_case: false,
    success_statuses: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    common_headers: CommonHeaders {
        server: "AmazonS3",
        request_id_header: "x-amz-request-id",
        trace_id_header: Some("x-amz-id-2"),
        format_request_id,
        server_time_header: None,
        head_error_header: None,
    },
    complete_response: headers::complete_response,
    part_size_setting: "multipart_chunksize (boto3, aws), partSize (other SDKs)",
    bucket_probe_parameter: None,
    uploads_fill_bucket: false,
    part_bytes_min_header: None,
    // 3.4: without a length the answer is 411.
    supports_chunked_uploads: false,
    form_policy_covers_all: true,
    uses_form_file_type: false,
    manual: Manual { name: "Amazon S3", titles: &[] },
    sample_endpoint: "s3.us-east-1.amazonaws.com",
    endpoint: Some(route::endpoint),
    write_create_bucket_body: xml::write_create_bucket_body,
    bucket_settings: BucketSettings::NONE,
};

/// 6.1
const CHECKSUM_HEADERS: &[(&str, ChecksumAlgorithm)] = &[
    ("x-amz-checksum-crc32", ChecksumAlgorithm::Crc32),
    ("x-amz-checksum-crc32c", ChecksumAlgorithm::Crc32c),
    ("x-amz-checksum-crc64nvme", ChecksumAlgorithm::Crc64Nvme),
    ("x-amz-checksum-sha1", ChecksumAlgorithm::Sha1),
    ("x-amz-checksum-sha256", ChecksumAlgorithm::Sha256),
    ("x-amz-checksum-sha512", ChecksumAlgorithm::Sha512),
    ("x-amz-checksum-md5", ChecksumAlgorithm::Md5),
    ("x-amz-checksum-xxhash64", ChecksumAlgorithm::XxHash64),
    ("x-amz-checksum-xxhash3", ChecksumAlgorithm::XxHash3),
    ("x-amz-checksum-xxhash128", ChecksumAlgorithm::XxHash128),
];

/// 3.2: 16 upper-case hex digits.
fn format_request_id(random: u128, _now: Timestamp) -> String {
    format!("{:016X}", random & u128::from(u64::MAX))
}
