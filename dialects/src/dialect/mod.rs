//! The types that describe a dialect: `Dialect` with its tables, the trait of its signatures, the schemas of its
//! settings documents, its hosts and limits. Targets and routes, which refer to dialects, are here too, and so is
//! what several vendors share: the version 4 signature and elements of settings documents. No vendor's table is in
//! this folder.
//!
//! Uses: `model`, `encoding`.

pub mod addressing;
pub mod common_settings;
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
pub mod signature_v4;
pub mod target;

pub use definition::{
    AclStyle, BucketInfoDocument, BucketSettingLocation, BucketSettings, CommonHeaders, ConditionCombination,
    CopyRules, Defaults, Dialect, DocumentRoots, ErrorRow, ErrorSentence, FieldName, HostForm, IgnoreReason,
    IgnoredHeader, Limits, Manual, RedundancySetting, SelfCopyRule, StatedDigest, TargetCopySource,
    WordTables, Words, XmlStyle,
};
pub use operation_route::{OperationRoute, ResourceLevel};
pub use target::{SmallPartsConfig, Target};
