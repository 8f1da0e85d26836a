//! Copies that need more than one request. Between two targets the bytes pass through the proxy, part by part; above the
//! size limit of a target, the target copies part by part. Every read has a condition that the source has not changed since
//! its HEAD response, and an upload that cannot be completed is aborted.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use blobfish_config::CopyLimits;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, Digests, DigestsToCompute};
use blobfish_dialects::engine::exchange::Exchange;
use blobfish_dialects::engine::loss::{self, Loss};
use blobfish_dialects::engine::relay::{self, RelaySource, SequentialMd5, SourcePartDigests, SourceParts};
use blobfish_dialects::engine::target_response::TargetResponse;
use blobfish_dialects::engine::{
    copy_source, crc64, read_response, streaming, target_response, validate_response,
};
use blobfish_dialects::model::{
    Document, ErrorKind, Operation, Part, Rejection, Request, Response, ResponseField,
};
use futures_util::stream::{self as streams, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::request::exchange_driver::drive_exchange;
use crate::request::running_copies::{CopySlot, RUNNING_COPIES};
use crate::target::client::{ERROR_BYTES_MAX, TargetClient};
use crate::target::error::ExchangeError;
use crate::target::runtime::TargetRuntime;
use crate::telemetry::access_log;
use crate::telemetry::metrics::METRICS;

/// The maximum number of attempts for a part. An attempt replaces the part that an earlier attempt may have stored.
pub(crate) const PART_ATTEMPTS_MAX: u32 = 3;

/// The time limit for all parts of a copy.
pub(crate) const PARTS_DURATION_MAX: Duration = Duration::from_secs(6 * 3600);

/// The maximum time before a failed AbortMultipartUpload is retried.
const ABORT_BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The routes and targets of a copy.
pub(crate) struct CopyRoutes<'a> {
    /// The route to the source.
    pub source_route: Route<'a>,
    /// The target of the source.
    pub source_target: &'a TargetRuntime,
    /// The route to the destination.
    pub destination_route: Route<'a>,
    /// The target of the destination.
    pub destination_target: &'a TargetRuntime,
    /// Whether the target copies the parts itself. It can do so only if it is the target of source and destination.
    pub target_copies: bool,
}

/// A running copy.
pub(crate) struct Relay<'a> {
    target_client: &'a TargetClient,
    routes: CopyRoutes<'a>,
    request: Request,
    limits: CopyLimits,
    slot: CopySlot,
}

impl<'a> Relay<'a> {
    /// Creates the copy without sending anything, and returns it with the fields that the destination does not support.
    ///
    /// # Errors
    /// The request is invalid, or cannot be translated for one of the targets.
    pub(crate) fn new(
        target_client: &'a TargetClient,
        routes: CopyRoutes<'a>,
        request: Request,
        limits: CopyLimits,
        slot: CopySlot,
    ) -> Result<(Self, Vec<Loss>), Rejection> {
        let (_, losses) = relay::write_copy_draft(&routes.source_route, &routes.destination_route, &request)?;
        Ok((Self { target_client, routes, request, limits, slot }, losses))
    }

    /// Runs the copy, and returns the response for the client.
    ///
    /// # Errors
    /// The rejection for the client. No open upload and no incomplete object remains at the destination.
    pub(crate) async fn run(self) -> Result<Response, Rejection> {
        let source = self.head_source().await?;
        self.slot.progress.bytes_total.store(source.size, Ordering::Relaxed);
        let response = match self.request.operation {
            Operation::UploadPartCopy => {
                self.run_unless_aborted(Box::pin(self.copy_upload_part(&source))).await?
            }
            _ if !self.routes.target_copies
                && source.size <= self.limits.single_bytes_max
                && self.can_use_single_put(&source) =>
            {
                self.run_unless_aborted(Box::pin(self.copy_whole_object(&source))).await?
            }
            _ => Box::pin(self.copy_in_parts(&source)).await?,
        };
        Ok(relay::complete_copy_response(
            &self.routes.destination_route,
            &self.request,
            &source,
            response,
            clock::now(),
        ))
    }

    /// Whether one PutObject is possible. Some targets require a digest in its head, and the digest of a source that is not
    /// empty is known only after its last byte; a multipart upload needs none.
    fn can_use_single_put(&self, source: &RelaySource) -> bool {
        let put = relay::build_destination_request(
            self.routes.destination_route.caller,
            &self.request,
            source,
            None,
            Operation::PutObject,
        );
        source.size == 0 || !streaming::needs_digest(&self.routes.destination_route, &put)
    }

    /// Runs the work until it ends or the copy is abandoned.
    async fn run_unless_aborted<T>(
        &self,
        work: impl Future<Output = Result<T, Rejection>>,
    ) -> Result<T, Rejection> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.slot.progress.wait_until_abandoned() => {
                Err(Rejection::with_message(ErrorKind::ServiceUnavailable, "The copy was aborted, because its client disconnected or the service is shutting down."))
            }
        }
    }

    /// Sends a HEAD request for the source.
    ///
    /// # Errors
    /// The error of the source's target, or a condition of the copy that does not hold.
    pub(crate) async fn head_source(&self) -> Result<RelaySource, Rejection> {
        let response =
            self.send_head_request(&copy_source::build_source_head_request(&self.request)?).await?;
        relay::read_source_head(&self.routes.source_route, &self.request, &response, clock::now())
    }

    /// Sends a HEAD request to the source's target.
    async fn send_head_request(&self, request: &Request) -> Result<TargetResponse, Rejection> {
        let (source_route, source_target) = (&self.routes.source_route, self.routes.source_target);
        let send_head = async || {
            let (out, _) = streaming::build_target_request(source_route, request, None, clock::now())?;
            let outcome =
                self.target_client.send(source_target, &out, "HeadObject", source_route.caller.name).await;
            let (target_exchange, head) = match outcome {
                Ok(response) => response,
                Err(failed) => return Ok(Err(failed)),
            };
            target_exchange.release().await;
            Ok::<_, Rejection>(Ok(head.response))
        };
        let outcome = match send_head().await? {
            // The error response revealed the target's time, and the new signature uses it.
            Err(ExchangeError::ClockSkew) => send_head().await?,
            outcome => outcome,
        };
        outcome.map_err(ExchangeError::to_rejection)
    }

    /// The size of the source's own parts, if only its ETag, computed from their digests, can verify the copied bytes.
    async fn fetch_source_parts(&self, source: &RelaySource) -> Option<SourceParts> {
        let count = relay::parse_source_part_count(&self.routes.source_route, source)
            .filter(|_| !self.routes.target_copies)?;
        SourceParts::new(source, count, self.fetch_source_part_bytes(source, count, 1).await?)
    }

    async fn fetch_source_part_bytes(&self, source: &RelaySource, count: u64, number: u64) -> Option<u64> {
        let request = relay::build_part_head_request(&self.request, source, number).ok()?;
        let response = self.send_head_request(&request).await.ok()?;
        relay::read_part_bytes(&self.routes.source_route, source, count, &response)
    }

    /// Whether all of the source's parts except the last have the same size. Otherwise the digests were computed over other
    /// ranges than those of the parts, and a mismatch proves nothing.
    async fn has_equal_part_sizes(&self, source: &RelaySource, source_parts: SourceParts) -> bool {
        for number in 2..source_parts.count {
            if self.fetch_source_part_bytes(source, source_parts.count, number).await
                != Some(source_parts.bytes)
            {
                return false;
            }
        }
        true
    }

    /// Copies the whole object with one GetObject and one PutObject.
    async fn copy_whole_object(&self, source: &RelaySource) -> Result<Response, Rejection> {
        let tags = self.fetch_source_tags(source).await?;
        let mut put = relay::build_destination_request(
            self.routes.destination_route.caller,
            &self.request,
            source,
            tags.as_ref(),
            Operation::PutObject,
        );
        if streaming::needs_digest(&self.routes.destination_route, &put) {
            put = streaming::add_body_md5(put, &[]);
        }
        let read_request = relay::build_source_read_request(&self.request, source, None)?;
        let (mut response, digests) =
            self.transfer_body(&read_request, source.size, &put, &mut PartTransfer::default()).await?;
        relay::check_response_crc64(&mut response, digests.crc64)?;
        Ok(response)
    }

    /// Copies a part of the caller's upload at the destination.
    async fn copy_upload_part(&self, source: &RelaySource) -> Result<Response, Rejection> {
        let strict = self.routes.destination_route.caller.copy.strict_range;
        let range = relay::resolve_source_range(&self.request, strict, source.size)?;
        let bytes = if source.size == 0 { 0 } else { range.1.saturating_sub(range.0).saturating_add(1) };
        let mut put = relay::remove_copy_fields(self.request.clone());
        put.operation = Operation::UploadPart;
        put.source = None;
        put.body_length = Some(bytes);
        let whole = source.size == bytes;
        let read_request =
            relay::build_source_read_request(&self.request, source, (!whole).then_some(range))?;
        let (mut response, digests) =
            self.transfer_body(&read_request, bytes, &put, &mut PartTransfer::default()).await?;
        crc64::append_crc64_to_etag(&self.routes.destination_route, &put, &mut response, &digests);
        Ok(response)
    }

    /// Copies a small part to the object that `put` names.
    ///
    /// # Errors
    /// The rejection for the client.
    pub(crate) async fn copy_small_part(
        &self,
        source: &RelaySource,
        put: &Request,
        range: (u64, u64),
    ) -> Result<Response, Rejection> {
        let bytes = put.body_length.unwrap_or_default();
        let read_request =
            relay::build_source_read_request(&self.request, source, (source.size != bytes).then_some(range))?;
        let mut transfer = PartTransfer::default();
        let work = Box::pin(self.transfer_body(&read_request, bytes, put, &mut transfer));
        Ok(self.run_unless_aborted(work).await?.0)
    }

    async fn fetch_source_tags(
        &self,
        source: &RelaySource,
    ) -> Result<Option<blobfish_dialects::encoding::xml::Node>, Rejection> {
        if !source.has_tags {
            return Ok(None);
        }
        let request = relay::build_source_tags_request(&self.request, source)?;
        let response =
            self.perform_exchange(&self.routes.source_route, self.routes.source_target, request).await?;
        match response.document {
            Some(Document::Setting(_, tree)) => Ok(Some(tree)),
            _ => Err(target_response::reject_incomplete_response()),
        }
    }

    /// Copies the object as a multipart upload, which is completed after all parts are verified.
    async fn copy_in_parts(&self, source: &RelaySource) -> Result<Response, Rejection> {
        let tags = self.fetch_source_tags(source).await?;
        let begin = relay::build_destination_request(
            self.routes.destination_route.caller,
            &self.request,
            source,
            tags.as_ref(),
            Operation::CreateMultipartUpload,
        );
        let (destination_route, destination_target) =
            (&self.routes.destination_route, self.routes.destination_target);
        let created = self.perform_exchange(destination_route, destination_target, begin).await?;
        let Some(Document::Initiated { upload_id, .. }) = created.document else {
            return Err(target_response::reject_incomplete_response());
        };
        let work = self.run_unless_aborted(self.copy_parts_and_complete(source, &upload_id));
        let outcome = timeout(PARTS_DURATION_MAX, work).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Rejection::with_message(
                ErrorKind::InternalError,
                "The copy exceeded its time limit of six hours.",
            ))
        });
        if outcome.is_err() {
            abort_upload(
                self.target_client,
                destination_target,
                destination_route,
                &self.request,
                &upload_id,
            )
            .await;
        }
        outcome
    }

    async fn copy_parts_and_complete(
        &self,
        source: &RelaySource,
        upload_id: &str,
    ) -> Result<Response, Rejection> {
        let source_parts = self.fetch_source_parts(source).await;
        let parts = match source_parts {
            Some(source_parts) => relay::split_into_parts(
                source.size,
                source_parts.compute_copy_part_size(self.limits.part_bytes),
            ),
            None => relay::plan_parts(source.size, self.limits.part_bytes),
        };
        let in_order =
            (!self.routes.target_copies && SequentialMd5::is_needed(source)).then(AsyncMutex::default);
        let copied = streams::iter(parts)
            .map(|(number, range)| {
                Box::pin(self.copy_part_with_retries(
                    source,
                    upload_id,
                    number,
                    range,
                    in_order.as_ref(),
                    source_parts,
                ))
            })
            .buffered(self.limits.copy_concurrency);
        let copied: Vec<(Part, Option<Digests>, Option<SourcePartDigests>)> = copied.try_collect().await?;
        let (mut parts, mut body_digests, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for (part, own_body_digests, own_digests) in copied {
            parts.push(part);
            body_digests.push(own_body_digests);
            digests.extend(own_digests);
        }
        let body_digests: Option<Vec<Digests>> = body_digests.into_iter().collect();
        let whole = body_digests.and_then(|body_digests| relay::combine_crc64(&body_digests));
        relay::check_crc64(source, whole)?;
        if let Some(in_order) = in_order {
            in_order.into_inner().verify_source(source).inspect_err(record_copy_mismatch)?;
        }
        if let Some(source_parts) = source_parts
            && !source_parts.matches_source(source, &digests)
            && self.has_equal_part_sizes(source, source_parts).await
        {
            return Err(reject_copy_mismatch());
        }
        if self.routes.target_copies && !relay::can_pin_source(&self.routes.destination_route) {
            relay::check_source_unchanged(source, &self.head_source().await?)?;
        }
        let complete = relay::build_complete_request(&self.request, upload_id, parts);
        let mut response = self
            .perform_exchange(&self.routes.destination_route, self.routes.destination_target, complete)
            .await?;
        relay::check_response_crc64(&mut response, whole)?;
        Ok(response)
    }

    /// Copies one part, with retries after transient errors. A retry replaces what an earlier attempt stored.
    async fn copy_part_with_retries(
        &self,
        source: &RelaySource,
        upload_id: &str,
        number: u64,
        range: (u64, u64),
        in_order: Option<&AsyncMutex<SequentialMd5>>,
        source_parts: Option<SourceParts>,
    ) -> Result<(Part, Option<Digests>, Option<SourcePartDigests>), Rejection> {
        let mut attempt = 1;
        let mut transfer = PartTransfer { source_parts, ..PartTransfer::default() };
        if let Some(in_order) = in_order {
            // The parts start in order, so they acquire the lock in order.
            let sequential_md5_guard = in_order.lock().await;
            transfer.sequential_md5_guard =
                sequential_md5_guard.is_next(number).then_some(sequential_md5_guard);
        }
        loop {
            match self.copy_part(source, upload_id, number, range, &mut transfer).await {
                Err(rejection) if attempt < PART_ATTEMPTS_MAX && can_retry(rejection.kind) => {
                    METRICS.copy_retries.inc();
                    let jitter = u64::try_from(clock::random() % 200).unwrap_or_default();
                    sleep(Duration::from_millis(200_u64.saturating_mul(1 << attempt).saturating_add(jitter)))
                        .await;
                    attempt = attempt.saturating_add(1);
                }
                other => {
                    let bytes = range.1.saturating_sub(range.0).saturating_add(1);
                    self.slot.progress.bytes_done.fetch_add(bytes, Ordering::Relaxed);
                    return other.map(|(part, body_digests)| (part, body_digests, transfer.digests));
                }
            }
        }
    }

    async fn copy_part(
        &self,
        source: &RelaySource,
        upload_id: &str,
        number: u64,
        range: (u64, u64),
        transfer: &mut PartTransfer<'_>,
    ) -> Result<(Part, Option<Digests>), Rejection> {
        if self.routes.target_copies {
            let request = relay::build_part_copy_request(
                &self.routes.destination_route,
                &self.request,
                source,
                upload_id,
                number,
                range,
            );
            let response = self
                .perform_exchange(&self.routes.destination_route, self.routes.destination_target, request)
                .await?;
            return match response.document {
                Some(Document::CopyPart(result)) => {
                    let checksums = result.checksums;
                    Ok((Part { checksums, ..Part::new(number, result.etag) }, None))
                }
                _ => Err(target_response::reject_incomplete_response()),
            };
        }
        let bytes = range.1.saturating_sub(range.0).saturating_add(1);
        let put = relay::build_part_request(&self.request, upload_id, number, bytes);
        let read_request = relay::build_source_read_request(&self.request, source, Some(range))?;
        let (response, body_digests) = self.transfer_body(&read_request, bytes, &put, transfer).await?;
        let etag = response.text(ResponseField::Etag).map(|tag| tag.trim_matches('"').to_owned());
        Ok((
            Part::new(number, etag.ok_or_else(target_response::reject_incomplete_response)?),
            Some(body_digests),
        ))
    }

    /// Transfers the body of a GET response to a PUT request. The last byte is sent only after all bytes are verified.
    async fn transfer_body(
        &self,
        read_request: &Request,
        bytes: u64,
        put: &Request,
        transfer: &mut PartTransfer<'_>,
    ) -> Result<(Response, Digests), Rejection> {
        let CopyRoutes { source_route, source_target, destination_route, destination_target, .. } =
            &self.routes;
        let (out, _) = streaming::build_target_request(source_route, read_request, None, clock::now())?;
        let (read_permit, write_permit) = self
            .target_client
            .acquire_permit_pair(source_target, destination_target)
            .await
            .map_err(ExchangeError::to_rejection)?;
        let (mut download, head) = self
            .target_client
            .send_with_permit(read_permit, source_target, &out, "GetObject", source_route.caller.name)
            .await
            .map_err(ExchangeError::to_rejection)?;
        if !matches!(head.response.status, 200 | 206) {
            let body =
                download.read_whole_body(ERROR_BYTES_MAX).await.map_err(ExchangeError::to_rejection)?;
            download.release().await;
            return Err(to_source_changed(
                read_response::read_target_error(source_route, &TargetResponse { body, ..head.response })
                    .rejection,
            ));
        }
        if head.length != Some(bytes)
            || validate_response::check_response_head(source_route, read_request, &head.response).is_err()
        {
            download.abort();
            return Err(target_response::reject_incomplete_response());
        }
        let digests_to_compute =
            DigestsToCompute { crc64: true, ..streaming::choose_digests(destination_route, put) };
        let mut expected = put.clone();
        if head.response.status == 200 {
            // The digests in the head of a 200 response are those of the whole object.
            validate_response::add_expected_digests(
                &mut expected,
                source_route.target.dialect,
                &head.response,
            );
        }
        let mut verifier =
            BodyVerifier::new(destination_route.caller, Payload::Unsigned, &expected, digests_to_compute)?;
        let mut order = transfer.sequential_md5_guard.as_deref().cloned();
        let mut digests = transfer.source_parts.map(SourcePartDigests::new);
        let (out, losses) =
            streaming::build_target_request(destination_route, put, Some(bytes), clock::now())?;
        check_losses(destination_route, &losses)?;
        let mut upload =
            match self.target_client.start_upload_with_permit(write_permit, destination_target, &out).await {
                Ok(upload) => upload,
                Err(failed) => {
                    download.abort();
                    return Err(failed.to_rejection());
                }
            };
        let transferred: Result<Option<Digests>, Rejection> = async {
            while let Some(chunk) = download
                .read_body()
                .await
                .map_err(|failed| failed.record_for(source_target).to_rejection())?
            {
                METRICS.copy_bytes.inc_by(u64::try_from(chunk.len()).unwrap_or_default());
                RUNNING_COPIES.wait_for_bandwidth(&self.limits, &self.slot.progress, chunk.len()).await;
                if let Some(order) = &mut order {
                    order.update(&chunk);
                }
                if let Some(digests) = &mut digests {
                    digests.update(&chunk);
                }
                let verified_bytes = verifier.push(&chunk).map_err(|_| reject_copy_mismatch())?;
                if upload.write_body(&verified_bytes).await.is_err() {
                    return Ok(None);
                }
            }
            let (last, body_digests) = verifier.finish().map_err(|_| reject_copy_mismatch())?;
            let is_written = upload.write_body(&last).await.is_ok() && upload.finish_body().await.is_ok();
            Ok(is_written.then_some(body_digests))
        }
        .await;
        let body_digests = match transferred {
            Ok(body_digests) => body_digests,
            Err(rejection) => {
                // The destination has not received the last byte, so it discards the body.
                upload.abort();
                download.abort();
                return Err(rejection);
            }
        };
        match &body_digests {
            Some(_) => download.release().await,
            None => download.abort(),
        }
        if let Some(body_digests) = &body_digests
            && let Err(rejection) = transfer.record_transfer(body_digests, order, digests)
        {
            upload.abort();
            return Err(rejection);
        }
        let head = match upload.read_response_head().await {
            Ok(head) => head,
            Err(failed) => {
                upload.abort();
                return Err(failed.record_for(destination_target).to_rejection());
            }
        };
        let body = upload.read_whole_body(ERROR_BYTES_MAX).await;
        let response = match body {
            Ok(body) => TargetResponse { body, ..head.response },
            Err(failed) => {
                upload.abort();
                return Err(failed.record_for(destination_target).to_rejection());
            }
        };
        match (body_digests, response.status) {
            (Some(body_digests), 200..=299) => {
                upload.release().await;
                Ok((
                    streaming::build_client_response(destination_route, put, &response, Some(&body_digests))?,
                    body_digests,
                ))
            }
            (None, 200..=299) => {
                upload.abort();
                Err(ExchangeError::EarlyResponse.record_for(destination_target).to_rejection())
            }
            _ => {
                upload.abort();
                Err(streaming::build_client_rejection(destination_route, put, &response))
            }
        }
    }

    /// Runs an exchange with small bodies.
    async fn perform_exchange(
        &self,
        route: &Route<'a>,
        target: &TargetRuntime,
        request: Request,
    ) -> Result<Response, Rejection> {
        perform_exchange(self.target_client, target, route, request).await
    }
}

/// Aborts an upload that the proxy created. If both attempts fail, the upload is counted and logged, because the vendor bills
/// its parts.
pub(crate) async fn abort_upload(
    target_client: &TargetClient,
    target: &TargetRuntime,
    route: &Route<'_>,
    original_request: &Request,
    upload: &str,
) {
    let mut last_error = None;
    for _ in 0..2 {
        let request = relay::build_abort_request(original_request, upload);
        match perform_exchange(target_client, target, route, request).await {
            Ok(_) => return,
            Err(rejection) if rejection.kind == ErrorKind::NoSuchUpload => return,
            Err(rejection) => {
                last_error = Some(rejection.to_string());
                // While the circuit breaker is open, a retry would fail without being sent.
                let backoff = target.circuit_breaker.time_until_probe(Instant::now());
                sleep(backoff.clamp(Duration::from_millis(500), ABORT_BACKOFF_MAX)).await;
            }
        }
    }
    METRICS.copy_uploads_orphaned.inc();
    let target_name = route.target.name.as_str();
    let (bucket, key) = (
        route.bucket().map(access_log::escape_name),
        original_request.scope.key().map(access_log::escape_name),
    );
    tracing::error!(
        target_name = target_name,
        bucket,
        key,
        upload,
        error = last_error,
        "the multipart upload of a failed copy could not be aborted; abort it at the target, which bills its parts"
    );
}

/// Runs an exchange with small bodies, and returns the response.
///
/// # Errors
/// The rejection for the client.
pub(crate) async fn perform_exchange(
    target_client: &TargetClient,
    target: &TargetRuntime,
    route: &Route<'_>,
    request: Request,
) -> Result<Response, Rejection> {
    let name = request.operation.name();
    let exchange = Exchange::new(route.clone(), request, &[])?;
    check_losses(route, exchange.losses())?;
    drive_exchange(target_client, target, exchange, name, route.caller.name, &Mutex::new(None)).await
}

/// Counts the lost fields, and applies the loss policy to them. The fields of a copy's source are known only while it runs.
///
/// # Errors
/// The rejection, which names the field.
pub(crate) fn check_losses(route: &Route<'_>, losses: &[Loss]) -> Result<(), Rejection> {
    for loss in losses {
        let labels = [loss.name(), route.caller.name.to_owned(), route.target.name.clone()];
        METRICS.losses.with_label_values(&labels).inc();
    }
    loss::check_losses(losses, route.loss_policy, route.caller)
}

/// Counts and rejects a copy with bytes that differ from the digests of the source.
fn reject_copy_mismatch() -> Rejection {
    let rejection = relay::build_digest_rejection();
    record_copy_mismatch(&rejection);
    rejection
}

fn record_copy_mismatch(_: &Rejection) {
    METRICS.integrity_failures.with_label_values(&["copy"]).inc();
}

/// The state of a part that its attempts share.
#[derive(Default)]
struct PartTransfer<'g> {
    /// The lock of the sequential MD5, until all bytes of the part were transferred once.
    sequential_md5_guard: Option<MutexGuard<'g, SequentialMd5>>,
    /// The source's own parts, if their digests are needed.
    source_parts: Option<SourceParts>,
    digests: Option<SourcePartDigests>,
    crc64: Option<u64>,
}

impl PartTransfer<'_> {
    /// Records that all bytes of the part were transferred, and lets the next part start. The bytes of a retry must be the same.
    fn record_transfer(
        &mut self,
        body_digests: &Digests,
        order: Option<SequentialMd5>,
        digests: Option<SourcePartDigests>,
    ) -> Result<(), Rejection> {
        if self.crc64.is_some() && self.crc64 != body_digests.crc64 {
            return Err(reject_copy_mismatch());
        }
        self.crc64 = body_digests.crc64;
        if let (Some(mut sequential_md5_guard), Some(mut order)) = (self.sequential_md5_guard.take(), order) {
            order.finish_part();
            *sequential_md5_guard = order;
        }
        self.digests = digests.map(|mut digests| {
            digests.finish();
            digests
        });
        Ok(())
    }
}

/// Maps the error of a read with a failed condition: the source was replaced after its HEAD request.
fn to_source_changed(rejection: Rejection) -> Rejection {
    match rejection.kind {
        ErrorKind::PreconditionFailed => relay::build_source_changed_rejection(),
        _ => rejection,
    }
}

/// Whether a retry may succeed.
pub(crate) fn can_retry(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ServiceUnavailable
            | ErrorKind::TargetUnavailable
            | ErrorKind::TargetBusy
            | ErrorKind::SlowDown
            | ErrorKind::InternalError
            | ErrorKind::RequestTimeout
    )
}
