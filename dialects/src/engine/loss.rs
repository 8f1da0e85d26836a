//! Fields that a target does not support. Only this module decides what a lost field leads to.
//!
//! The reasons here name the target and its dialect, because the operator chose them and has to change the route or the
//! client. Messages about a target's failures never do; see `read_response`.

use crate::dialect::route::LossPolicy;
use crate::dialect::{Dialect, Target};
use crate::model::{ErrorKind, Field, Rejection};

/// A field of a request that a target does not support, with or without this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost.
    pub item: LostItem,
    /// The reason, as a sentence for the client, the log and `explain`.
    pub reason: String,
}

/// What is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostItem {
    /// A field.
    Field(Field),
    /// An entry of user metadata, by name.
    Metadata(String),
}

impl Loss {
    /// A lost field.
    pub fn for_field(field: Field, reason: impl Into<String>) -> Self {
        Self { item: LostItem::Field(field), reason: reason.into() }
    }

    /// The name in metrics, from a closed set: the name of a metadata entry would make a new time series.
    pub fn name(&self) -> String {
        match &self.item {
            LostItem::Field(field) => field.name(),
            LostItem::Metadata(_) => "Metadata".to_owned(),
        }
    }

    fn is_always_rejected(&self) -> bool {
        match &self.item {
            LostItem::Field(field) => field.guards_data(),
            // An entry that the target cannot store would be missing from every later read.
            LostItem::Metadata(_) => true,
        }
    }

    /// Its name in the caller's dialect.
    pub fn name_for_caller(&self, caller: &Dialect) -> String {
        match &self.item {
            LostItem::Field(field) => {
                (caller.field_name)(*field).map_or_else(|| field.name(), |name| name.as_str().to_owned())
            }
            LostItem::Metadata(name) => format!("{}{name}", caller.metadata_prefix),
        }
    }
}

/// Rejects lost fields if the policy requires it. A field that guards data or access is rejected under every policy.
///
/// # Errors
/// `NotImplemented`, with the field's name in the caller's dialect.
pub fn check_losses(losses: &[Loss], policy: LossPolicy, caller: &Dialect) -> Result<(), Rejection> {
    let rejected = losses.iter().find(|loss| loss.is_always_rejected() || policy == LossPolicy::Reject);
    match rejected {
        None => Ok(()),
        Some(loss) => {
            let name = loss.name_for_caller(caller);
            Err(Rejection::with_message(ErrorKind::NotImplemented, loss.reason.clone())
                .with_detail("Header", name))
        }
    }
}

/// The target's name for messages: its configured name, and its dialect if the name does not contain it.
/// Only messages about fields, values and settings that the target does not support name the target, because the client has
/// to change its request for this target. Messages about failed transports do not name it.
pub fn describe_target(target: &Target) -> String {
    let dialect = display_name(target.dialect);
    // "Target cos (COS)" would repeat itself.
    if target.name.eq_ignore_ascii_case(target.dialect.name) {
        return dialect;
    }
    format!("Target {} ({dialect})", target.name)
}

/// The dialect's name for messages: S3, COS and OSS in capitals, longer names unchanged.
pub fn display_name(dialect: &Dialect) -> String {
    const ABBREVIATION_LETTERS_MAX: usize = 3;
    match dialect.name {
        name if name.len() <= ABBREVIATION_LETTERS_MAX => name.to_uppercase(),
        name => name.to_owned(),
    }
}

/// The message for something of the caller's dialect that a target does not support.
pub(crate) fn describe_unsupported(target: &Target, what: &str) -> String {
    format!("{} does not support {what}.", describe_target(target))
}

/// The message for a KMS key that is not in `kms_keys` of the target.
pub(crate) fn describe_unlisted_key(key: &str) -> String {
    // A message that names the target would show a client which keys exist there.
    format!("The KMS key {key} may not be used at this service.")
}
