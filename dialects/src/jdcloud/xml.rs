//! Documents: those of S3. JD's sample of a copy's time has neither fraction nor zone; what its callers read is
//! the standard form, which parsers of S3 take.

use crate::dialect::XmlStyle;
use crate::s3;

/// As S3.
pub const STYLE: XmlStyle = s3::xml::STYLE;
