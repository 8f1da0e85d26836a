//! One request while it runs: who asked, what is known of it so far, and the way back to its caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use blobfish_dialects::engine::accept::of_host;
use blobfish_dialects::engine::cors::CrossOrigin;
use blobfish_dialects::engine::exchange::Answer;
use blobfish_dialects::engine::loss::{Loss, judge};
use blobfish_dialects::engine::tell::{Listener, Spoken, refused, tell};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, RawHead, Refusal, Reply, Told};
use blobfish_dialects::wire::percent;

use crate::behalf;
use crate::budget::{Budget, Reservation};
use crate::caller::{CallerConnection, Framing, NoBody, NotWritten};
use crate::clock;
use crate::cors::CorsRules;
use crate::events::Note;
use crate::failed::Failed;
use crate::log::Record;
use crate::metrics::{METRICS, NONE};
use crate::snapshot::Snapshot;
use crate::upstream::Upstreams;

/// Tells what a target could not be told. A name of our own: no dialect has one.
const LOSS_HEADER: &str = "x-blobfish-loss";

/// Faults that show that a body is not what was announced.
const INTEGRITY_FAULTS: [Fault; 7] = [
    Fault::BadDigest,
    Fault::InvalidDigest,
    Fault::PayloadHashMismatch,
    Fault::IncompleteBody,
    Fault::MalformedTrailer,
    Fault::SignatureDoesNotMatch,
    Fault::InvalidRequest,
];

/// How a request ends otherwise than with an answer that was told.
#[derive(Debug)]
pub enum End {
    /// It is refused; the caller is yet to be told.
    Refused(Refusal),
    /// Nobody can be told any more: the connection breaks off, for this reason.
    Cut(&'static str),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.into())
    }
}

impl From<Failed> for End {
    fn from(failed: Failed) -> Self {
        Self::Refused(failed.refusal())
    }
}

impl From<NotWritten> for End {
    fn from(_: NotWritten) -> Self {
        Self::Cut("the caller went")
    }
}

impl From<NoBody> for End {
    fn from(no_body: NoBody) -> Self {
        match no_body {
            NoBody::Gone => Self::Cut("the caller went before the end of its body"),
            NoBody::Slow => Self::Refused(Fault::RequestTimeout.into()),
            NoBody::Malformed(bad) => Self::Refused(Refusal::say(Fault::InvalidRequest, bad.to_string())),
        }
    }
}

/// One request while it runs.
pub struct Job<'a> {
    /// What it runs on, from its start to its end.
    pub snapshot: &'a Snapshot,
    /// The way to targets.
    pub upstreams: &'a Upstreams,
    /// Memory for what is read whole.
    pub budget: &'a Arc<Budget>,
    /// The CORS rules of buckets.
    pub cors: &'a CorsRules,
    /// What a browser says of its page, until it is answered, and the request in which it does.
    pub cross_origin: Option<(CrossOrigin, RawHead)>,
    /// The way back.
    pub caller: &'a mut CallerConnection,
    /// Who is told.
    pub listener: Listener,
    /// Whether the caller reads answers in chunks.
    pub chunks: bool,
    /// Whether the caller's own connection is encrypted.
    pub secure: bool,
    /// When it arrived.
    pub started: Instant,
    /// What the log will say.
    pub record: Record,
    /// What the console will say, where not all goes well.
    pub notes: Vec<Note>,
}

impl Job<'_> {
    /// Of a head that could not be read: the refusal is told in the words of the host that it seems to name.
    pub fn guess_dialect(&mut self, host: String) {
        if let Some(dialect) = of_host(&host, &self.snapshot.front) {
            self.listener.dialect = dialect;
            self.listener.host = host;
            self.record.dialect = dialect.name;
        }
    }

    /// What this request may hold of its body.
    pub fn reservation(&self) -> Reservation {
        self.budget.begin(behalf::current(), &self.snapshot.config.limits)
    }

    /// The URL of an object that was posted to the request's own URL.
    pub fn location(&self, key: &str) -> String {
        let path = self.listener.path.trim_end_matches('/');
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}/{}", self.listener.host, percent::encode_path(key))
    }

    /// The operation's name in metrics.
    pub fn operation(&self) -> &'static str {
        self.record.operation.unwrap_or(NONE)
    }

    /// Tells a whole answer.
    ///
    /// # Errors
    /// [`End::Cut`].
    pub async fn tell(&mut self, mut reply: Reply) -> Result<(), End> {
        self.share(&mut reply).await;
        let spoken = self.spoken(reply);
        let bare = matches!(spoken.status, 204 | 304);
        let framing = match u64::try_from(spoken.body.len()) {
            _ if bare || self.listener.head => Framing::None,
            Ok(bytes) => Framing::Bytes(bytes),
            Err(_) => return Err(End::Cut("the answer is too large")),
        };
        let body = self.write_head(spoken, framing).await?;
        if framing != Framing::None {
            self.caller.answer_body(&body).await?;
        }
        Ok(self.caller.answer_end().await?)
    }

    /// Tells the head of an answer; its body is streamed.
    ///
    /// # Errors
    /// [`End::Cut`].
    pub async fn tell_head(&mut self, mut reply: Reply, framing: Framing) -> Result<(), End> {
        self.share(&mut reply).await;
        let spoken = self.spoken(reply);
        self.write_head(spoken, framing).await.map(drop)
    }

    /// Lets the page of a browser read the answer, by the rules of the bucket.
    async fn share(&mut self, reply: &mut Reply) {
        let Some((cross_origin, head)) = self.cross_origin.take() else { return };
        // The target, which has the rules, may have said it.
        if reply.text(Told::AllowOrigin).is_some() {
            return;
        }
        let (dialect, snapshot) = (self.listener.dialect, self.snapshot);
        let bucket = snapshot.front.place(&head, dialect).ok().and_then(|place| place.bucket);
        let Some(place) = bucket.and_then(|bucket| snapshot.place(&bucket)) else { return };
        if let Ok(Some(rules)) = self.cors.of(self.upstreams, &place, dialect, self.record.client).await {
            cross_origin.allow(&rules, reply);
        }
    }

    /// The document of an answer whose head was told before; its code is noted.
    pub fn document(&mut self, reply: Reply) -> Vec<u8> {
        let spoken = self.spoken(reply);
        self.record.code = spoken.code;
        spoken.body
    }

    async fn write_head(&mut self, mut spoken: Spoken, framing: Framing) -> Result<Vec<u8>, End> {
        // Only the answer to HEAD has the length of a body that does not follow.
        let length_stays = self.listener.head && !matches!(spoken.status, 204 | 304);
        spoken.headers.retain(|row| length_stays || !row.0.eq_ignore_ascii_case("content-length"));
        if !self.record.losses.is_empty() {
            spoken.headers.push((LOSS_HEADER.to_owned(), self.record.losses.join(", ").into_bytes()));
        }
        self.record.status = spoken.status;
        self.record.code = spoken.code;
        self.caller.answer_head(spoken.status, &spoken.headers, framing).await?;
        Ok(spoken.body)
    }

    fn spoken(&mut self, reply: Reply) -> Spoken {
        self.listener.now = clock::now();
        self.listener.elapsed_ms = milliseconds(self.started.elapsed());
        tell(&self.listener, reply)
    }

    /// Tells a refusal, and counts it. Where an answer was begun, only breaking off is left.
    ///
    /// # Errors
    /// [`End::Cut`].
    pub async fn refuse(&mut self, refusal: &Refusal) -> Result<(), End> {
        self.note_refusal(refusal);
        if self.caller.answered() {
            return Err(End::Cut("failed after the answer had begun"));
        }
        self.tell(refused(self.listener.dialect, refusal)).await
    }

    /// Counts a refusal, and notes what its caller is told.
    pub fn note_refusal(&mut self, refusal: &Refusal) {
        let reason = format!("{:?}", refusal.fault);
        METRICS.refused.with_label_values(&[reason.as_str()]).inc();
        let standard = || self.listener.dialect.fault(refusal.fault).map(|row| row.message.to_owned());
        let message = refusal.message.clone().or_else(standard).unwrap_or_default();
        self.notes.push(Note { kind: "refused", reason, message });
    }

    /// Decides on what the target cannot be told, and notes what is reported.
    ///
    /// # Errors
    /// The refusal, naming the field.
    pub fn judge(&mut self, losses: &[Loss], way: &Way<'_>) -> Result<(), Refusal> {
        let labels = |loss: &Loss| [loss.name(), way.caller.name.to_owned(), way.target.name.clone()];
        for loss in losses {
            METRICS.losses.with_label_values(&labels(loss)).inc();
        }
        judge(losses, way.policy, way.caller)?;
        for loss in losses {
            let field = loss.name();
            tracing::info!(id = self.record.id, %field, target_name = way.target.name, "lost: {}", loss.why);
            let (reason, message) = (loss.name_for(way.caller), loss.why.clone());
            self.notes.push(Note { kind: "lost", reason, message });
        }
        self.record.losses = losses.iter().map(|loss| loss.name_for(way.caller)).collect();
        Ok(())
    }

    /// Counts a body that was not what was announced.
    pub fn count_integrity(refusal: Refusal) -> Refusal {
        if INTEGRITY_FAULTS.contains(&refusal.fault) {
            METRICS.integrity_failures.with_label_values(&[format!("{:?}", refusal.fault)]).inc();
        }
        refusal
    }

    /// Notes the target's own id of the request, so that its log can be searched.
    pub fn note_upstream(&mut self, way: &Way<'_>, answer: &Answer) {
        let name = way.target.dialect.identity.request_id;
        let id = answer.headers.iter().find(|row| row.0.eq_ignore_ascii_case(name));
        self.record.upstream_id =
            id.map(|row| crate::log::name(&String::from_utf8_lossy(&row.1)).chars().take(128).collect());
    }
}

/// Whole milliseconds.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
