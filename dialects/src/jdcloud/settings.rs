//! The documents of JD Cloud: those of S3.

use crate::engine::settings::Form;

/// As S3. What JD does not have it refuses itself: an answer that is another document is no success.
pub const FORMS: &[Form] = crate::s3::settings::FORMS;
