//! What a target's response contains about the proxy's own access key, clock and region. Clients never get it; it is
//! for the operator who runs `blobfish doctor`.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, addressing};
use crate::documents::response_documents;
use crate::encoding::date;
use crate::engine::target_response::TargetResponse;
use crate::engine::{read_response, write_request};
use crate::model::{
    Document, ErrorKind, Operation, OutgoingRequest, Rejection, Request, Response, ResponseField, Setting,
    Timestamp,
};

/// A target's failure without any text that could contain a signature: vendors repeat signatures in messages and
/// documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// The kind of error.
    pub kind: ErrorKind,
    /// The target's error code, if it consists of letters only.
    pub code: Option<String>,
    /// Whether the request has to be sent to another region or endpoint.
    pub wrong_location: bool,
    /// The region in the response.
    pub region: Option<String>,
}

/// Longest region name. A signature is longer.
const REGION_BYTES_MAX: usize = 32;

/// Longest error code.
const CODE_BYTES_MAX: usize = 64;

/// Reads a failed response.
pub fn diagnose_failure(target: &Dialect, response: &TargetResponse) -> Failure {
    let error = read_response::read_error_document(target, response);
    let kind = read_response::classify_error(target, response.status, &error);
    let detail = |name: &str| error.details.iter().find(|row| row.0 == name).map(|row| row.1.as_str());
    let named_region = detail("Region").and_then(parse_region);
    let region_of_endpoint =
        detail("Endpoint").and_then(|host| addressing::find_region_in_host(host, target.hosts));
    // Vendors report a wrong region by a redirect, by an error code, by an endpoint in the document, or only in the
    // message.
    let wrong_location = matches!(response.status, 300..=303 | 305..=399)
        || kind == ErrorKind::AuthorizationMalformed
        || region_of_endpoint.is_some()
        || error.message.contains("region");
    // A value that is not a plain code could be anything, so it is not printed.
    let is_code = error.code.len() <= CODE_BYTES_MAX && error.code.bytes().all(|b| b.is_ascii_alphabetic());
    Failure {
        status: response.status,
        kind,
        code: Some(error.code).filter(|code| is_code && !code.is_empty()),
        wrong_location,
        region: read_region_header(target, response).or(named_region).or(region_of_endpoint),
    }
}

/// The region of the bucket, from the response head.
pub fn read_region_header(target: &Dialect, response: &TargetResponse) -> Option<String> {
    (target.response_field_name)(ResponseField::BucketRegion)
        .and_then(|name| response.header_text(name))
        .and_then(parse_region)
}

fn parse_region(text: &str) -> Option<String> {
    let is_word = !text.is_empty()
        && text.len() <= REGION_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_word.then(|| text.to_owned())
}

/// The region in the response to [`Operation::GetBucketLocation`].
pub fn read_location_document(target: &Dialect, response: &TargetResponse) -> Option<String> {
    match response_documents::read_document(target, Operation::GetBucketLocation, &response.body) {
        Ok(Some(Document::Location(region))) if response.status == 200 => parse_region(&region),
        _ => None,
    }
}

/// The target's clock at the time of its response.
pub fn read_server_time(response: &TargetResponse) -> Option<Timestamp> {
    response.header_text("date").and_then(date::parse_http)
}

/// Whether versioning is enabled (`Some(true)`), suspended (`Some(false)`), or was never enabled (`None`).
pub fn read_versioning(response: &Response) -> Option<bool> {
    match &response.document {
        Some(Document::Setting(Setting::Versioning, tree)) => {
            tree.child_text("Status").filter(|status| !status.is_empty()).map(|status| status == "Enabled")
        }
        _ => None,
    }
}

/// Whether a response is a success of this operation with the document that belongs to it.
pub fn is_proven_success(route: &Route<'_>, operation: Operation, response: &TargetResponse) -> bool {
    read_response::read_response(route, operation, response).is_ok()
}

/// Builds and signs a request without a body.
///
/// # Errors
/// The request has a value that the target's dialect cannot express.
pub fn build_signed_request(
    route: &Route<'_>,
    request: &Request,
    now: Timestamp,
) -> Result<OutgoingRequest, Rejection> {
    let (outgoing, _) = write_request::write_request(route, request)?;
    Ok(write_request::sign_request(route, outgoing, now))
}
