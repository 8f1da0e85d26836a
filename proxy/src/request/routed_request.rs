//! A request with its buckets, its route and its plan. The dispatch executes it, and `explain` prints it.

use blobfish_config::Caller;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::engine::plan::{self, Plan, PlanRoutes};
use blobfish_dialects::engine::small_parts::check_key_allowed;
use blobfish_dialects::model::{ErrorKind, Rejection, Request};

use crate::request::active_config::ActiveConfig;
use crate::request::routing::RoutedBucket;

/// The buckets, the route and the plan of a request that addresses a bucket.
pub(crate) struct RoutedRequest<'s> {
    /// The caller; `None` if the client is anonymous.
    pub caller: Option<&'s Caller>,
    /// The bucket that the request addresses.
    pub destination: RoutedBucket<'s>,
    /// The bucket of the copy source.
    pub source: Option<RoutedBucket<'s>>,
    /// The route to the destination.
    pub route: Route<'s>,
    /// The plan, decided by the core.
    pub plan: Plan,
}

impl<'s> RoutedRequest<'s> {
    /// Finds the targets of a request's buckets and lets the core decide the plan.
    ///
    /// # Errors
    /// `NoSuchBucket`: a bucket has no route. `AccessDenied`: the key is reserved for small parts.
    pub(crate) fn from_request(
        config: &'s ActiveConfig,
        dialect: &'static Dialect,
        caller: Option<&'s Caller>,
        request: &Request,
    ) -> Result<Self, Rejection> {
        let destination = route_bucket(config, request.scope.require_bucket()?, request.scope.key())?;
        let source = match &request.source {
            Some(source) => Some(route_bucket(config, &source.bucket, Some(&source.key))?),
            None => None,
        };
        let route = destination.build_route(dialect, caller, source.as_ref());
        let source_route = source.as_ref().map(|source| source.build_route(dialect, caller, None));
        let plan = plan::plan_request(
            request,
            build_plan_routes(&destination, source.as_ref(), &route, source_route.as_ref()),
        );
        Ok(Self { caller, destination, source, route, plan })
    }

    /// The routes that the plan was decided by. `source_route` is [`RoutedRequest::build_source_route`].
    pub(crate) fn plan_routes<'r>(&'r self, source_route: Option<&'r Route<'s>>) -> PlanRoutes<'r, 's> {
        build_plan_routes(&self.destination, self.source.as_ref(), &self.route, source_route)
    }

    /// The route to the copy source. Requests for the source are no copies, so it has one bucket.
    pub(crate) fn build_source_route(&self) -> Option<Route<'s>> {
        self.source.as_ref().map(|source| source.build_route(self.route.caller, self.caller, None))
    }

    /// Whether source and destination are at one target.
    pub(crate) fn is_same_target(&self) -> bool {
        has_same_target(&self.destination, self.source.as_ref())
    }
}

fn has_same_target(destination: &RoutedBucket<'_>, source: Option<&RoutedBucket<'_>>) -> bool {
    source.is_none_or(|source| source.target_index == destination.target_index)
}

fn build_plan_routes<'r, 's>(
    destination: &RoutedBucket<'_>,
    source: Option<&RoutedBucket<'_>>,
    route: &'r Route<'s>,
    source_route: Option<&'r Route<'s>>,
) -> PlanRoutes<'r, 's> {
    PlanRoutes {
        destination: route,
        source: source_route,
        is_same_target: has_same_target(destination, source),
        allows_relay: destination.allows_relay,
    }
}

fn route_bucket<'s>(
    config: &'s ActiveConfig,
    bucket: &str,
    key: Option<&str>,
) -> Result<RoutedBucket<'s>, Rejection> {
    let routed_bucket = config.routing().route_bucket(bucket).ok_or(ErrorKind::NoSuchBucket)?;
    if let Some(key) = key {
        check_key_allowed(&routed_bucket.target.spec, key)?;
    }
    Ok(routed_bucket)
}
