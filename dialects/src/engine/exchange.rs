//! Everything with small bodies both ways, as a machine that the shell drives: what to send, then what to tell.

use crate::engine::loss::Loss;
use crate::engine::way::Way;
use crate::model::{Outgoing, Refusal, Reply, Request, Timestamp};

/// A target's whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Lower-case names and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body. The shell has checked that it is complete.
    pub body: Vec<u8>,
}

/// What the shell has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send this, already signed, and come back with the whole answer.
    Send(Box<Outgoing>),
    /// Tell the caller; the exchange is over.
    Tell(Box<Reply>),
}
/// placeholder
pub struct Exchange<'a> { /// w
    pub way: Way<'a>, /// r
    pub request: Request, losses: Vec<Loss> }
impl<'a> Exchange<'a> {
    /// Prepares; nothing is sent yet.
    ///
    /// # Errors
    /// What is refused before any target is contacted.
    pub fn new(way: Way<'a>, request: Request, body: &[u8]) -> Result<Self, Refusal> { let _ = body; Ok(Self { way, request, losses: vec![] }) }
    /// What the target cannot be told, of the request as it is sent.
    pub fn losses(&self) -> &[Loss] { &self.losses }
    /// The first step.
    ///
    /// # Errors
    /// As `new`.
    pub fn start(&mut self, now: Timestamp) -> Result<Step, Refusal> { let _ = now; Err(crate::model::Fault::NotImplemented.into()) }
    /// The step after an answer.
    ///
    /// # Errors
    /// Faults of the target, in canonical form.
    pub fn next(&mut self, answer: Answer, now: Timestamp) -> Result<Step, Refusal> { let _ = (answer, now); Err(crate::model::Fault::NotImplemented.into()) }
}
