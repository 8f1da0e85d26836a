//! What is done for a request that is believed: may it, where does it go, and by which plan.

use blobfish_config::Caller;
use blobfish_dialects::engine::accept::Accepted;
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::staging::{check_key, concerns};
use blobfish_dialects::model::{Fault, Need, Operation, Refusal, Request};

use crate::framing::BodyLength;
use crate::job::{End, Job};
use crate::metrics::METRICS;
use crate::snapshot::{Place, Snapshot, may};
use crate::{buckets, copy, exchange, log, staging, stream};

/// Carries out a request.
///
/// # Errors
/// [`End`].
pub async fn run(job: &mut Job<'_>, accepted: Accepted, body: BodyLength) -> Result<(), End> {
    let Accepted { dialect, access_key, request, payload, unsigned } = accepted;
    let snapshot = job.snapshot;
    let Some(access_key) = access_key else { return unsigned_read(job, dialect, &request).await };
    let caller = snapshot.caller(&access_key).ok_or(Fault::InternalError)?;
    note(job, Some(caller), &request, unsigned.len());
    authorise(caller, &request)?;
    let _room = snapshot.turn(caller).ok_or(Fault::SlowDown)?;
    let _turn = job.turns.turn(&caller.name).await;
    if request.operation == Operation::ListBuckets {
        return buckets::run(job, caller, request, payload).await;
    }
    let (place, source) = routed(snapshot, &request)?;
    job.record.target = Some(place.upstream.target.name.clone());
    let source_bucket = source.as_ref().map(|source| source.bucket.clone());
    let way = place.way(dialect, Some(caller), source_bucket);
    if concerns(&way, &request) {
        let source = source.as_ref();
        let run = staging::run(job, dialect, caller, &place, source, way, request, payload, body);
        return Box::pin(run).await;
    }
    if let Some(source) = source.as_ref().filter(|source| source.index != place.index) {
        return Box::pin(copy::relayed(job, dialect, caller, source, &place, request, payload)).await;
    }
    if staging::hides(&way, request.operation) {
        return Box::pin(staging::bucket(job, place.upstream, way, request, payload)).await;
    }
    if request.operation.uploads() {
        let reply = stream::upload(job, place.upstream, way, &request, payload, body).await?;
        job.tell(reply).await
    } else if request.operation.streams() {
        stream::download(job, place.upstream, way, &request).await
    } else {
        match source.filter(|_| request.operation == Operation::CopyObject) {
            // On the heap: a copy needs more room than other requests.
            Some(source) => {
                Box::pin(copy::direct(job, dialect, caller, &source, &place, way, request, payload)).await
            }
            None => exchange::run(job, place.upstream, way, request, payload).await,
        }
    }
}

/// An object that anybody may read.
async fn unsigned_read(job: &mut Job<'_>, dialect: &'static Dialect, request: &Request) -> Result<(), End> {
    note(job, None, request, 0);
    let (place, _) = routed(job.snapshot, request)?;
    job.record.target = Some(place.upstream.target.name.clone());
    stream::download(job, place.upstream, place.way(dialect, None, None), request).await
}

/// Writes down what is asked.
pub fn note(job: &mut Job<'_>, caller: Option<&Caller>, request: &Request, unsigned: usize) {
    let record = &mut job.record;
    record.caller = caller.map(|caller| caller.name.clone());
    record.operation = Some(request.operation.name());
    record.bucket = request.bucket.as_deref().map(log::name);
    record.key = request.key.as_deref().map(log::name);
    record.source =
        request.source.as_ref().map(|source| log::name(&format!("{}/{}", source.bucket, source.key)));
    record.unsigned = unsigned;
    if let (Ok(count @ 1..), dialect) = (u64::try_from(unsigned), record.dialect) {
        METRICS.unsigned_fields.with_label_values(&[dialect]).inc_by(count);
    }
}

/// Every bucket that the request touches is checked before anything is looked up or sent, so that the answer
/// says nothing of what exists (security, I3 and A5).
///
/// # Errors
/// `AccessDenied`.
pub fn authorise(caller: &Caller, request: &Request) -> Result<(), Refusal> {
    let need = request.operation.need();
    let destination = request.bucket.as_deref().is_none_or(|bucket| may(caller, bucket, need));
    let source = request.source.as_ref().is_none_or(|source| may(caller, &source.bucket, Need::Read));
    if destination && source { Ok(()) } else { Err(Fault::AccessDenied.into()) }
}

/// Where the request goes, and where its copy source is.
fn routed<'s>(snapshot: &'s Snapshot, request: &Request) -> Result<(Place<'s>, Option<Place<'s>>), Refusal> {
    let bucket = request.bucket.as_deref().ok_or(Fault::InvalidRequest)?;
    let place = snapshot.place(bucket).ok_or(Fault::NoSuchBucket)?;
    check_key(&place.upstream.target, request.key.as_deref().unwrap_or_default())?;
    let Some(source) = &request.source else { return Ok((place, None)) };
    let from = snapshot.place(&source.bucket).ok_or(Fault::NoSuchBucket)?;
    check_key(&from.upstream.target, &source.key)?;
    Ok((place, Some(from)))
}
