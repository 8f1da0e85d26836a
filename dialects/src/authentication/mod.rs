//! Whose request this is: the dialect and the bucket that its host and path name, the signature, forms and their policies.
//!
//! Uses: `model`, `encoding`, `engine`.

pub mod authenticate;
pub mod form_upload;
pub mod policy;
