//! The routing table: at which target a bucket is, by which name, and by which policies its requests are translated.

use std::sync::Arc;

use blobfish_config::{Caller, Conditions, Config, UnsupportedFields};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::LossPolicy;
use blobfish_dialects::dialect::route::{BucketNames, Route};
use blobfish_dialects::model::RequiredAccess;

use crate::request::grants::has_access;
use crate::target::runtime::TargetRuntime;

/// The bucket rules of a configuration, and the targets that they name.
#[derive(Clone, Copy)]
pub struct RoutingTable<'a> {
    settings: &'a Config,
    targets: &'a [TargetRuntime],
}

/// Where a bucket is, and by which policies its requests are translated.
pub struct RoutedBucket<'a> {
    /// Its target.
    pub target: &'a TargetRuntime,
    /// Index of the target.
    pub target_index: usize,
    /// The bucket's name there.
    pub target_bucket: String,
    /// What happens to fields that the target cannot express.
    pub loss_policy: LossPolicy,
    /// Whether Blobfish evaluates the conditions of copies.
    pub check_conditions: bool,
    /// Whether a copy that the target rejects is relayed.
    pub allows_relay: bool,
    /// Every other bucket, for the names in requests and responses.
    table: RoutingTable<'a>,
}

impl<'a> RoutingTable<'a> {
    /// The rules of `settings`, whose targets are `targets` in the same order.
    pub fn new(settings: &'a Config, targets: &'a [TargetRuntime]) -> Self {
        Self { settings, targets }
    }

    /// Whether a target's bucket is the one for small parts, which callers never see.
    pub fn is_small_parts_bucket(self, index: usize, bucket: &str) -> bool {
        self.settings
            .targets
            .get(index)
            .is_some_and(|target| target.small_parts_bucket.as_deref() == Some(bucket))
    }

    /// Where a bucket is. `bucket` is the callers' name of it.
    pub fn route_bucket(self, bucket: &str) -> Option<RoutedBucket<'a>> {
        let route = self.settings.route(bucket)?;
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
    /// The route of a request to this bucket.
    pub fn build_route(
        &self,
        dialect: &'static Dialect,
        caller: Option<&'a Caller>,
        source_bucket: Option<String>,
    ) -> Route<'a> {
        Route {
            caller: dialect,
            target: &self.target.spec,
            bucket: self.target_bucket.clone(),
            source_bucket,
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

/// The names of the buckets of one target, as far as one caller may know them.
struct CallerBucketNames<'a> {
    table: RoutingTable<'a>,
    /// Without a caller no name is translated: nothing is known of who would learn it.
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
        let name = self.table.settings.find_caller_bucket(self.target_index, bucket)?;
        self.caller.is_some_and(|caller| has_access(caller, &name, RequiredAccess::Read)).then_some(name)
    }
}
