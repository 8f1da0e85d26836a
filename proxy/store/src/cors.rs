//! CORS: pre-flight requests, which are unsigned, and the headers that let a page read an answer.
//!
//! Wire rules: S3, "Using cross-origin resource sharing". The first rule that allows the origin and the method counts.

use crate::errors::fault;
use crate::objects::{Core, put};
use crate::settings::{bucket_and_key, cors_rules};
use crate::xml::Element;
use http::{HeaderMap, Method, Uri};
use s3s::{S3Error, S3Result};

const REQUEST_METHOD: &str = "access-control-request-method";
const REQUEST_HEADERS: &str = "access-control-request-headers";
const NOT_ALLOWED: &str = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of \
                           Origin, request method / Access-Control-Request-Method or \
                           Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.";

/// The headers of the answer to a pre-flight request.
///
/// # Errors
/// 400 where it is none, 403 where no rule allows what it asks for.
pub(crate) async fn preflight(core: &Core, uri: &Uri, headers: &HeaderMap) -> S3Result<HeaderMap> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text("origin") else {
        let message = "Insufficient information. Origin request header needed.";
        return Err(fault(400, "BadRequest", message, &[]));
    };
    let Some(method) = text(REQUEST_METHOD) else {
        return Err(fault(400, "BadRequest", "Invalid Access-Control-Request-Method: null", &[]));
    };
    let wanted = text(REQUEST_HEADERS).unwrap_or_default().to_ascii_lowercase();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let place = bucket_and_key(uri);
    let kind = if place.as_ref().is_some_and(|(_, key)| key.is_empty()) { "BUCKET" } else { "OBJECT" };
    let refused = |message: &str| forbidden(message, method, kind);
    let (bucket, _) = place.ok_or_else(|| refused("CORSResponse: Bucket not found"))?;
    let rules = core.meta.read(move |reading| {
        if reading.bucket(&bucket).is_err() {
            return Ok(Err("CORSResponse: Bucket not found"));
        }
        Ok(cors_rules(reading, &bucket)?.ok_or("CORSResponse: CORS is not enabled for this bucket."))
    });
    let rules = rules.await?.map_err(refused)?;
    let allows_all = |rule: &Element| {
        let allowed: Vec<String> = rule.texts("AllowedHeader").map(str::to_ascii_lowercase).collect();
        wanted.iter().all(|name| allowed.iter().any(|pattern| matches(pattern, name)))
    };
    let rule = rules.all("CORSRule").find(|rule| allows(rule, origin, method) && allows_all(rule));
    let rule = rule.ok_or_else(|| refused(NOT_ALLOWED))?;
    let mut answer = told(rule, origin);
    put(
        &mut answer,
        "access-control-allow-methods",
        &rule.texts("AllowedMethod").collect::<Vec<_>>().join(", "),
    );
    if !wanted.is_empty() {
        put(&mut answer, "access-control-allow-headers", &wanted.join(", "));
    }
    if let Some(seconds) = rule.text_of("MaxAgeSeconds") {
        put(&mut answer, "access-control-max-age", seconds.trim());
    }
    Ok(answer)
}

/// The headers of the answer to a request that names its origin; none where no rule allows it.
pub(crate) async fn headers(core: &Core, uri: &Uri, method: &Method, origin: &str) -> HeaderMap {
    let Some((bucket, _)) = bucket_and_key(uri) else { return HeaderMap::new() };
    let rules = core.meta.read(move |reading| cors_rules(reading, &bucket)).await;
    let Ok(Some(rules)) = rules else { return HeaderMap::new() };
    let rule = rules.all("CORSRule").find(|rule| allows(rule, origin, method.as_str()));
    rule.map(|rule| told(rule, origin)).unwrap_or_default()
}

fn forbidden(message: &str, method: &str, kind: &str) -> S3Error {
    fault(403, "AccessForbidden", message, &[("Method", method), ("ResourceType", kind)])
}

fn allows(rule: &Element, origin: &str, method: &str) -> bool {
    rule.texts("AllowedMethod").any(|allowed| allowed == method)
        && rule.texts("AllowedOrigin").any(|pattern| matches(pattern, origin))
}

/// A pattern has at most one `*`, for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
    }
}

fn told(rule: &Element, origin: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let pattern = rule.texts("AllowedOrigin").find(|pattern| matches(pattern, origin));
    if pattern == Some("*") {
        put(&mut headers, "access-control-allow-origin", "*");
    } else {
        put(&mut headers, "access-control-allow-origin", origin);
        put(&mut headers, "access-control-allow-credentials", "true");
    }
    let exposed: Vec<&str> = rule.texts("ExposeHeader").collect();
    if !exposed.is_empty() {
        put(&mut headers, "access-control-expose-headers", &exposed.join(", "));
    }
    put(&mut headers, "vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
    headers
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn one_star_stands_for_any_text() {
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
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
