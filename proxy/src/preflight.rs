//! What browsers ask before a request from another origin. Nobody signs it; the rules of the bucket answer it, and
//! nothing else of the bucket is told.

use blobfish_dialects::engine::accept::unsigned_dialect;
use blobfish_dialects::engine::cors::Preflight;
use blobfish_dialects::model::{Document, Fault, Operation, RawHead, Request, Setting};

use crate::exchange;
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
    let request = Request { bucket: Some(bucket), ..Request::new(Operation::Get(Setting::Cors)) };
    let reply = exchange::driven(job, place.upstream, place.way(dialect, None, None), request, &[]).await;
    let rules = match reply {
        Ok(reply) => reply.document,
        Err(End::Refused(refusal)) if refusal.fault != Fault::ServiceUnavailable => {
            return Err(Fault::CorsDenied.into());
        }
        Err(end) => return Err(end),
    };
    match rules {
        Some(Document::Setting(Setting::Cors, rules)) => job.tell(asked.answer(&rules)?).await,
        _ => Err(Fault::CorsDenied.into()),
    }
}
