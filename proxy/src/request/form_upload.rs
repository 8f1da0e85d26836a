//! Form uploads (POST policies): the fields are read and authenticated, and the file is streamed like any other upload.

use blobfish_dialects::authentication::authenticate::detect_unsigned_dialect;
use blobfish_dialects::authentication::form_upload;
use blobfish_dialects::authentication::form_upload::{FormProgress, FormReader, READ_AHEAD_BYTES};
use blobfish_dialects::dialect::signature::{Payload, ResourceAddress};
use blobfish_dialects::engine::small_parts;
use blobfish_dialects::model::{ErrorKind, RawHead, Rejection};

use crate::inbound::request_head::BodyLength;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::grants::authorize;
use crate::request::{dispatch, upload};
use crate::target::initiator;
use crate::target::initiator::Initiator;

/// The operation name in metrics and logs.
pub(crate) const OPERATION: &str = "PostObject";

/// Returns the content type if a request is a form upload: a form POST without a signature in its head.
pub(crate) fn form_content_type(head: &RawHead) -> Option<&str> {
    let is_unsigned = head.header("authorization").is_none() && head.query.raw_parameters().next().is_none();
    let content_type = head.header_text("content-type").filter(|_| head.method == "POST" && is_unsigned)?;
    let is_form =
        content_type.get(..19).is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"));
    is_form.then_some(content_type)
}

/// Processes a form upload.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_form_upload(
    context: &mut RequestContext<'_>,
    head: &RawHead,
    content_type: &str,
    body: BodyLength,
) -> Result<(), RequestEnd> {
    let config = context.config;
    let dialect = detect_unsigned_dialect(head, &config.listener_dialects);
    context.listener.dialect = dialect;
    context.record.dialect = dialect.name;
    context.record.operation = Some(OPERATION);
    let address =
        config.listener_dialects.parse_address(head, dialect).map_err(|rejected| rejected.rejection)?;
    check_form_address(&address)?;
    let length = match body {
        BodyLength::Absent => return Err(ErrorKind::MissingContentLength.into()),
        BodyLength::Bytes(length) => Some(length),
        BodyLength::Chunked => None,
    };
    context.connection.send_continue().await?;
    // The fields come first and contain the signature, so the bucket is looked up only after all were read.
    let mut reader = FormReader::new(content_type)?;
    let mut progress = FormProgress::Fields;
    while progress == FormProgress::Fields {
        let chunk = context.connection.read_body().await?.ok_or(ErrorKind::MalformedForm)?;
        progress = reader.push(&chunk)?;
    }
    let form_request =
        form_upload::authenticate_form(dialect, reader.form(), &address, config, context.listener.now)?;
    let caller = config.find_caller(&form_request.access_key).ok_or(ErrorKind::InternalError)?;
    dispatch::record_request(context, Some(caller), &form_request.request, 0);
    authorize(caller, &form_request.request)?;
    let _rate_limit_permit = config.try_acquire_rate_limit(caller).ok_or(ErrorKind::SlowDown)?;
    let _fair_queue_permit = context.fair_queue.acquire(&caller.name).await;
    let (bucket, key) =
        (form_request.request.scope.require_bucket()?, form_request.request.scope.require_key()?);
    let routed_bucket = config.routing().route_bucket(bucket).ok_or(ErrorKind::NoSuchBucket)?;
    context.record.target = Some(routed_bucket.target.spec.name.clone());
    small_parts::check_key_allowed(&routed_bucket.target.spec, key)?;
    // The caller is authenticated now, so the start of the file may be buffered. Many forms end within it, and have a
    // known length then.
    let mut has_ended = false;
    while !has_ended && reader.buffered_len() < READ_AHEAD_BYTES {
        match context.connection.read_body().await? {
            Some(chunk) => {
                reader.push(&chunk)?;
            }
            None => has_ended = true,
        }
    }
    let file = reader.into_file_decoder(length, has_ended, form_request.bounds)?;
    let payload = Payload::Chunked(Box::new(file));
    let route = routed_bucket.build_route(dialect, Some(caller), None);
    let upload = Box::pin(upload::upload_body(
        context,
        routed_bucket.target,
        route,
        &form_request.request,
        payload,
        body,
    ));
    let response = initiator::with_initiator(Initiator::from_caller_name(&caller.name), upload).await?;
    if response.status >= 300 {
        return context.send_response(response).await;
    }
    let location = context.build_object_url(key);
    context
        .send_response(form_upload::write_form_response(
            response,
            &form_request.success_response,
            bucket,
            key,
            &location,
        ))
        .await
}

/// A form is sent to a bucket: its key is one of its fields.
///
/// # Errors
/// `MethodNotAllowed`: the address has a key.
pub(crate) fn check_form_address(address: &ResourceAddress) -> Result<(), Rejection> {
    if address.scope.key().is_some() { Err(ErrorKind::MethodNotAllowed.into()) } else { Ok(()) }
}
