//! Requests whose payload is streamed: objects down, objects and parts up, with memory for a few pieces only.

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums};
use blobfish_dialects::engine::crc64;
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::stream::{
    OnlyPart, ask_bucket, ask_position, ask_without_range, can_tell_more, failure, missing, needs_digest,
    only_part, outgoing, passed_over_part, reply, take_position, wants, with_digest, with_sums,
};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, Field, Refusal, Reply, Request, Told};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

use crate::caller::{Framing, NoBody};
use crate::clock;
use crate::exchange::{Whole, collected};
use crate::failed::Failed;
use crate::framing::{BodyLength, decimal};
use crate::job::{End, Job};
use crate::metrics::{METRICS, seconds};
use crate::snapshot::Upstream;
use crate::upstream::{AnswerHead, Conversation, FAILURE_BYTES_MAX};

/// A target that refuses to read on has sent its reason already; this long it may take to arrive.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);

/// Bytes of a body that are kept for a target that must be told more of it than the caller said: what a stream may cost.
const SMALL_BYTES_MAX: usize = 256 * 1024;

/// GET and HEAD of an object.
///
/// # Errors
/// [`End`].
pub async fn download(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: &Request,
) -> Result<(), End> {
    match only_part(&way, request) {
        Some((whole, part)) => read(job, upstream, way, &whole, Some(part)).await,
        None => read(job, upstream, way, request, None).await,
    }
}

/// A read; `part` is that of an object without parts.
async fn read(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: &Request,
    part: Option<OnlyPart>,
) -> Result<(), End> {
    let (out, losses) = outgoing(&way, request, None, clock::now())?;
    job.judge(&losses, &way)?;
    let upstreams = job.upstreams;
    let (conversation, head) = upstreams.ask(upstream, &out, job.operation(), way.caller.name).await?;
    job.note_upstream(&way, &head.answer);
    if ask_without_range(&way, request, &head.answer) {
        conversation.abort().await;
        let mut whole = request.clone();
        whole.fields.remove(Field::Range);
        return Box::pin(read(job, upstream, way, &whole, part)).await;
    }
    if let Some((whole, part)) = passed_over_part(&way, request, &head.answer) {
        conversation.abort().await;
        return Box::pin(read(job, upstream, way, &whole, Some(part))).await;
    }
    if let Some(out) = ask_bucket(&way, request, &head.answer, clock::now()) {
        conversation.release().await;
        let bucket = upstreams.exchange(upstream, &out?, job.operation(), way.caller.name).await?;
        return job.tell(missing(&way, request, &head.answer, &bucket)).await;
    }
    if !is_success(head.answer.status) {
        let reply = failed(conversation, upstream, &way, request, head).await?;
        return job.tell(reply).await;
    }
    let told = reply(&way, request, &head.answer, None).map_err(Job::count_integrity);
    let told = match told.and_then(|told| as_part(part, told)) {
        Ok(told) => told,
        Err(refusal) => {
            conversation.abort().await;
            return Err(refusal.into());
        }
    };
    if job.listener.head || head.answer.status == 304 {
        conversation.release().await;
        return job.tell(told).await;
    }
    pump(job, upstream, conversation, told, head.length).await
}

fn as_part(part: Option<OnlyPart>, told: Reply) -> Result<Reply, Refusal> {
    match part {
        Some(part) => part.told(told),
        None => Ok(told),
    }
}

fn is_success(status: u16) -> bool {
    matches!(status, 200..=299 | 304)
}

/// The reply to a failure, after its whole document was read.
async fn failed(
    mut conversation: Conversation<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    head: AnswerHead,
) -> Result<Reply, Failed> {
    let body = conversation.whole_body(FAILURE_BYTES_MAX).await.map_err(|failed| failed.at(upstream))?;
    conversation.release().await;
    Ok(failure(way, request, &Answer { body, ..head.answer }))
}

/// Hands an object's bytes on. Fewer or more than announced break the connection (T2).
async fn pump(
    job: &mut Job<'_>,
    upstream: &Upstream,
    mut conversation: Conversation<'_>,
    told: Reply,
    length: Option<u64>,
) -> Result<(), End> {
    let announced = told.text(Told::ContentLength).map(|text| decimal(text.as_bytes()));
    let framing = match (announced, length) {
        (Some(Some(announced)), Some(length)) if announced == length => Framing::Bytes(length),
        (None, Some(length)) => Framing::Bytes(length),
        (None, None) if job.chunks => Framing::Chunked,
        (None, None) => {
            conversation.abort().await;
            return Err(Refusal::say(
                Fault::NotImplemented,
                "HTTP/1.0 cannot take an answer of unknown length",
            )
            .into());
        }
        _ => {
            conversation.abort().await;
            Failed::Malformed.at(upstream);
            METRICS.integrity_failures.with_label_values(&["length"]).inc();
            return Err(Failed::Malformed.into());
        }
    };
    if let Err(end) = pumped(job, upstream, &mut conversation, told, framing).await {
        conversation.abort().await;
        return Err(end);
    }
    conversation.release().await;
    Ok(())
}

async fn pumped(
    job: &mut Job<'_>,
    upstream: &Upstream,
    conversation: &mut Conversation<'_>,
    told: Reply,
    framing: Framing,
) -> Result<(), End> {
    job.tell_head(told, framing).await?;
    loop {
        match conversation.body().await {
            Ok(Some(bytes)) => job.caller.answer_body(&bytes).await?,
            Ok(None) => break,
            Err(failed) => {
                failed.at(upstream);
                return Err(End::Cut("the target's answer was cut"));
            }
        }
    }
    Ok(job.caller.answer_end().await?)
}

/// PUT of an object or a part. Nothing is told yet.
///
/// # Errors
/// [`End`].
pub async fn upload(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: Way<'_>,
    request: &Request,
    payload: Payload,
    body: BodyLength,
) -> Result<Reply, End> {
    if body == BodyLength::Absent {
        return Err(Fault::MissingContentLength.into());
    }
    let gate = Gate::new(way.caller, payload, request, wants(&way, request))?;
    let has_length = gate.length().is_some() || way.target.dialect.chunked_uploads;
    if has_length {
        // What the target cannot be told is refused before the client is asked for its body.
        let (_, losses) = outgoing(&way, request, gate.length(), clock::now())?;
        job.judge(&losses, &way)?;
    }
    let small = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= SMALL_BYTES_MAX);
    let digested;
    let (request, body) = if needs_digest(&way, request) {
        let (bytes, sums) = small_body(job, gate, undigested()).await?;
        digested = with_sums(&way, with_digest(request.clone(), &bytes), &sums);
        (&digested, Body::Whole((bytes, sums)))
    } else if gate.length().is_some_and(small) && can_tell_more(&way, request) {
        let (bytes, sums) = small_body(job, gate, Fault::EntityTooLarge.into()).await?;
        digested = with_sums(&way, request.clone(), &sums);
        (&digested, Body::Whole((bytes, sums)))
    } else if !has_length {
        (request, Body::Whole(small_body(job, gate, Fault::MissingContentLength.into()).await?))
    } else {
        (request, first_bytes(job, gate).await?)
    };
    let (out, losses) = outgoing(&way, request, body.length(), clock::now())?;
    if !has_length {
        job.judge(&losses, &way)?;
    }
    let upstreams = job.upstreams;
    let mut conversation = upstreams.upload(upstream, &out).await?;
    let answered = match body {
        Body::Whole((bytes, sums)) => sent_whole(&mut conversation, &bytes, sums).await,
        Body::Passing(gate, first) => sent(job, &mut conversation, *gate, first).await,
    };
    let (head, sums) = match answered {
        Ok(answered) => answered,
        Err(broken) => {
            conversation.abort().await;
            job.caller.close_after();
            return Err(broken.end(upstream));
        }
    };
    let labels = [way.caller.name, upstream.target.name.as_str(), job.operation()];
    METRICS.upstream_seconds.with_label_values(&labels).observe(seconds(conversation.elapsed()));
    job.note_upstream(&way, &head.answer);
    let Some(sums) = sums else {
        return refused_early(job, upstream, &way, request, conversation, head).await;
    };
    if !is_success(head.answer.status) {
        let mut reply = failed(conversation, upstream, &way, request, head).await?;
        if let Some(out) = ask_position(&way, request, &reply, clock::now()) {
            let (conversation, head) =
                upstreams.ask(upstream, &out?, job.operation(), way.caller.name).await?;
            conversation.release().await;
            take_position(&mut reply, &head.answer);
        }
        return Ok(reply);
    }
    let body = conversation.whole_body(FAILURE_BYTES_MAX).await.map_err(|failed| failed.at(upstream))?;
    conversation.release().await;
    let told = reply(&way, request, &Answer { body, ..head.answer }, Some(&sums));
    let mut told = told.map_err(Job::count_integrity)?;
    crc64::seal_part(&way, request, &mut told, &sums);
    Ok(told)
}

/// A body that passes through, with its first verified bytes; or one that was read and verified to its end before the
/// target is contacted.
enum Body {
    Passing(Box<Gate>, Vec<u8>),
    Whole((Whole, Sums)),
}

impl Body {
    fn length(&self) -> Option<u64> {
        match self {
            Self::Passing(gate, _) => gate.length(),
            Self::Whole((_, sums)) => Some(sums.bytes),
        }
    }
}

/// Reads a body up to its first byte that may go on. An empty body has no last byte that could be held back, and some
/// servers store an empty object when a connection ends after the head: so it is verified to its end first, and no
/// head is sent before a byte of the body can follow it.
///
/// # Errors
/// [`End`]; the target was not contacted.
async fn first_bytes(job: &mut Job<'_>, mut gate: Gate) -> Result<Body, End> {
    job.caller.invite_body().await?;
    // What was read before it was decided where the body goes.
    let mut first = gate.push(&[]).map_err(Job::count_integrity)?;
    let mut reservation = job.reservation();
    while first.is_empty() {
        reservation.hold(gate.held())?;
        match job.caller.body().await? {
            Some(wire) => first = gate.push(&wire).map_err(Job::count_integrity)?,
            None => {
                let (whole, sums) = gate.finish().map_err(Job::count_integrity)?;
                return Ok(Body::Whole((Whole::new(whole, reservation), sums)));
            }
        }
    }
    Ok(Body::Passing(Box::new(gate), first))
}

/// Reads an empty or a small body of which the target must be told more than the caller said: its length, which SDKs
/// leave out of empty ones, or its digest.
///
/// # Errors
/// `too_large` for a body of more than [`SMALL_BYTES_MAX`].
async fn small_body(job: &mut Job<'_>, gate: Gate, too_large: Refusal) -> Result<(Whole, Sums), End> {
    match collected(job, gate, SMALL_BYTES_MAX).await {
        Err(End::Refused(refusal)) if refusal.fault == Fault::EntityTooLarge => Err(too_large.into()),
        other => other,
    }
}

fn undigested() -> Refusal {
    Refusal::say(
        Fault::NotImplemented,
        "The storage behind this service locks objects of this size only with Content-MD5 or a checksum in the head.",
    )
}

/// Sends a body that was verified already.
async fn sent_whole(
    conversation: &mut Conversation<'_>,
    bytes: &[u8],
    sums: Sums,
) -> Result<(AnswerHead, Option<Sums>), Broken> {
    let written = match conversation.write(bytes).await {
        Ok(()) => conversation.finish().await,
        Err(failed) => Err(failed),
    };
    match written {
        Ok(()) => Ok((conversation.head().await?, Some(sums))),
        Err(failed) => last_words(conversation, failed).await,
    }
}

/// Why a body did not get through.
enum Broken {
    /// By the caller.
    Caller(End),
    /// By the target.
    Target(Failed),
}

impl Broken {
    fn end(self, upstream: &Upstream) -> End {
        match self {
            Self::Caller(end) => end,
            Self::Target(failed) => failed.at(upstream).into(),
        }
    }
}

impl From<NoBody> for Broken {
    fn from(no_body: NoBody) -> Self {
        Self::Caller(no_body.into())
    }
}

impl From<Failed> for Broken {
    fn from(failed: Failed) -> Self {
        Self::Target(failed)
    }
}

/// Sends the body, the last of it only when everything agrees (security, B2 and I7). Gives the head of the
/// answer, and what was computed of the bytes; nothing of that where the target refused before the end.
async fn sent(
    job: &mut Job<'_>,
    conversation: &mut Conversation<'_>,
    mut gate: Gate,
    mut verified: Vec<u8>,
) -> Result<(AnswerHead, Option<Sums>), Broken> {
    let integrity = |refusal| Broken::Caller(Job::count_integrity(refusal).into());
    let mut reservation = job.reservation();
    loop {
        reservation.hold(gate.held()).map_err(|refusal| Broken::Caller(refusal.into()))?;
        if let Err(failed) = conversation.write(&verified).await {
            return last_words(conversation, failed).await;
        }
        match next_piece(job, conversation).await? {
            Piece::Bytes(wire) => verified = gate.push(&wire).map_err(integrity)?,
            Piece::End => break,
            Piece::Refused(head) => return Ok((head, None)),
        }
    }
    let (last, sums) = gate.finish().map_err(integrity)?;
    sent_whole(conversation, &last, sums).await
}

enum Piece {
    Bytes(Bytes),
    End,
    Refused(AnswerHead),
}

/// The caller's next bytes, unless the target says first that it wants no more.
async fn next_piece(job: &mut Job<'_>, conversation: &mut Conversation<'_>) -> Result<Piece, Broken> {
    tokio::select! {
        biased;
        wire = job.caller.body() => Ok(wire?.map_or(Piece::End, Piece::Bytes)),
        early = conversation.early_head() => early_refusal(early?).map(Piece::Refused).map_err(Broken::Target),
    }
}

/// A success before the end of the request would be of something else.
fn early_refusal(head: AnswerHead) -> Result<AnswerHead, Failed> {
    if is_success(head.answer.status) { Err(Failed::Early) } else { Ok(head) }
}

/// What a target said before it stopped reading.
async fn last_words(
    conversation: &mut Conversation<'_>,
    failed: Failed,
) -> Result<(AnswerHead, Option<Sums>), Broken> {
    match timeout(LAST_WORDS_TIME_MAX, conversation.early_head()).await {
        Ok(Ok(head)) => Ok((early_refusal(head)?, None)),
        _ => Err(Broken::Target(failed)),
    }
}

/// What the target refused before it had the whole body; both connections are of no more use.
async fn refused_early(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    mut conversation: Conversation<'_>,
    head: AnswerHead,
) -> Result<Reply, End> {
    job.caller.close_after();
    let body = conversation.whole_body(FAILURE_BYTES_MAX).await;
    conversation.abort().await;
    let body = body.map_err(|failed| failed.at(upstream))?;
    Ok(failure(way, request, &Answer { body, ..head.answer }))
}
