//! Copies in JD Cloud: the grammar and the rules of S3.

use crate::dialect::CopyRules;
use crate::s3;

/// The rules of S3.
// JD Cloud OSS, Put Object-Copy does not mention the metadata directive. A server that does not know it would ignore it
// without an error, so the metadata is checked after the copy.
pub(crate) const RULES: CopyRules = CopyRules { needs_metadata_check: true, ..s3::copy::RULES };
