//! Requests whose payload is streamed: objects down, objects and parts up, with memory for a few pieces only.

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums};
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::stream::{
    ask_position, ask_without_range, failure, needs_digest, outgoing, reply, take_position, wants,
    with_digest,
};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, Field, Operation, Refusal, Reply, Request, Told};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::timeout;

use crate::caller::{Framing, NoBody};
use crate::clock;
use crate::exchange::collected;
use crate::failed::Failed;
use crate::framing::{BodyLength, decimal};
use crate::job::{End, Job};
use crate::lengthless;
use crate::metrics::{METRICS, seconds};
use crate::snapshot::Upstream;
use crate::spool::Spool;
use crate::upstream::{AnswerHead, Conversation, FAILURE_BYTES_MAX};

/// A target that refuses to read on has sent its reason already; this long it may take to arrive.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(1);

/// Bytes of a body that are kept for a target that must be told its digest: what a stream may cost.
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
    let (out, losses) = outgoing(&way, request, None, clock::now())?;
    job.judge(&losses, &way)?;
    let upstreams = job.upstreams;
    let (conversation, head) = upstreams.ask(upstream, &out, job.operation(), way.caller.name).await?;
    job.note_upstream(&way, &head.answer);
    if ask_without_range(&way, request, &head.answer) {
        conversation.abort().await;
        let mut whole = request.clone();
        whole.fields.remove(Field::Range);
        return Box::pin(download(job, upstream, way, &whole)).await;
    }
    if !is_success(head.answer.status) {
        let reply = failed(conversation, upstream, &way, request, head).await?;
        return job.tell(reply).await;
    }
    let told = match reply(&way, request, &head.answer, None) {
        Ok(told) => told,
        Err(refusal) => {
            conversation.abort().await;
            return Err(Job::count_integrity(refusal).into());
        }
    };
    if job.listener.head || head.answer.status == 304 {
        conversation.release().await;
        return job.tell(told).await;
    }
    pump(job, upstream, conversation, told, head.length).await
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
    if needs_digest(&way, request) {
        let (bytes, sums) = small_body(job, gate, undigested()).await?;
        let digested = with_digest(request.clone(), &bytes);
        return Box::pin(send(job, upstream, &way, &digested, Body::Whole((bytes, sums)))).await;
    }
    if gate.length().is_none() && needs_length(&way) && request.operation == Operation::PutObject {
        return Box::pin(lengthless::object(job, upstream, &way, request, gate)).await;
    }
    let body = received(job, &way, gate).await?;
    Box::pin(send(job, upstream, &way, request, body)).await
}

/// Whether the target must be told the length of a body before it comes.
fn needs_length(way: &Way<'_>) -> bool {
    !way.target.dialect.chunked_uploads
}

/// What of a body has to be read before it can be sent: all of one whose length nobody said, where the target must be told.
///
/// # Errors
/// [`End`].
pub async fn received(job: &mut Job<'_>, way: &Way<'_>, gate: Gate) -> Result<Body, End> {
    if gate.length().is_none() && needs_length(way) {
        let (spool, sums) = Box::pin(lengthless::whole(job, gate)).await?;
        return Ok(Body::Spooled(spool, sums));
    }
    Ok(Body::Passing(Box::new(gate)))
}

/// Sends an upload. Nothing is told yet.
///
/// # Errors
/// [`End`].
pub async fn send(
    job: &mut Job<'_>,
    upstream: &Upstream,
    way: &Way<'_>,
    request: &Request,
    body: Body,
) -> Result<Reply, End> {
    let (out, losses) = outgoing(way, request, body.length(), clock::now())?;
    job.judge(&losses, way)?;
    let upstreams = job.upstreams;
    let mut conversation = upstreams.upload(upstream, &out).await?;
    let answered = match body {
        Body::Whole((bytes, sums)) => sent_whole(&mut conversation, &bytes, sums).await,
        Body::Spooled(spool, sums) => sent_spooled(&mut conversation, &spool, sums).await,
        Body::Passing(gate) => sent(job, &mut conversation, *gate).await,
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
    job.note_upstream(way, &head.answer);
    let Some(sums) = sums else {
        return refused_early(job, upstream, way, request, conversation, head).await;
    };
    if !is_success(head.answer.status) {
        let mut reply = failed(conversation, upstream, way, request, head).await?;
        if let Some(out) = ask_position(way, request, &reply, clock::now()) {
            let (conversation, head) =
                upstreams.ask(upstream, &out?, job.operation(), way.caller.name).await?;
            conversation.release().await;
            take_position(&mut reply, &head.answer);
        }
        return Ok(reply);
    }
    let body = conversation.whole_body(FAILURE_BYTES_MAX).await.map_err(|failed| failed.at(upstream))?;
    conversation.release().await;
    let told = reply(way, request, &Answer { body, ..head.answer }, Some(&sums));
    Ok(told.map_err(Job::count_integrity)?)
}

/// A body on its way to a target.
pub enum Body {
    /// It passes through.
    Passing(Box<Gate>),
    /// It had to be read before the target could be told its digest.
    Whole((Vec<u8>, Sums)),
    /// The same, for its length.
    Spooled(Spool, Sums),
}

impl Body {
    /// Its length in bytes, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Passing(gate) => gate.length(),
            Self::Whole((_, sums)) | Self::Spooled(_, sums) => Some(sums.bytes),
        }
    }
}

/// Reads an empty or a small body of which the target must be told more than the caller said: its digest.
///
/// # Errors
/// `too_large` for a body of more than [`SMALL_BYTES_MAX`].
async fn small_body(job: &mut Job<'_>, gate: Gate, too_large: Refusal) -> Result<(Vec<u8>, Sums), End> {
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

/// Sends a body that was verified already, from its file.
async fn sent_spooled(
    conversation: &mut Conversation<'_>,
    spool: &Spool,
    sums: Sums,
) -> Result<(AnswerHead, Option<Sums>), Broken> {
    let mut at = 0;
    while at < spool.bytes() {
        let piece = spool.read(at).await.map_err(|refusal| Broken::Caller(refusal.into()))?;
        if let Err(failed) = conversation.write(&piece).await {
            return last_words(conversation, failed).await;
        }
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    sent_whole(conversation, &[], sums).await
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
) -> Result<(AnswerHead, Option<Sums>), Broken> {
    job.caller.invite_body().await.map_err(|not_written| Broken::Caller(not_written.into()))?;
    let integrity = |refusal| Broken::Caller(Job::count_integrity(refusal).into());
    // What was read before it was decided where the body goes.
    let mut wire = Bytes::new();
    loop {
        let proven = gate.push(&wire).map_err(integrity)?;
        if let Err(failed) = conversation.write(&proven).await {
            return last_words(conversation, failed).await;
        }
        wire = match next_piece(job, conversation).await? {
            Piece::Bytes(wire) => wire,
            Piece::End => break,
            Piece::Refused(head) => return Ok((head, None)),
        };
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
