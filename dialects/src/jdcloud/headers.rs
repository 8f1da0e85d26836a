//! Headers: those of S3 when callers say them; as a target JD documents fewer, and may pass over the rest without
//! a word.

use crate::model::{Field, Operation};
use crate::s3::headers::COMPLETED_OBJECT_SIZE;

/// Whether JD tells the parts of an object apart is not known: it is asked for the whole.
pub const UNSUPPORTED_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
    COMPLETED_OBJECT_SIZE,
];

/// Not documented by JD: never relied on.
pub const UNSUPPORTED_FIELDS: &[Field] = &[
    Field::SourceIfMatch,
    Field::SourceIfNoneMatch,
    Field::SourceIfModifiedSince,
    Field::SourceIfUnmodifiedSince,
    Field::ForbidOverwrite,
    Field::OverwriteIfMatch,
    Field::CustomerAlgorithm,
    Field::CustomerKey,
    Field::CustomerKeyMd5,
    Field::SourceCustomerAlgorithm,
    Field::SourceCustomerKey,
    Field::SourceCustomerKeyMd5,
    Field::Encryption,
    Field::EncryptionKeyId,
    Field::EncryptionContext,
    Field::EncryptionBucketKey,
    Field::BucketLock,
    Field::BucketOwnership,
    Field::LockMode,
    Field::LockUntil,
    Field::LegalHold,
    Field::BypassLock,
    Field::Mfa,
    Field::ExpectedOwner,
    Field::SourceExpectedOwner,
    Field::RequestPayer,
    Field::WebsiteRedirect,
    Field::ChecksumAlgorithm,
    Field::ChecksumType,
    Field::ChecksumMode,
    Field::ObjectSize,
    Field::ListedAttributes,
    Field::ConfirmPolicyLockout,
];
