//! Requests of browsers from other origins: the rules of a bucket, and the names of headers in them. Section 3.11 of the
//! S3 reference, "OPTIONS" of COS (5) and "CORS preflight" of OSS.

use crate::engine::dialect::{Dialect, Name};
use crate::model::{Fault, Field, RawHead, Refusal, Reply, Told};
use crate::wire::xml::Node;

/// Names of headers in one question: each is compared with all that the rules have, for somebody without a key.
const HEADERS_MAX: usize = 64;

/// What a browser asks before its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    origin: String,
    method: String,
    /// Lower case.
    headers: Vec<String>,
}

impl Preflight {
    /// Reads it.
    ///
    /// # Errors
    /// [`Fault::NoOrigin`]; [`Fault::CorsDenied`] for a method that no rule can allow.
    pub fn read(head: &RawHead) -> Result<Self, Refusal> {
        let text = |name: &str| head.text(name).map(str::trim).filter(|text| !text.is_empty());
        let origin = text("origin").ok_or(Fault::NoOrigin)?.to_owned();
        let method = text("access-control-request-method").ok_or(Fault::CorsDenied)?.to_owned();
        let headers = text("access-control-request-headers").unwrap_or_default().split(',');
        let headers = headers.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        let headers: Vec<String> = headers.take(HEADERS_MAX + 1).collect();
        if headers.len() > HEADERS_MAX {
            return Err(Fault::CorsDenied.into());
        }
        Ok(Self { origin, method, headers })
    }

    /// The answer by the rules of a bucket, in the caller's names.
    ///
    /// # Errors
    /// [`Fault::CorsDenied`].
    pub fn answer(&self, rules: &Node) -> Result<Reply, Refusal> {
        let rule = rules.all("CORSRule").find(|rule| self.fits(rule)).ok_or(Fault::CorsDenied)?;
        let mut reply = Reply::status(200);
        share(&mut reply, rule, &self.origin);
        reply.set(Told::AllowMethods, texts(rule, "AllowedMethod").join(", "));
        if !self.headers.is_empty() {
            reply.set(Told::AllowHeaders, self.headers.join(", "));
        }
        if let Some(seconds) = rule.text_of("MaxAgeSeconds").filter(|text| !text.is_empty()) {
            reply.set(Told::MaxAge, seconds);
        }
        Ok(reply)
    }

    fn fits(&self, rule: &Node) -> bool {
        let any = |name: &str, text: &str| rule.all(name).any(|node| fits(node.text.trim(), text));
        permits(rule, &self.origin, &self.method)
            && self.headers.iter().all(|header| any("AllowedHeader", header))
    }
}

/// What a browser's request says of where it comes from, whatever it asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossOrigin {
    origin: String,
    method: String,
}

impl CrossOrigin {
    /// Of a request with an `Origin`.
    pub fn read(head: &RawHead) -> Option<Self> {
        let origin = head.text("origin").map(str::trim).filter(|origin| !origin.is_empty())?;
        Some(Self { origin: origin.to_owned(), method: head.method.clone() })
    }

    /// Lets the page read an answer, where a rule of the bucket allows it. Every answer, a refusal too: without these
    /// headers a browser tells its page of a broken network.
    pub fn allow(&self, rules: &Node, reply: &mut Reply) {
        if let Some(rule) = rules.all("CORSRule").find(|rule| permits(rule, &self.origin, &self.method)) {
            share(reply, rule, &self.origin);
        }
    }
}

fn permits(rule: &Node, origin: &str, method: &str) -> bool {
    rule.all("AllowedOrigin").any(|node| fits(node.text.trim(), origin))
        && rule.all("AllowedMethod").any(|node| node.text.trim() == method)
}

fn texts(rule: &Node, name: &str) -> Vec<String> {
    rule.all(name).map(|node| node.text.clone()).collect()
}

/// What every answer says to a page of this origin.
fn share(reply: &mut Reply, rule: &Node, origin: &str) {
    let any_origin = rule.all("AllowedOrigin").any(|node| node.text.trim() == "*");
    reply.set(Told::AllowOrigin, if any_origin { "*" } else { origin });
    let exposed = texts(rule, "ExposeHeader");
    if !exposed.is_empty() {
        reply.set(Told::ExposeHeaders, exposed.join(", "));
    }
    if !any_origin {
        reply.set(Told::AllowCredentials, "true");
    }
    reply.set(Told::Vary, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

/// Whether a text is what a rule says, which may have one `*` in it. Letter case does not count.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some(),
    }
}

/// The names of headers in the rules of a bucket, in another dialect.
pub fn renamed(from: &Dialect, to: &Dialect, mut rules: Node) -> Node {
    for rule in rules.children.iter_mut().filter(|node| node.name == "CORSRule") {
        let named = |node: &&mut Node| matches!(node.name.as_str(), "AllowedHeader" | "ExposeHeader");
        for node in rule.children.iter_mut().filter(named) {
            node.text = header(from, to, node.text.trim());
        }
    }
    rules
}

/// A list of header names, in another dialect.
pub fn headers(from: &Dialect, to: &Dialect, list: &str) -> String {
    list.split(',').map(|name| header(from, to, name.trim())).collect::<Vec<_>>().join(", ")
}

/// What a header is called in another dialect; a name that is not the first dialect's own stays.
fn header(from: &Dialect, to: &Dialect, name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix(from.metadata_prefix) {
        return format!("{}{rest}", to.metadata_prefix);
    }
    if lower.ends_with('*')
        && let Some(rest) = lower.strip_prefix(from.header_prefix)
    {
        return format!("{}{rest}", to.header_prefix);
    }
    let same = |own: Option<&str>| own.is_some_and(|own| own.eq_ignore_ascii_case(&lower));
    let told = Told::ALL.into_iter().find(|field| same((from.told)(*field)));
    let own = |field: &Field| matches!((from.name_of)(*field), Some(Name::Header(own)) if own == lower);
    let said = Field::ALL.into_iter().find(own);
    let found = told.and_then(|field| (to.told)(field)).or_else(|| {
        said.and_then(|field| (to.name_of)(field)).and_then(|name| match name {
            Name::Header(name) => Some(name),
            Name::Parameter(_) => None,
        })
    });
    let id = same(Some(from.identity.request_id)).then_some(to.identity.request_id);
    found.or(id).map_or_else(|| name.to_owned(), str::to_owned)
}
