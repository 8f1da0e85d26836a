//! Explains a request without sending it, for the console's translator and for `blobfish explain`, which give the same
//! result.
//!
//! The plan, the route and the translation are computed by the code that the proxy runs; this module only prints them.

use std::sync::Arc;

use anyhow::anyhow;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::BucketNames;
use blobfish_dialects::engine::plan::{self, Plan, PlanRoutes, Procedure};
use blobfish_dialects::model::{ErrorKind, Operation, OutgoingRequest, Rejection, Request};
use blobfish_dialects::translator::explain::{
    Explanation, explain_pasted, explain_request, read_pasted_request,
};
use blobfish_dialects::translator::lines::Line;
use blobfish_dialects::translator::request_text::{PastedRequest, parse_pasted_request};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::request::active_config::ActiveConfig;
use crate::request::form_upload::{self, OPERATION as FORM_OPERATION, form_content_type};
use crate::request::grants::authorize;
use crate::request::list_buckets;
use crate::request::routed_request::RoutedRequest;
use crate::request::routing::RoutedBucket;

/// The maximum size of a pasted request: its head, and the document in its body.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The body of a request to `/api/explain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    /// The caller dialect.
    pub from: String,
    /// Dialect or profile of a sample target; `None` for the target that the configuration routes to.
    #[serde(default)]
    pub to: Option<String>,
    /// The request as it would be sent, or a `curl` command.
    pub request: String,
}

/// The result to print.
pub(crate) enum ExplainOutcome {
    /// The request is translated. Its route may reject it.
    Explained(Box<ExplainedRequest>),
    /// A CORS preflight or a form upload, which is not translated field by field.
    Untranslated {
        /// The name of the operation in metrics and logs.
        operation: &'static str,
        /// What the proxy does.
        plan: Plan,
        /// Where the configuration routes the bucket.
        route: Option<String>,
    },
    /// The proxy rejects the request: the caller dialect and the rejection.
    Rejected(&'static Dialect, Rejection),
}

/// A translated request with its route.
pub(crate) struct ExplainedRequest {
    /// The request and its translation.
    pub explanation: Explanation,
    /// Where the configuration routes the bucket.
    pub route: Option<String>,
    /// Whether the policies are those of the configuration.
    pub is_routed: bool,
}

/// Explains a request as JSON, for the console.
///
/// # Errors
/// A dialect is unknown, or the request is rejected before it is translated.
pub(crate) fn explain_to_json(query: &ExplainQuery, config: Option<&ActiveConfig>) -> anyhow::Result<String> {
    match explain_query(query, config)? {
        ExplainOutcome::Rejected(caller, rejection) => {
            anyhow::bail!("rejected: {}", describe_rejection(caller, &rejection))
        }
        outcome => Ok(render_json(&outcome)),
    }
}

/// Explains a request. A rejected request is an outcome, not an error.
///
/// # Errors
/// A dialect is unknown, or the text is neither a request nor a `curl` command.
pub(crate) fn explain_query(
    query: &ExplainQuery,
    config: Option<&ActiveConfig>,
) -> anyhow::Result<ExplainOutcome> {
    let caller = parse_dialect_name(&query.from)?;
    let target = query.to.as_deref().map(parse_dialect_name).transpose()?;
    let pasted = parse_pasted_request(&query.request).map_err(|rejection| {
        anyhow!(
            rejection
                .message
                .unwrap_or_else(|| "the text is neither a request nor a curl command".to_owned())
        )
    })?;
    let outcome = match (target, config) {
        (Some(target), config) => explain_for_sample(&pasted, caller, target, config),
        (None, Some(config)) => explain_routed(&pasted, caller, config),
        (None, None) => Err(Rejection::with_message(
            ErrorKind::InvalidRequest,
            "Specify a target dialect or a configuration.",
        )),
    };
    Ok(outcome.unwrap_or_else(|rejection| ExplainOutcome::Rejected(caller, rejection)))
}

fn parse_dialect_name(name: &str) -> anyhow::Result<&'static Dialect> {
    let list_known =
        || blobfish_dialects::DIALECTS.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ");
    blobfish_dialects::find_dialect(name, None)
        .ok_or_else(|| anyhow!("unknown dialect \"{name}\"; known dialects: {}", list_known()))
}

/// Explains a request for a sample target of a dialect.
fn explain_for_sample(
    pasted: &PastedRequest,
    caller: &'static Dialect,
    target: &'static Dialect,
    config: Option<&ActiveConfig>,
) -> Result<ExplainOutcome, Rejection> {
    if let Some((operation, plan)) = plan_untranslated(pasted) {
        return Ok(ExplainOutcome::Untranslated { operation, plan, route: None });
    }
    let explanation = explain_pasted(pasted, caller, target)?;
    let bucket = explanation.request.scope.bucket();
    let route = config.zip(bucket).map(|(config, bucket)| match config.routing().route_bucket(bucket) {
        Some(routed) => describe_bucket(&routed),
        None => format!("bucket {bucket} is not in the configuration"),
    });
    Ok(ExplainOutcome::Explained(Box::new(ExplainedRequest { explanation, route, is_routed: false })))
}

fn describe_bucket(routed: &RoutedBucket<'_>) -> String {
    format!("bucket {} at target {}", routed.target_bucket, routed.target.spec.name)
}

/// The operation and plan of a request that is not authenticated by a signature in its head.
fn plan_untranslated(pasted: &PastedRequest) -> Option<(&'static str, Plan)> {
    if pasted.head.method == "OPTIONS" {
        return Some(("Preflight", plan::plan_local(Procedure::Preflight)));
    }
    form_content_type(&pasted.head).map(|_| (FORM_OPERATION, plan::plan_local(Procedure::UploadForm)))
}

/// Explains a request for the target that the configuration routes it to, with the policies of its bucket.
fn explain_routed(
    pasted: &PastedRequest,
    dialect: &'static Dialect,
    config: &ActiveConfig,
) -> Result<ExplainOutcome, Rejection> {
    if let Some((operation, plan)) = plan_untranslated(pasted) {
        let address = config.listener_dialects.parse_address(&pasted.head, dialect);
        let address = address.map_err(|rejected| rejected.rejection)?;
        if operation == FORM_OPERATION {
            form_upload::check_form_address(&address)?;
        }
        let routed = address.scope.bucket().and_then(|bucket| config.routing().route_bucket(bucket));
        let routed = routed.ok_or(ErrorKind::NoSuchBucket)?;
        return Ok(ExplainOutcome::Untranslated { operation, plan, route: Some(describe_bucket(&routed)) });
    }
    let request = read_pasted_request(pasted, dialect, Some(&config.listener_dialects.base_domains))?;
    // The signature is not verified. An access key ID that is not configured, such as one from a manual, counts as none.
    let claim = dialect.auth.parse_claim(&pasted.head)?;
    let caller = claim.and_then(|claim| config.find_caller(&claim.access_key_id));
    if let Some(caller) = caller {
        authorize(caller, &request)?;
    }
    if request.operation == Operation::ListBuckets {
        return explain_list_buckets(pasted, dialect, config, request);
    }
    let mut routed = RoutedRequest::from_request(config, dialect, caller, &request)?;
    if caller.is_none() {
        let target_index = routed.destination.target_index;
        routed.route.bucket_names = Arc::new(AnyCallerBucketNames { config, target_index });
    }
    let source_route = routed.build_source_route();
    let explanation = explain_request(pasted, request, routed.plan_routes(source_route.as_ref()))?;
    let mut route = describe_bucket(&routed.destination);
    if let Some(source) = routed.source.as_ref().filter(|_| !routed.is_same_target()) {
        route.push_str(&format!(", source in {}", describe_bucket(source)));
    }
    Ok(ExplainOutcome::Explained(Box::new(ExplainedRequest {
        explanation,
        route: Some(route),
        is_routed: true,
    })))
}

/// Explains ListBuckets. Only the targets of bucket patterns get a request.
fn explain_list_buckets(
    pasted: &PastedRequest,
    dialect: &'static Dialect,
    config: &ActiveConfig,
    request: Request,
) -> Result<ExplainOutcome, Rejection> {
    let pattern_target = list_buckets::find_pattern_targets(config).first().copied();
    let target = config.targets.get(pattern_target.unwrap_or_default()).ok_or(ErrorKind::InternalError)?;
    let route = list_buckets::build_listing_route(dialect, target);
    let routes = PlanRoutes { destination: &route, source: None, is_same_target: true, allows_relay: false };
    let mut explanation = explain_request(pasted, request, routes)?;
    if pattern_target.is_none() {
        explanation.outgoing = None;
        explanation.target_lines.clear();
    }
    Ok(ExplainOutcome::Explained(Box::new(ExplainedRequest { explanation, route: None, is_routed: true })))
}

/// The bucket names that a caller with every grant sees. The caller of a pasted request is often unknown.
struct AnyCallerBucketNames<'a> {
    config: &'a ActiveConfig,
    target_index: usize,
}

impl BucketNames for AnyCallerBucketNames<'_> {
    fn to_target_bucket(&self, bucket: &str) -> Option<String> {
        let routed = self
            .config
            .routing()
            .route_bucket(bucket)
            .filter(|routed| routed.target_index == self.target_index);
        routed.map(|routed| routed.target_bucket)
    }

    fn to_caller_bucket(&self, bucket: &str) -> Option<String> {
        self.config.settings.find_client_bucket_name(self.target_index, bucket)
    }
}

/// Formats the status, code and message of the error response.
pub(crate) fn describe_rejection(caller: &Dialect, rejection: &Rejection) -> String {
    let row = caller.error_row(rejection.kind);
    let (status, code) = row.map_or((500, "InternalError"), |row| (row.status, row.code));
    let message =
        rejection.message.clone().or_else(|| row.map(|row| row.message.to_owned())).unwrap_or_default();
    let details: Vec<String> =
        rejection.details.iter().map(|(name, value)| format!(" ({name}: {value})")).collect();
    format!("{status} {code}: {message}{}", details.concat())
}

/// Renders an outcome as JSON.
pub(crate) fn render_json(outcome: &ExplainOutcome) -> String {
    let value = match outcome {
        ExplainOutcome::Explained(explained) => explained_to_json(explained),
        ExplainOutcome::Untranslated { operation, plan, route } => {
            json!({"operation": operation, "plan": plan.to_string(), "kind": plan.kind.name(), "route": route, "rejected": null})
        }
        ExplainOutcome::Rejected(caller, rejection) => {
            json!({"rejected": describe_rejection(caller, rejection)})
        }
    };
    format!("{value:#}\n")
}

fn explained_to_json(explained: &ExplainedRequest) -> Value {
    let explanation = &explained.explanation;
    let request = &explanation.request;
    let fields: Vec<Value> = explanation
        .fields
        .iter()
        .map(|(name, handling, reason)| json!({"name": name, "handling": handling.name(), "reason": reason}))
        .collect();
    let source = request.source.as_ref();
    let source =
        source.map(|source| json!({"bucket": source.bucket, "key": source.key, "version": source.version}));
    let rejection = explanation.rejection.as_ref();
    json!({
        "operation": request.operation.name(), "bucket": request.scope.bucket(), "key": request.scope.key(), "source": source,
        "plan": explanation.plan.to_string(), "kind": explanation.plan.kind.name(), "route": explained.route,
        "fields": fields,
        "rejected": rejection.map(|rejection| rejection.message.clone().unwrap_or_default()),
        "can_be_reported": explanation.can_be_reported,
        "request": explanation.outgoing.as_ref().map(request_to_json),
        "lookups": explanation.lookups.iter().map(request_to_json).collect::<Vec<_>>(),
        "documents": { "request": explanation.documents.0, "target": explanation.documents.1 },
        "headers_to_add": explanation.suggested_headers,
        "request_lines": lines_to_json(&explanation.caller_lines),
        "target_lines": lines_to_json(&explanation.target_lines),
    })
}

fn request_to_json(outgoing: &OutgoingRequest) -> Value {
    let headers = outgoing.headers.iter();
    let headers: Vec<Value> =
        headers.map(|(name, value)| json!({"name": name, "value": String::from_utf8_lossy(value)})).collect();
    json!({
        "method": outgoing.method, "host": outgoing.host, "target": outgoing.request_target(), "headers": headers,
        "body": (!outgoing.body.is_empty()).then(|| String::from_utf8_lossy(&outgoing.body)),
    })
}

fn lines_to_json(lines: &[Line]) -> Vec<Value> {
    let line_to_json = |line: &Line| {
        json!({
            "part": line.part.name(), "text": line.text, "pair": line.pair_key,
            "handling": line.handling.map(|handling| handling.name()), "reason": line.reason, "rule": line.rule,
        })
    };
    lines.iter().map(line_to_json).collect()
}
