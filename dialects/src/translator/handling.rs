//! How operations and fields are translated between two dialects.

use crate::dialect::Dialect;
use crate::engine::{emulation, small_parts};
use crate::model::Operation;

/// How a field is translated between two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The target supports it.
    Native,
    /// The proxy implements it, or expresses it with other fields.
    Emulated,
    /// The target does not support it. The policy of the route decides whether it is rejected or reported.
    Lost,
    /// Rejected on every route, because its loss would lose or expose data.
    Rejected,
}

impl Handling {
    /// The name in the printed matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

/// How an operation is translated for a target.
pub(crate) fn classify_operation(
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
) -> (Handling, &'static str) {
    let is_policy_supported = emulation::check_policy_support(operation, caller, target).is_ok();
    match (target.find_route(operation), emulation::describe_substitute(target, operation)) {
        // The target has the operation, but the accounts and actions in the document would have no meaning there.
        (Some(_), _) if !is_policy_supported => {
            (Handling::Rejected, "contains accounts and actions of one vendor")
        }
        (Some(_), _) if small_parts::can_combine(operation, caller, target) => {
            (Handling::Native, "parts below the target's minimum are combined")
        }
        (Some(_), _) => (Handling::Native, ""),
        (None, Some(note)) => (Handling::Emulated, note),
        (None, None) => (Handling::Rejected, ""),
    }
}
