//! The S3 dialect, as documented in the Amazon S3 API Reference and User Guide.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`.

pub mod auth;
pub mod base;
pub mod chunked;
pub mod copy;
pub mod defaults;
pub mod errors;
pub mod headers;
pub mod profiles;
pub mod route;
pub mod settings;
pub mod words;
pub mod xml;

use crate::dialect::Dialect;

pub(crate) use base::BASE;

/// The entry of this folder in the list of dialects.
pub const DIALECT: &Dialect = &S3;

/// Amazon S3.
pub static S3: Dialect =
    Dialect { profiles: profiles::ALL, embedded_store: Some(&profiles::EMBEDDED), ..BASE };
