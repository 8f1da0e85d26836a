//! The dialect of Tencent Cloud Object Storage. Section numbers are those of the COS reference.

pub mod absent;
pub mod auth;
pub mod copy;
pub mod faults;
pub mod headers;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::engine::dialect::{BucketSettings, Dialect, Identity, Manual};
use crate::model::{Algorithm, Operation, Timestamp};

/// Tencent COS.
pub static COS: Dialect = Dialect {
    name: "cos",
    family: "cos",
    auth: &auth::AUTH,
    older_auth: None,
    hosts: route::HOSTS,
    // 8. 1.6: forbidden for every bucket since 2024.
    serves_families: &["s3"],
    path_style: false,
    routes: route::ROUTES,
    settings: settings::FORMS,
    access: settings::ACCESS,
    sub_resources: route::SUB_RESOURCES,
    parameters_any_case: true,
    header_prefix: "x-cos-",
    metadata_prefix: "x-cos-meta-",
    wire: headers::WIRE,
    ignored: headers::IGNORED,
    // 3.6: the traffic limit of a presigned URL, and nothing else.
    hoisted: |name| name == "x-cos-traffic-limit",
    checksums: &[("x-cos-hash-crc64ecma", Algorithm::Crc64Ecma)],
    trailer_header: None,
    checksum_choice: None,
    name_of: headers::name_of,
    names_in: &[],
    also: &[],
    own_text: |_, text| text,
    lacks: headers::LACKS,
    lacks_calls: &[],
    lacks_settings: &[],
    settings_known: true,
    lock_digest: false,
    lacks_in: headers::LACKS_IN,
    lacks_at: &[],
    // An empty version is none.
    never_empty: &[],
    bounds: &[],
    check: headers::check,
    told: headers::told,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    faults: faults::FAULTS,
    absent: absent::ABSENT,
    limits: absent::LIMITS,
    etag_is_md5: false,
    etag_upper: false,
    success: &[
        (Operation::DeleteObject, 204),
        (Operation::AbortMultipartUpload, 204),
        (Operation::DeleteBucket, 204),
    ],
    identity: Identity {
        server: "tencent-cos",
        request_id: "x-cos-request-id",
        trace_id: Some("x-cos-trace-id"),
        write_id,
        server_time: None,
        head_error: None,
    },
    complete_reply: headers::complete_reply,
    bucket_probe: None,
    // 3.2
    uploads_fill_bucket: true,
    part_bytes_min_header: None,
    chunked_uploads: true,
    form_covers_all: false,
    form_file_type: false,
    manual: Manual { name: "Tencent Cloud COS", titles: route::TITLES },
    sample_endpoint: "cos.ap-guangzhou.myqcloud.com",
    endpoint: Some(|region| format!("cos.{region}.myqcloud.com")),
    create_bucket_body: |_, _| Vec::new(),
    bucket_settings: BucketSettings::NONE,
};

/// 5.9: base64 of hex time and hex fields.
fn write_id(random: u128, now: Timestamp) -> String {
    let low = random & u128::from(u64::MAX);
    STANDARD_NO_PAD.encode(format!(
        "{:08x}_{:08x}_{:04x}_{:05x}",
        now.0,
        low >> 32,
        (low >> 16) & 0xffff,
        low & 0xffff
    ))
}
