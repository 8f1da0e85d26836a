//! What browsers ask before a request from another origin. Nobody signs it; the rules of the bucket answer it, and
//! nothing else of the bucket is told.

use blobfish_dialects::engine::accept::unsigned_dialect;
use blobfish_dialects::engine::cors::Preflight;
use blobfish_dialects::model::{Fault, RawHead};

use crate::job::{End, Job};
use crate::log;

/// The name in metrics and logs.
const OPERATION: &str = "Preflight";

/// Answers one.
///
/// # Errors
/// [`End`]; whatever is wrong with the bucket is told as a denial, for nobody has proven who asks.
pub async fn run(job: &mut Job<'_>, head: &RawHead) -> Result<(), End> {
    let snapshot = job.snapshot;
    let dialect = unsigned_dialect(head, &snapshot.front);
    job.listener.dialect = dialect;
    job.record.dialect = dialect.name;
    job.record.operation = Some(OPERATION);
    // It is answered whatever it says of itself; the answer has what there is to share.
    job.cross_origin = None;
    job.cors.count_preflight(job.record.client)?;
    let asked = Preflight::read(head)?;
    let bucket = snapshot
        .front
        .place(head, dialect)
        .map_err(|rejected| rejected.refusal)?
        .bucket
        .ok_or(Fault::CorsDenied)?;
    job.record.bucket = Some(log::name(&bucket));
    let place = snapshot.place(&bucket).ok_or(Fault::CorsDenied)?;
    job.record.target = Some(place.upstream.target.name.clone());
    match job.cors.of(job.upstreams, &place, dialect, job.record.client).await {
        Ok(Some(rules)) => job.tell(asked.answer(&rules)?).await,
        Ok(None) => Err(Fault::CorsDenied.into()),
        Err(refusal) if refusal.fault == Fault::InternalError => Err(Fault::CorsDenied.into()),
        Err(refusal) => Err(refusal.into()),
    }
}
