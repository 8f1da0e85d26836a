//! Between whom a request is translated.

use std::sync::Arc;

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
    /// What buckets are called that documents name.
    pub names: Arc<dyn Names + Send + Sync + 'a>,
}

/// What buckets are called at the target and by this caller.
pub trait Names {
    /// The bucket at the target, where it is at this target and the caller may write to it.
    fn at_target(&self, bucket: &str) -> Option<String>;
    /// What the caller calls a bucket of the target, where it may know of it.
    fn at_caller(&self, bucket: &str) -> Option<String>;
}

/// Every bucket has the same name on both sides.
pub struct SameNames;

impl Names for SameNames {
    fn at_target(&self, bucket: &str) -> Option<String> {
        Some(bucket.to_owned())
    }

    fn at_caller(&self, bucket: &str) -> Option<String> {
        Some(bucket.to_owned())
    }
}
