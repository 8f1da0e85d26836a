//! Errors and rejections, independent of any dialect.

/// The canonical list of errors. Each dialect has a table with its code, status and message for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the vendors' own")]
pub enum ErrorKind {
    // Authentication and authorization.
    AccessDenied,
    AnonymousDenied,
    RequestExpired,
    RequestNotYetValid,
    InvalidAccessKeyId,
    SignatureDoesNotMatch,
    RequestTimeTooSkewed,
    MissingDate,
    /// The credential in the Authorization header is malformed.
    AuthorizationMalformed,
    /// The credential in the query is malformed or incomplete.
    AuthorizationQueryMalformed,
    /// More than one credential in one request.
    SeveralCredentials,
    UnsupportedSignature,
    /// An Authorization header with an unknown scheme.
    UnknownAuthorization,
    /// The signature does not cover a header or parameter that affects the result.
    HeadersNotSigned,
    InvalidToken,
    ExpiredToken,
    // The request.
    /// A host that is neither a vendor's host, a configured base name nor an IP address.
    UnknownHost,
    /// The bucket is in the path, but must be in the host.
    PathStyleForbidden,
    InvalidArgument,
    InvalidRequest,
    InvalidUri,
    InvalidBucketName,
    InvalidObjectName,
    KeyTooLong,
    MetadataTooLarge,
    HeaderTooLarge,
    InvalidStorageClass,
    InvalidEncryption,
    InvalidTag,
    InvalidRange,
    /// A read of a part that the object does not have.
    InvalidPartNumber,
    InvalidCopySource,
    InvalidCopyRange,
    /// The range of a part copy starts beyond the end of the source.
    CopyRangeBeyond,
    CopySourceTooLarge,
    /// The source exceeds the size that the target can copy in one request.
    TargetCopyLimit,
    /// A copy of an object onto itself that changes nothing.
    SelfCopy,
    /// Conditions that the caller's vendor does not allow in one request.
    ConditionConflict,
    MethodNotAllowed,
    MissingContentLength,
    MissingPayloadHash,
    IncompleteBody,
    EntityTooLarge,
    EntityTooSmall,
    InvalidDigest,
    BadDigest,
    /// The SHA-1 in the request does not match the body.
    BadSha1,
    PayloadHashMismatch,
    MalformedTrailer,
    MalformedXml,
    MalformedAcl,
    MalformedPolicy,
    /// A form upload that is malformed.
    MalformedForm,
    /// The fields before the file of a form upload exceed the maximum size.
    FormTooLarge,
    FormFieldMissing,
    /// A form upload without a file, or with several.
    NotOneFile,
    InvalidPolicyDocument,
    /// A request to set an access control list that contains none.
    MissingAcl,
    InvalidPart,
    InvalidPartOrder,
    RequestTimeout,
    // The state of buckets and objects.
    NoSuchBucket,
    NoSuchKey,
    NoSuchVersion,
    NoSuchUpload,
    NoSuchTagSet,
    NoSuchCors,
    NoSuchLifecycle,
    NoSuchBucketPolicy,
    NoSuchWebsite,
    NoSuchEncryption,
    NoSuchPublicAccessBlock,
    NoSuchReferer,
    NoSuchObjectLock,
    NoSuchRetention,
    NoSuchConfiguration,
    NoSuchAcceleration,
    NoSuchOwnership,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    /// The object exists and the request forbids to overwrite it.
    ObjectExists,
    PreconditionFailed,
    /// The source of a copy was changed while it was copied.
    SourceChanged,
    NotModified,
    InvalidObjectState,
    ObjectLocked,
    /// A request to restore an object that is not archived.
    NotArchived,
    RestoreInProgress,
    /// The position of an append is not the length of the object.
    AppendPosition,
    NotAppendable,
    /// The bucket is not in the state that the request requires, for example because versioning is not enabled.
    InvalidBucketState,
    /// The CORS rules of the bucket do not allow the request.
    CorsDenied,
    /// A CORS preflight without an Origin header.
    NoOrigin,
    Conflict,
    CustomerKeyRequired,
    // The service.
    NotImplemented,
    /// A condition that the vendor does not support on writes.
    ConditionNotImplemented,
    InternalError,
    ServiceUnavailable,
    /// The circuit breaker of the target is open, because the target failed too often.
    TargetUnavailable,
    /// The target's connection limit is reached.
    TargetBusy,
    SlowDown,
    /// The storage is full.
    StorageFull,
}

/// The error response to a request that is rejected. It contains no secret and no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}")]
pub struct Rejection {
    /// The error.
    pub kind: ErrorKind,
    /// Message for the client. Where it is absent, the standard message of the caller dialect is used.
    pub message: Option<String>,
    /// Further elements of the error document under the vendor's names, such as `ArgumentName`.
    pub details: Vec<(&'static str, String)>,
    /// Code and status in the caller dialect, for an error that has no kind.
    // A target of the client's own family may return a code that is not in the tables. The client knows it, so that a
    // general error instead would lose its meaning.
    pub code_and_status: Option<(String, u16)>,
}

impl Rejection {
    /// A rejection with the dialect's standard message.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, message: None, details: Vec::new(), code_and_status: None }
    }

    /// A rejection with a message of its own.
    pub fn with_message(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: Some(message.into()), details: Vec::new(), code_and_status: None }
    }

    /// Adds an element to the error document.
    #[must_use]
    pub fn with_detail(mut self, element: &'static str, value: impl Into<String>) -> Self {
        self.details.push((element, value.into()));
        self
    }
}

impl From<ErrorKind> for Rejection {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}
