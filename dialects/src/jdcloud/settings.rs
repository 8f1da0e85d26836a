//! Settings documents of JD Cloud: those of S3.

use crate::dialect::settings_schema::SettingSchema;

/// The schemas of S3.
// A setting that JD Cloud does not support is rejected by JD Cloud itself, because a response with another document is
// an error.
pub(crate) const SCHEMAS: &[SettingSchema] = crate::s3::settings::SCHEMAS;
