//! Authenticates a request from its head: finds the dialect and the resource, verifies the signature, reads the
//! fields.

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::Dialect;
use crate::dialect::addressing;
use crate::dialect::addressing::ParsedHost;
use crate::dialect::signature::{Claim, Payload, ResourceAddress, VerifiedSignature, VerifyOptions};
use crate::encoding::hash;
use crate::engine::read_request;
use crate::model::{ErrorKind, Operation, RawHead, Rejection, Request, Timestamp};

/// The dialects and hosts of a listener.
pub struct ListenerDialects {
    /// Every caller dialect. The first of a family is the common one.
    pub dialects: &'static [&'static Dialect],
    /// The dialect of a request that shows none by credential, host or headers.
    pub default_dialect: &'static Dialect,
    /// Configured base names: `<bucket>.<base>`.
    pub base_domains: Vec<String>,
}

/// A caller's configured credentials.
pub struct CallerCredentials<'a> {
    /// Secret access key.
    pub secret_key: &'a SecretString,
    /// Session token that requests must have.
    pub session_token: Option<&'a SecretString>,
    /// Dialects in which signatures must cover everything that has a meaning.
    pub strict_dialects: &'a [&'static str],
    /// Signature schemes that are allowed. Empty: all.
    pub schemes: &'a [String],
}

/// Finds credentials and public buckets.
pub trait CredentialStore {
    /// The credentials of an access key ID.
    fn find_credentials(&self, access_key_id: &str) -> Option<CallerCredentials<'_>>;

    /// Whether anonymous requests may read the objects of a bucket.
    fn is_anonymous_read(&self, bucket: &str) -> bool;
}

/// A request with a verified signature, or an allowed anonymous one.
#[derive(Debug)]
pub struct AuthenticatedRequest {
    /// The caller dialect.
    pub dialect: &'static Dialect,
    /// The caller's access key ID. `None` for an anonymous request.
    pub access_key_id: Option<String>,
    /// The canonical request.
    pub request: Request,
    /// How to verify the body.
    pub payload: Payload,
    /// Names of headers and query parameters with a meaning that were not signed, in a scheme that allows this.
    pub unsigned_names: Vec<String>,
}

/// A request that is not authenticated.
#[derive(Debug)]
pub struct RejectedRequest {
    /// The dialect of the error response.
    pub dialect: &'static Dialect,
    /// The error.
    pub rejection: Rejection,
}

/// Authenticates a request without its body.
///
/// # Errors
/// `RejectedRequest` with the error, in the dialect that the request appears to have.
pub fn authenticate_request(
    head: &RawHead,
    listener: &ListenerDialects,
    credentials: &dyn CredentialStore,
    now: Timestamp,
) -> Result<AuthenticatedRequest, RejectedRequest> {
    let host = listener.parse_host(head.host());
    let (dialect, claim) = identify_dialect(head, host.as_ref(), listener)?;
    let address = locate_resource(head, host.as_ref(), dialect)?;
    verify_request(head, dialect, &address, claim, credentials, now)
        .map_err(|rejection| RejectedRequest { dialect, rejection })
}

/// The dialect of a request: that of its credential, else that of its host, else that of its headers, else the
/// listener's default. The bucket depends on the host alone.
fn identify_dialect(
    head: &RawHead,
    host: Option<&ParsedHost>,
    listener: &ListenerDialects,
) -> Result<(&'static Dialect, Option<Claim>), RejectedRequest> {
    let mut claimed: Option<(&'static Dialect, Claim)> = None;
    for dialect in list_family_representatives(listener) {
        match dialect.auth.parse_claim(head) {
            Err(rejection) => {
                return Err(RejectedRequest { dialect: select_profile(host, listener, dialect), rejection });
            }
            Ok(None) => {}
            Ok(Some(claim)) if claimed.is_none() => claimed = Some((dialect, claim)),
            // Only one of them could be verified, and the request does not show which one the client meant.
            Ok(Some(_)) => {
                let first = claimed.map_or(dialect, |first| first.0);
                let dialect = host.and_then(get_vendor_dialect).unwrap_or(first);
                return Err(RejectedRequest { dialect, rejection: ErrorKind::SeveralCredentials.into() });
            }
        }
    }
    match claimed {
        Some((dialect, claim)) => Ok((select_profile(host, listener, dialect), Some(claim))),
        None => Ok((select_unsigned_dialect(head, host, listener), None)),
    }
}

/// The first dialect of each family.
fn list_family_representatives(listener: &ListenerDialects) -> impl Iterator<Item = &'static Dialect> {
    let all = listener.dialects;
    all.iter().enumerate().filter_map(move |(at, dialect)| {
        let first = all.iter().position(|other| other.family == dialect.family) == Some(at);
        first.then_some(*dialect)
    })
}

/// The dialect within a family: that of the vendor's own host, else the listener's default if it is in the family.
fn select_profile(
    host: Option<&ParsedHost>,
    listener: &ListenerDialects,
    candidate: &'static Dialect,
) -> &'static Dialect {
    match host {
        Some(ParsedHost::Vendor { dialect, via_base_name: false, .. })
            if dialect.family == candidate.family =>
        {
            dialect
        }
        _ if listener.default_dialect.family == candidate.family => listener.default_dialect,
        _ => candidate,
    }
}

/// The dialect of a request without a credential: that of its host, else that of its headers, else the listener's
/// default.
pub fn detect_unsigned_dialect(head: &RawHead, listener: &ListenerDialects) -> &'static Dialect {
    select_unsigned_dialect(head, listener.parse_host(head.host()).as_ref(), listener)
}

fn select_unsigned_dialect(
    head: &RawHead,
    host: Option<&ParsedHost>,
    listener: &ListenerDialects,
) -> &'static Dialect {
    let find_by_header = || {
        let prefixed =
            |dialect: &&Dialect| head.headers.iter().any(|row| row.0.starts_with(dialect.header_prefix));
        listener.dialects.iter().copied().find(|dialect| prefixed(dialect))
    };
    host.and_then(get_vendor_dialect).or_else(find_by_header).unwrap_or(listener.default_dialect)
}

/// The dialect of a vendor's host. For a request with an invalid head, nothing else is known.
pub fn find_dialect_by_host(host: &str, listener: &ListenerDialects) -> Option<&'static Dialect> {
    get_vendor_dialect(&listener.parse_host(host)?)
}

fn get_vendor_dialect(host: &ParsedHost) -> Option<&'static Dialect> {
    match host {
        ParsedHost::Vendor { dialect, .. } => Some(dialect),
        ParsedHost::Address | ParsedHost::Base { .. } => None,
    }
}

fn locate_resource(
    head: &RawHead,
    host: Option<&ParsedHost>,
    dialect: &'static Dialect,
) -> Result<ResourceAddress, RejectedRequest> {
    addressing::locate_resource_at_host(head, host, dialect).map_err(|rejection| {
        let is_vendor_rule =
            matches!(rejection.kind, ErrorKind::PathStyleForbidden | ErrorKind::UnsupportedSignature);
        let host_dialect = host.and_then(get_vendor_dialect).filter(|_| is_vendor_rule);
        RejectedRequest { dialect: host_dialect.unwrap_or(dialect), rejection }
    })
}

impl ListenerDialects {
    fn parse_host(&self, host: &str) -> Option<ParsedHost> {
        addressing::parse_host(addressing::strip_port(host), self.dialects, &self.base_domains)
    }

    /// The resource that a request of a dialect addresses.
    ///
    /// # Errors
    /// As `addressing::locate_resource`. An error that is a rule of the host's vendor is in the vendor's dialect.
    pub fn parse_address(
        &self,
        head: &RawHead,
        dialect: &'static Dialect,
    ) -> Result<ResourceAddress, RejectedRequest> {
        locate_resource(head, self.parse_host(head.host()).as_ref(), dialect)
    }
}

fn verify_request(
    head: &RawHead,
    dialect: &'static Dialect,
    address: &ResourceAddress,
    claim: Option<Claim>,
    credentials: &dyn CredentialStore,
    now: Timestamp,
) -> Result<AuthenticatedRequest, Rejection> {
    let Some(claim) = claim else { return authenticate_anonymous(head, dialect, address, credentials) };
    // The signature is verified for an unknown access key ID too, so that the response time does not show which IDs
    // exist.
    let dummy = SecretString::from("0000000000000000000000000000000000000000");
    let caller = credentials.find_credentials(&claim.access_key_id);
    let secret = caller.as_ref().map_or(&dummy, |key| key.secret_key);
    let options = VerifyOptions {
        now,
        requires_all_signed: caller.as_ref().is_some_and(|key| key.strict_dialects.contains(&dialect.family)),
    };
    let verification = verify_with_equivalent_hosts(head, dialect, address, &claim, secret, &options);
    let Some(caller) = caller else { return Err(ErrorKind::InvalidAccessKeyId.into()) };
    let verified = verification?;
    if !caller.schemes.is_empty() && !caller.schemes.iter().any(|scheme| scheme == claim.scheme.name) {
        return Err(ErrorKind::UnsupportedSignature.into());
    }
    check_session_token(caller.session_token, claim.session_token.as_deref())?;
    // After the verification, so that only authenticated callers receive errors about the fields of a request.
    let request = read_request::read_request(dialect, head, address, &verified)?;
    Ok(AuthenticatedRequest {
        dialect,
        access_key_id: Some(claim.access_key_id),
        request,
        payload: verified.payload,
        unsigned_names: verified.unsigned_names,
    })
}

/// Verifies a signature with the host as received. If it does not match, tries the host with or without the default
/// port, because reverse proxies add or remove the port after the client signed the host.
fn verify_with_equivalent_hosts(
    head: &RawHead,
    dialect: &'static Dialect,
    address: &ResourceAddress,
    claim: &Claim,
    secret: &SecretString,
    options: &VerifyOptions,
) -> Result<VerifiedSignature, Rejection> {
    let verify = |head: &RawHead| dialect.auth.verify(head, claim, address, secret, options);
    let received = verify(head);
    match &received {
        // No other host can correct another error, such as an expired signature.
        Err(rejection) if rejection.kind == ErrorKind::SignatureDoesNotMatch => {}
        _ => return received,
    }
    let other_hosts = addressing::list_equivalent_authorities(head.host());
    other_hosts.into_iter().find_map(|host| verify(&head.with_host(host)).ok()).map_or(received, Ok)
}

/// Authenticates a request without a signature, which may only read objects of public buckets.
fn authenticate_anonymous(
    head: &RawHead,
    dialect: &'static Dialect,
    address: &ResourceAddress,
    credentials: &dyn CredentialStore,
) -> Result<AuthenticatedRequest, Rejection> {
    // Some SDKs send an empty `Authorization` header with anonymous requests.
    if head.header("authorization").is_some_and(|value| !value.is_empty()) {
        return Err(
            Rejection::new(ErrorKind::UnknownAuthorization).with_detail("ArgumentName", "Authorization")
        );
    }
    if !address.scope.bucket().is_some_and(|bucket| credentials.is_anonymous_read(bucket)) {
        return Err(ErrorKind::AnonymousDenied.into());
    }
    let verified = VerifiedSignature {
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
        credential_parameters: &[],
        signed_key: None,
    };
    let request = read_request::read_request(dialect, head, address, &verified)?;
    if !matches!(request.operation, Operation::GetObject | Operation::HeadObject) {
        return Err(ErrorKind::AnonymousDenied.into());
    }
    // With a response header that anybody chooses, a link to the operator's host could deliver any content type.
    if request.fields.iter().any(|(field, _)| field.is_response_header_override()) {
        let message = "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(Rejection::with_message(ErrorKind::InvalidRequest, message));
    }
    Ok(AuthenticatedRequest {
        dialect,
        access_key_id: None,
        request,
        payload: Payload::Unsigned,
        unsigned_names: Vec::new(),
    })
}

/// Compares a session token with the configured one.
///
/// # Errors
/// `InvalidToken`.
pub(super) fn check_session_token(
    expected: Option<&SecretString>,
    received: Option<&str>,
) -> Result<(), Rejection> {
    let is_same = match (expected, received) {
        (None, None) => true,
        (Some(expected), Some(received)) => {
            hash::constant_time_eq(expected.expose_secret().as_bytes(), received.as_bytes())
        }
        _ => false,
    };
    if is_same { Ok(()) } else { Err(ErrorKind::InvalidToken.into()) }
}
