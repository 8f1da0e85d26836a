//! The dialect of Alibaba Cloud Object Storage Service. Section numbers are those of the OSS reference.

pub mod absent;
pub mod auth;
pub mod copy;
pub mod faults;
pub mod headers;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::engine::dialect::{BucketPlace, BucketSettings, Dialect, Identity, Manual, Name};
use crate::model::{Algorithm, Field, Operation, Timestamp};

/// Alibaba OSS.
pub static OSS: Dialect = Dialect {
    name: "oss",
    family: "oss",
    auth: &auth::AUTH,
    older_auth: Some(&auth::V1_OUT),
    hosts: route::HOSTS,
    // 8; 1.2: forbidden at the vendor, but what its SDKs send to an IP address, and the signature covers the bucket.
    serves_families: &["s3"],
    path_style: true,
    routes: route::ROUTES,
    settings: settings::FORMS,
    access: settings::ACCESS,
    sub_resources: route::SUB_RESOURCES,
    parameters_any_case: false,
    header_prefix: "x-oss-",
    metadata_prefix: "x-oss-meta-",
    wire: headers::WIRE,
    ignored: headers::IGNORED,
    // 3.4, 5.6: what the documents have as parameters too.
    hoisted: |name| matches!(name, "x-oss-traffic-limit" | "x-oss-process" | "x-oss-request-payer"),
    checksums: &[("x-oss-hash-crc64ecma", Algorithm::Crc64Ecma)],
    trailer_header: None,
    checksum_choice: None,
    name_of: headers::name_of,
    names_in: &[],
    // 3.5, of older documents.
    also: &[(Operation::DeleteObjects, Field::EncodingType, Name::Header("encoding-type"))],
    own_text: |_, text| text,
    lacks: headers::LACKS,
    lacks_calls: &[],
    lacks_settings: &[],
    settings_known: true,
    lock_digest: false,
    lacks_in: headers::LACKS_IN,
    lacks_at: &[],
    never_empty: headers::NEVER_EMPTY,
    bounds: headers::BOUNDS,
    check: |_| Ok(()),
    told: headers::told,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    faults: faults::FAULTS,
    absent: absent::ABSENT,
    limits: absent::LIMITS,
    etag_is_md5: false,
    etag_upper: true,
    success: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    identity: Identity {
        server: "AliyunOSS",
        request_id: "x-oss-request-id",
        trace_id: None,
        write_id,
        server_time: Some("x-oss-server-time"),
        head_error: Some("x-oss-err"),
    },
    complete_reply: headers::complete_reply,
    // 3.1: HEAD of a bucket is not a documented call.
    bucket_probe: Some("location"),
    // DeleteBucket: unfinished uploads also block.
    uploads_fill_bucket: true,
    part_bytes_min_header: None,
    chunked_uploads: true,
    form_covers_all: false,
    form_file_type: true,
    manual: Manual { name: "Alibaba Cloud OSS", titles: &[] },
    sample_endpoint: "oss-cn-hangzhou.aliyuncs.com",
    endpoint: Some(|region| format!("oss-{region}.aliyuncs.com")),
    create_bucket_body: xml::create_bucket_body,
    // 3.7
    bucket_settings: BucketSettings {
        class: Some(BucketPlace::Document),
        redundancy: Some(BucketPlace::Document),
    },
};

/// 1.4: 24 upper-case hex digits.
fn write_id(random: u128, _now: Timestamp) -> String {
    format!("{:024X}", random & ((1 << 96) - 1))
}
