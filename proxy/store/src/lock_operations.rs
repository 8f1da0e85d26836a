//! The operations on locks: the bucket's configuration, and the lock of a version.

use crate::bucket::{Bucket, Versioning};
use crate::errors::s3_error;
use crate::lock::{BucketLock, ObjectLock};
use crate::meta::MetadataWriter;
use crate::objects::Core;
use s3s::S3Result;
use s3s::dto::ObjectLockConfiguration;

impl Core {
    pub(crate) async fn put_lock_configuration(
        &self,
        bucket: String,
        configuration: Option<ObjectLockConfiguration>,
    ) -> S3Result<()> {
        let lock = BucketLock::from_xml(configuration)?;
        let work = move |writing: &mut MetadataWriter<'_>| {
            let row = writing.get_bucket(&bucket)?;
            if row.versioning != Versioning::Enabled {
                let message =
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration";
                return Err(s3_error(409, "InvalidBucketState", message, &[("BucketName", &bucket)]));
            }
            writing.put_bucket(&bucket, &Bucket { lock: Some(lock), ..row })
        };
        self.meta.write(work).await
    }

    /// The lock of a version, in a bucket that has locks.
    pub(crate) async fn get_lock(
        &self,
        bucket: String,
        key: String,
        version: Option<String>,
    ) -> S3Result<ObjectLock> {
        let name = bucket.clone();
        self.meta.read(move |reading| reading.get_bucket(&name)?.check_lock_enabled()).await?;
        Ok(self.get_attributes(bucket, key, version).await?.0.lock)
    }
}
