//! Between whom a request is translated.

use crate::engine::dialect::{Dialect, Target};
use crate::engine::loss::LossPolicy;

/// One request's way: who asks, who serves, and what the operator said about this bucket.
#[derive(Clone)]
pub struct Way<'a> {
    /// What the caller speaks.
    pub caller: &'static Dialect,
    /// Who serves.
    pub target: &'a Target,
    /// The request's bucket at the target. Empty for ListBuckets.
    pub bucket: String,
    /// The copy source's bucket at the target, for copies.
    pub source_bucket: Option<String>,
    /// What happens to what the target cannot be told.
    pub policy: LossPolicy,
    /// Evaluate copy conditions here, by a HEAD before the copy, where the target has none.
    pub check_conditions: bool,
}
