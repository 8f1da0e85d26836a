//! Uploads in parts whose parts are smaller than their target takes: kept there as objects until the upload is completed,
//! then read back and uploaded as larger parts. Nothing of an upload is known here between two of its requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blobfish_config::{Caller, CopyLimits};
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums, Wants};
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::exchange::{Answer, Exchange};
use blobfish_dialects::engine::staging::{self, Folder, Kept, Made, Named, Piece};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::engine::{answer, bodies, crc64, etag, relay, sound, stream as heads};
use blobfish_dialects::model::{
    Document, Fault, Field, Operation, Part, PartList, Refusal, Reply, Request, Sum, Told, Unwanted, Value,
};
use futures_util::stream::{self as streams, StreamExt as _, TryStreamExt as _};
use tokio::time::{sleep, timeout};

use crate::copies::{COPIES, Slot};
use crate::failed::Failed;
use crate::framing::BodyLength;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::relay::{Ends, PART_TRIES, PARTS_TIME_MAX, Relay, exchanged, passes};
use crate::snapshot::{Place, Upstream};
use crate::upstream::{FAILURE_BYTES_MAX, Upstreams};
use crate::{clock, copy, exchange, patience, stream};

/// Lines of one page, of parts and of objects.
const PAGE: u64 = 1000;

/// Pages that are read of one upload, or deleted of one folder: no vendor takes more than 10,000 parts, and where a bucket
/// keeps versions each may be there several times.
const PAGES_MAX: usize = 64;

/// The plan's name, as metrics and the list of copies have it.
const PLAN: &str = "combine";

/// Whether a bucket's listing, or its deletion, may meet parts that are kept.
pub fn hides(way: &Way<'_>, operation: Operation) -> bool {
    (operation.lists() || operation == Operation::DeleteBucket) && staging::reserved(way.target).is_some()
}

/// Lists or deletes a bucket in which parts may be kept.
///
/// # Errors
/// [`End`].
pub async fn bucket(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    match request.operation {
        Operation::DeleteBucket => Box::pin(delete_bucket(job, upstream, way, request, payload)).await,
        _ => Box::pin(list(job, upstream, way, request, payload)).await,
    }
}

/// A page without what is kept.
///
/// # Errors
/// [`End`].
async fn list(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let body = exchange::whole_body(job, &request, payload).await?;
    let mut reply = exchange::driven(job, upstream, way.clone(), request.clone(), &body).await?;
    let mut next = reply.document.as_mut().and_then(|document| staging::hide(&way, &request, document));
    // Once goes behind what is kept; what else has such a key was there before.
    for _ in 0..4 {
        let Some(request) = next.take() else { break };
        let more = exchange::driven(job, upstream, way.clone(), request.clone(), &[]).await?;
        let (Some(document), Some(mut more)) = (&mut reply.document, more.document) else { break };
        next = staging::hide(&way, &request, &mut more);
        staging::continued(document, more);
    }
    job.tell(reply).await
}

/// Deletes a bucket. One in which only kept parts are is empty to its caller, whose uploads end with it.
///
/// # Errors
/// [`End`].
async fn delete_bucket(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let body = exchange::whole_body(job, &request, payload).await?;
    let reply = match exchange::driven(job, upstream, way.clone(), request.clone(), &body).await {
        Err(End::Refused(refusal)) if refusal.fault == Fault::BucketNotEmpty => {
            let own = staging::own(&way);
            let prefix = way.target.staging.prefix.clone();
            let has_uploads = way.caller.uploads_fill_bucket
                && has_uploads(job.upstreams, upstream, &staging::own_upload(&way)).await?;
            if has_uploads || !has_only(job.upstreams, upstream, &own, &prefix).await? {
                return Err(refusal.into());
            }
            delete_below(job.upstreams, upstream, &own, &prefix).await?;
            exchange::driven(job, upstream, way, request, &body).await?
        }
        other => other?,
    };
    job.tell(reply).await
}

/// Whether uploads are open in a bucket, which some vendors do not delete then.
async fn has_uploads(upstreams: &Upstreams, upstream: &Upstream, own: &Way<'_>) -> Result<bool, Refusal> {
    let request = Request::new(Operation::ListMultipartUploads);
    match exchanged(upstreams, upstream, own, request).await?.document {
        Some(Document::Uploads(page)) => Ok(!page.uploads.is_empty()),
        _ => Err(answer::unproven()),
    }
}

/// Whether every key of a bucket, of all versions, begins so.
async fn has_only(
    upstreams: &Upstreams,
    upstream: &Upstream,
    own: &Way<'_>,
    prefix: &str,
) -> Result<bool, Refusal> {
    let mut request = staging::listed("", PAGE);
    if own.target.dialect.route(Operation::ListObjectVersions).is_some() {
        request.operation = Operation::ListObjectVersions;
    }
    match exchanged(upstreams, upstream, own, request).await?.document {
        Some(Document::Objects(page)) => {
            Ok(!page.objects.is_empty() && page.objects.iter().all(|row| row.key.starts_with(prefix)))
        }
        Some(Document::Versions(page)) => {
            let all = page.versions.iter().all(|row| row.object.key.starts_with(prefix));
            Ok(!page.versions.is_empty() && all)
        }
        _ => Err(answer::unproven()),
    }
}

/// Carries out a request about an upload in parts, where some of these may be kept.
///
/// # Errors
/// [`End`].
#[allow(clippy::too_many_arguments, reason = "each of them is one end of the request")]
pub async fn run(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    place: &Place<'_>,
    source: Option<&Place<'_>>,
    way: Way<'_>,
    request: Request,
    payload: Payload,
    body: BodyLength,
) -> Result<(), End> {
    let parts = Parts::new(job, place.upstream, &way, &request);
    match (request.operation, source) {
        (Operation::UploadPart, _) => Box::pin(part(job, &parts, &request, payload, body)).await,
        (Operation::UploadPartCopy, Some(source)) => {
            Box::pin(part_copy(job, dialect, caller, place, source, &parts, request, payload)).await
        }
        (Operation::ListParts, _) => Box::pin(list_parts(job, &parts, request, payload)).await,
        (Operation::CompleteMultipartUpload, _) => {
            Box::pin(complete(job, caller, &parts, request, payload)).await
        }
        (Operation::AbortMultipartUpload, _) => Box::pin(abort(job, &parts, request, payload)).await,
        _ => Box::pin(exchange::run(job, place.upstream, way, request, payload)).await,
    }
}

/// The parts of one upload.
struct Parts<'a> {
    upstreams: &'a Upstreams,
    upstream: &'a Upstream,
    /// The caller's way.
    way: Way<'a>,
    /// Ours to where parts are kept, and to the upload.
    kept_at: Way<'a>,
    upload_at: Way<'a>,
    folder: Folder,
    limits: CopyLimits,
}

impl<'a> Parts<'a> {
    fn new(job: &Job<'a>, upstream: &'a Upstream, way: &Way<'a>, request: &Request) -> Self {
        Self {
            upstreams: job.upstreams,
            upstream,
            way: way.clone(),
            kept_at: staging::own(way),
            upload_at: staging::own_upload(way),
            folder: Folder::of(way, request),
            limits: job.snapshot.config.limits.copies.clone(),
        }
    }

    fn least(&self) -> u64 {
        self.way.target.dialect.limits.part_bytes_min
    }

    fn combines(&self) -> bool {
        self.way.target.staging.combines
    }

    async fn exchanged(&self, way: &Way<'a>, request: Request) -> Result<Reply, Refusal> {
        Box::pin(exchanged(self.upstreams, self.upstream, way, request)).await
    }

    /// What is kept behind a number, and whether there is more.
    async fn kept(&self, behind: u64, count_max: u64) -> Result<(Vec<Kept>, bool), Refusal> {
        let request = self.folder.list(behind, count_max);
        match self.exchanged(&self.kept_at, request).await?.document {
            Some(Document::Objects(page)) => Ok((self.folder.read(&page), page.truncated)),
            _ => Err(answer::unproven()),
        }
    }

    async fn all_kept(&self) -> Result<Vec<Kept>, Refusal> {
        let mut all: Vec<Kept> = Vec::new();
        for _ in 0..PAGES_MAX {
            let behind = all.last().map_or(0, |row| row.part.number);
            let (kept, more) = self.kept(behind, PAGE).await?;
            let is_end = !more || kept.is_empty();
            all.extend(kept);
            if is_end {
                return Ok(all);
            }
        }
        Err(answer::unproven())
    }

    /// The upload's own parts behind a number: also the question whether it is open.
    async fn there(&self, behind: u64, count_max: u64) -> Result<PartList, Refusal> {
        let request = self.folder.list_parts(behind, count_max);
        match self.exchanged(&self.upload_at, request).await?.document {
            Some(Document::Parts(list)) => Ok(list),
            _ => Err(answer::unproven()),
        }
    }

    async fn all_there(
        &self,
    ) -> Result<Vec<(Part, Option<blobfish_dialects::model::Timestamp>, u64)>, Refusal> {
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let list = self.there(all.last().map_or(0, last_number), PAGE).await?;
            let is_end = !list.truncated || list.parts.is_empty();
            all.extend(list.parts);
            if is_end {
                return Ok(all);
            }
        }
        Err(answer::unproven())
    }

    /// Whether a large part may go to the target's upload.
    async fn is_safe(&self, number: u64) -> Result<bool, Refusal> {
        let (kept, _) = self.kept(number.saturating_sub(2), 2).await?;
        let bytes_of = |number| kept.iter().find(|row| row.part.number == number).map(|row| row.bytes);
        if bytes_of(number).is_some() {
            return Ok(false); // It replaces one that is kept.
        }
        let below = number.saturating_sub(1);
        let mut before = bytes_of(below);
        if before.is_none() && below > 0 {
            let list = self.there(below.saturating_sub(1), 1).await?;
            before = list.parts.first().filter(|row| row.0.number == below).map(|row| row.2);
        }
        Ok(staging::is_safe(self.least(), number, before))
    }

    /// Refuses a small part that shows itself, or another before it, not to be the last. Where parts are refused.
    async fn check_small(&self, number: u64) -> Result<(), Refusal> {
        let list = self.there(0, PAGE).await?;
        let small = list.parts.iter().find(|row| row.0.number < number && row.2 < self.least());
        let follows = list.parts.iter().any(|row| row.0.number > number);
        match small {
            Some(row) => Err(staging::refused(&self.way, row.0.number)),
            None if follows => Err(staging::refused(&self.way, number)),
            None => Ok(()),
        }
    }

    /// The upload was open when a part was kept for it. If it is no more, nothing may stay: whoever ended it has looked for
    /// kept parts before this one came, or will find it.
    async fn check_open(&self) -> Result<(), Refusal> {
        match self.there(0, 1).await {
            Err(refusal) if refusal.fault == Fault::NoSuchUpload => {
                self.forget().await;
                Err(refusal)
            }
            other => other.map(drop),
        }
    }

    /// Deletes what is kept. What cannot be deleted now is found by the sweep.
    async fn forget(&self) {
        let deleted = delete_below(self.upstreams, self.upstream, &self.kept_at, &self.folder.prefix).await;
        if let Err(refusal) = deleted {
            let target = self.way.target.name.as_str();
            tracing::warn!(target_name = target, "kept parts could not be deleted: {refusal}");
        }
    }
}

fn last_number(row: &(Part, Option<blobfish_dialects::model::Timestamp>, u64)) -> u64 {
    row.0.number
}

/// Deletes all below a prefix, versions too.
///
/// # Errors
/// What the target says; what it does not delete stays.
pub async fn delete_below(
    upstreams: &Upstreams,
    upstream: &Upstream,
    way: &Way<'_>,
    prefix: &str,
) -> Result<u64, Refusal> {
    let mut count: u64 = 0;
    let mut has_versions = false;
    for _ in 0..PAGES_MAX {
        let page = exchanged(upstreams, upstream, way, staging::listed(prefix, PAGE)).await?;
        let Some(Document::Objects(page)) = page.document else { return Err(answer::unproven()) };
        if page.objects.is_empty() {
            break;
        }
        let unwanted =
            page.objects.into_iter().map(|row| Unwanted { key: row.key, version: None, etag: None });
        let reply = exchanged(upstreams, upstream, way, staging::delete(unwanted.collect())).await?;
        let Some(Document::Deleted { lines, .. }) = reply.document else { return Err(answer::unproven()) };
        let deleted = lines.iter().filter(|line| line.failed.is_none()).count();
        has_versions |= lines.iter().any(|line| line.is_marker || line.delete_marker.is_some());
        count = count.saturating_add(u64::try_from(deleted).unwrap_or_default());
        if deleted == 0 || !page.truncated {
            break;
        }
    }
    for _ in 0..if has_versions { PAGES_MAX } else { 0 } {
        let page = exchanged(upstreams, upstream, way, staging::versions(prefix)).await?;
        let Some(Document::Versions(page)) = page.document else { return Err(answer::unproven()) };
        if page.versions.is_empty() {
            break;
        }
        let unwanted = page.versions.into_iter();
        let unwanted =
            unwanted.map(|row| Unwanted { key: row.object.key, version: Some(row.id), etag: None }).collect();
        let reply = exchanged(upstreams, upstream, way, staging::delete(unwanted)).await?;
        let Some(Document::Deleted { lines, .. }) = reply.document else { return Err(answer::unproven()) };
        if lines.iter().all(|line| line.failed.is_some()) {
            break;
        }
    }
    Ok(count)
}

fn number_of(request: &Request) -> Result<u64, Refusal> {
    let number = request.fields.number(Field::PartNumber).filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| {
        Refusal::say(Fault::InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
            .with("ArgumentName", "partNumber")
    })
}

/// A part whose bytes come from the caller.
async fn part(
    job: &mut Job<'_>,
    parts: &Parts<'_>,
    request: &Request,
    payload: Payload,
    body: BodyLength,
) -> Result<(), End> {
    if body == BodyLength::Absent {
        return Err(Fault::MissingContentLength.into());
    }
    let number = number_of(request)?;
    let (way, upstream) = (&parts.way, parts.upstream);
    let gate = Gate::new(way.caller, payload, request, heads::wants(way, request))?;
    let (told, body) = stream::received(job, way, request, gate).await?;
    let bytes = body.length();
    let is_small = bytes.is_some_and(|bytes| bytes < parts.least());
    if !parts.combines() && is_small {
        parts.check_small(number).await?;
    }
    // Without a length it is not small: a target that takes such bodies is no stricter than this caller's vendor.
    let direct = !parts.combines() || (!is_small && parts.is_safe(number).await?);
    if direct {
        let reply = stream::send(job, upstream, way, &told, body).await?;
        return job.tell(reply).await;
    }
    let put = parts.folder.put(request, number);
    let mut reply = stream::send(job, upstream, &staging::kept_at(way), &put, body).await?;
    staging::told(&mut reply);
    if reply.status < 300 {
        METRICS.small_parts.with_label_values(&[way.target.name.as_str()]).inc();
        parts.check_open().await?;
        sealed(way, request, &mut reply, bytes.unwrap_or_default());
    }
    job.tell(reply).await
}

/// Hands the CRC-64 of a kept part to the caller as that of any part: behind its ETag.
fn sealed(way: &Way<'_>, request: &Request, reply: &mut Reply, bytes: u64) {
    let crc64 = reply.text(Told::Crc64Ecma).and_then(|crc64| crc64.parse().ok());
    crc64::seal_part(way, request, reply, &Sums { bytes, crc64, md5: None, checks: Vec::new() });
}

/// A part that is copied: a large one as if nothing were kept, unless something is that stands before it.
#[allow(clippy::too_many_arguments, reason = "each of them is one end of the copy")]
async fn part_copy(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    place: &Place<'_>,
    source_at: &Place<'_>,
    parts: &Parts<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let number = number_of(&request)?;
    exchange::whole_body(job, &request, payload).await?;
    let mut from = source_at.way(dialect, Some(caller), None);
    from.bucket.clone_from(&source_at.bucket);
    let to = staging::kept_at(&parts.way);
    let ends = Ends { from, from_upstream: source_at.upstream, to, to_upstream: place.upstream, same: false };
    let slot = slot(parts, caller, &job.record.id)?;
    let (relay, losses) = Relay::new(job.upstreams, ends, request.clone(), parts.limits.clone(), slot)?;
    job.judge(&losses, &parts.way)?;
    let source = relay.looked_at().await?;
    let range = relay::range(&request, dialect.copy.strict_range, source.size)?;
    let bytes = if source.size == 0 { 0 } else { range.1.saturating_sub(range.0).saturating_add(1) };
    let is_small = bytes < parts.least();
    if !parts.combines() && is_small {
        parts.check_small(number).await?;
    }
    let keeps = parts.combines()
        && (is_small || {
            // Sizes are mixed, or it replaces one. What is to be copied in parts of one size the target copies at once.
            let (kept, _) = parts.kept(0, 1).await?;
            kept.first().is_some_and(|row| row.part.number <= number)
        });
    if !keeps {
        drop(relay);
        if source_at.index != place.index {
            let run = copy::relayed(job, dialect, caller, source_at, place, request, Payload::Unsigned);
            return Box::pin(run).await;
        }
        let way = place.way(dialect, Some(caller), Some(source_at.bucket.clone()));
        return exchange::run(job, place.upstream, way, request, Payload::Unsigned).await;
    }
    let bare = relay::without_copy_fields(Request { operation: Operation::UploadPart, ..request.clone() });
    let put = Request { body_length: Some(bytes), ..parts.folder.put(&bare, number) };
    let work = async {
        let mut reply = relay.kept_part(&source, &put, range).await?;
        staging::told(&mut reply);
        METRICS.small_parts.with_label_values(&[parts.way.target.name.as_str()]).inc();
        parts.check_open().await?;
        sealed(&parts.way, &bare, &mut reply, bytes);
        Ok(relay::told(&parts.way, &request, &source, reply, clock::now()))
    };
    patience::told(job, Box::pin(work), None).await.map(drop)
}

fn slot(parts: &Parts<'_>, caller: &Caller, request: &str) -> Result<Slot, Refusal> {
    let target = parts.way.target.name.as_str();
    let slot = COPIES.begin(&parts.limits, &caller.name, request, PLAN, target, target);
    slot.ok_or_else(|| Fault::SlowDown.into())
}

/// The upload's own parts and those that are kept, by number.
async fn list_parts(
    job: &mut Job<'_>,
    parts: &Parts<'_>,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let body = exchange::whole_body(job, &request, payload).await?;
    let count_max = request.fields.number(Field::MaxParts).unwrap_or(PAGE).min(PAGE);
    let behind = request.fields.number(Field::PartNumberMarker).unwrap_or_default();
    let mut reply = exchange::driven(job, parts.upstream, parts.way.clone(), request, &body).await?;
    if let Some(Document::Parts(list)) = &mut reply.document {
        let (kept, more) = parts.kept(behind, count_max).await?;
        staging::merge(list, count_max, kept, more);
    }
    job.tell(reply).await
}

/// What is kept goes with the upload, also where that is gone already.
async fn abort(job: &mut Job<'_>, parts: &Parts<'_>, request: Request, payload: Payload) -> Result<(), End> {
    let body = exchange::whole_body(job, &request, payload).await?;
    let outcome = exchange::driven(job, parts.upstream, parts.way.clone(), request, &body).await;
    match &outcome {
        Ok(_) => parts.forget().await,
        Err(End::Refused(refusal)) if refusal.fault == Fault::NoSuchUpload => parts.forget().await,
        Err(_) => {}
    }
    job.tell(outcome?).await
}

/// Combines what is kept, completes the upload, and forgets what was kept.
async fn complete(
    job: &mut Job<'_>,
    caller: &Caller,
    parts: &Parts<'_>,
    mut request: Request,
    payload: Payload,
) -> Result<(), End> {
    let body = exchange::whole_body(job, &request, payload).await?;
    bodies::read(&parts.way, &mut request, &body)?;
    let exchange = Exchange::new(parts.way.clone(), request.clone(), &[])?;
    job.judge(exchange.losses(), &parts.way)?;
    drop(exchange);
    let id = job.record.id.clone();
    let asked = request.clone();
    let combine = async {
        let kept = parts.all_kept().await?;
        if kept.is_empty() {
            let completed = parts.exchanged(&parts.way, request).await;
            return completed.map_err(|refusal| small_refused(parts, refusal));
        }
        let work = Combining { parts, slot: Arc::new(slot(parts, caller, &id)?) };
        let done = tokio::select! {
            biased;
            done = timeout(PARTS_TIME_MAX, Box::pin(work.completed(request, &kept))) => {
                done.unwrap_or_else(|_| Err(Refusal::say(Fault::InternalError, "Combining the parts took too long.")))
            }
            () = work.slot.progress.is_abandoned() => {
                Err(Refusal::say(Fault::ServiceUnavailable, "The service ends; the upload can be completed again."))
            }
        };
        let label = if done.is_ok() { "ok" } else { "failed" };
        METRICS.copies.with_label_values(&[PLAN, label]).inc();
        done
    };
    let work = async {
        let mut reply = combine.await?;
        exchange::tell_crc64(parts.upstreams, parts.upstream, &parts.way, &asked, &mut reply).await;
        Ok(reply)
    };
    patience::told(job, Box::pin(work), None).await.map(drop)
}

/// Where small parts are refused, a target's complaint about them names what to set.
fn small_refused(parts: &Parts<'_>, refusal: Refusal) -> Refusal {
    match refusal.fault {
        Fault::EntityTooSmall => {
            let number = refusal.details.iter().find(|row| row.0 == "PartNumber");
            staging::refused(&parts.way, number.and_then(|row| row.1.parse().ok()).unwrap_or(1))
        }
        _ => refusal,
    }
}

/// A completing call under way.
struct Combining<'p, 'a> {
    parts: &'p Parts<'a>,
    slot: Arc<Slot>,
}

impl Combining<'_, '_> {
    async fn completed(&self, request: Request, kept: &[Kept]) -> Result<Reply, Refusal> {
        let parts = self.parts;
        let is_kept = |part: &Part| kept.binary_search_by(|row| row.part.number.cmp(&part.number)).is_ok();
        let all_kept = request.parts.iter().all(is_kept);
        let there = if all_kept { parts.there(0, 1).await?.parts } else { parts.all_there().await? };
        let named = staging::named(parts.way.caller, &request.parts, kept, &there)?;
        let at_once = parts.limits.parts_at_once;
        let plan = staging::plan(&named, parts.least(), u64::try_from(at_once).unwrap_or(1))?;
        let bytes = named.iter().map(|part| match part {
            Named::Kept(kept) => kept.bytes,
            Named::There(_) => 0,
        });
        self.slot.progress.size.store(bytes.sum(), Ordering::Relaxed);
        let made = streams::iter(plan).map(|made| Box::pin(self.tried(made))).buffered(at_once);
        let made: Vec<Part> = made.try_collect().await?;
        let combined = crc64::joined(made.iter().map(|part| part.sum));
        let whole = crc64::joined(request.parts.iter().map(|part| part.sum));
        if combined.is_some() && whole.is_some() && combined != whole {
            return Err(differs());
        }
        let whole = whole.or(combined).map(|sum| sum.crc64);
        let mut reply = parts.exchanged(&parts.way, Request { parts: made, ..request }).await?;
        parts.forget().await;
        relay::made(&mut reply, whole)?;
        Ok(reply)
    }

    /// One part of what is completed, tried again where that is safe: a part that is there twice is there once.
    async fn tried(&self, made: Made) -> Result<Part, Refusal> {
        let mut tries = 1;
        loop {
            match Box::pin(self.made(&made)).await {
                Err(refusal) if tries < PART_TRIES && passes(refusal.fault) => {
                    METRICS.copy_retries.inc();
                    let jitter = u64::try_from(clock::random() % 200).unwrap_or_default();
                    sleep(Duration::from_millis(200_u64.saturating_mul(1 << tries).saturating_add(jitter)))
                        .await;
                    tries = tries.saturating_add(1);
                }
                other => return other,
            }
        }
    }

    async fn made(&self, made: &Made) -> Result<Part, Refusal> {
        match made {
            Made::There(part) => Ok(part.clone()),
            Made::Joined(number, pieces) => self.joined(*number, pieces).await,
            Made::Copied(number, piece) => {
                let parts = self.parts;
                let request = parts.folder.copy(&parts.upload_at, *number, piece);
                match parts.exchanged(&parts.upload_at, request).await {
                    Ok(reply) => match reply.document {
                        Some(Document::CopyPart(result)) => {
                            self.slot.progress.done.fetch_add(piece.bytes, Ordering::Relaxed);
                            Ok(Part::new(*number, result.etag))
                        }
                        _ => Err(answer::unproven()),
                    },
                    Err(refusal) if refusal.fault == Fault::NotImplemented => {
                        self.joined(*number, std::slice::from_ref(piece)).await
                    }
                    Err(refusal) => Err(changed(refusal)),
                }
            }
        }
    }

    /// Reads pieces one after another, and writes them as one part. The last byte goes only when all of them were right.
    async fn joined(&self, number: u64, pieces: &[Piece]) -> Result<Part, Refusal> {
        let Parts { upstreams, upstream, upload_at, folder, .. } = self.parts;
        let bytes = pieces.iter().map(|piece| piece.bytes).sum();
        let mut put = folder.list_parts(0, 1);
        put.operation = Operation::UploadPart;
        put.fields.remove(Field::MaxParts);
        put.fields.set(Field::PartNumber, Value::Number(number));
        put.body_length = Some(bytes);
        let wants = Wants { crc64: true, md5: true, ..Wants::default() };
        let mut gate = Gate::new(upload_at.caller, Payload::Unsigned, &put, wants)?;
        let (read_seat, write_seat) = upstreams.seats(upstream, upstream).await.map_err(Failed::refusal)?;
        let mut writing = None;
        let passed: Result<bool, Refusal> = Box::pin(async {
            for piece in pieces {
                let get = folder.get(piece);
                let (out, _) = heads::outgoing(&self.parts.kept_at, &get, None, clock::now())?;
                let asked = upstreams.ask_seated(
                    read_seat.clone(),
                    upstream,
                    &out,
                    "GetObject",
                    self.parts.way.caller.name,
                );
                let (mut reading, head) = asked.await.map_err(Failed::refusal)?;
                if !matches!(head.answer.status, 200 | 206) {
                    let body = reading.whole_body(FAILURE_BYTES_MAX).await.map_err(Failed::refusal)?;
                    reading.release().await;
                    let refused = answer::failure(&self.parts.kept_at, &Answer { body, ..head.answer });
                    return Err(changed(refused.refusal));
                }
                let kept_at = &self.parts.kept_at;
                if head.length != Some(piece.bytes) || sound::check_head(kept_at, &get, &head.answer).is_err()
                {
                    reading.abort().await;
                    return Err(answer::unproven());
                }
                let writing = match &mut writing {
                    Some(writing) => writing,
                    None => {
                        let (out, _) = heads::outgoing(upload_at, &put, Some(bytes), clock::now())?;
                        let begun = upstreams.upload_seated(write_seat.clone(), upstream, &out).await;
                        writing.insert(begun.map_err(Failed::refusal)?)
                    }
                };
                let mut expected =
                    Request { body_length: Some(piece.bytes), ..Request::new(Operation::UploadPart) };
                if head.answer.status == 200 {
                    // It is the whole object that this head speaks of.
                    sound::expect(&mut expected, kept_at.target.dialect, &head.answer);
                }
                let wants = Wants { md5: true, ..Wants::default() };
                let mut own = Gate::new(upload_at.caller, Payload::Unsigned, &expected, wants)?;
                loop {
                    let read = reading.body().await.map_err(|failed| failed.at(upstream).refusal())?;
                    let Some(read) = read else { break };
                    COPIES.pace(&self.parts.limits, &self.slot.progress, read.len()).await;
                    METRICS.copy_bytes.inc_by(u64::try_from(read.len()).unwrap_or_default());
                    let proven = own.push(&read).and_then(|proven| gate.push(&proven));
                    if writing.write(&proven.map_err(|_| differs())?).await.is_err() {
                        reading.abort().await;
                        return Ok(false);
                    }
                }
                let (last, sums) = own.finish().map_err(|_| differs())?;
                let is_plain = piece.is_whole() && is_md5(&self.parts.kept_at, &head.answer, &piece.etag);
                if is_plain && sums.md5.as_deref().is_some_and(|md5| !etag::same(md5, &piece.etag)) {
                    reading.abort().await;
                    return Err(differs());
                }
                let proven = gate.push(&last).map_err(|_| differs())?;
                reading.release().await;
                if writing.write(&proven).await.is_err() {
                    return Ok(false);
                }
                self.slot.progress.done.fetch_add(piece.bytes, Ordering::Relaxed);
            }
            Ok(true)
        })
        .await;
        let Some(mut writing) = writing else {
            passed?;
            return Err(answer::unproven());
        };
        let written = match passed {
            Ok(written) => written,
            Err(refusal) => {
                // The target never has the whole of what is not right.
                writing.abort().await;
                return Err(refusal);
            }
        };
        let (last, sums) = match gate.finish() {
            Ok(proven) => proven,
            Err(_) => {
                writing.abort().await;
                return Err(differs());
            }
        };
        let written = written && writing.write(&last).await.is_ok() && writing.finish().await.is_ok();
        let answered = match writing.head().await {
            Ok(head) => {
                writing.whole_body(FAILURE_BYTES_MAX).await.map(|body| Answer { body, ..head.answer })
            }
            Err(failed) => Err(failed),
        };
        let told = match answered {
            Ok(told) => told,
            Err(failed) => {
                writing.abort().await;
                return Err(failed.at(upstream).refusal());
            }
        };
        if !matches!(told.status, 200..=299) {
            writing.abort().await;
            return Err(heads::refusal(upload_at, &put, &told));
        }
        if !written {
            writing.abort().await;
            return Err(Failed::Early.at(upstream).refusal());
        }
        writing.release().await;
        let reply = heads::reply(upload_at, &put, &told, Some(&sums))?;
        let tag = reply.text(Told::Etag).map(etag::bare).ok_or_else(answer::unproven)?;
        let is_plain = is_md5(upload_at, &told, tag);
        if is_plain && sums.md5.as_deref().is_some_and(|md5| !etag::same(md5, tag)) {
            return Err(differs());
        }
        let sum = sums.crc64.map(|crc64| Sum { crc64, bytes: sums.bytes });
        Ok(Part { sum, ..Part::new(number, tag.to_owned()) })
    }
}

/// Whether an ETag is the MD5 of its bytes, as far as the target's answer lets one know.
fn is_md5(way: &Way<'_>, answer: &Answer, tag: &str) -> bool {
    let target = way.target.dialect;
    let sealed = [Told::EncryptionKeyId, Told::CustomerAlgorithm]
        .into_iter()
        .any(|field| (target.told)(field).is_some_and(|name| answer.header(name).is_some()));
    let plain = tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    target.etag_is_md5 && plain && !sealed
}

fn differs() -> Refusal {
    METRICS.integrity_failures.with_label_values(&["part"]).inc();
    Refusal::say(Fault::InternalError, "A part that was kept is not what came.")
}

/// A part that was replaced, or deleted, while its upload is completed.
fn changed(refusal: Refusal) -> Refusal {
    match refusal.fault {
        Fault::PreconditionFailed | Fault::NoSuchKey | Fault::InvalidRange => {
            Refusal::say(Fault::InvalidPart, "A part was replaced while its upload was completed.")
        }
        _ => refusal,
    }
}
