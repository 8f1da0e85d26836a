//! What cannot be said is returned, never swallowed; what a loss means is decided here and nowhere else.

use crate::engine::dialect::Dialect;
use crate::model::{Fault, Field, Refusal};

/// Something of a request that a target cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What is lost.
    pub what: Lost,
    /// Why, for logs and `explain`.
    pub why: String,
}

/// What is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// A field.
    Field(Field),
    /// An entry of user metadata, by name.
    Metadata(String),
}

impl Loss {
    /// A lost field.
    pub fn field(field: Field, why: impl Into<String>) -> Self {
        Self { what: Lost::Field(field), why: why.into() }
    }

    /// The name in metrics: a closed set.
    pub fn name(&self) -> String {
        match &self.what {
            Lost::Field(field) => field.name(),
            Lost::Metadata(_) => "Metadata".to_owned(),
        }
    }

    fn refused_always(&self) -> bool {
        match &self.what {
            Lost::Field(field) => field.guards_data(),
            // A name that the target cannot hold would be gone for good.
            Lost::Metadata(_) => true,
        }
    }

    /// What the caller calls it.
    pub fn name_for(&self, caller: &Dialect) -> String {
        match &self.what {
            Lost::Field(field) => {
                (caller.name_of)(*field).map_or_else(|| field.name(), |name| name.as_str().to_owned())
            }
            Lost::Metadata(name) => format!("{}{name}", caller.metadata_prefix),
        }
    }
}

/// What a route does about losses that guard nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossPolicy {
    /// Refuse the request, naming the field.
    Refuse,
    /// Send it without the field, and say so.
    Report,
}

/// Decides. Whatever guards data or access is refused whatever the policy.
///
/// # Errors
/// `NotImplemented`, naming the field in the caller's words.
pub fn judge(losses: &[Loss], policy: LossPolicy, caller: &Dialect) -> Result<(), Refusal> {
    let refused = losses.iter().find(|loss| loss.refused_always() || policy == LossPolicy::Refuse);
    match refused {
        None => Ok(()),
        Some(loss) => {
            let name = loss.name_for(caller);
            Err(Refusal::say(
                Fault::NotImplemented,
                format!("{name} cannot be carried out here: {}", loss.why),
            )
            .with("Header", name))
        }
    }
}
