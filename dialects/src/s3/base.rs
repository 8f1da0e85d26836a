//! The tables of S3. They have a file of their own, because `mod.rs` uses the profiles, and the profiles use these
//! tables.

use crate::dialect::{BucketSettings, CommonHeaders, Dialect, Manual};
use crate::model::{ChecksumAlgorithm, Operation, Timestamp};
use crate::s3::{auth, copy, defaults, errors, headers, route, settings, words, xml};

/// The tables of S3, from which the profiles of S3-compatible servers are derived.
pub(crate) const BASE: Dialect = Dialect {
    name: "s3",
    examples: include_str!("examples.http"),
    family: "s3",
    profiles: &[],
    // Amazon S3 supports more than every compatible server does, so it has a profile of its own.
    vendor_profile: None,
    embedded_store: None,
    auth: &auth::AUTH,
    signatures: &[auth::SCHEME_V4, auth::SCHEME_V2],
    // Version 2 is accepted from clients, but AWS no longer accepts it in new regions, so it is never sent to a target.
    signing_versions: &[],
    // Both versions sign every x-amz-* header, so there is nothing that the configuration could require in addition.
    strict_signing_config_key: None,
    hosts: route::HOSTS,
    serves_families: &[],
    path_style: true,
    routes: route::ROUTES,
    settings: settings::SCHEMAS,
    absent_settings: settings::ABSENT_SETTINGS,
    acl_style: settings::ACL_STYLE,
    sub_resources: route::SUB_RESOURCES,
    parameters_ignore_case: false,
    header_prefix: "x-amz-",
    metadata_prefix: "x-amz-meta-",
    ignored_headers: headers::IGNORED_HEADERS,
    metadata_kept_prefixes: &[],
    // Amazon S3, Working with object metadata, User-defined object metadata: values that are not ASCII are returned in
    // the encoding of RFC 2047, so clients decode them.
    metadata_encoded_words: true,
    // SDKs move all x-amz-* headers of a presigned request to the query, so each must be read from there as well.
    is_header_parameter: |name| name.starts_with("x-amz-"),
    checksum_headers: CHECKSUM_HEADERS,
    // x-amz-content-sha256 is not listed, because it is verified with the signature.
    digest_headers: &[],
    trailer_header: Some("x-amz-trailer"),
    // The header announces the algorithm of the trailer, so it must match the checksum that is sent.
    checksum_algorithm_header: Some("x-amz-sdk-checksum-algorithm"),
    field_name: headers::field_name,
    field_names_by_operation: headers::FIELD_NAMES_BY_OPERATION,
    additional_field_names: &[],
    strip_transport_text: headers::strip_transport_text,
    unsupported_fields: &[],
    unsupported_operations: &[],
    unsupported_settings: &[],
    // A compatible server may ignore a sub-resource that it does not know, and would then create or delete the bucket.
    honours_subresources: false,
    // Amazon S3, PutObject, Content-MD5: an upload with object lock parameters is rejected without a digest.
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
    error_sentences: errors::SENTENCES,
    defaults: defaults::DEFAULTS,
    limits: defaults::LIMITS,
    // Amazon S3, Object, ETag. rclone and s3cmd verify uploads with it, so what looks like an MD5 must be one.
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
    sdk_part_size_name: "multipart_chunksize (boto3, aws), partSize (other SDKs)",
    bucket_head_parameter: None,
    open_uploads_block_deletion: false,
    part_bytes_min_header: None,
    // Amazon S3, PutObject, errors: an upload without Content-Length is rejected with 411 MissingContentLength.
    supports_chunked_uploads: false,
    form_policy_covers_all: true,
    uses_form_file_type: false,
    manual: Manual { name: "Amazon S3", titles: &[] },
    sample_endpoint: "s3.us-east-1.amazonaws.com",
    endpoint: Some(route::endpoint),
    write_create_bucket_body: xml::write_create_bucket_body,
    bucket_settings: BucketSettings::NONE,
};

/// Amazon S3, Checking object integrity, supported checksum algorithms.
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

/// Amazon S3, Common response headers, x-amz-request-id: 16 upper-case hex digits, as in the samples.
fn format_request_id(random: u128, _now: Timestamp) -> String {
    format!("{:016X}", random & u128::from(u64::MAX))
}
