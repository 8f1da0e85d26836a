//! CORS preflights: browsers send them, without a signature, before a request to another origin. The response depends
//! on the CORS rules of the bucket only and reveals nothing else about the bucket.

use blobfish_dialects::authentication::authenticate::detect_unsigned_dialect;
use blobfish_dialects::engine::cors::Preflight;
use blobfish_dialects::model::{ErrorKind, RawHead};

use crate::request::context::{RequestContext, RequestEnd};
use crate::telemetry::access_log;

/// The operation name in metrics and logs.
const OPERATION: &str = "Preflight";

/// Evaluates a preflight against the CORS rules of the bucket, and sends the response.
///
/// # Errors
/// [`RequestEnd`]. The client is anonymous, so every problem with the bucket is reported as a denial.
pub(crate) async fn process_preflight(
    context: &mut RequestContext<'_>,
    head: &RawHead,
) -> Result<(), RequestEnd> {
    let config = context.config;
    let dialect = detect_unsigned_dialect(head, &config.listener_dialects);
    context.listener.dialect = dialect;
    context.record.dialect = dialect.name;
    context.record.operation = Some(OPERATION);
    // The response to a preflight contains its CORS headers already, so none are added when it is sent.
    context.cross_origin = None;
    context.cors_rules.count_preflight(context.record.client)?;
    let preflight = Preflight::parse(head)?;
    let address =
        config.listener_dialects.parse_address(head, dialect).map_err(|rejected| rejected.rejection)?;
    let bucket = address.scope.bucket().ok_or(ErrorKind::CorsDenied)?;
    context.record.bucket = Some(access_log::escape_name(bucket));
    // The same error as for a bucket without rules: an anonymous client must not learn which buckets exist.
    let routed_bucket = config.routing().route_bucket(bucket).ok_or(ErrorKind::CorsDenied)?;
    context.record.target = Some(routed_bucket.target.spec.name.clone());
    match context
        .cors_rules
        .fetch_rules(context.target_client, &routed_bucket, dialect, context.record.client)
        .await
    {
        Ok(Some(rules)) => context.send_response(preflight.respond(&rules)?).await,
        Ok(None) => Err(ErrorKind::CorsDenied.into()),
        // An internal error would reveal that the bucket exists.
        Err(rejection) if rejection.kind == ErrorKind::InternalError => Err(ErrorKind::CorsDenied.into()),
        Err(rejection) => Err(rejection.into()),
    }
}
