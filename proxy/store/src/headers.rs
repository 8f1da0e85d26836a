//! Response headers.

use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) fn insert_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // A value that is not a valid header value, such as a tag with a line break, is omitted, so that the object can
    // be read.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

pub(crate) fn insert_headers(headers: &mut HeaderMap, pairs: Vec<(&'static str, String)>) {
    for (name, value) in pairs {
        insert_header(headers, name, &value);
    }
}
