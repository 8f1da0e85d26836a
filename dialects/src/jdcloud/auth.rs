//! Signatures of JD Cloud: those of S3.

use crate::dialect::signature::Auth;

/// Signs with version 4, and verifies versions 4 and 2.
// Version 2 is still verified, since presigned URLs of older JD Cloud clients use it.
pub const AUTH: &dyn Auth = &crate::s3::auth::AUTH;
