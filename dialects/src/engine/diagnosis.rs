//! What an answer of a target says of our own key, clock and region. Callers are never told that (security, O4); the
//! operator who asks for a diagnosis is.

use crate::engine::dialect::Dialect;
use crate::engine::exchange::Answer;
use crate::engine::way::Way;
use crate::engine::{answer, documents, hosts, write};
use crate::model::{Document, Fault, Operation, Outgoing, Refusal, Reply, Request, Setting, Timestamp, Told};
use crate::wire::date;

/// A target's failure, with nothing in it that could be a signature: those are echoed in messages and documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// What went wrong.
    pub fault: Fault,
    /// The target's own code, where it is a plain word.
    pub code: Option<String>,
    /// Whether it says that the request belongs elsewhere: to another region or end point.
    pub elsewhere: bool,
    /// The region that it names.
    pub region: Option<String>,
}

/// Longest code or name of a region. A signature is longer, or has digits where a code has none.
const WORD_BYTES_MAX: usize = 32;

/// Longest code.
const CODE_BYTES_MAX: usize = 64;

/// Reads a failure.
pub fn failure(target: &Dialect, failed: &Answer) -> Failure {
    let error = answer::error_of(target, failed);
    let fault = answer::meant(target, failed.status, &error);
    let detail = |name: &str| error.details.iter().find(|row| row.0 == name).map(|row| row.1.as_str());
    let named = detail("Region").and_then(region_word);
    let by_host = detail("Endpoint").and_then(|host| hosts::region(host, target.hosts));
    let elsewhere = matches!(failed.status, 300..=303 | 305..=399)
        || fault == Fault::AuthorizationMalformed
        || by_host.is_some()
        || error.message.contains("region");
    let is_code = error.code.len() <= CODE_BYTES_MAX && error.code.bytes().all(|b| b.is_ascii_alphabetic());
    Failure {
        status: failed.status,
        fault,
        code: Some(error.code).filter(|code| is_code && !code.is_empty()),
        elsewhere,
        region: told_region(target, failed).or(named).or(by_host),
    }
}

/// The region of the bucket, where an answer's head tells it.
pub fn told_region(target: &Dialect, told: &Answer) -> Option<String> {
    (target.told)(Told::BucketRegion).and_then(|name| told.text(name)).and_then(region_word)
}

fn region_word(text: &str) -> Option<String> {
    let is_word = !text.is_empty()
        && text.len() <= WORD_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_word.then(|| text.to_owned())
}

/// The region that the answer to [`Operation::GetBucketLocation`] names.
pub fn location(target: &Dialect, told: &Answer) -> Option<String> {
    match documents::read(target, Operation::GetBucketLocation, &told.body) {
        Ok(Some(Document::Location(region))) if told.status == 200 => region_word(&region),
        _ => None,
    }
}

/// The target's clock, when it answered.
pub fn clock(told: &Answer) -> Option<Timestamp> {
    told.text("date").and_then(date::parse_http)
}

/// Whether a bucket's versioning is on, off for now (`Some(false)`), or was never on.
pub fn versioning(reply: &Reply) -> Option<bool> {
    match &reply.document {
        Some(Document::Setting(Setting::Versioning, tree)) => {
            tree.text_of("Status").filter(|status| !status.is_empty()).map(|status| status == "Enabled")
        }
        _ => None,
    }
}

/// Whether an answer is the success of that operation, proven by its document.
pub fn succeeded(way: &Way<'_>, operation: Operation, told: &Answer) -> bool {
    answer::whole(way, operation, told).is_ok()
}

/// A small request, signed.
///
/// # Errors
/// What the target cannot be told.
pub fn question(way: &Way<'_>, request: &Request, now: Timestamp) -> Result<Outgoing, Refusal> {
    let (outgoing, _) = write::request(way, request)?;
    Ok(write::sign(way, outgoing, now))
}
