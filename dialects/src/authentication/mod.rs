//! Whose request this is: the dialect and the bucket that its host and path name, the signature, forms and their policies.
//!
//! Uses: `model`, `encoding`, `engine`.

pub mod addressing;
pub mod authenticate;
pub mod credential;
pub mod form_upload;
pub mod policy;
pub mod signature;
pub mod signature_v4;
