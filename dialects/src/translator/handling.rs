//! What becomes of an operation between two dialects.

use crate::dialect::Dialect;
use crate::engine::{emulation, small_parts};
use crate::model::{Operation, Setting};

/// What becomes of a field between two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// Said to the target in its own words.
    Native,
    /// Carried out here, or said in another way.
    Emulated,
    /// The target cannot be told. Refused or reported, as the route says.
    Lost,
    /// Refused whatever the route says, because losing it would lose data or expose it.
    Rejected,
}

impl Handling {
    /// The word in the printed matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Lost => "lost",
            Self::Rejected => "refused",
        }
    }
}

/// What becomes of an operation at a target.
pub(crate) fn classify_operation(
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
) -> (Handling, &'static str) {
    let is_policy = matches!(operation, Operation::Get(Setting::Policy) | Operation::Put(Setting::Policy));
    match (target.find_route(operation), emulation::describe_substitute(target, operation)) {
        (Some(_), _) if is_policy && caller.family != target.family => {
            (Handling::Rejected, "names a vendor's own accounts and actions")
        }
        (Some(_), _) if small_parts::can_combine(operation, caller, target) => {
            (Handling::Native, "smaller parts than the target takes are combined")
        }
        (Some(_), _) => (Handling::Native, ""),
        (None, Some(note)) => (Handling::Emulated, note),
        (None, None) => (Handling::Rejected, ""),
    }
}
