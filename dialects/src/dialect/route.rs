//! Between whom a request is translated.

use std::sync::Arc;

use crate::dialect::definition::Dialect;
use crate::dialect::target::Target;
use crate::model::{ErrorKind, Rejection, Request, RequestScope};

/// The buckets of one request by their names at the target. A copy always has the bucket of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteScope {
    /// No bucket: the request is about the account.
    Service,
    /// The request's bucket.
    Bucket(String),
    /// A copy, which reads one bucket and writes another.
    Copy {
        /// The bucket that is written.
        bucket: String,
        /// The bucket that is read.
        source_bucket: String,
    },
}

impl RouteScope {
    /// The buckets of a request that have the same names at the target.
    pub fn from_request(request: &Request) -> Self {
        match (request.scope.bucket(), &request.source) {
            (None, _) => Self::Service,
            (Some(bucket), None) => Self::Bucket(bucket.to_owned()),
            (Some(bucket), Some(source)) => {
                Self::Copy { bucket: bucket.to_owned(), source_bucket: source.bucket.clone() }
            }
        }
    }
}

/// One request's way: who asks, who serves, and what the operator said about this bucket.
#[derive(Clone)]
pub struct Route<'a> {
    /// What the caller speaks.
    pub caller: &'static Dialect,
    /// Who serves.
    pub target: &'a Target,
    /// The request's buckets at the target.
    pub scope: RouteScope,
    /// What happens to what the target cannot be told.
    pub loss_policy: LossPolicy,
    /// Evaluate copy conditions here, by a HEAD before the copy, where the target has none.
    pub check_conditions: bool,
    /// What buckets are called that documents name.
    pub bucket_names: Arc<dyn BucketNames + Send + Sync + 'a>,
}

impl<'a> Route<'a> {
    /// The request's bucket at the target, unless the request is about the account.
    pub fn bucket(&self) -> Option<&str> {
        match &self.scope {
            RouteScope::Service => None,
            RouteScope::Bucket(bucket) | RouteScope::Copy { bucket, .. } => Some(bucket),
        }
    }

    /// The bucket of a request that cannot do without one.
    ///
    /// # Errors
    /// `InternalError`: the route is one for the account.
    pub fn require_bucket(&self) -> Result<&str, Rejection> {
        self.bucket().ok_or_else(|| ErrorKind::InternalError.into())
    }

    /// The bucket that a copy reads, at the target.
    ///
    /// # Errors
    /// `InternalError`: the route is not one of a copy.
    pub fn require_source_bucket(&self) -> Result<&str, Rejection> {
        match &self.scope {
            RouteScope::Copy { source_bucket, .. } => Ok(source_bucket),
            // Another bucket in its place could be one that the caller may not read.
            RouteScope::Service | RouteScope::Bucket(_) => Err(ErrorKind::InternalError.into()),
        }
    }

    /// The same route to another bucket of the target, for a request that is no copy.
    #[must_use]
    pub fn to_bucket(&self, bucket: impl Into<String>) -> Self {
        Self { scope: RouteScope::Bucket(bucket.into()), ..self.clone() }
    }

    /// What a request addresses by its names at the target.
    ///
    /// # Errors
    /// As [`Route::require_bucket`].
    pub fn to_target_scope(&self, scope: &RequestScope) -> Result<RequestScope, Rejection> {
        Ok(match scope {
            RequestScope::Service => RequestScope::Service,
            RequestScope::Bucket(_) => RequestScope::Bucket(self.require_bucket()?.to_owned()),
            RequestScope::Object { key, .. } => {
                RequestScope::Object { bucket: self.require_bucket()?.to_owned(), key: key.clone() }
            }
        })
    }
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
