//! Fields that a target does not support: what a lost field means is decided here and nowhere else.

use crate::dialect::route::LossPolicy;
use crate::dialect::{Dialect, Target};
use crate::model::{ErrorKind, Field, Rejection};

/// A field of a request that a target does not support, with or without this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost.
    pub item: LostItem,
    /// Why, as a sentence: for the client, logs and `explain`.
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

    /// The name in metrics: a closed set.
    pub fn name(&self) -> String {
        match &self.item {
            LostItem::Field(field) => field.name(),
            LostItem::Metadata(_) => "Metadata".to_owned(),
        }
    }

    fn is_always_rejected(&self) -> bool {
        match &self.item {
            LostItem::Field(field) => field.guards_data(),
            // A name that the target cannot hold would be gone for good.
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

/// Rejects lost fields by the policy. A field that guards data or access is rejected under every policy.
///
/// # Errors
/// `NotImplemented`, naming the field in the caller's words.
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

/// A target in sentences: by its configured name, and by its dialect where the name does not say it.
pub fn describe_target(target: &Target) -> String {
    let dialect = display_name(target.dialect);
    if target.name.eq_ignore_ascii_case(target.dialect.name) {
        return dialect;
    }
    format!("Target {} ({dialect})", target.name)
}

/// A dialect in sentences: S3, COS, OSS, and longer names as they are.
pub fn display_name(dialect: &Dialect) -> String {
    const ABBREVIATION_LETTERS_MAX: usize = 3;
    match dialect.name {
        name if name.len() <= ABBREVIATION_LETTERS_MAX => name.to_uppercase(),
        name => name.to_owned(),
    }
}

/// A target that does not support something of the caller's dialect.
pub fn describe_unsupported(target: &Target, what: &str) -> String {
    format!("{} does not support {what}.", describe_target(target))
}
