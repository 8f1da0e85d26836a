//! How operations and fields are translated between two dialects.

use crate::dialect::Dialect;
use crate::engine::{emulation, small_parts};
use crate::model::Operation;

/// How a field is translated between two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// The target supports it.
    Native,
    /// The proxy does it, or expresses it in another way.
    Emulated,
    /// The target does not support it. Rejected or reported, by the policy of the route.
    Lost,
    /// Rejected on every route, because losing it would lose data or expose it.
    Rejected,
}

impl Handling {
    /// The word in the printed matrix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Emulated => "emulated",
            Self::Lost => "lost",
            Self::Rejected => "rejected",
        }
    }
}

/// How an operation is translated towards a target.
pub(crate) fn classify_operation(
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
) -> (Handling, &'static str) {
    let is_policy_supported = emulation::check_policy_support(operation, caller, target).is_ok();
    match (target.find_route(operation), emulation::describe_substitute(target, operation)) {
        (Some(_), _) if !is_policy_supported => {
            (Handling::Rejected, "names accounts and actions of the vendor")
        }
        (Some(_), _) if small_parts::can_combine(operation, caller, target) => {
            (Handling::Native, "parts below the target's minimum are combined")
        }
        (Some(_), _) => (Handling::Native, ""),
        (None, Some(note)) => (Handling::Emulated, note),
        (None, None) => (Handling::Rejected, ""),
    }
}
