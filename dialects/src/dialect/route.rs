//! The route of one request: caller dialect, target, buckets and policies.

use std::sync::Arc;

use crate::dialect::definition::Dialect;
use crate::dialect::target::Target;
use crate::model::{ErrorKind, Rejection, Request, RequestScope};

/// The buckets of one request by their names at the target. A copy always has a source bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteScope {
    /// The request is for the account and has no bucket.
    Service,
    /// The request's bucket.
    Bucket(String),
    /// A copy, which reads one bucket and writes another.
    Copy {
        /// The bucket of the copy.
        bucket: String,
        /// The bucket of the copy source.
        source_bucket: String,
    },
}

impl RouteScope {
    /// The buckets of a request, where they have the same names at the target.
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

/// Where one request is sent, and the policies that the operator configured for its bucket.
#[derive(Clone)]
pub struct Route<'a> {
    /// The caller dialect.
    pub caller: &'static Dialect,
    /// The target.
    pub target: &'a Target,
    /// The request's buckets at the target.
    pub scope: RouteScope,
    /// What to do with fields that the target does not support.
    pub loss_policy: LossPolicy,
    /// Whether the proxy evaluates copy conditions that the target does not support, by a HEAD before the copy.
    pub check_conditions: bool,
    /// Translates bucket names in documents.
    pub bucket_names: Arc<dyn BucketNames + Send + Sync + 'a>,
}

impl<'a> Route<'a> {
    /// The request's bucket at the target, unless the request is for the account.
    pub fn bucket(&self) -> Option<&str> {
        match &self.scope {
            RouteScope::Service => None,
            RouteScope::Bucket(bucket) | RouteScope::Copy { bucket, .. } => Some(bucket),
        }
    }

    /// The bucket of a request that requires one.
    ///
    /// # Errors
    /// `InternalError` if the route is one for the account.
    pub fn require_bucket(&self) -> Result<&str, Rejection> {
        self.bucket().ok_or_else(|| ErrorKind::InternalError.into())
    }

    /// The bucket of the copy source at the target.
    ///
    /// # Errors
    /// `InternalError` if the route is not one of a copy.
    pub fn require_source_bucket(&self) -> Result<&str, Rejection> {
        match &self.scope {
            RouteScope::Copy { source_bucket, .. } => Ok(source_bucket),
            // A fallback to the request's own bucket could read objects that the caller may not read.
            RouteScope::Service | RouteScope::Bucket(_) => Err(ErrorKind::InternalError.into()),
        }
    }

    /// The same route to another bucket of the target, for a request that is not a copy.
    #[must_use]
    pub fn to_bucket(&self, bucket: impl Into<String>) -> Self {
        Self { scope: RouteScope::Bucket(bucket.into()), ..self.clone() }
    }

    /// The scope of a request with the target's bucket name.
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

/// Bucket names at the target and for this caller.
pub trait BucketNames {
    /// The name at the target, if the bucket is at this target and the caller may write to it.
    fn to_target_bucket(&self, bucket: &str) -> Option<String>;
    /// The caller's name of a bucket of the target, if the caller may read the bucket.
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

/// What a route does with lost fields that do not protect data. Requests that would lose another field are always
/// rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossPolicy {
    /// Reject the request with an error that names the field.
    Reject,
    /// Send the request without the field, and report the loss.
    Report,
}
