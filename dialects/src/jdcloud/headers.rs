//! Headers of JD Cloud. As a caller dialect it has those of S3; as a target it documents fewer.

use crate::model::{Field, Operation};
use crate::s3::headers::COMPLETED_OBJECT_SIZE;

/// Fields that are not sent in these operations.
// JD Cloud does not document reads of a single part. If it ignored the parameter, it would return the whole object.
pub(crate) const UNSUPPORTED_FIELDS_BY_OPERATION: &[(Operation, Field)] = &[
    (Operation::GetObject, Field::PartNumber),
    (Operation::HeadObject, Field::PartNumber),
    COMPLETED_OBJECT_SIZE,
];

/// Fields that JD Cloud does not document.
// It might ignore their headers without an error, so a request that needs one is rejected or the loss is reported.
pub(crate) const UNSUPPORTED_FIELDS: &[Field] = &[
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
