//! What is not translated: carried as it is between a caller and a target that speak the same, and refused elsewhere.
//! Documents are not read, so that the names of buckets in them are the target's.

use crate::engine::answer;
use crate::engine::exchange::Answer;
use crate::engine::way::Way;
use crate::engine::{tell, write};
use crate::model::{
    Document, ErrorDocument, Fault, Outgoing, PayloadHash, Refusal, Reply, Request, Strange, Timestamp, Told,
};
use crate::wire::hash;

/// The refusal where it cannot be carried.
pub fn refusal(request: &Request) -> Refusal {
    let name = request.strange.as_ref().map_or("", |strange| strange.sub_resource);
    let message = format!("The sub-resource {name} is not translated between these services.");
    Refusal::say(Fault::NotImplemented, message).with("Header", name)
}

/// The request to send, without body and signature.
///
/// # Errors
/// `NotImplemented` where the target speaks something else, or may take a parameter that it does not know for nothing.
pub fn written(way: &Way<'_>, request: &Request) -> Result<Outgoing, Refusal> {
    let target = way.target;
    let same = way.caller.family == target.dialect.family && target.dialect.settings_known;
    let strange = request.strange.as_ref().filter(|_| same).ok_or_else(|| refusal(request))?;
    let Strange { method, query, headers, .. } = strange;
    let mut outgoing = write::at(target, method, Some(&way.bucket), request.key.as_deref());
    outgoing.query.clone_from(query);
    outgoing.headers.clone_from(headers);
    Ok(outgoing)
}

/// The signed request to send.
///
/// # Errors
/// As [`written`].
pub fn outgoing(
    way: &Way<'_>,
    request: &Request,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<Outgoing, Refusal> {
    let target = way.target;
    let mut outgoing = written(way, request)?;
    if !body.is_empty() || matches!(outgoing.method, "PUT" | "POST") {
        outgoing.headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    outgoing.payload = PayloadHash::Sha256(hash::sha256_hex(&body));
    outgoing.body = body;
    target.auth.sign(&mut outgoing, &target.credentials, &target.region, now);
    Ok(outgoing)
}

/// The caller's answer to a target's failure. Codes that are not among those that are translated are told as they are.
pub fn failure(way: &Way<'_>, answer: &Answer) -> Reply {
    let error = answer::error(way.target.dialect, answer);
    let translated = way.target.dialect.faults.iter().any(|row| row.code == error.code);
    if error.code.is_empty() || translated {
        return tell::refused(way.caller, &answer::failure(way, answer).refusal);
    }
    let mut reply = Reply::status(answer.status);
    reply.document = Some(Document::Error(ErrorDocument { details: Vec::new(), ..error }));
    reply
}

/// The caller's head for a target's success, whatever it is.
pub fn reply(way: &Way<'_>, request: &Request, answer: &Answer) -> Reply {
    let dialect = way.target.dialect;
    let mut reply = answer::head(way, request.operation, answer);
    let identity = &dialect.identity;
    let ids = [Some(identity.request_id), identity.trace_id, identity.server_time];
    let told = |name: &str| {
        let mut own = Told::ALL.into_iter().filter_map(dialect.told).chain(ids.into_iter().flatten());
        own.any(|own| own.eq_ignore_ascii_case(name)) || name.starts_with(dialect.metadata_prefix)
    };
    let strange =
        answer.headers.iter().filter(|(name, _)| name.starts_with(dialect.header_prefix) && !told(name));
    reply.strange = strange.cloned().collect();
    reply
}
