//! Copies that no target makes alone: between two targets the bytes pass through here, piece by piece; above a target's
//! limit it copies part by part itself. Every read is pinned to what was looked at first, and an upload that is not
//! completed is given up.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use blobfish_config::CopyLimits;
use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Sums, Wants};
use blobfish_dialects::engine::conditions;
use blobfish_dialects::engine::exchange::{Answer, Exchange};
use blobfish_dialects::engine::loss::{self, Loss};
use blobfish_dialects::engine::relay::{self, Digests, InOrder, OwnParts, Source};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::engine::{answer, crc64, sound, stream, write};
use blobfish_dialects::model::{Document, Fault, Operation, Part, Refusal, Reply, Request, Told};
use futures_util::stream::{self as streams, StreamExt as _, TryStreamExt as _};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::copies::{COPIES, Slot};
use crate::exchange::drive;
use crate::failed::Failed;
use crate::metrics::METRICS;
use crate::snapshot::Upstream;
use crate::upstream::{FAILURE_BYTES_MAX, Upstreams};

/// How often a part is tried: it is the same part again, whatever became of it before.
const PART_TRIES: u32 = 3;

/// Longest time of all parts of a copy.
const PARTS_TIME_MAX: Duration = Duration::from_secs(6 * 3600);

/// Longest wait before giving an upload up is tried again.
const GIVING_UP_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where a copy's bytes are, and where they go.
pub struct Ends<'a> {
    /// The way to the source.
    pub from: Way<'a>,
    /// Its store.
    pub from_upstream: &'a Upstream,
    /// The way to the destination.
    pub to: Way<'a>,
    /// Its store.
    pub to_upstream: &'a Upstream,
    /// Whether both are one target, which then copies itself.
    pub same: bool,
}

/// A copy under way.
pub struct Relay<'a> {
    upstreams: &'a Upstreams,
    ends: Ends<'a>,
    asked: Request,
    limits: CopyLimits,
    slot: Slot,
}

impl<'a> Relay<'a> {
    /// Prepares; nothing is sent yet. Gives also what the destination cannot be told.
    ///
    /// # Errors
    /// What is refused before any target is contacted.
    pub fn new(
        upstreams: &'a Upstreams,
        ends: Ends<'a>,
        asked: Request,
        limits: CopyLimits,
        slot: Slot,
    ) -> Result<(Self, Vec<Loss>), Refusal> {
        conditions::check_pairs(ends.to.caller, &asked.fields)?;
        let operation = match asked.operation {
            Operation::UploadPartCopy => Operation::UploadPart,
            _ => Operation::PutObject,
        };
        let bare = Request { source: None, operation, ..asked.clone() };
        let mut bare = relay::without_copy_fields(bare);
        bare.fields = relay::applying(bare.fields, operation);
        let (_, mut losses) = write::request(&ends.to, &bare)?;
        losses.extend(write::request(&ends.from, &relay::look(&asked))?.1);
        Ok((Self { upstreams, ends, asked, limits, slot }, losses))
    }

    /// Carries the copy out.
    ///
    /// # Errors
    /// What the caller is to be told. No upload is left behind, and no object that is not the source.
    pub async fn run(self) -> Result<Reply, Refusal> {
        let source = self.looked_at().await?;
        self.slot.progress.size.store(source.size, Ordering::Relaxed);
        let reply = match self.asked.operation {
            Operation::UploadPartCopy => self.unless_abandoned(Box::pin(self.one_part(&source))).await?,
            _ if !self.ends.same
                && source.size <= self.limits.single_bytes_max
                && self.fits_one_put(&source) =>
            {
                self.unless_abandoned(Box::pin(self.single(&source))).await?
            }
            _ => Box::pin(self.in_parts(&source)).await?,
        };
        Ok(relay::told(&self.ends.to, &self.asked, &source, reply, clock::now()))
    }

    /// An upload in parts needs no digest in its head, which only an empty object has before it is read.
    fn fits_one_put(&self, source: &Source) -> bool {
        let put = relay::place(self.ends.to.caller, &self.asked, source, None, Operation::PutObject);
        source.size == 0 || !stream::needs_digest(&self.ends.to, &put)
    }

    /// Breaks the work off when nobody wants it any more.
    async fn unless_abandoned<T>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.slot.progress.is_abandoned() => {
                Err(Refusal::say(Fault::ServiceUnavailable, "The copy was given up."))
            }
        }
    }

    async fn looked_at(&self) -> Result<Source, Refusal> {
        let answer = self.head_of(&relay::look(&self.asked)).await?;
        relay::source(&self.ends.from, &self.asked, &answer, clock::now())
    }

    /// Asks the source's target for a head.
    async fn head_of(&self, request: &Request) -> Result<Answer, Refusal> {
        let (from, upstream) = (&self.ends.from, self.ends.from_upstream);
        let asked = async || {
            let (out, _) = stream::outgoing(from, request, None, clock::now())?;
            let asked = self.upstreams.ask(upstream, &out, "HeadObject", from.caller.name).await;
            let (conversation, head) = match asked {
                Ok(asked) => asked,
                Err(failed) => return Ok(Err(failed)),
            };
            conversation.release().await;
            Ok::<_, Refusal>(Ok(head.answer))
        };
        let answered = match asked().await? {
            // By now it is known what its clock shows.
            Err(Failed::Clock) => asked().await?,
            answered => answered,
        };
        answered.map_err(Failed::refusal)
    }

    /// The sizes of the source's own parts, where its ETag is made of their digests and nothing else vouches for it.
    async fn own_parts(&self, source: &Source) -> Option<OwnParts> {
        let count = relay::own_parts(&self.ends.from, source).filter(|_| !self.ends.same)?;
        OwnParts::of(source, count, self.own_part(source, count, 1).await?)
    }

    async fn own_part(&self, source: &Source, count: u64, number: u64) -> Option<u64> {
        let answer = self.head_of(&relay::look_at_part(&self.asked, source, number)).await.ok()?;
        relay::part_bytes(&self.ends.from, source, count, &answer)
    }

    /// Whether all of the source's parts are of one size, but for the last: only then do their digests mean something.
    async fn is_even(&self, source: &Source, own: OwnParts) -> bool {
        for number in 2..own.count {
            if self.own_part(source, own.count, number).await != Some(own.bytes) {
                return false;
            }
        }
        true
    }

    /// The whole object by one read and one write.
    async fn single(&self, source: &Source) -> Result<Reply, Refusal> {
        let tags = self.tags(source).await?;
        let mut put =
            relay::place(self.ends.to.caller, &self.asked, source, tags.as_ref(), Operation::PutObject);
        if stream::needs_digest(&self.ends.to, &put) {
            put = stream::with_digest(put, &[]);
        }
        let read = relay::read(&self.asked, source, None);
        let (mut reply, sums) = self.carried(&read, source.size, &put, &mut Passing::default()).await?;
        relay::made(&mut reply, sums.crc64)?;
        Ok(reply)
    }

    /// A part of an upload that the caller has begun at the destination.
    async fn one_part(&self, source: &Source) -> Result<Reply, Refusal> {
        let strict = self.ends.to.caller.copy.strict_range;
        let range = relay::range(&self.asked, strict, source.size)?;
        let bytes = if source.size == 0 { 0 } else { range.1.saturating_sub(range.0).saturating_add(1) };
        let mut put = relay::without_copy_fields(self.asked.clone());
        put.operation = Operation::UploadPart;
        put.source = None;
        put.body_length = Some(bytes);
        let whole = source.size == bytes;
        let read = relay::read(&self.asked, source, (!whole).then_some(range));
        let (mut reply, sums) = self.carried(&read, bytes, &put, &mut Passing::default()).await?;
        crc64::seal_part(&self.ends.to, &put, &mut reply, &sums);
        Ok(reply)
    }

    async fn tags(&self, source: &Source) -> Result<Option<blobfish_dialects::wire::xml::Node>, Refusal> {
        if !source.tagged {
            return Ok(None);
        }
        let request = relay::look_at_tags(&self.asked, source);
        let reply = self.exchanged(&self.ends.from, self.ends.from_upstream, request).await?;
        match reply.document {
            Some(Document::Setting(_, tree)) => Ok(Some(tree)),
            _ => Err(answer::unproven()),
        }
    }

    /// The object as an upload in parts, completed only when all of them are there.
    async fn in_parts(&self, source: &Source) -> Result<Reply, Refusal> {
        let tags = self.tags(source).await?;
        let begin = relay::place(
            self.ends.to.caller,
            &self.asked,
            source,
            tags.as_ref(),
            Operation::CreateMultipartUpload,
        );
        let (to, upstream) = (&self.ends.to, self.ends.to_upstream);
        let begun = self.exchanged(to, upstream, begin).await?;
        let Some(Document::Initiated { upload_id, .. }) = begun.document else {
            return Err(answer::unproven());
        };
        let work = self.unless_abandoned(self.parts_and_end(source, &upload_id));
        let copied = timeout(PARTS_TIME_MAX, work).await;
        let copied =
            copied.unwrap_or_else(|_| Err(Refusal::say(Fault::InternalError, "The copy took too long.")));
        if copied.is_err() {
            self.give_up(&upload_id).await;
        }
        copied
    }

    async fn parts_and_end(&self, source: &Source, upload: &str) -> Result<Reply, Refusal> {
        let own = self.own_parts(source).await;
        let parts = match own {
            Some(own) => relay::parts_of(source.size, own.together(self.limits.part_bytes)),
            None => relay::parts(source.size, self.limits.part_bytes),
        };
        let in_order = (!self.ends.same && InOrder::is_needed(source)).then(AsyncMutex::default);
        let copied = streams::iter(parts)
            .map(|(number, range)| {
                Box::pin(self.tried_part(source, upload, number, range, in_order.as_ref(), own))
            })
            .buffered(self.limits.parts_at_once);
        let copied: Vec<(Part, Option<Sums>, Option<Digests>)> = copied.try_collect().await?;
        let (mut parts, mut sums, mut digests) = (Vec::new(), Vec::new(), Vec::new());
        for (part, own_sums, own_digests) in copied {
            parts.push(part);
            sums.push(own_sums);
            digests.extend(own_digests);
        }
        let sums: Option<Vec<Sums>> = sums.into_iter().collect();
        let whole = sums.and_then(|sums| relay::joined(&sums));
        relay::verified(source, whole)?;
        if let Some(in_order) = in_order {
            in_order.into_inner().verified(source).inspect_err(count_differing)?;
        }
        if let Some(own) = own
            && !own.is_made_of(source, &digests)
            && self.is_even(source, own).await
        {
            return Err(differs());
        }
        if self.ends.same && !relay::pins(&self.ends.to) {
            relay::unchanged(source, &self.looked_at().await?)?;
        }
        let complete = relay::complete(&self.asked, upload, parts);
        let mut reply = self.exchanged(&self.ends.to, self.ends.to_upstream, complete).await?;
        relay::made(&mut reply, whole)?;
        Ok(reply)
    }

    /// One part, tried again where that is safe: a part that is there twice is there once.
    async fn tried_part(
        &self,
        source: &Source,
        upload: &str,
        number: u64,
        range: (u64, u64),
        in_order: Option<&AsyncMutex<InOrder>>,
        own: Option<OwnParts>,
    ) -> Result<(Part, Option<Sums>, Option<Digests>), Refusal> {
        let mut tries = 1;
        let mut passing = Passing { own, ..Passing::default() };
        if let Some(in_order) = in_order {
            // Parts begin one after another, and get it in this order.
            let turn = in_order.lock().await;
            passing.turn = turn.is_turn_of(number).then_some(turn);
        }
        loop {
            match self.part(source, upload, number, range, &mut passing).await {
                Err(refusal) if tries < PART_TRIES && passes(refusal.fault) => {
                    METRICS.copy_retries.inc();
                    let jitter = u64::try_from(clock::random() % 200).unwrap_or_default();
                    sleep(Duration::from_millis(200_u64.saturating_mul(1 << tries).saturating_add(jitter)))
                        .await;
                    tries = tries.saturating_add(1);
                }
                other => {
                    let bytes = range.1.saturating_sub(range.0).saturating_add(1);
                    self.slot.progress.done.fetch_add(bytes, Ordering::Relaxed);
                    return other.map(|(part, sums)| (part, sums, passing.digests));
                }
            }
        }
    }

    async fn part(
        &self,
        source: &Source,
        upload: &str,
        number: u64,
        range: (u64, u64),
        passing: &mut Passing<'_>,
    ) -> Result<(Part, Option<Sums>), Refusal> {
        if self.ends.same {
            let request = relay::part_copy(&self.ends.to, &self.asked, source, upload, number, range);
            let reply = self.exchanged(&self.ends.to, self.ends.to_upstream, request).await?;
            return match reply.document {
                Some(Document::CopyPart(result)) => {
                    let checksums = result.checksums;
                    Ok((Part { checksums, ..Part::new(number, result.etag) }, None))
                }
                _ => Err(answer::unproven()),
            };
        }
        let bytes = range.1.saturating_sub(range.0).saturating_add(1);
        let put = relay::part(&self.asked, upload, number, bytes);
        let read = relay::read(&self.asked, source, Some(range));
        let (reply, sums) = self.carried(&read, bytes, &put, passing).await?;
        let etag = reply.text(Told::Etag).map(|tag| tag.trim_matches('"').to_owned());
        Ok((Part::new(number, etag.ok_or_else(answer::unproven)?), Some(sums)))
    }

    /// Carries bytes from a read to a write. The last byte goes only when all of them were right.
    async fn carried(
        &self,
        read: &Request,
        bytes: u64,
        put: &Request,
        passing: &mut Passing<'_>,
    ) -> Result<(Reply, Sums), Refusal> {
        let Ends { from, from_upstream, to, to_upstream, .. } = &self.ends;
        let (out, _) = stream::outgoing(from, read, None, clock::now())?;
        let (read_seat, write_seat) =
            self.upstreams.seats(from_upstream, to_upstream).await.map_err(Failed::refusal)?;
        let (mut reading, head) = self
            .upstreams
            .ask_seated(read_seat, from_upstream, &out, "GetObject", from.caller.name)
            .await
            .map_err(Failed::refusal)?;
        if !matches!(head.answer.status, 200 | 206) {
            let body = reading.whole_body(FAILURE_BYTES_MAX).await.map_err(Failed::refusal)?;
            reading.release().await;
            return Err(changed(answer::failure(from, &Answer { body, ..head.answer }).refusal));
        }
        if head.length != Some(bytes) || sound::check_head(from, read, &head.answer).is_err() {
            reading.abort().await;
            return Err(answer::unproven());
        }
        let wants = Wants { crc64: true, ..stream::wants(to, put) };
        let mut expected = put.clone();
        if head.answer.status == 200 {
            // It is the whole object that this head speaks of.
            sound::expect(&mut expected, from.target.dialect, &head.answer);
        }
        let mut gate = Gate::new(to.caller, Payload::Unsigned, &expected, wants)?;
        let mut order = passing.turn.as_deref().cloned();
        let mut digests = passing.own.map(Digests::new);
        let (out, losses) = stream::outgoing(to, put, Some(bytes), clock::now())?;
        judged(to, &losses)?;
        let mut writing = match self.upstreams.upload_seated(write_seat, to_upstream, &out).await {
            Ok(writing) => writing,
            Err(failed) => {
                reading.abort().await;
                return Err(failed.refusal());
            }
        };
        let passed: Result<Option<Sums>, Refusal> = async {
            while let Some(piece) =
                reading.body().await.map_err(|failed| failed.at(from_upstream).refusal())?
            {
                METRICS.copy_bytes.inc_by(u64::try_from(piece.len()).unwrap_or_default());
                COPIES.pace(&self.limits, &self.slot.progress, piece.len()).await;
                if let Some(order) = &mut order {
                    order.update(&piece);
                }
                if let Some(digests) = &mut digests {
                    digests.update(&piece);
                }
                let proven = gate.push(&piece).map_err(|_| differs())?;
                if writing.write(&proven).await.is_err() {
                    return Ok(None);
                }
            }
            let (last, sums) = gate.finish().map_err(|_| differs())?;
            let written = writing.write(&last).await.is_ok() && writing.finish().await.is_ok();
            Ok(written.then_some(sums))
        }
        .await;
        let sums = match passed {
            Ok(sums) => sums,
            Err(refusal) => {
                // The destination never has the whole of what is not right.
                writing.abort().await;
                reading.abort().await;
                return Err(refusal);
            }
        };
        match &sums {
            Some(_) => reading.release().await,
            None => reading.abort().await,
        }
        if let Some(sums) = &sums
            && let Err(refusal) = passing.passed(sums, order, digests)
        {
            writing.abort().await;
            return Err(refusal);
        }
        let head = match writing.head().await {
            Ok(head) => head,
            Err(failed) => {
                writing.abort().await;
                return Err(failed.at(to_upstream).refusal());
            }
        };
        let body = writing.whole_body(FAILURE_BYTES_MAX).await;
        let told = match body {
            Ok(body) => Answer { body, ..head.answer },
            Err(failed) => {
                writing.abort().await;
                return Err(failed.at(to_upstream).refusal());
            }
        };
        match (sums, told.status) {
            (Some(sums), 200..=299) => {
                writing.release().await;
                Ok((stream::reply(to, put, &told, Some(&sums))?, sums))
            }
            (None, 200..=299) => {
                writing.abort().await;
                Err(Failed::Early.at(to_upstream).refusal())
            }
            _ => {
                writing.abort().await;
                Err(stream::refusal(to, put, &told))
            }
        }
    }

    /// One small exchange.
    async fn exchanged(
        &self,
        way: &Way<'a>,
        upstream: &Upstream,
        request: Request,
    ) -> Result<Reply, Refusal> {
        let name = request.operation.name();
        let exchange = Exchange::new(way.clone(), request, &[])?;
        judged(way, exchange.losses())?;
        drive(self.upstreams, upstream, exchange, name, way.caller.name, &Mutex::new(None)).await
    }

    /// Tries twice; what then is left is counted and logged, for somebody pays for it.
    async fn give_up(&self, upload: &str) {
        for _ in 0..2 {
            let request = relay::abort(&self.asked, upload);
            match self.exchanged(&self.ends.to, self.ends.to_upstream, request).await {
                Ok(_) => return,
                Err(refusal) if refusal.fault == Fault::NoSuchUpload => return,
                Err(_) => {
                    // While nothing is sent there, asking at once would be asking for nothing.
                    let wait = self.ends.to_upstream.breaker.wait(Instant::now());
                    sleep(wait.clamp(Duration::from_millis(500), GIVING_UP_WAIT_MAX)).await;
                }
            }
        }
        METRICS.copy_uploads_left.inc();
        let target = self.ends.to.target.name.as_str();
        tracing::error!(
            target_name = target,
            upload,
            "an upload of a copy that failed could not be given up"
        );
    }
}

/// What the source has and the destination cannot be told is known only now.
fn judged(way: &Way<'_>, losses: &[Loss]) -> Result<(), Refusal> {
    for loss in losses {
        let labels = [loss.name(), way.caller.name.to_owned(), way.target.name.clone()];
        METRICS.losses.with_label_values(&labels).inc();
    }
    loss::judge(losses, way.policy, way.caller)
}

/// What arrived is not what the source said it is.
fn differs() -> Refusal {
    let refusal = relay::differs();
    count_differing(&refusal);
    refusal
}

fn count_differing(_: &Refusal) {
    METRICS.integrity_failures.with_label_values(&["copy"]).inc();
}

/// What is kept of a part while it is tried: its place in the order of reading, and what passed.
#[derive(Default)]
struct Passing<'g> {
    /// Its turn, until its bytes have passed once.
    turn: Option<MutexGuard<'g, InOrder>>,
    /// The source's own parts, where their digests are wanted.
    own: Option<OwnParts>,
    digests: Option<Digests>,
    crc64: Option<u64>,
}

impl Passing<'_> {
    /// All bytes of the part have passed. Whoever reads next may begin; a further try has to bring the same.
    fn passed(
        &mut self,
        sums: &Sums,
        order: Option<InOrder>,
        digests: Option<Digests>,
    ) -> Result<(), Refusal> {
        if self.crc64.is_some() && self.crc64 != sums.crc64 {
            return Err(differs());
        }
        self.crc64 = sums.crc64;
        if let (Some(mut turn), Some(mut order)) = (self.turn.take(), order) {
            order.part_ended();
            *turn = order;
        }
        self.digests = digests.map(|mut digests| {
            digests.finish();
            digests
        });
        Ok(())
    }
}

/// A read that is refused by its pin is of an object that was replaced meanwhile.
fn changed(refusal: Refusal) -> Refusal {
    match refusal.fault {
        Fault::PreconditionFailed => relay::replaced(),
        _ => refusal,
    }
}

/// Whether what went wrong may have passed by the next try.
fn passes(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::ServiceUnavailable
            | Fault::TargetUnavailable
            | Fault::TargetBusy
            | Fault::SlowDown
            | Fault::InternalError
            | Fault::RequestTimeout
    )
}
