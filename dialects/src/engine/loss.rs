//! What cannot be said is returned, never swallowed; what a loss means is decided here and nowhere else.

use crate::dialect::Dialect;
use crate::dialect::route::LossPolicy;
use crate::model::{ErrorKind, Field, Rejection};

/// Something of a request that a target cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost.
    pub item: LostItem,
    /// Why, for logs and `explain`.
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

    /// What the caller calls it.
    pub fn name_for_caller(&self, caller: &Dialect) -> String {
        match &self.item {
            LostItem::Field(field) => {
                (caller.field_name)(*field).map_or_else(|| field.name(), |name| name.as_str().to_owned())
            }
            LostItem::Metadata(name) => format!("{}{name}", caller.metadata_prefix),
        }
    }
}

/// Decides. Whatever guards data or access is refused whatever the policy.
///
/// # Errors
/// `NotImplemented`, naming the field in the caller's words.
pub fn check_losses(losses: &[Loss], policy: LossPolicy, caller: &Dialect) -> Result<(), Rejection> {
    let rejected = losses.iter().find(|loss| loss.is_always_rejected() || policy == LossPolicy::Reject);
    match rejected {
        None => Ok(()),
        Some(loss) => {
            let name = loss.name_for_caller(caller);
            Err(Rejection::with_message(
                ErrorKind::NotImplemented,
                format!("{name} cannot be carried out here: {}", loss.reason),
            )
            .with_detail("Header", name))
        }
    }
}
