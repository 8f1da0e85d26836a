//! The fields of a form upload, as the signatures of the dialects read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::model::{ErrorKind, Rejection};

/// The fields of a form, and what is said of its file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostForm {
    /// Names as sent, and values.
    pub fields: Vec<(String, String)>,
    /// Name of the file on the caller's disk.
    pub file_name: String,
    /// Its type as the browser says it.
    pub file_type: Option<String>,
}

impl PostForm {
    /// The value of a field, whatever the letter case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let row = self.fields.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
        Some(&row.1)
    }

    /// The value of a field that must be there.
    ///
    /// # Errors
    /// [`Fault::FormFieldMissing`].
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

/// What a policy may take, bytes of base64.
const POLICY_BYTES_MAX: usize = 20 * 1024;

pub(crate) fn invalid_policy_error(why: &str) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidPolicyDocument, format!("Invalid Policy: {why}"))
}

/// The text of a policy.
///
/// # Errors
/// [`Fault::InvalidPolicyDocument`].
pub fn decode_policy(policy: &str) -> Result<Vec<u8>, Rejection> {
    if policy.len() > POLICY_BYTES_MAX {
        return Err(invalid_policy_error("it is too long."));
    }
    let text: String = policy.split_ascii_whitespace().collect();
    BASE64.decode(text).map_err(|_| invalid_policy_error("it is not base64."))
}
