//! Between whom a request is translated.

use std::sync::Arc;

use crate::dialect::definition::Dialect;
use crate::dialect::target::Target;

/// One request's way: who asks, who serves, and what the operator said about this bucket.
#[derive(Clone)]
pub struct Route<'a> {
    /// What the caller speaks.
    pub caller: &'static Dialect,
    /// Who serves.
    pub target: &'a Target,
    /// The request's bucket at the target. Empty for ListBuckets.
    pub bucket: String,
    /// The copy source's bucket at the target, for copies.
    pub source_bucket: Option<String>,
    /// What happens to what the target cannot be told.
    pub loss_policy: LossPolicy,
    /// Evaluate copy conditions here, by a HEAD before the copy, where the target has none.
    pub check_conditions: bool,
    /// What buckets are called that documents name.
    pub bucket_names: Arc<dyn BucketNames + Send + Sync + 'a>,
}

/// What buckets are called at the target and by this caller.
pub trait BucketNames {
    /// The bucket at the target, where it is at this target and the caller may write to it.
    fn to_target_bucket(&self, bucket: &str) -> Option<String>;
    /// What the caller calls a bucket of the target, where it may know of it.
    fn to_caller_bucket(&self, bucket: &str) -> Option<String>;
}

/// Every bucket has the same name on both sides.
pub struct SameBucketNames;

impl BucketNames for SameBucketNames {
    fn to_target_bucket(&self, bucket: &str) -> Option<String> {
        Some(bucket.to_owned())
    }

    fn to_caller_bucket(&self, bucket: &str) -> Option<String> {
        Some(bucket.to_owned())
    }
}

/// What a route does about lost fields that guard nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossPolicy {
    /// Reject the request, naming the field.
    Reject,
    /// Send it without the field, and name the field in the response.
    Report,
}
