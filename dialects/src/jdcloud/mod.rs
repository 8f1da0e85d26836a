//! JD Cloud: the S3 dialect with stated differences. Section 10 of the S3 reference, and JD's page of the copy.

pub mod absent;
pub mod auth;
pub mod copy;
pub mod faults;
pub mod headers;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::engine::dialect::{CommonHeaders, Dialect, Manual};
use crate::s3;

/// JD Cloud Object Storage.
pub static JDCLOUD: Dialect = Dialect {
    name: "jdcloud",
    auth: auth::AUTH,
    hosts: route::HOSTS,
    settings: settings::FORMS,
    unsupported_fields: headers::LACKS,
    unsupported_fields_by_operation: headers::LACKS_AT,
    unsupported_operations: route::LACKS_CALLS,
    unsupported_settings: route::LACKS_SETTINGS,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    errors: faults::FAULTS,
    defaults: absent::ABSENT,
    limits: absent::LIMITS,
    common_headers: CommonHeaders { server: "JDCloudOSS", trace_id_header: None, ..s3::BASE.common_headers },
    manual: Manual { name: "JD Cloud OSS", titles: &[] },
    sample_endpoint: "s3.cn-north-1.jdcloud-oss.com",
    endpoint: Some(|region| format!("s3.{region}.jdcloud-oss.com")),
    ..s3::BASE
};
