//! Documents of JD Cloud: those of S3.

use crate::dialect::XmlStyle;
use crate::s3;

/// The style of S3.
// The sample in JD Cloud OSS, Put Object-Copy has a time without fraction and zone. Clients receive the form of S3
// instead, because parsers for S3 expect it.
pub const STYLE: XmlStyle = s3::xml::STYLE;
