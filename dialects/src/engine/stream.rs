//! Requests whose payload is streamed: the heads both ways.

use crate::engine::body::Sums;
use crate::engine::exchange::Answer;
use crate::engine::loss::Loss;
use crate::engine::way::Way;
use crate::model::{Outgoing, Refusal, Reply, Request, Timestamp};

/// The signed head to send, and what it could not say. Its `content-length` header is the decoded body's length;
/// for uploads without one the shell sends the body in chunks.
///
/// # Errors
/// What is refused before any target is contacted.
pub fn outgoing(way: &Way<'_>, request: &Request, now: Timestamp) -> Result<(Outgoing, Vec<Loss>), Refusal> {
    let _ = (way, request, now);
    Err(crate::model::Fault::NotImplemented.into())
}

/// The caller's head for a target's answer of 200 to 299 or 304. For uploads, after the whole body was sent and
/// the target's answer read, `sums` are of the bytes that passed.
///
/// # Errors
/// An answer that claims what cannot be true: refuse, and break off.
pub fn reply(way: &Way<'_>, request: &Request, answer: &Answer, sums: Option<&Sums>) -> Result<Reply, Refusal> {
    let _ = (way, request, answer, sums);
    Err(crate::model::Fault::NotImplemented.into())
}

/// The caller's answer to a target's failure (any other status, with its whole bounded body).
pub fn failure(way: &Way<'_>, request: &Request, answer: &Answer) -> Reply {
    let _ = (way, request, answer);
    crate::engine::tell::refused(way.caller, &crate::model::Fault::NotImplemented.into())
}
