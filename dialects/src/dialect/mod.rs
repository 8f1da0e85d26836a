//! What makes up a dialect: the value `Dialect` and its tables, the trait of its signatures, the schemas of its settings
//! documents, its hosts and limits; and targets and routes, which are made of dialects. Contains no vendor's table.
//!
//! Uses: `model`, `encoding`.

pub mod addressing;
pub mod credential;
mod definition;
pub mod etag;
pub mod limits;
mod operation_route;
pub mod post_form;
pub mod response_context;
pub mod route;
pub mod settings_schema;
pub mod signature;
pub mod target;

pub use definition::{
    AclStyle, BucketSettingLocation, BucketSettings, CommonHeaders, ConditionCombination, CopyRules,
    Defaults, Dialect, ErrorRow, FieldName, HostForm, IgnoreReason, IgnoredHeader, Limits, Manual,
    SelfCopyRule, StatedDigest, TargetCopySource, WordTables, Words, XmlStyle,
};
pub use operation_route::{OperationRoute, ResourceLevel};
pub use target::{SmallPartsConfig, Target};
