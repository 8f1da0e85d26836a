//! Uploads by a form of a web page: the fields are read, believed, and the file streamed like any upload.

use blobfish_dialects::engine::accept::unsigned_dialect;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::form::{self, AHEAD_BYTES, FormReader, Progress};
use blobfish_dialects::model::{Fault, RawHead};

use crate::behalf::{self, Behalf};
use crate::framing::BodyLength;
use crate::job::{End, Job};
use crate::{plan, stream};

/// The name in metrics and logs.
const OPERATION: &str = "PostObject";

/// The content type of a form, where a request is one: its fields are all that it says.
pub fn content_type(head: &RawHead) -> Option<&str> {
    let unsigned = head.header("authorization").is_none() && head.raw_query().next().is_none();
    let kind = head.text("content-type").filter(|_| head.method == "POST" && unsigned)?;
    let form = kind.get(..19).is_some_and(|start| start.eq_ignore_ascii_case("multipart/form-data"));
    form.then_some(kind)
}

/// Carries out an upload by a form.
///
/// # Errors
/// [`End`].
pub async fn run(job: &mut Job<'_>, head: &RawHead, kind: &str, body: BodyLength) -> Result<(), End> {
    let snapshot = job.snapshot;
    let dialect = unsigned_dialect(head, &snapshot.front);
    job.listener.dialect = dialect;
    job.record.dialect = dialect.name;
    job.record.operation = Some(OPERATION);
    let place = snapshot.front.place(head, dialect).map_err(|rejected| rejected.refusal)?;
    if place.key.is_some() {
        return Err(Fault::MethodNotAllowed.into());
    }
    let length = match body {
        BodyLength::Absent => return Err(Fault::MissingContentLength.into()),
        BodyLength::Bytes(length) => Some(length),
        BodyLength::Chunked => None,
    };
    job.caller.invite_body().await?;
    let mut reader = FormReader::new(kind)?;
    let mut progress = Progress::Fields;
    while progress == Progress::Fields {
        let wire = job.caller.body().await?.ok_or(Fault::MalformedForm)?;
        progress = reader.push(&wire)?;
    }
    let posted = form::accept(dialect, reader.form(), &place, snapshot, job.listener.now)?;
    let caller = snapshot.caller(&posted.access_key).ok_or(Fault::InternalError)?;
    plan::note(job, Some(caller), &posted.request, 0);
    plan::authorise(caller, &posted.request)?;
    let _turn = snapshot.turn(caller).ok_or(Fault::SlowDown)?;
    let bucket = posted.request.bucket.clone().unwrap_or_default();
    let at = snapshot.place(&bucket).ok_or(Fault::NoSuchBucket)?;
    job.record.target = Some(at.upstream.target.name.clone());
    // A little of the file, now that it is somebody's: many forms end within it, and are known whole.
    let mut ended = false;
    while !ended && reader.held() < AHEAD_BYTES {
        match job.caller.body().await? {
            Some(wire) => {
                reader.push(&wire)?;
            }
            None => ended = true,
        }
    }
    let file = reader.file(length, ended, posted.bounds)?;
    let payload = Payload::Chunked(Box::new(file));
    let way = at.way(dialect, Some(caller), None);
    let upload = Box::pin(stream::upload(job, at.upstream, way, &posted.request, payload, body));
    let reply = behalf::within(Behalf::caller(&caller.name), upload).await?;
    if reply.status >= 300 {
        return job.tell(reply).await;
    }
    let key = posted.request.key.as_deref().unwrap_or_default();
    let location = job.location(key);
    job.tell(form::told(reply, &posted.success, &bucket, key, &location)).await
}
