//! A bucket's row, and the defaults and rules that the bucket imposes on its objects.

use crate::attributes::{Acl, Attributes, STORAGE_CLASS_HEADER};
use crate::encryption::EncryptionRequest;
use crate::errors::{access_denied_error, s3_error};
use crate::lock::{BucketLock, ObjectLock, lock_not_enabled_error};
use http::HeaderMap;
use s3s::S3Result;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Versioning {
    Off,
    Enabled,
    Suspended,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) created_ms: u64,
    pub(crate) versioning: Versioning,
    pub(crate) acl: Acl,
    /// The location constraint it was created with.
    pub(crate) location: String,
    /// Whether objects are encrypted with the store's own key by default.
    #[serde(default)]
    pub(crate) managed: bool,
    #[serde(default)]
    pub(crate) blocks_customer_keys: bool,
    /// Whether ACLs are disabled, and the owner owns every object.
    #[serde(default)]
    pub(crate) no_acls: bool,
    /// With Object Lock, versioning cannot be suspended.
    #[serde(default)]
    pub(crate) lock: Option<BucketLock>,
    /// The default storage class of new objects; empty means STANDARD.
    #[serde(default)]
    pub(crate) class: String,
}

impl Bucket {
    /// Applies the bucket's default storage class if the request names none.
    pub(crate) fn apply_default_class(&self, mut attributes: Attributes, headers: &HeaderMap) -> Attributes {
        if !headers.contains_key(STORAGE_CLASS_HEADER) && !self.class.is_empty() {
            attributes.class.clone_from(&self.class);
        }
        attributes
    }

    /// Applies the bucket's default encryption to a request without encryption headers.
    ///
    /// # Errors
    /// 403 if the bucket blocks customer keys.
    pub(crate) fn resolve_encryption(&self, request: EncryptionRequest) -> S3Result<EncryptionRequest> {
        match request {
            EncryptionRequest::Unspecified if self.managed => Ok(EncryptionRequest::Managed),
            EncryptionRequest::Customer(_) if self.blocks_customer_keys => {
                Err(access_denied_error("Access Denied"))
            }
            request => Ok(request),
        }
    }

    /// Checks an ACL.
    ///
    /// # Errors
    /// 400 for an ACL that grants access to others, if the bucket has ACLs disabled.
    pub(crate) fn check_acl(&self, acl: Acl) -> S3Result<()> {
        // These two grant nothing to others, and S3 accepts them in such a bucket (S3, "Controlling ownership of
        // objects and disabling ACLs for your bucket").
        if self.no_acls && !matches!(acl, Acl::Private | Acl::BucketOwnerFullControl) {
            return Err(s3_error(
                400,
                "AccessControlListNotSupported",
                "The bucket does not allow ACLs",
                &[],
            ));
        }
        Ok(())
    }

    /// The lock of a new version in this bucket.
    ///
    /// # Errors
    /// 400 if a lock is requested and the bucket has no Object Lock.
    pub(crate) fn resolve_lock(&self, requested: ObjectLock) -> S3Result<ObjectLock> {
        match self.lock {
            Some(lock) => Ok(lock.apply_default(requested)),
            None if requested.is_empty() => Ok(requested),
            None => Err(lock_not_enabled_error()),
        }
    }

    pub(crate) fn check_lock_enabled(&self) -> S3Result<()> {
        self.lock.map_or_else(|| Err(lock_not_enabled_error()), |_| Ok(()))
    }
}
