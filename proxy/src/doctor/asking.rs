//! Asks a target by the ways that requests of callers take: the engine's tables write and sign, the shell's connections
//! carry, the engine reads the answer.

use std::cell::Cell;
use std::fmt;
use std::sync::Mutex;

use blobfish_dialects::engine::auth::Payload;
use blobfish_dialects::engine::body::{Gate, Wants};
use blobfish_dialects::engine::diagnosis::{self, Failure};
use blobfish_dialects::engine::exchange::{Answer, Exchange};
use blobfish_dialects::engine::loss::judge;
use blobfish_dialects::engine::stream;
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::model::{Fault, Operation, Outgoing, Refusal, Reply, Request};
use tokio::time::timeout;

use crate::clock;
use crate::exchange::drive;
use crate::failed::Failed;
use crate::snapshot::Upstream;
use crate::upstream::Upstreams;

/// One target, and the bucket there.
pub struct Asking<'a> {
    /// The connections.
    pub upstreams: &'a Upstreams,
    /// The target.
    pub upstream: &'a Upstream,
    /// The way there, of a caller who speaks as the target does.
    pub way: Way<'a>,
    /// How far the target's clock is ahead of ours, seconds, once it answered.
    pub skew: Cell<Option<i64>>,
}

/// Why a question has no good answer. Printing it shows no signature.
#[derive(Debug)]
pub enum Trouble {
    /// There is no answer.
    Failed(Failed),
    /// The target refused. The fault is the engine's reading, which may rest on more than the last answer.
    Refused(Fault, Failure),
    /// The dialect's tables have no way to ask that.
    Unsaid(String),
    /// A success that proves nothing.
    Unproven(String),
}

impl Trouble {
    /// What the target's refusal means.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Refused(fault, _) => Some(*fault),
            _ => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failed) => write!(f, "{failed}"),
            Self::Refused(_, failure) => told(failure).fmt(f),
            Self::Unsaid(what) => write!(f, "{what}"),
            Self::Unproven(why) => write!(f, "{why}"),
        }
    }
}

/// A failure as an operator reads it.
pub fn told(failure: &Failure) -> String {
    let code = failure.code.as_deref().unwrap_or("without a code that is known");
    format!("the target answered {} {code}", failure.status)
}

impl Asking<'_> {
    /// What answers to one small request, as it came.
    ///
    /// # Errors
    /// [`Trouble`], where there is no answer.
    pub async fn raw(&self, request: &Request) -> Result<Answer, Trouble> {
        let out = diagnosis::question(&self.way, request, clock::now()).map_err(unsaid)?;
        self.sent(&out, request.operation).await
    }

    /// Carries out a request as a caller's would be.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn exchanged(&self, request: Request) -> Result<Reply, Trouble> {
        self.exchanged_by(false, request).await
    }

    /// The same, where `check` says whether conditions of copies are evaluated here.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn exchanged_by(&self, check: bool, request: Request) -> Result<Reply, Trouble> {
        let way = Way { check_conditions: check, ..self.way.clone() };
        let operation = request.operation.name();
        let exchange = Exchange::new(way.clone(), request, &[]).map_err(unsaid)?;
        judge(exchange.losses(), way.policy, way.caller).map_err(unsaid)?;
        let last = Mutex::new(None);
        let work = drive(self.upstreams, self.upstream, exchange, operation, way.caller.name, &last);
        let outcome = timeout(self.patience(), Box::pin(work)).await;
        let last = last.into_inner().unwrap_or_default();
        if let Some(Ok(answer)) = &last {
            self.note_clock(answer);
        }
        match (outcome, last) {
            (Ok(Ok(reply)), _) => Ok(reply),
            (Err(_), _) => Err(Trouble::Failed(Failed::ResponseTimeout)),
            (Ok(Err(_)), Some(Err(failed))) => Err(Trouble::Failed(failed)),
            (Ok(Err(refusal)), None) => Err(unsaid(refusal)),
            (Ok(Err(refusal)), Some(Ok(answer))) => Err(self.refused(&refusal, &answer)),
        }
    }

    /// Writes an object.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn written(&self, request: &Request, body: &[u8]) -> Result<Reply, Trouble> {
        let length = u64::try_from(body.len()).ok();
        let (mut out, losses) = stream::outgoing(&self.way, request, length, clock::now()).map_err(unsaid)?;
        judge(&losses, self.way.policy, self.way.caller).map_err(unsaid)?;
        let wants = Wants { crc64: true, ..Wants::default() };
        let mut gate = Gate::new(self.way.caller, Payload::Unsigned, request, wants).map_err(unsaid)?;
        out.body = gate.push(body).map_err(unsaid)?;
        let (last, sums) = gate.finish().map_err(unsaid)?;
        out.body.extend(last);
        let answer = self.sent(&out, request.operation).await?;
        if answer.status / 100 != 2 {
            return Err(self.refused(&stream::refusal(&self.way, request, &answer), &answer));
        }
        stream::reply(&self.way, request, &answer, Some(&sums)).map_err(unproven)
    }

    /// Reads an object, or its head.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn read(&self, request: &Request) -> Result<(Reply, Vec<u8>), Trouble> {
        let (out, _) = stream::outgoing(&self.way, request, None, clock::now()).map_err(unsaid)?;
        let answer = self.sent(&out, request.operation).await?;
        if answer.status / 100 != 2 {
            return Err(self.refused(&stream::refusal(&self.way, request, &answer), &answer));
        }
        let reply = stream::reply(&self.way, request, &answer, None).map_err(unproven)?;
        Ok((reply, answer.body))
    }

    async fn sent(&self, out: &Outgoing, operation: Operation) -> Result<Answer, Trouble> {
        let (operation, dialect) = (operation.name(), self.way.caller.name);
        let work = Box::pin(self.upstreams.exchange(self.upstream, out, operation, dialect));
        let answer = timeout(self.patience(), work).await.unwrap_or(Err(Failed::ResponseTimeout));
        let answer = answer.map_err(Trouble::Failed)?;
        self.note_clock(&answer);
        Ok(answer)
    }

    /// Longer than any one wait of the connections; a copy of a scratch object needs no more.
    fn patience(&self) -> std::time::Duration {
        self.upstream.connect_timeout + self.upstream.response_timeout + self.upstream.body_timeout
    }

    fn note_clock(&self, answer: &Answer) {
        if let (None, Some(theirs)) = (self.skew.get(), diagnosis::clock(answer)) {
            self.skew.set(Some(theirs.0.saturating_sub(clock::now().0)));
        }
    }

    fn refused(&self, refusal: &Refusal, answer: &Answer) -> Trouble {
        let decided =
            matches!(refusal.fault, Fault::PreconditionFailed | Fault::NotModified | Fault::ObjectExists);
        let failure = diagnosis::failure(self.way.target.dialect, answer);
        match answer.status {
            200..=299 if !decided && failure.code.is_none() => unproven(refusal.clone()),
            _ if decided => Trouble::Refused(refusal.fault, failure),
            _ => Trouble::Refused(failure.fault, failure),
        }
    }
}

fn unsaid(refusal: Refusal) -> Trouble {
    Trouble::Unsaid(refusal.message.unwrap_or_else(|| format!("{:?}", refusal.fault)))
}

fn unproven(refusal: Refusal) -> Trouble {
    let why = "the target answered with a success that it does not prove".to_owned();
    Trouble::Unproven(refusal.message.unwrap_or(why))
}
