//! Authenticates requests: credentials, signatures, form uploads and their policies.
//!
//! Uses: `model`, `encoding`, `dialect`, `engine`.

pub mod authenticate;
pub mod form_upload;
pub mod policy;
