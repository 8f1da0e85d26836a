//! From the bytes of a head to a request that may be believed: dialect, place, signature, meaning.

use secrecy::{ExposeSecret, SecretString};

use crate::engine::auth::{Claim, Payload, Place, Terms, Verified};
use crate::engine::dialect::Dialect;
use crate::engine::hosts::{self, HostReading};
use crate::engine::read;
use crate::model::{Fault, Operation, RawHead, Refusal, Request, Timestamp};
use crate::wire::hash;

/// What this front answers to.
pub struct Front {
    /// Every dialect that callers may speak. Of one family the first is the common one.
    pub dialects: &'static [&'static Dialect],
    /// What a request speaks that says nothing of itself.
    pub default: &'static Dialect,
    /// Configured base names: `<bucket>.<base>`.
    pub base: Vec<String>,
}

/// A caller's key, as configured.
pub struct Key<'a> {
    /// Secret access key.
    pub secret: &'a SecretString,
    /// Session token that must come with it.
    pub token: Option<&'a SecretString>,
    /// Whether everything with meaning must be signed.
    pub strict: bool,
    /// Ways of signing that are switched on; empty: all.
    pub schemes: &'a [String],
}

/// Where keys are looked up.
pub trait Keys {
    /// The key of an access key id.
    fn key(&self, access_key: &str) -> Option<Key<'_>>;

    /// Whether anybody may read the objects of a bucket.
    fn is_open(&self, bucket: &str) -> bool;
}

/// A request whose signature was verified.
#[derive(Debug)]
pub struct Accepted {
    /// What the caller speaks.
    pub dialect: &'static Dialect,
    /// Who asks; `None` where anybody may.
    pub access_key: Option<String>,
    /// What is asked.
    pub request: Request,
    /// How the body is to be checked.
    pub payload: Payload,
    /// What has meaning and was not signed, where the scheme leaves that to the caller.
    pub unsigned: Vec<String>,
}

/// A request that ends here.
#[derive(Debug)]
pub struct Rejected {
    /// What the caller seems to speak: the answer is told in it.
    pub dialect: &'static Dialect,
    /// Why.
    pub refusal: Refusal,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Accepts a request, or says why not. Needs no body.
///
/// # Errors
/// [`Rejected`] with the fault, in the dialect that the request seems to speak.
pub fn accept(head: &RawHead, front: &Front, keys: &dyn Keys, now: Timestamp) -> Result<Accepted, Rejected> {
    let (dialect, claim) = identify(head, front)?;
    let place = front.place(head, dialect)?;
    verified(head, dialect, &place, claim, keys, now).map_err(|refusal| Rejected { dialect, refusal })
}

/// The dialect of a request: by its credential, then by its host, then by its headers, then the front's own. Which bucket
/// it addresses is decided by the host alone.
fn identify(head: &RawHead, front: &Front) -> Result<(&'static Dialect, Option<Claim>), Rejected> {
    let mut claimed: Option<(&'static Dialect, Claim)> = None;
    for dialect in families(front) {
        match dialect.auth.claim(head) {
            Err(refusal) => return Err(Rejected { dialect: profile(head, front, dialect), refusal }),
            Ok(None) => {}
            Ok(Some(claim)) if claimed.is_none() => claimed = Some((dialect, claim)),
            Ok(Some(_)) => {
                let first = claimed.map_or(dialect, |first| first.0);
                let dialect = of_host(head.host(), front).unwrap_or(first);
                return Err(Rejected { dialect, refusal: Fault::SeveralCredentials.into() });
            }
        }
    }
    match claimed {
        Some((dialect, claim)) => Ok((profile(head, front, dialect), Some(claim))),
        None => Ok((unsigned_dialect(head, front), None)),
    }
}

/// The first dialect of each family.
fn families(front: &Front) -> impl Iterator<Item = &'static Dialect> {
    let all = front.dialects;
    all.iter().enumerate().filter_map(move |(at, dialect)| {
        let first = all.iter().position(|other| other.family == dialect.family) == Some(at);
        first.then_some(*dialect)
    })
}

/// Within a family the vendor's own host decides, then the front's default.
fn profile(head: &RawHead, front: &Front, found: &'static Dialect) -> &'static Dialect {
    match front.read_host(head.host()) {
        Some(HostReading::Vendor { dialect, local: false, .. }) if dialect.family == found.family => dialect,
        _ if front.default.family == found.family => front.default,
        _ => found,
    }
}

/// The dialect of a request without a credential: by its host, then by its headers, then the front's own.
pub fn unsigned_dialect(head: &RawHead, front: &Front) -> &'static Dialect {
    let by_header = || {
        let prefixed =
            |dialect: &&Dialect| head.headers.iter().any(|row| row.0.starts_with(dialect.header_prefix));
        front.dialects.iter().copied().find(|dialect| prefixed(dialect))
    };
    of_host(head.host(), front).or_else(by_header).unwrap_or(front.default)
}

/// The dialect that a host speaks of: all that is known of a request whose head could not be read.
pub fn of_host(host: &str, front: &Front) -> Option<&'static Dialect> {
    match front.read_host(host)? {
        HostReading::Vendor { dialect, .. } => Some(dialect),
        HostReading::Address | HostReading::Base { .. } => None,
    }
}

impl Front {
    fn read_host(&self, host: &str) -> Option<HostReading> {
        hosts::read_host(hosts::without_port(host), self.dialects, &self.base)
    }

    /// Where a request of a dialect is addressed.
    ///
    /// # Errors
    /// Those of [`hosts::place`], with the dialect whose words say it best: the vendor's own at its hosts.
    pub fn place(&self, head: &RawHead, dialect: &'static Dialect) -> Result<Place, Rejected> {
        hosts::place(head, dialect, self.dialects, &self.base).map_err(|refusal| {
            let of_vendor = matches!(refusal.fault, Fault::PathStyleForbidden | Fault::UnsupportedSignature);
            let vendor = of_host(head.host(), self).filter(|_| of_vendor);
            Rejected { dialect: vendor.unwrap_or(dialect), refusal }
        })
    }
}

fn verified(
    head: &RawHead,
    dialect: &'static Dialect,
    place: &Place,
    claim: Option<Claim>,
    keys: &dyn Keys,
    now: Timestamp,
) -> Result<Accepted, Refusal> {
    let Some(claim) = claim else { return anonymous(head, dialect, place, keys) };
    // An unknown key takes the same path as a known one, with a secret that fits nothing.
    let dummy = SecretString::from("0000000000000000000000000000000000000000");
    let key = keys.key(&claim.access_key);
    let secret = key.as_ref().map_or(&dummy, |key| key.secret);
    let terms = Terms { now, strict: key.as_ref().is_some_and(|key| key.strict) };
    let outcome = verify_any_host(head, dialect, place, &claim, secret, &terms);
    let Some(key) = key else { return Err(Fault::InvalidAccessKeyId.into()) };
    let verified = outcome?;
    if !key.schemes.is_empty() && !key.schemes.iter().any(|scheme| scheme == claim.scheme.name) {
        return Err(Fault::UnsupportedSignature.into());
    }
    check_token(key.token, claim.token.as_deref())?;
    let request = read::request(dialect, head, place, &verified)?;
    Ok(Accepted {
        dialect,
        access_key: Some(claim.access_key),
        request,
        payload: verified.payload,
        unsigned: verified.unsigned,
    })
}

/// Verifies with the host as it was received and, where that does not fit, as the same server is also called: the scheme's
/// own port may be written or not, and reverse proxies change that on the way.
fn verify_any_host(
    head: &RawHead,
    dialect: &'static Dialect,
    place: &Place,
    claim: &Claim,
    secret: &SecretString,
    terms: &Terms,
) -> Result<Verified, Refusal> {
    let verify = |head: &RawHead| dialect.auth.verify(head, claim, place, secret, terms);
    let received = verify(head);
    match &received {
        Err(refusal) if refusal.fault == Fault::SignatureDoesNotMatch => {}
        _ => return received,
    }
    let others = hosts::same_server(head.host());
    others.into_iter().find_map(|host| verify(&head.with_host(host)).ok()).map_or(received, Ok)
}

/// A request that nobody signed: objects of some buckets are there for everybody.
fn anonymous(
    head: &RawHead,
    dialect: &'static Dialect,
    place: &Place,
    keys: &dyn Keys,
) -> Result<Accepted, Refusal> {
    // Some SDKs say that they are nobody by a header without a value.
    if head.header("authorization").is_some_and(|value| !value.is_empty()) {
        return Err(Refusal::new(Fault::UnknownAuthorization).with("ArgumentName", "Authorization"));
    }
    if !place.bucket.as_deref().is_some_and(|bucket| keys.is_open(bucket)) {
        return Err(Fault::AnonymousDenied.into());
    }
    let unsigned =
        Verified { payload: Payload::Unsigned, unsigned: Vec::new(), credential_parameters: &[], key: None };
    let request = read::request(dialect, head, place, &unsigned)?;
    if !matches!(request.operation, Operation::GetObject | Operation::HeadObject) {
        return Err(Fault::AnonymousDenied.into());
    }
    if request.fields.iter().any(|(field, _)| field.becomes_a_header()) {
        let what = "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(Refusal::say(Fault::InvalidRequest, what));
    }
    Ok(Accepted { dialect, access_key: None, request, payload: Payload::Unsigned, unsigned: Vec::new() })
}

/// Compares a session token with the configured one.
///
/// # Errors
/// `InvalidToken`.
pub(super) fn check_token(wanted: Option<&SecretString>, sent: Option<&str>) -> Result<(), Refusal> {
    let same = match (wanted, sent) {
        (None, None) => true,
        (Some(wanted), Some(sent)) => hash::same(wanted.expose_secret().as_bytes(), sent.as_bytes()),
        _ => false,
    };
    if same { Ok(()) } else { Err(Fault::InvalidToken.into()) }
}
