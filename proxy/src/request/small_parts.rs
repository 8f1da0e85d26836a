//! Multipart uploads with small parts, which are smaller than the target accepts. They are stored at the target as objects
//! until the upload is completed, then combined into larger parts. The proxy keeps no state between two requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blobfish_config::{Caller, CopyLimits};

use blobfish_dialects::dialect::etag;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::small_parts::{
    self, NamedPart, PartSlice, PartsFolder, PlannedPart, StoredSmallPart,
};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{
    crc64, read_response, relay, request_documents, streaming as heads, target_response, validate_response,
};
use blobfish_dialects::model::{
    Document, ErrorKind, Field, ObjectToDelete, Operation, Part, PartCrc64, PartListing, Rejection, Request,
    Response, ResponseField, Value,
};
use futures_util::stream::{self as streams, StreamExt as _, TryStreamExt as _};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::inbound::request_head::BodyLength;
use crate::request::context::{RequestContext, RequestEnd};
use crate::request::relay::{
    CopyRoutes, PART_ATTEMPTS_MAX, PARTS_DURATION_MAX, Relay, can_retry, perform_exchange,
};
use crate::request::routed_request::RoutedRequest;
use crate::request::running_copies::{CopySlot, RUNNING_COPIES};
use crate::request::{copy, exchange, keepalive, request_body, streaming, upload};
use crate::target::client::{ERROR_BYTES_MAX, TargetClient};
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// Entries per page of a part or object listing.
const PAGE_SIZE: u64 = 1000;

/// The maximum number of pages per upload or folder. No vendor accepts more than 10,000 parts, but a bucket with versioning
/// may have several versions of each.
const PAGES_MAX: usize = 64;

/// The name of the plan in metrics and in the list of running copies.
const PLAN_NAME: &str = "combine";

/// Lists or deletes a bucket that may contain small parts.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_bucket_request(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    match request.operation {
        Operation::DeleteBucket => Box::pin(delete_bucket(context, target, route, request, payload)).await,
        _ => Box::pin(list_without_small_parts(context, target, route, request, payload)).await,
    }
}

/// Sends a page of a listing without the small parts.
///
/// # Errors
/// [`RequestEnd`].
async fn list_without_small_parts(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let body = request_body::read_request_body(context, &request, payload).await?;
    let mut response = exchange::run_exchange(context, target, route.clone(), request.clone(), &body).await?;
    let mut next = response
        .document
        .as_mut()
        .and_then(|document| small_parts::hide_reserved_keys(&route, &request, document));
    // Usually one more request skips the small parts. Objects that clients stored below the reserved prefix before it was
    // reserved may need more.
    for _ in 0..4 {
        let Some(request) = next.take() else { break };
        let more = exchange::run_exchange(context, target, route.clone(), request.clone(), &[]).await?;
        let (Some(document), Some(mut more)) = (&mut response.document, more.document) else { break };
        next = small_parts::hide_reserved_keys(&route, &request, &mut more);
        small_parts::append_page(document, more);
    }
    context.send_response(response).await
}

/// Deletes a bucket. A bucket that contains only small parts is empty for its caller, so they are deleted with it.
///
/// # Errors
/// [`RequestEnd`].
async fn delete_bucket(
    context: &mut RequestContext<'_>,
    target: &TargetRuntime,
    route: Route<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let body = request_body::read_request_body(context, &request, payload).await?;
    let response = match exchange::run_exchange(context, target, route.clone(), request.clone(), &body).await
    {
        Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::BucketNotEmpty => {
            let small_parts_route = small_parts::build_proxy_route_to_small_parts(&route)?;
            let prefix = route.target.staging.prefix.clone();
            // If open uploads prevent the deletion of a bucket in the caller dialect, their small parts must not be deleted.
            let has_uploads = route.caller.open_uploads_block_deletion
                && has_open_uploads(
                    context.target_client,
                    target,
                    &small_parts::build_proxy_route_to_upload(&route)?,
                )
                .await?;
            if has_uploads
                || !has_only_keys_with_prefix(context.target_client, target, &small_parts_route, &prefix)
                    .await?
            {
                return Err(rejection.into());
            }
            delete_keys_with_prefix(context.target_client, target, &small_parts_route, &prefix).await?;
            exchange::run_exchange(context, target, route, request, &body).await?
        }
        other => other?,
    };
    context.send_response(response).await
}

/// Whether a bucket has open uploads. Some vendors do not delete such a bucket.
async fn has_open_uploads(
    target_client: &TargetClient,
    target: &TargetRuntime,
    upload_route: &Route<'_>,
) -> Result<bool, Rejection> {
    let request = Request::for_bucket(Operation::ListMultipartUploads, upload_route.require_bucket()?);
    match perform_exchange(target_client, target, upload_route, request).await?.document {
        Some(Document::Uploads(page)) => Ok(!page.uploads.is_empty()),
        _ => Err(target_response::reject_incomplete_response()),
    }
}

/// Whether every key of a bucket, in all versions, has the prefix. Only the first page is read.
async fn has_only_keys_with_prefix(
    target_client: &TargetClient,
    target: &TargetRuntime,
    small_parts_route: &Route<'_>,
    prefix: &str,
) -> Result<bool, Rejection> {
    let mut request =
        small_parts::build_prefix_list_request(small_parts_route.require_bucket()?, "", PAGE_SIZE);
    if small_parts_route.target.dialect.find_route(Operation::ListObjectVersions).is_some() {
        request.operation = Operation::ListObjectVersions;
    }
    match perform_exchange(target_client, target, small_parts_route, request).await?.document {
        Some(Document::Objects(page)) => {
            Ok(!page.objects.is_empty() && page.objects.iter().all(|row| row.key.starts_with(prefix)))
        }
        Some(Document::Versions(page)) => {
            let all = page.versions.iter().all(|row| row.object.key.starts_with(prefix));
            Ok(!page.versions.is_empty() && all)
        }
        _ => Err(target_response::reject_incomplete_response()),
    }
}

/// Processes a request of a multipart upload that may have small parts.
///
/// # Errors
/// [`RequestEnd`].
pub(crate) async fn process_upload_request(
    context: &mut RequestContext<'_>,
    routed: RoutedRequest<'_>,
    request: Request,
    payload: Payload,
    body: BodyLength,
) -> Result<(), RequestEnd> {
    let target = routed.destination.target;
    let upload = SmallPartsUpload::new(context, target, &routed.route, &request)?;
    match request.operation {
        Operation::UploadPart => {
            Box::pin(process_part_upload(context, &upload, &request, payload, body)).await
        }
        Operation::UploadPartCopy => {
            Box::pin(process_part_copy(context, routed, &upload, request, payload)).await
        }
        Operation::ListParts => Box::pin(list_parts(context, &upload, request, payload)).await,
        Operation::CompleteMultipartUpload => {
            let caller = routed.caller.ok_or(ErrorKind::AccessDenied)?;
            Box::pin(complete_small_parts_upload(context, caller, &upload, request, payload)).await
        }
        Operation::AbortMultipartUpload => {
            Box::pin(abort_small_parts_upload(context, &upload, request, payload)).await
        }
        _ => Box::pin(exchange::process_exchange(context, target, routed.route, request, payload)).await,
    }
}

/// One multipart upload with its small parts.
struct SmallPartsUpload<'a> {
    target_client: &'a TargetClient,
    target: &'a TargetRuntime,
    /// The caller's route.
    route: Route<'a>,
    /// The proxy's own routes to the small parts and to the upload.
    small_parts_route: Route<'a>,
    upload_route: Route<'a>,
    folder: PartsFolder,
    limits: CopyLimits,
}

impl<'a> SmallPartsUpload<'a> {
    fn new(
        context: &RequestContext<'a>,
        target: &'a TargetRuntime,
        route: &Route<'a>,
        request: &Request,
    ) -> Result<Self, Rejection> {
        Ok(Self {
            target_client: context.target_client,
            target,
            route: route.clone(),
            small_parts_route: small_parts::build_proxy_route_to_small_parts(route)?,
            upload_route: small_parts::build_proxy_route_to_upload(route)?,
            folder: PartsFolder::from_request(route, request)?,
            limits: context.config.settings.limits.copies.clone(),
        })
    }

    fn part_bytes_min(&self) -> u64 {
        self.route.target.dialect.limits.part_bytes_min
    }

    fn is_combining_enabled(&self) -> bool {
        self.route.target.staging.is_combining
    }

    async fn perform_exchange(&self, route: &Route<'a>, request: Request) -> Result<Response, Rejection> {
        Box::pin(perform_exchange(self.target_client, self.target, route, request)).await
    }

    /// Lists the small parts after a part number, and returns whether there are more.
    async fn list_small_parts(
        &self,
        marker: u64,
        count_max: u64,
    ) -> Result<(Vec<StoredSmallPart>, bool), Rejection> {
        let request = self.folder.build_list_request(marker, count_max);
        match self.perform_exchange(&self.small_parts_route, request).await?.document {
            Some(Document::Objects(page)) => Ok((self.folder.parse_listing(&page), page.truncated)),
            _ => Err(target_response::reject_incomplete_response()),
        }
    }

    async fn list_all_small_parts(&self) -> Result<Vec<StoredSmallPart>, Rejection> {
        let mut all: Vec<StoredSmallPart> = Vec::new();
        for _ in 0..PAGES_MAX {
            let marker = all.last().map_or(0, |row| row.part.number);
            let (small_parts, more) = self.list_small_parts(marker, PAGE_SIZE).await?;
            let is_end = !more || small_parts.is_empty();
            all.extend(small_parts);
            if is_end {
                return Ok(all);
            }
        }
        Err(target_response::reject_incomplete_response())
    }

    /// Lists the target's parts of the upload after a part number. Fails if the upload is not open.
    async fn list_target_parts(&self, marker: u64, count_max: u64) -> Result<PartListing, Rejection> {
        let request = self.folder.build_list_parts_request(marker, count_max);
        match self.perform_exchange(&self.upload_route, request).await?.document {
            Some(Document::Parts(list)) => Ok(list),
            _ => Err(target_response::reject_incomplete_response()),
        }
    }

    async fn list_all_target_parts(
        &self,
    ) -> Result<Vec<(Part, Option<blobfish_dialects::model::Timestamp>, u64)>, Rejection> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let list = self.list_target_parts(all.last().map_or(0, part_number_of_row), PAGE_SIZE).await?;
            let is_end = !list.truncated || list.parts.is_empty();
            all.extend(list.parts);
            if is_end {
                return Ok(all);
            }
        }
        Err(target_response::reject_incomplete_response())
    }

    /// Whether a large part may be uploaded to the target's upload directly.
    async fn can_upload_directly(&self, number: u64) -> Result<bool, Rejection> {
        let (small_parts, _) = self.list_small_parts(number.saturating_sub(2), 2).await?;
        let find_part_bytes =
            |number| small_parts.iter().find(|row| row.part.number == number).map(|row| row.bytes);
        if find_part_bytes(number).is_some() {
            return Ok(false); // It replaces a small part.
        }
        // A part in the target's upload cannot be read back, so a small part before it could not be combined with it.
        let below = number.saturating_sub(1);
        let mut bytes_before = find_part_bytes(below);
        if bytes_before.is_none() && below > 0 {
            let list = self.list_target_parts(below.saturating_sub(1), 1).await?;
            bytes_before = list.parts.first().filter(|row| row.0.number == below).map(|row| row.2);
        }
        Ok(small_parts::can_upload_directly(self.part_bytes_min(), number, bytes_before))
    }

    /// Rejects a small part that is not the last one, or that follows another small part. Used if combining is disabled.
    async fn check_small_part_is_last(&self, number: u64) -> Result<(), Rejection> {
        // The target would reject the upload only at its completion, after all bytes were sent.
        let list = self.list_target_parts(0, PAGE_SIZE).await?;
        let small = list.parts.iter().find(|row| row.0.number < number && row.2 < self.part_bytes_min());
        let follows = list.parts.iter().any(|row| row.0.number > number);
        match small {
            Some(row) => Err(small_parts::build_small_part_rejection(&self.route, row.0.number)),
            None if follows => Err(small_parts::build_small_part_rejection(&self.route, number)),
            None => Ok(()),
        }
    }

    /// Checks that the upload is still open after a small part was stored. If it is not, its small parts are deleted: the
    /// request that ended the upload may have listed them before this one arrived.
    async fn check_upload_is_open(&self) -> Result<(), Rejection> {
        match self.list_target_parts(0, 1).await {
            Err(rejection) if rejection.kind == ErrorKind::NoSuchUpload => {
                self.delete_small_parts().await;
                Err(rejection)
            }
            other => other.map(drop),
        }
    }

    /// Deletes the small parts.
    async fn delete_small_parts(&self) {
        let outcome = delete_keys_with_prefix(
            self.target_client,
            self.target,
            &self.small_parts_route,
            &self.folder.prefix,
        )
        .await;
        // Not an error of the request: the upload has ended, and the periodic cleanup deletes what remains.
        if let Err(rejection) = outcome {
            let target_name = self.route.target.name.as_str();
            tracing::warn!(
                target_name = target_name,
                bucket = self.small_parts_route.bucket().map(access_log::escape_name),
                prefix = self.folder.prefix,
                error = %rejection,
                "the small parts of an upload that has ended were not deleted; the periodic cleanup deletes them, unless small_parts_cleanup_seconds is 0"
            );
        }
    }
}

fn part_number_of_row(row: &(Part, Option<blobfish_dialects::model::Timestamp>, u64)) -> u64 {
    row.0.number
}

/// Deletes all keys with a prefix, in all versions.
///
/// # Errors
/// The target's error. Keys that the target does not delete remain.
pub(crate) async fn delete_keys_with_prefix(
    target_client: &TargetClient,
    target: &TargetRuntime,
    route: &Route<'_>,
    prefix: &str,
) -> Result<u64, Rejection> {
    let bucket = route.require_bucket()?;
    let mut count: u64 = 0;
    let mut has_versions = false;
    for _ in 0..PAGES_MAX {
        let page = perform_exchange(
            target_client,
            target,
            route,
            small_parts::build_prefix_list_request(bucket, prefix, PAGE_SIZE),
        )
        .await?;
        let Some(Document::Objects(page)) = page.document else {
            return Err(target_response::reject_incomplete_response());
        };
        if page.objects.is_empty() {
            break;
        }
        let objects_to_delete =
            page.objects.into_iter().map(|row| ObjectToDelete { key: row.key, version: None, etag: None });
        let response = perform_exchange(
            target_client,
            target,
            route,
            small_parts::build_delete_request(bucket, objects_to_delete.collect()),
        )
        .await?;
        let Some(Document::Deleted { results: lines, .. }) = response.document else {
            return Err(target_response::reject_incomplete_response());
        };
        let deleted_count = lines.iter().filter(|line| line.error.is_none()).count();
        has_versions |= lines.iter().any(|line| line.made_or_removed_marker || line.delete_marker.is_some());
        count = count.saturating_add(u64::try_from(deleted_count).unwrap_or_default());
        // No progress means that the target rejects these deletions, and would again.
        if deleted_count == 0 || !page.truncated {
            break;
        }
    }
    // With versioning the deletions above only added delete markers, and the vendor bills the versions.
    for _ in 0..if has_versions { PAGES_MAX } else { 0 } {
        let page = perform_exchange(
            target_client,
            target,
            route,
            small_parts::build_version_list_request(bucket, prefix),
        )
        .await?;
        let Some(Document::Versions(page)) = page.document else {
            return Err(target_response::reject_incomplete_response());
        };
        if page.versions.is_empty() {
            break;
        }
        let versions_to_delete = page.versions.into_iter();
        let objects_to_delete = versions_to_delete
            .map(|row| ObjectToDelete { key: row.object.key, version: Some(row.id), etag: None })
            .collect();
        let response = perform_exchange(
            target_client,
            target,
            route,
            small_parts::build_delete_request(bucket, objects_to_delete),
        )
        .await?;
        let Some(Document::Deleted { results: lines, .. }) = response.document else {
            return Err(target_response::reject_incomplete_response());
        };
        if lines.iter().all(|line| line.error.is_some()) {
            break;
        }
    }
    Ok(count)
}

fn parse_part_number(request: &Request) -> Result<u64, Rejection> {
    let number = request.fields.number(Field::PartNumber).filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive",
        )
        .with_detail("ArgumentName", "partNumber")
    })
}

/// Processes a part that the client uploads.
async fn process_part_upload(
    context: &mut RequestContext<'_>,
    upload: &SmallPartsUpload<'_>,
    request: &Request,
    payload: Payload,
    body: BodyLength,
) -> Result<(), RequestEnd> {
    if body == BodyLength::Absent {
        return Err(ErrorKind::MissingContentLength.into());
    }
    let number = parse_part_number(request)?;
    let (route, target) = (&upload.route, upload.target);
    let verifier = BodyVerifier::new(route.caller, payload, request, heads::choose_digests(route, request))?;
    let (target_request, body) = upload::prepare_upload_body(context, route, request, verifier).await?;
    let bytes = body.length();
    let is_small = bytes.is_some_and(|bytes| bytes < upload.part_bytes_min());
    if !upload.is_combining_enabled() && is_small {
        upload.check_small_part_is_last(number).await?;
    }
    // A part of unknown length counts as large: the minimum of targets that accept such bodies is not above the minimum of
    // the caller's vendor.
    let is_direct =
        !upload.is_combining_enabled() || (!is_small && upload.can_upload_directly(number).await?);
    if is_direct {
        let response = streaming::send_upload(context, target, route, &target_request, body).await?;
        return context.send_response(response).await;
    }
    let put = upload.folder.build_put_request(request, number);
    let mut response =
        streaming::send_upload(context, target, &small_parts::route_to_small_parts(route)?, &put, body)
            .await?;
    small_parts::remove_object_fields(&mut response);
    if response.status < 300 {
        METRICS.small_parts.with_label_values(&[route.target.name.as_str()]).inc();
        // The small part is an object, so the target accepted it without a check of the upload ID.
        upload.check_upload_is_open().await?;
        attach_part_crc64(route, request, &mut response, bytes.unwrap_or_default());
    }
    context.send_response(response).await
}

/// Attaches the CRC-64 of a small part to its ETag, as for any other part.
fn attach_part_crc64(route: &Route<'_>, request: &Request, response: &mut Response, bytes: u64) {
    let crc64 = response.text(ResponseField::Crc64Ecma).and_then(|crc64| crc64.parse().ok());
    crc64::append_crc64_to_etag(
        route,
        request,
        response,
        &Digests { bytes, crc64, md5: None, checksums: Vec::new() },
    );
}

/// Processes a part copy. A large part is copied directly, unless a small part is before it.
async fn process_part_copy(
    context: &mut RequestContext<'_>,
    routed: RoutedRequest<'_>,
    upload: &SmallPartsUpload<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let number = parse_part_number(&request)?;
    // The signature of the body must be verified before anything is copied.
    request_body::read_request_body(context, &request, payload).await?;
    // A plan with a copy has a source and a caller: anonymous clients can only read.
    let source_bucket = routed.source.as_ref().ok_or(ErrorKind::InternalError)?;
    let caller = routed.caller.ok_or(ErrorKind::AccessDenied)?;
    let dialect = routed.route.caller;
    let target = routed.destination.target;
    let routes = CopyRoutes {
        source_route: routed.build_source_route().ok_or(ErrorKind::InternalError)?,
        source_target: source_bucket.target,
        destination_route: small_parts::route_to_small_parts(&upload.route)?,
        destination_target: target,
        target_copies: false,
    };
    let slot = begin_combine_slot(upload, caller, &context.record.id)?;
    let (relay, losses) =
        Relay::new(context.target_client, routes, request.clone(), upload.limits.clone(), slot)?;
    context.check_losses(&losses, &upload.route)?;
    let source = relay.head_source().await?;
    let range = relay::resolve_source_range(&request, dialect.copy.strict_range, source.size)?;
    let bytes = if source.size == 0 { 0 } else { range.1.saturating_sub(range.0).saturating_add(1) };
    let is_small = bytes < upload.part_bytes_min();
    if !upload.is_combining_enabled() && is_small {
        upload.check_small_part_is_last(number).await?;
    }
    let is_kept_apart = upload.is_combining_enabled()
        && (is_small || {
            // Part sizes are mixed, or this part replaces a small one. A client that copies with one large part size has no small
            // part before this one, and the target copies the part itself.
            let (small_parts, _) = upload.list_small_parts(0, 1).await?;
            small_parts.first().is_some_and(|row| row.part.number <= number)
        });
    if !is_kept_apart {
        // Frees its copy slot, because a relay below registers its own.
        drop(relay);
        if !routed.is_same_target() {
            let relayed_copy = copy::process_relayed_copy(context, &routed, request, Payload::Unsigned);
            return Box::pin(relayed_copy).await;
        }
        return exchange::process_exchange(context, target, routed.route, request, Payload::Unsigned).await;
    }
    let bare = relay::remove_copy_fields(Request { operation: Operation::UploadPart, ..request.clone() });
    let put = Request { body_length: Some(bytes), ..upload.folder.build_put_request(&bare, number) };
    let work = async {
        let mut response = relay.copy_small_part(&source, &put, range).await?;
        small_parts::remove_object_fields(&mut response);
        METRICS.small_parts.with_label_values(&[upload.route.target.name.as_str()]).inc();
        upload.check_upload_is_open().await?;
        attach_part_crc64(&upload.route, &bare, &mut response, bytes);
        Ok(relay::complete_copy_response(&upload.route, &request, &source, response, clock::now()))
    };
    keepalive::respond_with_whitespace(context, Box::pin(work), None).await.map(drop)
}

fn begin_combine_slot(
    upload: &SmallPartsUpload<'_>,
    caller: &Caller,
    request_id: &str,
) -> Result<CopySlot, Rejection> {
    let target_name = upload.route.target.name.as_str();
    let slot = RUNNING_COPIES.try_begin(
        &upload.limits,
        &caller.name,
        request_id,
        PLAN_NAME,
        target_name,
        target_name,
    );
    slot.ok_or_else(|| ErrorKind::SlowDown.into())
}

/// Lists the target's parts of the upload and the small parts, ordered by part number.
async fn list_parts(
    context: &mut RequestContext<'_>,
    upload: &SmallPartsUpload<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let body = request_body::read_request_body(context, &request, payload).await?;
    let count_max = request.fields.number(Field::MaxParts).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
    let marker = request.fields.number(Field::PartNumberMarker).unwrap_or_default();
    let mut response =
        exchange::run_exchange(context, upload.target, upload.route.clone(), request, &body).await?;
    if let Some(Document::Parts(list)) = &mut response.document {
        let (small_parts, more) = upload.list_small_parts(marker, count_max).await?;
        small_parts::merge_staged_parts(list, count_max, small_parts, more);
    }
    context.send_response(response).await
}

/// Aborts the upload, and deletes its small parts.
async fn abort_small_parts_upload(
    context: &mut RequestContext<'_>,
    upload: &SmallPartsUpload<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let body = request_body::read_request_body(context, &request, payload).await?;
    let outcome = exchange::run_exchange(context, upload.target, upload.route.clone(), request, &body).await;
    match &outcome {
        Ok(_) => upload.delete_small_parts().await,
        // The retry of an abort that failed halfway must still delete the small parts.
        Err(RequestEnd::Rejected(rejection)) if rejection.kind == ErrorKind::NoSuchUpload => {
            upload.delete_small_parts().await
        }
        Err(_) => {}
    }
    context.send_response(outcome?).await
}

/// Combines the small parts, completes the upload, and deletes the small parts.
async fn complete_small_parts_upload(
    context: &mut RequestContext<'_>,
    caller: &Caller,
    upload: &SmallPartsUpload<'_>,
    mut request: Request,
    payload: Payload,
) -> Result<(), RequestEnd> {
    let body = request_body::read_request_body(context, &request, payload).await?;
    request_documents::read_request_body(&upload.route, &mut request, &body)?;
    // Built only for its losses, so that they are rejected before any part is combined.
    let exchange = Exchange::new(upload.route.clone(), request.clone(), &[])?;
    context.check_losses(exchange.losses(), &upload.route)?;
    drop(exchange);
    let id = context.record.id.clone();
    let original_request = request.clone();
    let combine = async {
        let small_parts = upload.list_all_small_parts().await?;
        if small_parts.is_empty() {
            let outcome = upload.perform_exchange(&upload.route, request).await;
            return outcome.map_err(|rejection| explain_small_part_rejection(upload, rejection));
        }
        let combiner = PartCombiner { upload, slot: Arc::new(begin_combine_slot(upload, caller, &id)?) };
        let done = tokio::select! {
            biased;
            done = timeout(PARTS_DURATION_MAX, Box::pin(combiner.combine_and_complete(request, &small_parts))) => {
                done.unwrap_or_else(|_| Err(Rejection::with_message(ErrorKind::InternalError, "The combination of the small parts exceeded its time limit.")))
            }
            () = combiner.slot.progress.wait_until_abandoned() => {
                Err(Rejection::with_message(ErrorKind::ServiceUnavailable, "The service is shutting down. Retry CompleteMultipartUpload."))
            }
        };
        let label = if done.is_ok() { "success" } else { "failure" };
        METRICS.copies.with_label_values(&[PLAN_NAME, label]).inc();
        done
    };
    let work = async {
        let mut response = combine.await?;
        exchange::add_crc64(
            upload.target_client,
            upload.target,
            &upload.route,
            &original_request,
            &mut response,
        )
        .await;
        Ok(response)
    };
    keepalive::respond_with_whitespace(context, Box::pin(work), None).await.map(drop)
}

/// If combining is disabled, replaces the target's error about small parts with one that names the setting.
fn explain_small_part_rejection(upload: &SmallPartsUpload<'_>, rejection: Rejection) -> Rejection {
    match rejection.kind {
        ErrorKind::EntityTooSmall => {
            let number = rejection.details.iter().find(|row| row.0 == "PartNumber");
            small_parts::build_small_part_rejection(
                &upload.route,
                number.and_then(|row| row.1.parse().ok()).unwrap_or(1),
            )
        }
        _ => rejection,
    }
}

/// A running CompleteMultipartUpload that combines small parts.
struct PartCombiner<'p, 'a> {
    upload: &'p SmallPartsUpload<'a>,
    slot: Arc<CopySlot>,
}

impl PartCombiner<'_, '_> {
    async fn combine_and_complete(
        &self,
        request: Request,
        small_parts: &[StoredSmallPart],
    ) -> Result<Response, Rejection> {
        let upload = self.upload;
        let is_small_part =
            |part: &Part| small_parts.binary_search_by(|row| row.part.number.cmp(&part.number)).is_ok();
        let are_all_small_parts = request.parts.iter().all(is_small_part);
        // If none of the named parts are at the target, one row suffices, as a check that the upload is open.
        let target_parts = if are_all_small_parts {
            upload.list_target_parts(0, 1).await?.parts
        } else {
            upload.list_all_target_parts().await?
        };
        let named_parts =
            small_parts::match_named_parts(upload.route.caller, &request.parts, small_parts, &target_parts)?;
        let concurrency_max = upload.limits.copy_concurrency;
        let plan = small_parts::plan_combination(
            &named_parts,
            upload.part_bytes_min(),
            u64::try_from(concurrency_max).unwrap_or(1),
        )?;
        let bytes = named_parts.iter().map(|part| match part {
            NamedPart::Staged(small_part) => small_part.bytes,
            NamedPart::Uploaded(_) => 0,
        });
        self.slot.progress.bytes_total.store(bytes.sum(), Ordering::Relaxed);
        let produced = streams::iter(plan)
            .map(|planned| Box::pin(self.produce_part_with_retries(planned)))
            .buffered(concurrency_max);
        let produced_parts: Vec<Part> = produced.try_collect().await?;
        let combined_sum = crc64::combine_parts(produced_parts.iter().map(|part| part.crc64));
        let whole_sum = crc64::combine_parts(request.parts.iter().map(|part| part.crc64));
        // However the bytes are divided into parts, the whole object has one CRC-64.
        if combined_sum.is_some() && whole_sum.is_some() && combined_sum != whole_sum {
            return Err(reject_part_mismatch());
        }
        let whole_crc64 = whole_sum.or(combined_sum).map(|sum| sum.crc64);
        let mut response =
            upload.perform_exchange(&upload.route, Request { parts: produced_parts, ..request }).await?;
        upload.delete_small_parts().await;
        relay::check_response_crc64(&mut response, whole_crc64)?;
        Ok(response)
    }

    /// Produces one part, with retries. Retries are safe, because uploading a part number again replaces the part.
    async fn produce_part_with_retries(&self, planned: PlannedPart) -> Result<Part, Rejection> {
        let mut attempt = 1;
        loop {
            match Box::pin(self.produce_part(&planned)).await {
                Err(rejection) if attempt < PART_ATTEMPTS_MAX && can_retry(rejection.kind) => {
                    METRICS.copy_retries.inc();
                    // Without jitter the concurrent parts would retry together, and overload the target again.
                    let jitter = u64::try_from(clock::random() % 200).unwrap_or_default();
                    sleep(Duration::from_millis(200_u64.saturating_mul(1 << attempt).saturating_add(jitter)))
                        .await;
                    attempt = attempt.saturating_add(1);
                }
                other => return other,
            }
        }
    }

    async fn produce_part(&self, planned: &PlannedPart) -> Result<Part, Rejection> {
        match planned {
            PlannedPart::Uploaded(part) => Ok(part.clone()),
            PlannedPart::Combined(number, pieces) => self.upload_joined_part(*number, pieces).await,
            PlannedPart::Copied(number, piece) => {
                let upload = self.upload;
                let request = upload.folder.build_copy_request(&upload.upload_route, *number, piece);
                match upload.perform_exchange(&upload.upload_route, request).await {
                    Ok(response) => match response.document {
                        Some(Document::CopyPart(result)) => {
                            self.slot.progress.bytes_done.fetch_add(piece.bytes, Ordering::Relaxed);
                            Ok(Part::new(*number, result.etag))
                        }
                        _ => Err(target_response::reject_incomplete_response()),
                    },
                    // Not every target can copy into a part; the bytes then pass through the proxy.
                    Err(rejection) if rejection.kind == ErrorKind::NotImplemented => {
                        self.upload_joined_part(*number, std::slice::from_ref(piece)).await
                    }
                    Err(rejection) => Err(to_part_changed(rejection)),
                }
            }
        }
    }

    /// Reads pieces one after another, and uploads them as one part. The last byte is sent only when all pieces were
    /// verified.
    async fn upload_joined_part(&self, number: u64, pieces: &[PartSlice]) -> Result<Part, Rejection> {
        let SmallPartsUpload { target_client, target, upload_route, folder, .. } = self.upload;
        let bytes = pieces.iter().map(|piece| piece.bytes).sum();
        let mut put = folder.build_list_parts_request(0, 1);
        put.operation = Operation::UploadPart;
        put.fields.remove(Field::MaxParts);
        put.fields.set(Field::PartNumber, Value::Number(number));
        put.body_length = Some(bytes);
        let digests_to_compute = DigestsToCompute { crc64: true, md5: true, ..DigestsToCompute::default() };
        let mut verifier =
            BodyVerifier::new(upload_route.caller, Payload::Unsigned, &put, digests_to_compute)?;
        // Both permits together: parts that each hold one and wait for the other would deadlock.
        let (read_permit, write_permit) =
            target_client.acquire_permit_pair(target, target).await.map_err(ExchangeError::to_rejection)?;
        let mut upload = None;
        let transferred: Result<bool, Rejection> = Box::pin(async {
            for piece in pieces {
                let get = folder.build_get_request(piece);
                let (out, _) =
                    heads::build_target_request(&self.upload.small_parts_route, &get, None, clock::now())?;
                let exchange = target_client.send_with_permit(
                    read_permit.clone(),
                    target,
                    &out,
                    "GetObject",
                    self.upload.route.caller.name,
                );
                let (mut download, head) = exchange.await.map_err(ExchangeError::to_rejection)?;
                if !matches!(head.response.status, 200 | 206) {
                    let body = download
                        .read_whole_body(ERROR_BYTES_MAX)
                        .await
                        .map_err(ExchangeError::to_rejection)?;
                    download.release().await;
                    let target_error = read_response::read_target_error(
                        &self.upload.small_parts_route,
                        &TargetResponse { body, ..head.response },
                    );
                    return Err(to_part_changed(target_error.rejection));
                }
                let small_parts_route = &self.upload.small_parts_route;
                if head.length != Some(piece.bytes)
                    || validate_response::check_response_head(small_parts_route, &get, &head.response)
                        .is_err()
                {
                    download.abort();
                    return Err(target_response::reject_incomplete_response());
                }
                // Opened after the first successful read, so that a missing piece costs no upload request.
                let upload = match &mut upload {
                    Some(upload) => upload,
                    None => {
                        let (out, _) =
                            heads::build_target_request(upload_route, &put, Some(bytes), clock::now())?;
                        let upload_result =
                            target_client.start_upload_with_permit(write_permit.clone(), target, &out).await;
                        upload.insert(upload_result.map_err(ExchangeError::to_rejection)?)
                    }
                };
                let mut expected = Request {
                    body_length: Some(piece.bytes),
                    ..Request::new(Operation::UploadPart, put.scope.clone())
                };
                if head.response.status == 200 {
                    // A 200 means the whole object, and only then the digests in the head are those of this piece.
                    validate_response::add_expected_digests(
                        &mut expected,
                        small_parts_route.target.dialect,
                        &head.response,
                    );
                }
                let digests_to_compute = DigestsToCompute { md5: true, ..DigestsToCompute::default() };
                let mut piece_verifier =
                    BodyVerifier::new(upload_route.caller, Payload::Unsigned, &expected, digests_to_compute)?;
                loop {
                    let chunk = download
                        .read_body()
                        .await
                        .map_err(|failed| failed.record_for(target).to_rejection())?;
                    let Some(chunk) = chunk else { break };
                    RUNNING_COPIES
                        .wait_for_bandwidth(&self.upload.limits, &self.slot.progress, chunk.len())
                        .await;
                    METRICS.copy_bytes.inc_by(u64::try_from(chunk.len()).unwrap_or_default());
                    let verified =
                        piece_verifier.push(&chunk).and_then(|verified_bytes| verifier.push(&verified_bytes));
                    if upload.write_body(&verified.map_err(|_| reject_part_mismatch())?).await.is_err() {
                        // The target may have sent its error already; it is read below.
                        download.abort();
                        return Ok(false);
                    }
                }
                let (last, piece_digests) = piece_verifier.finish().map_err(|_| reject_part_mismatch())?;
                let has_md5_etag = piece.is_whole()
                    && is_md5_etag(&self.upload.small_parts_route, &head.response, &piece.etag);
                if has_md5_etag
                    && piece_digests.md5.as_deref().is_some_and(|md5| !etag::is_same_etag(md5, &piece.etag))
                {
                    download.abort();
                    return Err(reject_part_mismatch());
                }
                let verified_bytes = verifier.push(&last).map_err(|_| reject_part_mismatch())?;
                download.release().await;
                if upload.write_body(&verified_bytes).await.is_err() {
                    return Ok(false);
                }
                self.slot.progress.bytes_done.fetch_add(piece.bytes, Ordering::Relaxed);
            }
            Ok(true)
        })
        .await;
        let Some(mut upload) = upload else {
            transferred?;
            return Err(target_response::reject_incomplete_response());
        };
        let is_written = match transferred {
            Ok(is_written) => is_written,
            Err(rejection) => {
                // The target has not received the last byte, so it discards the part.
                upload.abort();
                return Err(rejection);
            }
        };
        let (last, digests) = match verifier.finish() {
            Ok(verified) => verified,
            Err(_) => {
                upload.abort();
                return Err(reject_part_mismatch());
            }
        };
        let is_written =
            is_written && upload.write_body(&last).await.is_ok() && upload.finish_body().await.is_ok();
        let outcome = match upload.read_response_head().await {
            Ok(head) => upload
                .read_whole_body(ERROR_BYTES_MAX)
                .await
                .map(|body| TargetResponse { body, ..head.response }),
            Err(failed) => Err(failed),
        };
        let target_response = match outcome {
            Ok(response) => response,
            Err(failed) => {
                upload.abort();
                return Err(failed.record_for(target).to_rejection());
            }
        };
        if !matches!(target_response.status, 200..=299) {
            upload.abort();
            return Err(heads::build_client_rejection(upload_route, &put, &target_response));
        }
        if !is_written {
            upload.abort();
            return Err(ExchangeError::EarlyResponse.record_for(target).to_rejection());
        }
        upload.release().await;
        let response = heads::build_client_response(upload_route, &put, &target_response, Some(&digests))?;
        let tag = response
            .text(ResponseField::Etag)
            .map(etag::strip_quotes)
            .ok_or_else(target_response::reject_incomplete_response)?;
        let has_md5_etag = is_md5_etag(upload_route, &target_response, tag);
        if has_md5_etag && digests.md5.as_deref().is_some_and(|md5| !etag::is_same_etag(md5, tag)) {
            return Err(reject_part_mismatch());
        }
        let sum = digests.crc64.map(|crc64| PartCrc64 { crc64, bytes: digests.bytes });
        Ok(Part { crc64: sum, ..Part::new(number, tag.to_owned()) })
    }
}

/// Whether an ETag is the MD5 of its bytes, as far as the response shows.
fn is_md5_etag(route: &Route<'_>, response: &TargetResponse, tag: &str) -> bool {
    let target_dialect = route.target.dialect;
    // The ETag of an encrypted object may have the form of an MD5 without being one.
    let is_encrypted =
        [ResponseField::EncryptionKeyId, ResponseField::CustomerAlgorithm].into_iter().any(|field| {
            (target_dialect.response_field_name)(field).is_some_and(|name| response.header(name).is_some())
        });
    let has_md5_form = tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    target_dialect.etag_is_md5 && has_md5_form && !is_encrypted
}

fn reject_part_mismatch() -> Rejection {
    METRICS.integrity_failures.with_label_values(&["part"]).inc();
    Rejection::with_message(ErrorKind::InternalError, "A stored small part does not match its checksum.")
}

/// Maps the error of a small part that was replaced or deleted while its upload is completed.
fn to_part_changed(rejection: Rejection) -> Rejection {
    match rejection.kind {
        ErrorKind::PreconditionFailed | ErrorKind::NoSuchKey | ErrorKind::InvalidRange => {
            Rejection::with_message(
                ErrorKind::InvalidPart,
                "A part was replaced or deleted while the upload was being completed.",
            )
        }
        _ => rejection,
    }
}
