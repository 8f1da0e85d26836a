//! From the bytes of a head to a request that may be believed: dialect, place, signature, meaning.

use secrecy::{ExposeSecret, SecretString};

use crate::dialect::Dialect;
use crate::dialect::addressing;
use crate::dialect::addressing::ParsedHost;
use crate::dialect::signature::{Claim, Payload, ResourceAddress, VerifiedSignature, VerifyOptions};
use crate::encoding::hash;
use crate::engine::read_request;
use crate::model::{ErrorKind, Operation, RawHead, Rejection, Request, Timestamp};

/// What this front answers to.
pub struct ListenerDialects {
    /// Every dialect that callers may speak. Of one family the first is the common one.
    pub dialects: &'static [&'static Dialect],
    /// What a request speaks that says nothing of itself.
    pub default_dialect: &'static Dialect,
    /// Configured base names: `<bucket>.<base>`.
    pub base_domains: Vec<String>,
}

/// A caller's key, as configured.
pub struct CallerCredentials<'a> {
    /// Secret access key.
    pub secret_key: &'a SecretString,
    /// Session token that must come with it.
    pub session_token: Option<&'a SecretString>,
    /// Whether everything with meaning must be signed.
    pub requires_all_signed: bool,
    /// Ways of signing that are switched on; empty: all.
    pub schemes: &'a [String],
}

/// Where keys are looked up.
pub trait CredentialStore {
    /// The key of an access key id.
    fn find_credentials(&self, access_key_id: &str) -> Option<CallerCredentials<'_>>;

    /// Whether anybody may read the objects of a bucket.
    fn is_public_read(&self, bucket: &str) -> bool;
}

/// A request whose signature was verified.
#[derive(Debug)]
pub struct AuthenticatedRequest {
    /// What the caller speaks.
    pub dialect: &'static Dialect,
    /// Who asks; `None` where anybody may.
    pub access_key_id: Option<String>,
    /// What is asked.
    pub request: Request,
    /// How the body is to be checked.
    pub payload: Payload,
    /// What has meaning and was not signed, where the scheme leaves that to the caller.
    pub unsigned_names: Vec<String>,
}

/// A request that ends here.
#[derive(Debug)]
pub struct RejectedRequest {
    /// What the caller seems to speak: the answer is told in it.
    pub dialect: &'static Dialect,
    /// Why.
    pub rejection: Rejection,
}

/// Accepts a request, or says why not. Needs no body.
///
/// # Errors
/// [`Rejected`] with the fault, in the dialect that the request seems to speak.
pub fn authenticate_request(
    head: &RawHead,
    listener: &ListenerDialects,
    credentials: &dyn CredentialStore,
    now: Timestamp,
) -> Result<AuthenticatedRequest, RejectedRequest> {
    let (dialect, claim) = identify_dialect(head, listener)?;
    let address = listener.parse_address(head, dialect)?;
    verify_request(head, dialect, &address, claim, credentials, now)
        .map_err(|rejection| RejectedRequest { dialect, rejection })
}

/// The dialect of a request: by its credential, then by its host, then by its headers, then the front's own. Which bucket
/// it addresses is decided by the host alone.
fn identify_dialect(
    head: &RawHead,
    listener: &ListenerDialects,
) -> Result<(&'static Dialect, Option<Claim>), RejectedRequest> {
    let mut claimed: Option<(&'static Dialect, Claim)> = None;
    for dialect in iter_families(listener) {
        match dialect.auth.parse_claim(head) {
            Err(rejection) => {
                return Err(RejectedRequest { dialect: select_profile(head, listener, dialect), rejection });
            }
            Ok(None) => {}
            Ok(Some(claim)) if claimed.is_none() => claimed = Some((dialect, claim)),
            Ok(Some(_)) => {
                let first = claimed.map_or(dialect, |first| first.0);
                let dialect = find_dialect_by_host(head.host(), listener).unwrap_or(first);
                return Err(RejectedRequest { dialect, rejection: ErrorKind::SeveralCredentials.into() });
            }
        }
    }
    match claimed {
        Some((dialect, claim)) => Ok((select_profile(head, listener, dialect), Some(claim))),
        None => Ok((detect_unsigned_dialect(head, listener), None)),
    }
}

/// The first dialect of each family.
fn iter_families(listener: &ListenerDialects) -> impl Iterator<Item = &'static Dialect> {
    let all = listener.dialects;
    all.iter().enumerate().filter_map(move |(at, dialect)| {
        let first = all.iter().position(|other| other.family == dialect.family) == Some(at);
        first.then_some(*dialect)
    })
}

/// Within a family the vendor's own host decides, then the front's default.
fn select_profile(
    head: &RawHead,
    listener: &ListenerDialects,
    candidate: &'static Dialect,
) -> &'static Dialect {
    match listener.read_host(head.host()) {
        Some(ParsedHost::Vendor { dialect, via_base_name: false, .. })
            if dialect.family == candidate.family =>
        {
            dialect
        }
        _ if listener.default_dialect.family == candidate.family => listener.default_dialect,
        _ => candidate,
    }
}

/// The dialect of a request without a credential: by its host, then by its headers, then the front's own.
pub fn detect_unsigned_dialect(head: &RawHead, listener: &ListenerDialects) -> &'static Dialect {
    let find_by_header = || {
        let prefixed =
            |dialect: &&Dialect| head.headers.iter().any(|row| row.0.starts_with(dialect.header_prefix));
        listener.dialects.iter().copied().find(|dialect| prefixed(dialect))
    };
    find_dialect_by_host(head.host(), listener).or_else(find_by_header).unwrap_or(listener.default_dialect)
}

/// The dialect that a host speaks of: all that is known of a request whose head could not be read.
pub fn find_dialect_by_host(host: &str, listener: &ListenerDialects) -> Option<&'static Dialect> {
    match listener.read_host(host)? {
        ParsedHost::Vendor { dialect, .. } => Some(dialect),
        ParsedHost::Address | ParsedHost::Base { .. } => None,
    }
}

impl ListenerDialects {
    fn read_host(&self, host: &str) -> Option<ParsedHost> {
        addressing::parse_host(addressing::strip_port(host), self.dialects, &self.base_domains)
    }

    /// Where a request of a dialect is addressed.
    ///
    /// # Errors
    /// Those of [`hosts::place`], with the dialect whose words say it best: the vendor's own at its hosts.
    pub fn parse_address(
        &self,
        head: &RawHead,
        dialect: &'static Dialect,
    ) -> Result<ResourceAddress, RejectedRequest> {
        addressing::locate_resource(head, dialect, self.dialects, &self.base_domains).map_err(|rejection| {
            let is_vendor_rule =
                matches!(rejection.kind, ErrorKind::PathStyleForbidden | ErrorKind::UnsupportedSignature);
            let vendor_dialect = find_dialect_by_host(head.host(), self).filter(|_| is_vendor_rule);
            RejectedRequest { dialect: vendor_dialect.unwrap_or(dialect), rejection }
        })
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
    // An unknown key takes the same path as a known one, with a secret that fits nothing.
    let dummy = SecretString::from("0000000000000000000000000000000000000000");
    let caller = credentials.find_credentials(&claim.access_key_id);
    let secret = caller.as_ref().map_or(&dummy, |key| key.secret_key);
    let options = VerifyOptions {
        now,
        requires_all_signed: caller.as_ref().is_some_and(|key| key.requires_all_signed),
    };
    let verification = verify_any_host(head, dialect, address, &claim, secret, &options);
    let Some(caller) = caller else { return Err(ErrorKind::InvalidAccessKeyId.into()) };
    let verified = verification?;
    if !caller.schemes.is_empty() && !caller.schemes.iter().any(|scheme| scheme == claim.scheme.name) {
        return Err(ErrorKind::UnsupportedSignature.into());
    }
    check_session_token(caller.session_token, claim.session_token.as_deref())?;
    let request = read_request::read_request(dialect, head, address, &verified)?;
    Ok(AuthenticatedRequest {
        dialect,
        access_key_id: Some(claim.access_key_id),
        request,
        payload: verified.payload,
        unsigned_names: verified.unsigned_names,
    })
}

/// Verifies with the host as it was received and, where that does not fit, as the same server is also called: the scheme's
/// own port may be written or not, and reverse proxies change that on the way.
fn verify_any_host(
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
        Err(rejection) if rejection.kind == ErrorKind::SignatureDoesNotMatch => {}
        _ => return received,
    }
    let other_hosts = addressing::list_equivalent_authorities(head.host());
    other_hosts.into_iter().find_map(|host| verify(&head.with_host(host)).ok()).map_or(received, Ok)
}

/// A request that nobody signed: objects of some buckets are there for everybody.
fn authenticate_anonymous(
    head: &RawHead,
    dialect: &'static Dialect,
    address: &ResourceAddress,
    credentials: &dyn CredentialStore,
) -> Result<AuthenticatedRequest, Rejection> {
    // Some SDKs say that they are nobody by a header without a value.
    if head.header("authorization").is_some_and(|value| !value.is_empty()) {
        return Err(
            Rejection::new(ErrorKind::UnknownAuthorization).with_detail("ArgumentName", "Authorization")
        );
    }
    if !address.bucket.as_deref().is_some_and(|bucket| credentials.is_public_read(bucket)) {
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
