//! `blobfish explain`: what a request means and how it is translated, without sending it.

use std::io::Read as _;

use anyhow::Context as _;
use blobfish_dialects::translator::explain::Explanation;

use crate::admin::explain::{ExplainQuery, REQUEST_BYTES_MAX, explain_query, explain_to_json};
use crate::cli::args::ExplainArgs;
use crate::request::active_config::ActiveConfig;

/// Returns the text to print.
///
/// # Errors
/// The request cannot be read, is invalid in its dialect, or cannot be expressed in the target's dialect.
pub fn run_explain(args: &ExplainArgs, config: Option<&ActiveConfig>) -> anyhow::Result<String> {
    let text = String::from_utf8(read_request_text(args)?).context("the request is not UTF-8")?;
    let query = ExplainQuery { from: args.from.clone(), to: args.to.clone(), request: text };
    if args.json {
        return explain_to_json(&query, config);
    }
    let (explained, route) = explain_query(&query, config)?;
    Ok(render_text(&explained, route))
}

fn render_text(explained: &Explanation, route: Option<String>) -> String {
    let request = &explained.request;
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
    add_line("plan", Some(explained.plan));
    add_line("route", route.as_deref());
    for (name, fate, why) in &explained.fields {
        out.push_str(format!("  {:<9} {name}  {why}", fate.name()).trim_end());
        out.push('\n');
    }
    if let Some(rejection) = &explained.rejection {
        let message = rejection.message.as_deref().unwrap_or_default();
        out.push_str(&format!("rejected with unsupported = \"reject\": {message}\n"));
    }
    out.push_str(&format!(
        "\n{} {} HTTP/1.1\nhost: {}\n",
        explained.outgoing.method,
        explained.outgoing.request_target(),
        explained.outgoing.host
    ));
    for (name, value) in &explained.outgoing.headers {
        out.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value)));
    }
    out
}

fn read_request_text(args: &ExplainArgs) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, bytes_max) = (Vec::new(), u64::try_from(REQUEST_BYTES_MAX)?);
    match args.request.as_deref().filter(|path| path.as_os_str() != "-") {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
            // A longer file is truncated: only the head is translated.
            file.take(bytes_max).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        }
        None => {
            std::io::stdin().take(bytes_max).read_to_end(&mut bytes).context("standard input")?;
        }
    }
    Ok(bytes)
}
