//! CORS: preflight requests, which are unsigned, and the headers that let a page read a response.
//!
//! Source: S3, "Using cross-origin resource sharing". The first rule that allows the origin and the method applies.

use crate::errors::s3_error;
use crate::headers::insert_header;
use crate::objects::Core;
use crate::settings::{parse_bucket_and_key, read_cors_rules};
use crate::xml::Element;
use http::{HeaderMap, Method, Uri};
use s3s::{S3Error, S3Result};

const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of \
                           Origin, request method / Access-Control-Request-Method or \
                           Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";

/// The headers of the response to a preflight request.
///
/// # Errors
/// 400 if it is not a preflight request, 403 if no rule allows it.
pub(crate) async fn build_preflight_headers(
    core: &Core,
    uri: &Uri,
    headers: &HeaderMap,
) -> S3Result<HeaderMap> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text("origin") else {
        let message = "Insufficient information. Origin request header needed.";
        return Err(s3_error(400, "BadRequest", message, &[]));
    };
    let Some(method) = text(REQUEST_METHOD) else {
        return Err(s3_error(400, "BadRequest", "Invalid Access-Control-Request-Method: null", &[]));
    };
    let requested_headers = text(REQUEST_HEADERS).unwrap_or_default().to_ascii_lowercase();
    let requested_headers: Vec<&str> =
        requested_headers.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let location = parse_bucket_and_key(uri);
    // S3 names the kind of resource in the error.
    let kind = if location.as_ref().is_some_and(|(_, key)| key.is_empty()) { "BUCKET" } else { "OBJECT" };
    let reject = |message: &str| cors_forbidden_error(message, method, kind);
    let (bucket, _) = location.ok_or_else(|| reject("CORSResponse: Bucket not found"))?;
    let rules = core.meta.read(move |reading| {
        if reading.get_bucket(&bucket).is_err() {
            return Ok(Err("CORSResponse: Bucket not found"));
        }
        Ok(read_cors_rules(reading, &bucket)?.ok_or("CORSResponse: CORS is not enabled for this bucket."))
    });
    let rules = rules.await?.map_err(reject)?;
    let allows_headers = |rule: &Element| {
        let allowed_patterns: Vec<String> =
            // Header names are case-insensitive, origins and methods are not.
            rule.child_texts("AllowedHeader").map(str::to_ascii_lowercase).collect();
        requested_headers
            .iter()
            .all(|name| allowed_patterns.iter().any(|pattern| matches_pattern(pattern, name)))
    };
    let rule = rules
        .children_with_name("CORSRule")
        .find(|rule| allows_request(rule, origin, method) && allows_headers(rule));
    let rule = rule.ok_or_else(|| reject(NOT_ALLOWED))?;
    let mut response_headers = build_allow_headers(rule, origin);
    insert_header(
        &mut response_headers,
        "access-control-allow-methods",
        &rule.child_texts("AllowedMethod").collect::<Vec<_>>().join(", "),
    );
    if !requested_headers.is_empty() {
        insert_header(&mut response_headers, "access-control-allow-headers", &requested_headers.join(", "));
    }
    if let Some(seconds) = rule.child_text("MaxAgeSeconds") {
        insert_header(&mut response_headers, "access-control-max-age", seconds.trim());
    }
    Ok(response_headers)
}

/// The headers of the response to a request with an `Origin`; empty if no rule allows it.
pub(crate) async fn build_cors_headers(core: &Core, uri: &Uri, method: &Method, origin: &str) -> HeaderMap {
    let Some((bucket, _)) = parse_bucket_and_key(uri) else { return HeaderMap::new() };
    let rules = core.meta.read(move |reading| read_cors_rules(reading, &bucket)).await;
    // The response of the operation must not fail because of the CORS rules.
    let Ok(Some(rules)) = rules else { return HeaderMap::new() };
    let rule =
        rules.children_with_name("CORSRule").find(|rule| allows_request(rule, origin, method.as_str()));
    rule.map(|rule| build_allow_headers(rule, origin)).unwrap_or_default()
}

fn cors_forbidden_error(message: &str, method: &str, kind: &str) -> S3Error {
    s3_error(403, "AccessForbidden", message, &[("Method", method), ("ResourceType", kind)])
}

fn allows_request(rule: &Element, origin: &str, method: &str) -> bool {
    rule.child_texts("AllowedMethod").any(|allowed| allowed == method)
        && rule.child_texts("AllowedOrigin").any(|pattern| matches_pattern(pattern, origin))
}

/// A pattern contains at most one `*`, which matches any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
    }
}

fn build_allow_headers(rule: &Element, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pattern = rule.child_texts("AllowedOrigin").find(|pattern| matches_pattern(pattern, origin));
    // The Fetch standard forbids credentials together with `*`, so only a specific origin allows them.
    if pattern == Some("*") {
        insert_header(&mut headers, "access-control-allow-origin", "*");
    } else {
        insert_header(&mut headers, "access-control-allow-origin", origin);
        insert_header(&mut headers, "access-control-allow-credentials", "true");
    }
    let exposed: Vec<&str> = rule.child_texts("ExposeHeader").collect();
    if !exposed.is_empty() {
        insert_header(&mut headers, "access-control-expose-headers", &exposed.join(", "));
    }
    insert_header(
        &mut headers,
        "vary",
        "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn a_star_matches_any_text() {
        for (pattern, text, expected) in [
            ("*", "http://a", true),
            ("http://*.a", "http://b.a", true),
            ("http://*.a", "http://b.c", false),
            ("http://*.a", "https://b.a", false),
            ("http://a", "http://a", true),
            ("http://a", "http://ab", false),
            ("ab*ba", "aba", false),
            ("ab*ba", "abba", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }
}
