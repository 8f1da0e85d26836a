//! `blobfish explain` and the console's translator: what a request means and how it is translated, without sending it.

use std::io::Read as _;

use anyhow::{Context as _, anyhow};
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::explain::{Explained, explain};
use blobfish_dialects::lines::Line;
use blobfish_dialects::model::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::Explain;
use crate::snapshot::Snapshot;

/// A request is a head; a body is not looked at.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What is to be explained, as the console asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Dialect that the caller speaks.
    pub from: String,
    /// Dialect or profile of the target.
    pub to: String,
    /// The request as it would be sent.
    pub request: String,
}

/// Gives the text to print.
///
/// # Errors
/// The request cannot be read, is none of its dialect, or cannot be held by the target.
pub fn run(asked: &Explain, snapshot: Option<&Snapshot>) -> anyhow::Result<String> {
    let text = String::from_utf8(request(asked)?).context("the request is not UTF-8")?;
    let request = Asked { from: asked.from.clone(), to: asked.to.clone(), request: text };
    if asked.json {
        return json(&request, snapshot);
    }
    let (explained, route) = explained(&request, snapshot)?;
    Ok(as_text(&explained, route))
}

/// The same as JSON.
///
/// # Errors
/// As [`run`].
pub fn json(asked: &Asked, snapshot: Option<&Snapshot>) -> anyhow::Result<String> {
    let (explained, route) = explained(asked, snapshot)?;
    Ok(as_json(&explained, route))
}

fn explained(asked: &Asked, snapshot: Option<&Snapshot>) -> anyhow::Result<(Explained, Option<String>)> {
    let (caller, target) = (dialect(&asked.from)?, dialect(&asked.to)?);
    let explained = explain(&asked.request, caller, target).map_err(|refusal| refused(caller, &refusal))?;
    let route = snapshot.and_then(|snapshot| route(snapshot, &explained));
    Ok((explained, route))
}

fn dialect(name: &str) -> anyhow::Result<&'static Dialect> {
    let known = || blobfish_dialects::ALL.iter().map(|dialect| dialect.name).collect::<Vec<_>>().join(", ");
    blobfish_dialects::by_name(name, None)
        .ok_or_else(|| anyhow!("unknown dialect \"{name}\"; known are {}", known()))
}

fn refused(caller: &Dialect, refusal: &Refusal) -> anyhow::Error {
    let row = caller.fault(refusal.fault);
    let (status, code) = row.map_or((500, "InternalError"), |row| (row.status, row.code));
    let message =
        refusal.message.clone().or_else(|| row.map(|row| row.message.to_owned())).unwrap_or_default();
    let details: Vec<String> =
        refusal.details.iter().map(|(name, value)| format!(" ({name}: {value})")).collect();
    anyhow!("refused: {status} {code}: {message}{}", details.concat())
}

/// Where the configuration sends the request's bucket.
fn route(snapshot: &Snapshot, explained: &Explained) -> Option<String> {
    let bucket = explained.request.bucket.as_deref()?;
    Some(match snapshot.place(bucket) {
        Some(place) => format!("bucket {} at target {}", place.bucket, place.upstream.target.name),
        None => format!("bucket {bucket} is not in the configuration"),
    })
}

fn as_text(explained: &Explained, route: Option<String>) -> String {
    let request = &explained.request;
    let mut out = format!("operation: {}\n", request.operation.name());
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.push_str(&format!("{name}: {value}\n"));
        }
    };
    line("bucket", request.bucket.as_deref());
    line("key", request.key.as_deref());
    if let Some(source) = &request.source {
        line("source bucket", Some(&source.bucket));
        line("source key", Some(&source.key));
        line("source version", source.version.as_deref());
    }
    line("plan", Some(explained.plan));
    line("route", route.as_deref());
    for (name, fate, why) in &explained.fields {
        out.push_str(format!("  {:<9} {name}  {why}", fate.name()).trim_end());
        out.push('\n');
    }
    if let Some(refusal) = &explained.refused {
        let message = refusal.message.as_deref().unwrap_or_default();
        out.push_str(&format!("refused with unsupported = \"refuse\": {message}\n"));
    }
    out.push_str(&format!(
        "\n{} {} HTTP/1.1\nhost: {}\n",
        explained.outgoing.method,
        explained.outgoing.target(),
        explained.outgoing.host
    ));
    for (name, value) in &explained.outgoing.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    out
}

fn as_json(explained: &Explained, route: Option<String>) -> String {
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
        "refused": explained.refused.as_ref().map(|refusal| refusal.message.clone().unwrap_or_default()),
        "request": {
            "method": explained.outgoing.method, "host": explained.outgoing.host, "target": explained.outgoing.target(),
            "headers": headers,
        },
        "documents": { "said": explained.documents.0, "written": explained.documents.1 },
        "more": explained.more,
        "lines": { "said": lines(&explained.said), "written": lines(&explained.written) },
    });
    format!("{value:#}\n")
}

fn lines(lines: &[Line]) -> Vec<Value> {
    let line = |line: &Line| {
        json!({
            "part": line.part.name(), "text": line.text, "pair": line.pair, "fate": line.fate.map(|fate| fate.name()),
            "why": line.why, "rule": line.rule,
        })
    };
    lines.iter().map(line).collect()
}

fn request(asked: &Explain) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, bytes_max) = (Vec::new(), u64::try_from(REQUEST_BYTES_MAX)?);
    match asked.request.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
            file.take(bytes_max).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        }
        None => {
            std::io::stdin().take(bytes_max).read_to_end(&mut bytes).context("standard input")?;
        }
    }
    Ok(bytes)
}
