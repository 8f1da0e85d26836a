//! The types that describe a dialect: its tables, signatures, schemas of settings documents, hosts and limits, and
//! the targets and routes that refer to dialects. Parts that several vendors share, such as the version 4 signature,
//! are here too, but no vendor's table.
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
    CopyRules, Defaults, Dialect, DigestHeader, DocumentRoots, ErrorRow, ErrorSentence, FieldName, HostForm,
    IgnoreReason, IgnoredHeader, Limits, Manual, RedundancySetting, SelfCopyRule, TargetCopySource,
    WordTables, Words, XmlStyle,
};
pub use operation_route::{OperationRoute, ResourceLevel};
pub use target::{SmallPartsConfig, Target};
