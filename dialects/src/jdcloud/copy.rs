//! Copying in JD Cloud: S3's grammar and rules, with a metadata directive that its page does not mention.

use crate::dialect::CopyRules;
use crate::s3;

/// A replaced metadata is looked at after the copy: a server that does not know the directive says nothing.
pub const RULES: CopyRules = CopyRules { needs_metadata_check: true, ..s3::copy::RULES };
