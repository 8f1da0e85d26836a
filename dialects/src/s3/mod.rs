//! The S3 dialect as AWS documents it. Section numbers are those of the S3 reference.

pub mod absent;
pub mod auth;
pub mod chunked;
pub mod copy;
pub mod faults;
pub mod headers;
pub mod profiles;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::engine::dialect::{BucketSettings, Dialect, Identity, Manual};
use crate::model::{Algorithm, Operation, Timestamp};

/// Amazon S3.
pub static S3: Dialect = BASE;

/// The tables of S3, for profiles that differ in a few.
pub const BASE: Dialect = Dialect {
    name: "s3",
    family: "s3",
    auth: &auth::AUTH,
    older_auth: None,
    hosts: route::HOSTS,
    serves_families: &[],
    path_style: true,
    routes: route::ROUTES,
    settings: settings::FORMS,
    access: settings::ACCESS,
    sub_resources: route::SUB_RESOURCES,
    parameters_any_case: false,
    header_prefix: "x-amz-",
    metadata_prefix: "x-amz-meta-",
    wire: headers::WIRE,
    ignored: headers::IGNORED,
    // 2.3: any header may come as a parameter.
    hoisted: |name| name.starts_with("x-amz-"),
    checksums: CHECKSUMS,
    trailer_header: Some("x-amz-trailer"),
    // 2.5
    checksum_choice: Some("x-amz-sdk-checksum-algorithm"),
    name_of: headers::name_of,
    names_in: headers::NAMES_IN,
    also: &[],
    own_text: headers::own_text,
    lacks: &[],
    lacks_calls: &[],
    lacks_settings: &[],
    settings_known: false,
    lock_digest: true,
    lacks_in: headers::LACKS_IN,
    lacks_at: &[],
    never_empty: headers::NEVER_EMPTY,
    bounds: headers::BOUNDS,
    check: headers::check,
    told: headers::told,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    faults: faults::FAULTS,
    absent: absent::ABSENT,
    limits: absent::LIMITS,
    etag_is_md5: true,
    etag_upper: false,
    success: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    identity: Identity {
        server: "AmazonS3",
        request_id: "x-amz-request-id",
        trace_id: Some("x-amz-id-2"),
        write_id,
        server_time: None,
        head_error: None,
    },
    complete_reply: headers::complete_reply,
    bucket_probe: None,
    uploads_fill_bucket: false,
    part_bytes_min_header: None,
    // 3.4: without a length the answer is 411.
    chunked_uploads: false,
    form_covers_all: true,
    form_file_type: false,
    manual: Manual { name: "Amazon S3", titles: &[] },
    sample_endpoint: "s3.us-east-1.amazonaws.com",
    endpoint: Some(route::endpoint),
    create_bucket_body: xml::create_bucket_body,
    bucket_settings: BucketSettings::NONE,
};

/// 6.1
const CHECKSUMS: &[(&str, Algorithm)] = &[
    ("x-amz-checksum-crc32", Algorithm::Crc32),
    ("x-amz-checksum-crc32c", Algorithm::Crc32c),
    ("x-amz-checksum-crc64nvme", Algorithm::Crc64Nvme),
    ("x-amz-checksum-sha1", Algorithm::Sha1),
    ("x-amz-checksum-sha256", Algorithm::Sha256),
    ("x-amz-checksum-sha512", Algorithm::Sha512),
    ("x-amz-checksum-md5", Algorithm::Md5),
    ("x-amz-checksum-xxhash64", Algorithm::XxHash64),
    ("x-amz-checksum-xxhash3", Algorithm::XxHash3),
    ("x-amz-checksum-xxhash128", Algorithm::XxHash128),
];

/// 3.2: 16 upper-case hex digits.
fn write_id(random: u128, _now: Timestamp) -> String {
    format!("{:016X}", random & u128::from(u64::MAX))
}
