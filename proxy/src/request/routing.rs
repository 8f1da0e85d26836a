//! The routing table: the target of a bucket, the bucket's name there, and the policies for its requests.

use std::sync::Arc;

use blobfish_config::{Caller, Conditions, Config, UnsupportedFields};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::{BucketNames, LossPolicy, Route, RouteScope};
use blobfish_dialects::model::RequiredAccess;

use crate::request::grants::has_access;
use crate::target::runtime::TargetRuntime;

/// The bucket rules of a configuration, with their targets.
#[derive(Clone, Copy)]
pub(crate) struct RoutingTable<'a> {
    settings: &'a Config,
    targets: &'a [TargetRuntime],
}

/// The target of a bucket, and the policies for its requests.
pub(crate) struct RoutedBucket<'a> {
    /// The target.
    pub target: &'a TargetRuntime,
    /// The index of the target.
    pub target_index: usize,
    /// The bucket's name at the target.
    pub target_bucket: String,
    /// What happens to fields that the target does not support.
    pub loss_policy: LossPolicy,
    /// Whether Blobfish itself evaluates the conditions of copies.
    pub check_conditions: bool,
    /// Whether a copy that the target rejects is relayed.
    pub allows_relay: bool,
    /// The table, for the names of other buckets in requests and responses.
    table: RoutingTable<'a>,
}

impl<'a> RoutingTable<'a> {
    /// Builds the table from `settings`. `targets` are its targets, in the same order.
    pub(crate) fn new(settings: &'a Config, targets: &'a [TargetRuntime]) -> Self {
        Self { settings, targets }
    }

    /// Whether a target's bucket is its small-parts bucket, which callers never see.
    pub(crate) fn is_small_parts_bucket(self, index: usize, bucket: &str) -> bool {
        self.settings
            .targets
            .get(index)
            .is_some_and(|target| target.small_parts_bucket.as_deref() == Some(bucket))
    }

    /// Finds the target of a bucket. `bucket` is the callers' name for it.
    pub(crate) fn route_bucket(self, bucket: &str) -> Option<RoutedBucket<'a>> {
        let route = self.settings.route(bucket)?;
        // A pattern rule may match its name, but its objects are not the objects of any caller.
        if self.is_small_parts_bucket(route.target_index, &route.target_bucket) {
            return None;
        }
        let policy = match route.rule.unsupported {
            UnsupportedFields::Reject => LossPolicy::Reject,
            UnsupportedFields::Report => LossPolicy::Report,
        };
        Some(RoutedBucket {
            target: self.targets.get(route.target_index)?,
            target_index: route.target_index,
            target_bucket: route.target_bucket.into_owned(),
            loss_policy: policy,
            check_conditions: match route.rule.conditions {
                Conditions::Auto => {
                    !self.targets.get(route.target_index)?.spec.dialect.supports_source_conditions()
                }
                Conditions::Native => false,
                Conditions::Check => true,
            },
            allows_relay: route.rule.relay,
            table: self,
        })
    }
}

impl<'a> RoutedBucket<'a> {
    /// The route of a request to this bucket. `source` is the bucket that a copy reads.
    pub(crate) fn build_route(
        &self,
        dialect: &'static Dialect,
        caller: Option<&'a Caller>,
        source: Option<&RoutedBucket<'_>>,
    ) -> Route<'a> {
        let bucket = self.target_bucket.clone();
        let scope = match source {
            Some(source) => RouteScope::Copy { bucket, source_bucket: source.target_bucket.clone() },
            None => RouteScope::Bucket(bucket),
        };
        Route {
            caller: dialect,
            target: &self.target.spec,
            scope,
            loss_policy: self.loss_policy,
            check_conditions: self.check_conditions,
            bucket_names: Arc::new(CallerBucketNames {
                table: self.table,
                caller,
                target_index: self.target_index,
            }),
        }
    }
}

/// The bucket names of one target that a caller may see.
struct CallerBucketNames<'a> {
    table: RoutingTable<'a>,
    /// Without a caller no name is translated, because an anonymous client must not learn bucket names.
    caller: Option<&'a Caller>,
    target_index: usize,
}

impl BucketNames for CallerBucketNames<'_> {
    fn to_target_bucket(&self, bucket: &str) -> Option<String> {
        let may_write = self.caller.is_some_and(|caller| has_access(caller, bucket, RequiredAccess::Write));
        let routed_bucket = self
            .table
            .route_bucket(bucket)
            .filter(|routed| may_write && routed.target_index == self.target_index);
        routed_bucket.map(|routed_bucket| routed_bucket.target_bucket)
    }

    fn to_caller_bucket(&self, bucket: &str) -> Option<String> {
        if self.table.is_small_parts_bucket(self.target_index, bucket) {
            return None;
        }
        let name = self.table.settings.find_client_bucket_name(self.target_index, bucket)?;
        self.caller.is_some_and(|caller| has_access(caller, &name, RequiredAccess::Read)).then_some(name)
    }
}
