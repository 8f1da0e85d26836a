//! What is not translated, for callers who may do everything: such a request may name other buckets in places that
//! nobody reads here, so that a grant for one bucket is not enough.

use blobfish_config::Caller;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::carry;
use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::model::{Fault, Request};

use crate::job::{End, Job};
use crate::{clock, exchange, stream};

/// Carries out a request.
///
/// # Errors
/// [`End`].
pub async fn run(
    job: &mut Job<'_>,
    dialect: &'static Dialect,
    caller: &Caller,
    request: Request,
    payload: Payload,
) -> Result<(), End> {
    let bucket = request.bucket.as_deref().filter(|_| caller.administers_all());
    let bucket = bucket.ok_or_else(|| carry::refusal(&request))?;
    let place = job.snapshot.place(bucket).ok_or(Fault::NoSuchBucket)?;
    job.record.target = Some(place.upstream.target.name.clone());
    let way = place.way(dialect, Some(caller), None);
    let body = exchange::whole_body(job, &request, payload).await?;
    let out = carry::outgoing(&way, &request, body, clock::now())?;
    stream::carried(job, place.upstream, &way, &request, &out).await
}
