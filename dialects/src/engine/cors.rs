//! Cross-origin requests of browsers (CORS): evaluates the rules of a bucket, and translates the header names in them.
//! The rules are described by S3, User Guide, "Using cross-origin resource sharing (CORS)"; COS, OPTIONS Object; OSS,
//! OptionObject.

use crate::dialect::{Dialect, FieldName};
use crate::encoding::xml::Node;
use crate::model::{ErrorKind, Field, RawHead, Rejection, Response, ResponseField};

/// Limit for the header names in one preflight request. An anonymous client can send it, and each name is compared
/// with all rules.
const HEADERS_MAX: usize = 64;

/// The preflight request that a browser sends before its actual request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    origin: String,
    method: String,
    /// Lower case.
    headers: Vec<String>,
}

impl Preflight {
    /// Reads a preflight request.
    ///
    /// # Errors
    /// `ErrorKind::NoOrigin`; `ErrorKind::CorsDenied` for a method that no rule can allow.
    pub fn parse(head: &RawHead) -> Result<Self, Rejection> {
        let text = |name: &str| head.header_text(name).map(str::trim).filter(|text| !text.is_empty());
        let origin = text("origin").ok_or(ErrorKind::NoOrigin)?.to_owned();
        let method = text("access-control-request-method").ok_or(ErrorKind::CorsDenied)?.to_owned();
        let headers = text("access-control-request-headers").unwrap_or_default().split(',');
        let headers = headers.map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty());
        // One more than the limit is enough to see that there are too many.
        let headers: Vec<String> = headers.take(HEADERS_MAX + 1).collect();
        if headers.len() > HEADERS_MAX {
            return Err(ErrorKind::CorsDenied.into());
        }
        Ok(Self { origin, method, headers })
    }

    /// Evaluates the rules of a bucket and builds the response, in the caller's names.
    ///
    /// # Errors
    /// `ErrorKind::CorsDenied`.
    pub fn respond(&self, rules: &Node) -> Result<Response, Rejection> {
        // The first matching rule decides, in the order of the document (S3, User Guide, CORS).
        let rule = rules
            .children_named("CORSRule")
            .find(|rule| self.is_allowed_by(rule))
            .ok_or(ErrorKind::CorsDenied)?;
        let mut response = Response::with_status(200);
        write_cors_headers(&mut response, rule, &self.origin);
        response.set(ResponseField::AllowMethods, collect_texts(rule, "AllowedMethod").join(", "));
        if !self.headers.is_empty() {
            response.set(ResponseField::AllowHeaders, self.headers.join(", "));
        }
        if let Some(seconds) = rule.child_text("MaxAgeSeconds").filter(|text| !text.is_empty()) {
            response.set(ResponseField::MaxAge, seconds);
        }
        Ok(response)
    }

    fn is_allowed_by(&self, rule: &Node) -> bool {
        let matches_any = |name: &str, text: &str| {
            rule.children_named(name).any(|node| matches_wildcard(node.text.trim(), text))
        };
        allows_origin_and_method(rule, &self.origin, &self.method)
            && self.headers.iter().all(|header| matches_any("AllowedHeader", header))
    }
}

/// The origin and method of a cross-origin request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossOrigin {
    origin: String,
    method: String,
}

impl CrossOrigin {
    /// Reads them from a request with an `Origin` header.
    pub fn parse(head: &RawHead) -> Option<Self> {
        let origin = head.header_text("origin").map(str::trim).filter(|origin| !origin.is_empty())?;
        Some(Self { origin: origin.to_owned(), method: head.method.clone() })
    }

    /// Adds the headers that let the page read the response, if a rule of the bucket allows it. Error responses get
    /// them too: without them, a browser reports a network error to the page.
    pub fn add_headers(&self, rules: &Node, response: &mut Response) {
        if let Some(rule) = rules
            .children_named("CORSRule")
            .find(|rule| allows_origin_and_method(rule, &self.origin, &self.method))
        {
            write_cors_headers(response, rule, &self.origin);
        }
    }
}

fn allows_origin_and_method(rule: &Node, origin: &str, method: &str) -> bool {
    rule.children_named("AllowedOrigin").any(|node| matches_wildcard(node.text.trim(), origin))
        && rule.children_named("AllowedMethod").any(|node| node.text.trim() == method)
}

fn collect_texts(rule: &Node, name: &str) -> Vec<String> {
    rule.children_named(name).map(|node| node.text.clone()).collect()
}

/// Adds the headers of every response to a page of this origin.
fn write_cors_headers(response: &mut Response, rule: &Node, origin: &str) {
    let any_origin = rule.children_named("AllowedOrigin").any(|node| node.text.trim() == "*");
    response.set(ResponseField::AllowOrigin, if any_origin { "*" } else { origin });
    let exposed_headers = collect_texts(rule, "ExposeHeader");
    if !exposed_headers.is_empty() {
        response.set(ResponseField::ExposeHeaders, exposed_headers.join(", "));
    }
    // Browsers reject credentials together with the origin `*` (Fetch standard, CORS protocol and credentials).
    if !any_origin {
        response.set(ResponseField::AllowCredentials, "true");
    }
    response
        // Without Vary, a cache could return the response for one origin to a page of another.
        .set(ResponseField::Vary, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

/// Whether a text matches a rule's pattern, which may have one `*`. Letter case is ignored.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)).is_some(),
    }
}

/// Translates the header names in the rules of a bucket into another dialect.
pub(crate) fn translate_rules(from: &Dialect, to: &Dialect, mut rules: Node) -> Node {
    if from.family == to.family {
        return rules;
    }
    for rule in rules.children.iter_mut().filter(|node| node.name == "CORSRule") {
        let lists_headers = |node: &&mut Node| matches!(&*node.name, "AllowedHeader" | "ExposeHeader");
        for node in rule.children.iter_mut().filter(lists_headers) {
            node.text = translate_header_name(from, to, node.text.trim());
        }
    }
    rules
}

/// Translates a list of header names into another dialect.
pub(crate) fn translate_header_list(from: &Dialect, to: &Dialect, list: &str) -> String {
    if from.family == to.family {
        return list.to_owned();
    }
    list.split(',').map(|name| translate_header_name(from, to, name.trim())).collect::<Vec<_>>().join(", ")
}

/// Translates a header name into another dialect. A name that does not belong to the first dialect is returned
/// unchanged.
fn translate_header_name(from: &Dialect, to: &Dialect, name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if let Some(rest) = lower.strip_prefix(from.metadata_prefix) {
        return format!("{}{rest}", to.metadata_prefix);
    }
    // A pattern such as `x-amz-*` stands for all headers of the dialect.
    if lower.ends_with('*')
        && let Some(rest) = lower.strip_prefix(from.header_prefix)
    {
        return format!("{}{rest}", to.header_prefix);
    }
    let is_same = |own: Option<&str>| own.is_some_and(|own| own.eq_ignore_ascii_case(&lower));
    let response_field =
        ResponseField::ALL.into_iter().find(|field| is_same((from.response_field_name)(*field)));
    let is_own_header =
        |field: &Field| matches!((from.field_name)(*field), Some(FieldName::Header(own)) if own == lower);
    let request_field = Field::ALL.into_iter().find(is_own_header);
    let translated = response_field.and_then(|field| (to.response_field_name)(field)).or_else(|| {
        request_field.and_then(|field| (to.field_name)(field)).and_then(|name| match name {
            FieldName::Header(name) => Some(name),
            FieldName::Parameter(_) => None,
        })
    });
    // Pages read the request ID for error reports, so it has to be in ExposeHeader under the caller's name.
    let request_id =
        is_same(Some(from.common_headers.request_id_header)).then_some(to.common_headers.request_id_header);
    translated.or(request_id).map_or_else(|| name.to_owned(), str::to_owned)
}
