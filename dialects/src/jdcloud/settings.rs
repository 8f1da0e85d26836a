//! The documents of JD Cloud: those of S3.
use crate::dialect::settings_schema::SettingSchema;

/// As S3. What JD does not have it refuses itself: an answer that is another document is no success.
pub const SCHEMAS: &[SettingSchema] = crate::s3::settings::SCHEMAS;
