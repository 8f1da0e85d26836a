//! What browsers ask before a request from another origin. Nobody signs it; the rules of the bucket answer it, and
//! nothing else of the bucket is told.

use blobfish_dialects::authentication::authenticate::detect_unsigned_dialect;
use blobfish_dialects::engine::cors::Preflight;
use blobfish_dialects::model::{ErrorKind, RawHead};

use crate::request::context::{RequestContext, RequestEnd};
use crate::telemetry::access_log;

/// The name in metrics and logs.
const OPERATION: &str = "Preflight";

/// Answers one.
///
/// # Errors
/// [`End`]; whatever is wrong with the bucket is told as a denial, for nobody has proven who asks.
pub async fn process_preflight(context: &mut RequestContext<'_>, head: &RawHead) -> Result<(), RequestEnd> {
    let config = context.config;
    let dialect = detect_unsigned_dialect(head, &config.listener_hosts);
    context.listener.dialect = dialect;
    context.record.dialect = dialect.name;
    context.record.operation = Some(OPERATION);
    // It is answered whatever it says of itself; the answer has what there is to share.
    context.cross_origin = None;
    context.cors_rules.count_preflight(context.record.client)?;
    let preflight = Preflight::parse(head)?;
    let bucket = config
        .listener_hosts
        .parse_address(head, dialect)
        .map_err(|rejected| rejected.rejection)?
        .bucket
        .ok_or(ErrorKind::CorsDenied)?;
    context.record.bucket = Some(access_log::escape_name(&bucket));
    let routed_bucket = config.routing().route_bucket(&bucket).ok_or(ErrorKind::CorsDenied)?;
    context.record.target = Some(routed_bucket.target.spec.name.clone());
    match context
        .cors_rules
        .fetch_rules(context.target_client, &routed_bucket, dialect, context.record.client)
        .await
    {
        Ok(Some(rules)) => context.send_response(preflight.respond(&rules)?).await,
        Ok(None) => Err(ErrorKind::CorsDenied.into()),
        Err(rejection) if rejection.kind == ErrorKind::InternalError => Err(ErrorKind::CorsDenied.into()),
        Err(rejection) => Err(rejection.into()),
    }
}
