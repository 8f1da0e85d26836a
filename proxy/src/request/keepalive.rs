//! Responses to operations that may take longer than a client waits: copies and CompleteMultipartUpload. The response is
//! started early and kept alive with white space.

use std::future::Future;
use std::time::Duration;

use blobfish_dialects::encoding::xml;
use blobfish_dialects::engine::write_response;
use blobfish_dialects::model::{Document, Rejection, Response, ResponseField};
use tokio::time::sleep;

use crate::inbound::connection::ResponseFraming;
use crate::inbound::connection_error::WriteError;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::running_copies::CopyProgress;

/// After this time the response is started, for dialects that report an error after a 200.
const KEEPALIVE_DELAY: Duration = Duration::from_secs(10);

/// The time between two keep-alive bytes after that.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// Waits for the work, sends its response, and returns whether it succeeded. An `abortable_copy` is abandoned when its
/// client disconnects.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn respond_with_whitespace(
    context: &mut RequestContext<'_>,
    work: impl Future<Output = Result<Response, Rejection>>,
    abortable_copy: Option<&CopyProgress>,
) -> Result<bool, RequestEnd> {
    let dialect = context.listener.dialect;
    // Some SDKs do not look for an error after a 200, so they must wait for the final status.
    let sends_keepalives = dialect.copy.accepts_error_after_200 && context.accepts_chunked;
    let (mut is_connected, mut has_started) = (true, false);
    let mut work = std::pin::pin!(work);
    let outcome = loop {
        tokio::select! {
            biased;
            done = &mut work => break done,
            () = context.connection.wait_for_disconnect(), if is_connected && abortable_copy.is_some() => {
                // The work continues until the copy has cleaned up at its target.
                is_connected = false;
                abortable_copy.inspect(|copy| copy.abandon());
            }
            () = sleep(if has_started { KEEPALIVE_INTERVAL } else { KEEPALIVE_DELAY }), if is_connected && sends_keepalives => {
                is_connected = match has_started {
                    true => send_keepalive(context).await.is_ok(),
                    false => start_response(context).await.is_ok(),
                };
                has_started = true;
            }
        }
    };
    if !is_connected {
        return Err(RequestEnd::Aborted("the client disconnected"));
    }
    if !has_started {
        return send_final_response(context, outcome?).await;
    }
    let (response, is_success) = match outcome {
        Ok(response) => (response, true),
        Err(rejection) => {
            context.record_rejection(&rejection);
            (write_response::build_error_response(dialect, &rejection), false)
        }
    };
    let document = context.render_document(response);
    // `start_response` sent the declaration, and a document has only one.
    let remaining = document.strip_prefix(xml::DECLARATION.as_bytes()).unwrap_or(&document);
    context.connection.write_response_body(remaining).await?;
    context.connection.finish_response().await?;
    Ok(is_success)
}

/// Sends a success head and the XML declaration, because white space is not allowed before a declaration.
async fn start_response(context: &mut RequestContext<'_>) -> Result<(), RequestEnd> {
    let mut head = Response::with_status(200);
    head.set(ResponseField::ContentType, "application/xml");
    context.send_response_head(head, ResponseFraming::Chunked).await?;
    context.connection.write_response_body(xml::DECLARATION.as_bytes()).await?;
    Ok(context.connection.flush().await?)
}

/// Sends white space, which XML parsers skip.
async fn send_keepalive(context: &mut RequestContext<'_>) -> Result<(), WriteError> {
    // A buffered byte would not reset the client's timeout, so it is flushed.
    context.connection.write_response_body(b" ").await?;
    context.connection.flush().await
}

async fn send_final_response(
    context: &mut RequestContext<'_>,
    response: Response,
) -> Result<bool, RequestEnd> {
    let is_success = response.status < 300 && !matches!(response.document, Some(Document::Error(_)));
    context.send_response(response).await?;
    Ok(is_success)
}
