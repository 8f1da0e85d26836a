//! What can go wrong, as any dialect can tell it.

/// One canonical list of faults; each dialect has a table of its codes, statuses and words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the vendors' own words")]
pub enum ErrorKind {
    // Who asks
    AccessDenied,
    AnonymousDenied,
    RequestExpired,
    RequestNotYetValid,
    InvalidAccessKeyId,
    SignatureDoesNotMatch,
    RequestTimeTooSkewed,
    MissingDate,
    /// The header form of a credential cannot be read.
    AuthorizationMalformed,
    /// The query form of a credential cannot be read or is incomplete.
    AuthorizationQueryMalformed,
    /// More than one credential in one request.
    SeveralCredentials,
    UnsupportedSignature,
    /// An Authorization header of no scheme that is known here.
    UnknownAuthorization,
    /// Something with meaning is not covered by the signature.
    HeadersNotSigned,
    InvalidToken,
    ExpiredToken,
    // What is asked
    /// A host that is neither a vendor's, a configured base name nor an address.
    UnknownHost,
    /// The bucket in the path where it must be in the host.
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
    /// A part of an object that it does not have.
    InvalidPartNumber,
    InvalidCopySource,
    InvalidCopyRange,
    /// The range of a part copy begins behind the end of its source.
    CopyRangeBeyond,
    CopySourceTooLarge,
    /// The source is larger than the target copies at once.
    TargetCopyLimit,
    /// A copy of an object onto itself that changes nothing.
    SelfCopy,
    /// Conditions that the caller's vendor does not allow together.
    ConditionConflict,
    MethodNotAllowed,
    MissingContentLength,
    MissingPayloadHash,
    IncompleteBody,
    EntityTooLarge,
    EntityTooSmall,
    InvalidDigest,
    BadDigest,
    /// A SHA-1 that is stated is another body's.
    BadSha1,
    PayloadHashMismatch,
    MalformedTrailer,
    MalformedXml,
    MalformedAcl,
    MalformedPolicy,
    /// A form that cannot be read.
    MalformedForm,
    /// Too much in front of a form's file.
    FormTooLarge,
    FormFieldMissing,
    /// A form without a file.
    NotOneFile,
    InvalidPolicyDocument,
    /// A request to set an access control list without one.
    MissingAcl,
    InvalidPart,
    InvalidPartOrder,
    RequestTimeout,
    // What is there
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
    /// Overwrite protection held.
    ObjectExists,
    PreconditionFailed,
    /// Between the look at a copy's source and the end of the copy the source was changed.
    SourceChanged,
    NotModified,
    InvalidObjectState,
    ObjectLocked,
    /// An object that can be read already is asked to be restored.
    NotArchived,
    RestoreInProgress,
    /// An appended piece does not begin where the object ends.
    AppendPosition,
    NotAppendable,
    /// The bucket is not in the state that a request needs: without versions, for one.
    InvalidBucketState,
    /// The rules of a bucket do not allow what a browser asked for.
    CorsDenied,
    /// A question of a browser without its origin.
    NoOrigin,
    Conflict,
    CustomerKeyRequired,
    // What cannot be done
    NotImplemented,
    /// A condition that writes do not have.
    ConditionNotImplemented,
    InternalError,
    ServiceUnavailable,
    /// The target failed too often of late, and is left alone for a while.
    TargetUnavailable,
    /// All connections that the target may have are in use.
    TargetBusy,
    SlowDown,
    /// No room is left for what is to be stored.
    StorageFull,
}

/// A request that ends here, with what to tell the caller. Holds no secret and no signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind:?}")]
pub struct Rejection {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Text for the caller; the dialect's own standard text where absent.
    pub message: Option<String>,
    /// Extra elements of the error document in the vendor's words, such as `ArgumentName`.
    pub details: Vec<(&'static str, String)>,
    /// Code and status of the caller's own dialect, where no fault means as much.
    pub code_and_status: Option<(String, u16)>,
}

impl Rejection {
    /// A refusal in the dialect's standard words.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, message: None, details: Vec::new(), code_and_status: None }
    }

    /// A refusal with a text of its own.
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
