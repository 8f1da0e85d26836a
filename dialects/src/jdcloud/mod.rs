//! The dialect of JD Cloud Object Storage: S3 with a few differences (JD Cloud OSS, Put Object-Copy).
//!
//! Uses: `model`, `dialect`, `s3`.

pub mod auth;
pub mod copy;
pub mod defaults;
pub mod errors;
pub mod headers;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::dialect::{CommonHeaders, Dialect, Manual};
use crate::s3;

/// The entry of this folder in the list of dialects.
pub const DIALECT: &Dialect = &JDCLOUD;

/// JD Cloud Object Storage.
pub static JDCLOUD: Dialect = Dialect {
    name: "jdcloud",
    examples: include_str!("examples.http"),
    auth: auth::AUTH,
    hosts: route::HOSTS,
    settings: settings::SCHEMAS,
    unsupported_fields: headers::UNSUPPORTED_FIELDS,
    unsupported_fields_by_operation: headers::UNSUPPORTED_FIELDS_BY_OPERATION,
    unsupported_operations: route::UNSUPPORTED_OPERATIONS,
    unsupported_settings: route::UNSUPPORTED_SETTINGS,
    words: &words::WORDS,
    copy: copy::RULES,
    xml: xml::STYLE,
    errors: errors::ERRORS,
    defaults: defaults::DEFAULTS,
    limits: defaults::LIMITS,
    common_headers: CommonHeaders { server: "JDCloudOSS", trace_id_header: None, ..s3::BASE.common_headers },
    manual: Manual { name: "JD Cloud OSS", titles: &[] },
    sample_endpoint: "s3.cn-north-1.jdcloud-oss.com",
    endpoint: Some(|region| format!("s3.{region}.jdcloud-oss.com")),
    ..s3::BASE
};
