//! Translates the canonical response into a response of the caller's dialect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::dialect::Dialect;
use crate::dialect::response_context::{ResponseContext, derive_trace_id};
use crate::documents::response_documents;
use crate::encoding::date;
use crate::model::{Document, ErrorDocument, ErrorKind, Rejection, Response, ResponseField};

/// A response that is ready to be sent: the head and the complete document. A streamed body follows separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenResponse {
    /// HTTP status.
    pub status: u16,
    /// Names and values in the order to be written.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The document; empty if there is none or the request was a HEAD.
    pub body: Vec<u8>,
    /// The error code that the client gets, for the log.
    pub code: Option<String>,
}

/// Writes a response. The length of a document is set here; that of a streamed body is in the canonical response.
pub fn write_response(context: &ResponseContext, mut response: Response) -> WrittenResponse {
    let dialect = context.dialect;
    let code = match &response.document {
        Some(Document::Error(error)) => Some(error.code.clone()),
        _ => None,
    };
    let id = context.request_id();
    let content_type = match &response.document {
        Some(Document::Verbatim(kind, _)) => kind,
        _ => "application/xml",
    };
    let body = response
        .document
        .take()
        .map(|document| response_documents::write_document(dialect, &document, context, &id));
    let has_no_body = matches!(response.status, 204 | 304);
    if body.is_some() && !has_no_body {
        response.set(ResponseField::ContentType, content_type);
    }
    let mut headers = vec![
        ("Server".to_owned(), dialect.common_headers.server.into()),
        ("Date".to_owned(), date::format_http(context.now).into()),
        (dialect.common_headers.request_id_header.to_owned(), id.clone().into()),
    ];
    if let Some(name) = dialect.common_headers.trace_id_header {
        headers.push((name.to_owned(), derive_trace_id(&id).into()));
    }
    if let Some(name) = dialect.common_headers.server_time_header {
        headers.push((name.to_owned(), context.elapsed_ms.to_string().into()));
    }
    // In a fixed order, so that equal responses have equal heads.
    for field in ResponseField::ALL {
        let Some(name) = (dialect.response_field_name)(field) else { continue };
        headers.extend(
            response.fields.iter().filter(|row| row.0 == field).map(|row| (name.to_owned(), row.1.clone())),
        );
    }
    for (algorithm, value) in response.checksums {
        if let Some(name) = dialect.checksum_header(algorithm) {
            headers.push((name.to_owned(), value.into_bytes()));
        }
    }
    let metadata = response.metadata.into_iter();
    headers.extend(metadata.map(|(name, value)| (format!("{}{name}", dialect.metadata_prefix), value)));
    // Values from a target's document may contain line breaks, with which it could add headers to the response.
    headers.retain(|(_, value)| !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    let body = match (body, context.is_head, has_no_body) {
        (Some(body), false, false) => body,
        (Some(body), true, false) => {
            // A response to HEAD has no body; OSS sends the error document in a header instead.
            if let Some(name) = dialect.common_headers.head_error_header.filter(|_| code.is_some()) {
                headers.push((name.to_owned(), BASE64.encode(&body).into()));
            }
            Vec::new()
        }
        _ => Vec::new(),
    };
    WrittenResponse { status: response.status, headers, body, code }
}

/// The response to a rejected request.
pub fn build_error_response(dialect: &'static Dialect, rejection: &Rejection) -> Response {
    let row = dialect.error_row(rejection.kind).or_else(|| dialect.error_row(ErrorKind::InternalError));
    let (code, status, message) =
        row.map_or(("InternalError", 500, "Internal error."), |row| (row.code, row.status, row.message));
    let (code, status) = match &rejection.code_and_status {
        Some((code, status)) => (code.as_str(), *status),
        None => (code, status),
    };
    let mut response = Response::with_status(status);
    if status != 304 {
        response.document = Some(Document::Error(ErrorDocument {
            kind: Some(rejection.kind),
            code: code.to_owned(),
            message: rejection.message.clone().unwrap_or_else(|| message.to_owned()),
            details: rejection
                .details
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }));
    }
    response
}
