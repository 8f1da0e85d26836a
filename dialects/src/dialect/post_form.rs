//! The fields of a form upload (POST Object), as the dialects' signatures read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::model::{ErrorKind, Rejection};

/// The fields of a form, and the name and type of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostForm {
    /// Names in the letter case in which they were sent, and values.
    pub fields: Vec<(String, String)>,
    /// The `filename` that the client sent with the file.
    pub file_name: String,
    /// The `Content-Type` that the client sent with the file.
    pub file_type: Option<String>,
}

impl PostForm {
    /// The value of a field. The letter case of the name is ignored.
    pub fn get(&self, name: &str) -> Option<&str> {
        let row = self.fields.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The value of a required field.
    ///
    /// # Errors
    /// `ErrorKind::FormFieldMissing`.
    pub fn require_field(&self, name: &'static str) -> Result<&str, Rejection> {
        self.get(name).ok_or_else(|| {
            Rejection::with_message(
                ErrorKind::FormFieldMissing,
                format!(
                    "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
                ),
            )
            .with_detail("ArgumentName", name)
        })
    }
}

/// The longest policy that is accepted, bytes of base64.
const POLICY_BYTES_MAX: usize = 20 * 1024;

pub(crate) fn invalid_policy_error(why: &str) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidPolicyDocument, format!("Invalid Policy: {why}"))
}

/// Decodes a policy from base64.
///
/// # Errors
/// `ErrorKind::InvalidPolicyDocument`.
pub(crate) fn decode_policy(policy: &str) -> Result<Vec<u8>, Rejection> {
    if policy.len() > POLICY_BYTES_MAX {
        return Err(invalid_policy_error("it is too long."));
    }
    // Many base64 encoders wrap long lines, and browsers send the line breaks of a form's field.
    let text: String = policy.split_ascii_whitespace().collect();
    BASE64.decode(text).map_err(|_| invalid_policy_error("it is not base64."))
}
