//! ListBuckets: the configured buckets that the caller may read, and the buckets at the targets of pattern rules.

use blobfish_config::Caller;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::{LossPolicy, Route, RouteScope, SameBucketNames};
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::documents::bucket_pages::{
    BucketRow, CREATION_UNKNOWN, build_bucket_page, build_list_buckets_request, check_bucket_filters,
};
use blobfish_dialects::model::{
    BucketListing, Document, ErrorKind, Rejection, Request, RequiredAccess, Response,
};

use crate::request::active_config::ActiveConfig;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::grants::has_access;
use crate::request::{exchange, request_body};
use crate::target::runtime::TargetRuntime;

/// The maximum number of pages of one target. A target that returns more repeats its pages.
const PAGES_MAX: usize = 200;

/// Responds from the configuration and from the listings of the targets of pattern rules.
///
/// # Errors
/// [`RequestEnd`], also if one target fails: a listing without its buckets would be a false success.
pub(crate) async fn list_buckets(
    context: &mut RequestContext<'_>,
    caller: &Caller,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    request_body::read_request_body(context, &request, payload).await?;
    check_bucket_filters(context.listener.dialect, &request)?;
    let config = context.config;
    let mut rows = list_configured_buckets(config, caller);
    for target_index in find_pattern_targets(config) {
        let Some(target) = config.targets.get(target_index) else { continue };
        let mut next = None;
        for page_number in 1.. {
            let list = fetch_bucket_page(context, target, next).await?;
            next = list.next_page.clone();
            merge_buckets(&mut rows, list, &target.spec.region, |name| {
                to_visible_name(config, caller, target_index, name)
            });
            match page_number {
                _ if next.is_none() => break,
                PAGES_MAX.. => return Err(reject_endless_listing().into()),
                _ => {}
            }
        }
    }
    let list = build_bucket_page(context.listener.dialect, &request, rows)?;
    let mut response = Response::with_status(200);
    let host = context.listener.host.clone();
    response.document = Some(Document::Buckets(BucketListing { owner: caller.name.clone(), host, ..list }));
    context.send_response(response).await
}

/// Fetches one page of a target's buckets.
async fn fetch_bucket_page(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    continuation: Option<String>,
) -> Result<BucketListing, RequestEnd> {
    let list_request = build_list_buckets_request(target.spec.dialect, continuation);
    let response = exchange::run_exchange(
        context,
        target,
        build_listing_route(context.listener.dialect, target),
        list_request,
        &[],
    )
    .await?;
    match response.document {
        Some(Document::Buckets(list)) => Ok(list),
        _ => Err(ErrorKind::InternalError.into()),
    }
}

fn reject_endless_listing() -> Rejection {
    Rejection::with_message(
        ErrorKind::InternalError,
        "The bucket listing of the storage behind this service has too many pages.",
    )
}

/// The route of a ListBuckets request to a target: it addresses no bucket.
pub(crate) fn build_listing_route<'a>(dialect: &'static Dialect, target: &'a TargetRuntime) -> Route<'a> {
    Route {
        caller: dialect,
        target: &target.spec,
        scope: RouteScope::Service,
        // Filters are applied here and not sent, so nothing can be lost.
        loss_policy: LossPolicy::Reject,
        check_conditions: false,
        bucket_names: std::sync::Arc::new(SameBucketNames),
    }
}

/// Lists the buckets that the configuration names exactly.
fn list_configured_buckets(config: &ActiveConfig, caller: &Caller) -> Vec<BucketRow> {
    let names = config.settings.buckets.iter().filter_map(|rule| Some((rule.name.exact()?, rule.target)));
    names
        .filter(|(name, _)| {
            has_access(caller, name, RequiredAccess::Read) && config.routing().route_bucket(name).is_some()
        })
        .filter_map(|(name, index)| {
            Some((name.to_owned(), CREATION_UNKNOWN, config.targets.get(index)?.spec.region.clone()))
        })
        .collect()
}

/// The targets of bucket patterns: they hold buckets that the configuration does not name.
pub(crate) fn find_pattern_targets(config: &ActiveConfig) -> Vec<usize> {
    let patterns = config.settings.buckets.iter().filter(|rule| rule.name.exact().is_none());
    let mut targets: Vec<usize> = patterns.map(|rule| rule.target).collect();
    // Several rules may have the same target, which is listed only once.
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Converts the name of a target's bucket to the caller's name for it, if the caller may see the bucket.
fn to_visible_name(
    config: &ActiveConfig,
    caller: &Caller,
    target_index: usize,
    name: &str,
) -> Option<String> {
    let is_listable = !config.routing().is_small_parts_bucket(target_index, name);
    let name = config.settings.find_client_bucket_name(target_index, name).filter(|_| is_listable);
    name.filter(|name| has_access(caller, name, RequiredAccess::Read))
}

/// Adds the buckets of a target. For a bucket that is listed already, the target provides the creation date.
fn merge_buckets(
    rows: &mut Vec<BucketRow>,
    list: BucketListing,
    default_region: &str,
    to_caller_name: impl Fn(&str) -> Option<String>,
) {
    for (name, created_at, region) in list.buckets {
        let Some(name) = to_caller_name(&name) else { continue };
        match rows.iter_mut().find(|row| row.0 == name) {
            Some(row) => row.1 = created_at,
            None if region.is_empty() => rows.push((name, created_at, default_region.to_owned())),
            None => rows.push((name, created_at, region)),
        }
    }
}
