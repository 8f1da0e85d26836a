//! `blobfish explain`: what a request means and how it is translated, without sending it.

use std::io::Read as _;

use anyhow::Context as _;
use blobfish_dialects::model::OutgoingRequest;

use crate::admin::explain::{
    ExplainOutcome, ExplainQuery, ExplainedRequest, describe_rejection, explain_query, render_json,
};
use crate::cli::args::{ExplainArgs, UsageError};
use crate::request::active_config::ActiveConfig;

/// The maximum size of a request with its document. The list of 10,000 parts takes about 1 MB.
const REQUEST_FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Returns the text to print, and whether the request would be accepted.
///
/// # Errors
/// Wrong usage.
pub(crate) fn run_explain(
    args: &ExplainArgs,
    config: Option<&ActiveConfig>,
) -> anyhow::Result<(String, bool)> {
    let bytes = read_request_text(args).map_err(|error| UsageError(format!("{error:#}")))?;
    let text = String::from_utf8(bytes).map_err(|_| UsageError("the request is not UTF-8".to_owned()))?;
    let query = ExplainQuery { from: args.from.clone(), to: args.to.clone(), request: text };
    // The console reports the same errors, so that they become wrong usage only here.
    let outcome = explain_query(&query, config).map_err(|error| UsageError(format!("{error:#}")))?;
    let is_accepted = match &outcome {
        ExplainOutcome::Explained(explained) => explained.explanation.rejection.is_none(),
        ExplainOutcome::Untranslated { .. } => true,
        ExplainOutcome::Rejected(..) => false,
    };
    Ok((if args.json { render_json(&outcome) } else { render_text(&outcome) }, is_accepted))
}

fn render_text(outcome: &ExplainOutcome) -> String {
    match outcome {
        ExplainOutcome::Explained(explained) => render_explained_text(explained),
        ExplainOutcome::Untranslated { operation, plan, route } => {
            let route = route.as_ref().map(|route| format!("route: {route}\n")).unwrap_or_default();
            format!("operation: {operation}\nplan: {plan}\n{route}")
        }
        ExplainOutcome::Rejected(caller, rejection) => {
            format!("rejected: {}\n", describe_rejection(caller, rejection))
        }
    }
}

fn render_explained_text(explained: &ExplainedRequest) -> String {
    let explanation = &explained.explanation;
    let request = &explanation.request;
    let mut out = format!("operation: {}\n", request.operation.name());
    let mut add_line = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            out.push_str(&format!("{name}: {value}\n"));
        }
    };
    add_line("bucket", request.scope.bucket());
    add_line("key", request.scope.key());
    if let Some(source) = &request.source {
        add_line("source bucket", Some(&source.bucket));
        add_line("source key", Some(&source.key));
        add_line("source version", source.version.as_deref());
    }
    add_line("plan", Some(&explanation.plan.to_string()));
    add_line("route", explained.route.as_deref());
    for (name, handling, why) in &explanation.fields {
        out.push_str(format!("  {:<9} {name}  {why}", handling.name()).trim_end());
        out.push('\n');
    }
    if let Some(rejection) = &explanation.rejection {
        let message = rejection.message.as_deref().unwrap_or_default();
        // Without a configuration the policy of the bucket is unknown.
        let verdict = match (explained.is_routed, explanation.can_be_reported) {
            (true, _) => "rejected",
            (false, true) => "rejected with unsupported = \"reject\"",
            (false, false) => "always rejected",
        };
        out.push_str(&format!("{verdict}: {message}\n"));
    }
    for outgoing in explanation.lookups.iter().chain(&explanation.outgoing) {
        out.push_str(&render_request(outgoing));
    }
    out
}

fn render_request(outgoing: &OutgoingRequest) -> String {
    let mut out =
        format!("\n{} {} HTTP/1.1\nhost: {}\n", outgoing.method, outgoing.request_target(), outgoing.host);
    for (name, value) in &outgoing.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    if !outgoing.body.is_empty() {
        out.push_str(&format!("\n{}\n", String::from_utf8_lossy(&outgoing.body)));
    }
    out
}

fn read_request_text(args: &ExplainArgs) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, bytes_max) = (Vec::new(), u64::try_from(REQUEST_FILE_BYTES_MAX)? + 1);
    match args.request.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
            file.take(bytes_max).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        }
        None => {
            std::io::stdin().take(bytes_max).read_to_end(&mut bytes).context("standard input")?;
        }
    }
    // A document that is cut off would be explained as malformed.
    anyhow::ensure!(
        bytes.len() <= REQUEST_FILE_BYTES_MAX,
        "the request is larger than {REQUEST_FILE_BYTES_MAX} bytes"
    );
    Ok(bytes)
}
