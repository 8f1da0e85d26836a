//! What makes up a dialect: the value `Dialect` and its tables, the trait of its signatures, the schemas of its settings documents,
//! its hosts and its limits, and what a route between two dialects is. No table of a vendor is here.
//!
//! Uses: `model`, `encoding`.

pub mod addressing;
pub mod credential;
mod definition;
pub mod etag;
pub mod route;
pub mod signature;

pub use definition::{
    AclStyle, BucketSettingLocation, BucketSettings, CommonHeaders, ConditionCombination, CopyRules,
    Defaults, Dialect, ErrorRow, FieldName, HostForm, IgnoredHeader, Limits, Manual, OperationRoute,
    ResourceLevel, SelfCopyRule, StatedDigest, Target, TargetCopySource, WordTables, Words, XmlStyle,
};
