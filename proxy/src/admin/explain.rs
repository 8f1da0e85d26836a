//! What a request means and how it is translated, without sending it: for the console's translator and for
//! `blobfish explain`, which are to give the same.

use anyhow::anyhow;
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::model::Rejection;
use blobfish_dialects::translator::explain::{Explanation, explain};
use blobfish_dialects::translator::lines::Line;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::request::active_config::ActiveConfig;

/// A request is a head; a body is not looked at.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What is to be explained, as the console asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainQuery {
    /// Dialect that the caller speaks.
    pub from: String,
    /// Dialect or profile of the target.
    pub to: String,
    /// The request as it would be sent.
    pub request: String,
}

/// Explains a request as JSON.
///
/// # Errors
/// As [`explain_query`].
pub fn explain_to_json(query: &ExplainQuery, config: Option<&ActiveConfig>) -> anyhow::Result<String> {
    let (explained, route) = explain_query(query, config)?;
    Ok(render_json(&explained, route))
}

/// Explains a request. Gives also where the configuration routes it.
///
/// # Errors
/// The request cannot be read, is not of its dialect, or the target cannot hold it.
pub fn explain_query(
    query: &ExplainQuery,
    config: Option<&ActiveConfig>,
) -> anyhow::Result<(Explanation, Option<String>)> {
    let (caller, target) = (parse_dialect_name(&query.from)?, parse_dialect_name(&query.to)?);
    let explained = explain(&query.request, caller, target)
        .map_err(|rejection| rejection_to_error(caller, &rejection))?;
    let route = config.and_then(|config| describe_route(config, &explained));
    Ok((explained, route))
}

fn parse_dialect_name(name: &str) -> anyhow::Result<&'static Dialect> {
    let list_known =
        || blobfish_dialects::DIALECTS.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ");
    blobfish_dialects::find_dialect(name, None)
        .ok_or_else(|| anyhow!("unknown dialect \"{name}\"; known are {}", list_known()))
}

fn rejection_to_error(caller: &Dialect, rejection: &Rejection) -> anyhow::Error {
    let row = caller.error_row(rejection.kind);
    let (status, code) = row.map_or((500, "InternalError"), |row| (row.status, row.code));
    let message =
        rejection.message.clone().or_else(|| row.map(|row| row.message.to_owned())).unwrap_or_default();
    let details: Vec<String> =
        rejection.details.iter().map(|(name, value)| format!(" ({name}: {value})")).collect();
    anyhow!("refused: {status} {code}: {message}{}", details.concat())
}

/// Where the configuration sends the request's bucket.
fn describe_route(config: &ActiveConfig, explained: &Explanation) -> Option<String> {
    let bucket = explained.request.bucket.as_deref()?;
    Some(match config.routing().route_bucket(bucket) {
        Some(routed_bucket) => {
            format!("bucket {} at target {}", routed_bucket.target_bucket, routed_bucket.target.spec.name)
        }
        None => format!("bucket {bucket} is not in the configuration"),
    })
}

fn render_json(explained: &Explanation, route: Option<String>) -> String {
    let request = &explained.request;
    let headers: Vec<Value> = explained
        .outgoing
        .headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": String::from_utf8_lossy(value)}))
        .collect();
    let fields: Vec<Value> = explained
        .fields
        .iter()
        .map(|(name, fate, why)| json!({"name": name, "fate": fate.name(), "why": why}))
        .collect();
    let source = request.source.as_ref();
    let source =
        source.map(|source| json!({"bucket": source.bucket, "key": source.key, "version": source.version}));
    let value = json!({
        "operation": request.operation.name(), "bucket": request.bucket, "key": request.key, "source": source,
        "plan": explained.plan, "route": route, "fields": fields,
        "refused": explained.rejection.as_ref().map(|rejection| rejection.message.clone().unwrap_or_default()),
        "request": {
            "method": explained.outgoing.method, "host": explained.outgoing.host, "target": explained.outgoing.request_target(),
            "headers": headers,
        },
        "documents": { "said": explained.documents.0, "written": explained.documents.1 },
        "more": explained.suggested_headers,
        "lines": { "said": lines_to_json(&explained.caller_lines), "written": lines_to_json(&explained.target_lines) },
    });
    format!("{value:#}\n")
}

fn lines_to_json(lines: &[Line]) -> Vec<Value> {
    let line_to_json = |line: &Line| {
        json!({
            "part": line.part.name(), "text": line.text, "pair": line.pair_key, "fate": line.handling.map(|fate| fate.name()),
            "why": line.reason, "rule": line.rule,
        })
    };
    lines.iter().map(line_to_json).collect()
}
