//! Which plan a request needs. The plan is decided here, once: the proxy executes it, and `explain` and the console's
//! translator print it.

use std::borrow::Cow;
use std::fmt;

use crate::dialect::route::Route;
use crate::engine::exchange;
use crate::engine::small_parts;
use crate::model::{ErrorKind, Operation, Request};

/// Who moves the bytes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanKind {
    /// The proxy builds the response itself.
    Local,
    /// The payload passes through the proxy, in one request to the target.
    Stream,
    /// Request and response have small bodies: one request to the target, or several.
    Exchange,
    /// The target copies the source part by part.
    Parts,
    /// The proxy reads the source from one target and writes it to the other.
    Relay,
}

impl PlanKind {
    /// The name in output and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "Local",
            Self::Stream => "Stream",
            Self::Exchange => "Exchange",
            Self::Parts => "Parts",
            Self::Relay => "Relay",
        }
    }
}

/// What the proxy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    /// List the configured buckets, and the targets' own buckets that match a bucket pattern.
    ListBuckets,
    /// Respond to a CORS preflight with the bucket's rules.
    Preflight,
    /// Read the fields of a form, then upload its file.
    UploadForm,
    /// Send the client's body to the target.
    Upload,
    /// Send the object to the client.
    Download,
    /// Send the request and translate the response.
    Exchange,
    /// Let the target copy the object; see [`Plan::choose_fallback`].
    CopyObject,
    /// Copy between two targets.
    RelayCopy,
    /// One request of a multipart upload that may have small parts.
    SmallPartsUpload,
    /// List or delete a bucket that may contain small parts.
    SmallPartsBucket,
}

/// A bucket at a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanBucket {
    /// Name of the target.
    pub target: String,
    /// The bucket's name there.
    pub bucket: String,
}

/// How a request is processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Who moves the bytes.
    pub kind: PlanKind,
    /// What the proxy runs.
    pub procedure: Procedure,
    /// The bucket that the request addresses; `None` if it addresses none.
    pub destination: Option<PlanBucket>,
    /// The bucket of a copy's source.
    pub source: Option<PlanBucket>,
    /// Whether the route allows a relay if the target does not make the copy.
    pub allows_relay: bool,
    /// Description for `explain` and the translator.
    pub reason: Cow<'static, str>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.reason)
    }
}

/// The routes of one request.
#[derive(Clone, Copy)]
pub struct PlanRoutes<'r, 'a> {
    /// To the request's bucket.
    pub destination: &'r Route<'a>,
    /// To the bucket of the copy source, at the target that has it.
    pub source: Option<&'r Route<'a>>,
    /// Whether source and destination are at one target.
    pub is_same_target: bool,
    /// Whether the route allows a relay if the target does not make the copy.
    pub allows_relay: bool,
}

/// The errors with which targets reject a copy between these regions, storage classes or kinds of objects.
const UNSUPPORTED_COPY_ERRORS: [ErrorKind; 4] = [
    ErrorKind::NotImplemented,
    ErrorKind::MethodNotAllowed,
    ErrorKind::InvalidRequest,
    ErrorKind::InvalidStorageClass,
];

/// The plan of a request that addresses no bucket, or one that is known only from its body.
pub fn plan_local(procedure: Procedure) -> Plan {
    let (kind, reason) = match procedure {
        Procedure::ListBuckets => {
            (PlanKind::Local, "buckets from the configuration, and from the targets of bucket patterns")
        }
        Procedure::Preflight => (PlanKind::Local, "the bucket's CORS rules, read from the target and cached"),
        Procedure::UploadForm => (PlanKind::Stream, "the form's file passes through the proxy as PutObject"),
        _ => (PlanKind::Exchange, "a request to the target"),
    };
    Plan { kind, procedure, destination: None, source: None, allows_relay: false, reason: reason.into() }
}

/// The plan of an authenticated request.
pub fn plan_request(request: &Request, routes: PlanRoutes<'_, '_>) -> Plan {
    if request.operation == Operation::ListBuckets {
        return plan_local(Procedure::ListBuckets);
    }
    let (kind, procedure, reason) = choose_procedure(request, routes);
    let to_plan_bucket = |route: &Route<'_>| {
        let bucket = route.bucket()?.to_owned();
        Some(PlanBucket { target: route.target.name.clone(), bucket })
    };
    Plan {
        kind,
        procedure,
        destination: to_plan_bucket(routes.destination),
        source: routes.source.and_then(to_plan_bucket),
        allows_relay: routes.allows_relay,
        reason,
    }
}

fn choose_procedure(
    request: &Request,
    routes: PlanRoutes<'_, '_>,
) -> (PlanKind, Procedure, Cow<'static, str>) {
    let (route, operation) = (routes.destination, request.operation);
    let is_relayed = routes.source.is_some() && !routes.is_same_target;
    // Before the relay, because a part that comes from another target may also be too small for this one.
    if small_parts::involves_small_parts(route, request) {
        let kind = match operation {
            Operation::UploadPart => PlanKind::Stream,
            // The proxy writes the object in which the part is stored.
            Operation::UploadPartCopy if is_relayed || small_parts::copies_small_range(route, request) => {
                PlanKind::Relay
            }
            _ => PlanKind::Exchange,
        };
        return (kind, Procedure::SmallPartsUpload, describe_small_parts(route, operation));
    }
    if is_relayed {
        let reason = "the proxy reads the source from its target and writes it to the destination's target";
        return (PlanKind::Relay, Procedure::RelayCopy, reason.into());
    }
    // A bucket that looks empty to clients must be deletable although Blobfish's own objects are still in it.
    let hides_small_parts = operation.is_listing() || operation == Operation::DeleteBucket;
    if hides_small_parts && small_parts::reserved_prefix(route.target).is_some() {
        let reason = match operation {
            Operation::DeleteBucket => "a request to the target; small parts do not prevent the deletion",
            _ => "a request to the target; keys of small parts are omitted",
        };
        return (PlanKind::Exchange, Procedure::SmallPartsBucket, reason.into());
    }
    // Payloads are of unlimited size, so they are never held in memory; all other bodies are small documents.
    if operation.is_upload() {
        return (PlanKind::Stream, Procedure::Upload, STREAM_REASON.into());
    }
    if operation.is_streamed() {
        return (PlanKind::Stream, Procedure::Download, STREAM_REASON.into());
    }
    let procedure = match operation {
        Operation::CopyObject => Procedure::CopyObject,
        _ => Procedure::Exchange,
    };
    (PlanKind::Exchange, procedure, describe_exchange(request, routes))
}

const STREAM_REASON: &str = "the payload passes through the proxy";

fn describe_small_parts(route: &Route<'_>, operation: Operation) -> Cow<'static, str> {
    let minimum_kib = route.target.dialect.limits.part_bytes_min / 1024;
    match operation {
        _ if !route.target.staging.is_combining => {
            format!("parts of less than {minimum_kib} KiB are rejected, except for the last part").into()
        }
        Operation::UploadPart | Operation::UploadPartCopy => format!(
            "a part of less than {minimum_kib} KiB is stored as an object until the upload is completed"
        )
        .into(),
        Operation::CompleteMultipartUpload => format!(
            "small parts are combined into parts of at least {minimum_kib} KiB, then the upload is completed"
        )
        .into(),
        Operation::AbortMultipartUpload => "the upload is aborted and its small parts are deleted".into(),
        _ => "the target's part list, with the small parts added".into(),
    }
}

fn describe_exchange(request: &Request, routes: PlanRoutes<'_, '_>) -> Cow<'static, str> {
    let route = routes.destination;
    if !request.operation.is_copy() {
        return "a request to the target".into();
    }
    let lookup = match exchange::find_source_lookup(route, request) {
        exchange::SourceLookup::BeforeAndAfter => "a HEAD of the source before and after the copy",
        exchange::SourceLookup::Before => "a HEAD of the source, then the copy",
        exchange::SourceLookup::None => "the target makes the copy",
    };
    if request.operation != Operation::CopyObject {
        return lookup.into();
    }
    let relay =
        if routes.allows_relay { "; relayed by the proxy if the target rejects the copy" } else { "" };
    format!("{lookup}; in parts if the source is larger than the target copies in one request{relay}").into()
}

impl Plan {
    /// Returns the plan to use after the target has rejected a copy: the size of a source, and the regions between
    /// which a target copies, are not known before. `None` if the client gets the rejection.
    pub fn choose_fallback(&self, error: ErrorKind) -> Option<Self> {
        if self.procedure != Procedure::CopyObject {
            return None;
        }
        let (kind, reason) = match error {
            // Part copies work for every size, and the bytes do not have to pass through the proxy.
            ErrorKind::TargetCopyLimit => {
                (PlanKind::Parts, "the source is larger than the target copies in one request")
            }
            error if self.allows_relay && UNSUPPORTED_COPY_ERRORS.contains(&error) => {
                (PlanKind::Relay, "the target does not make this copy")
            }
            _ => return None,
        };
        let procedure = Procedure::RelayCopy;
        Some(Self { kind, procedure, reason: reason.into(), ..self.clone() })
    }
}
