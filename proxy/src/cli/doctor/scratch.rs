//! The scratch objects. Each one is recorded before the request that creates it, so that it is deleted whatever
//! happens.

use std::cell::{Cell, RefCell};

use blobfish_dialects::model::{
    CopySource, Document, ErrorKind, Field, Fields, Operation, Request, Response, ResponseField, Value,
};

use crate::cli::doctor::asking::{ProbeError, TargetProbe};
use crate::clock;

/// The prefix of all keys.
pub(super) const KEY_PREFIX: &str = "blobfish-doctor-";

/// The scratch objects of one target.
pub(super) struct ScratchObjects<'a> {
    /// The target.
    pub probe: &'a TargetProbe<'a>,
    /// Whether versioning is or was enabled. Then each version is deleted by its version ID.
    pub is_versioned: Cell<bool>,
    bucket: String,
    prefix: String,
    created: RefCell<Vec<ScratchVersion>>,
    uploads: RefCell<Vec<(String, String)>>,
}

/// A key and its version ID.
type ScratchVersion = (String, Option<String>);

/// The result of the clean-up.
pub(super) struct CleanupResult {
    /// Keys that may still exist.
    pub keys_left: Vec<String>,
    /// Whether the bucket was listed afterwards.
    pub is_listed: bool,
}

impl<'a> ScratchObjects<'a> {
    /// Creates an empty set of scratch objects.
    pub(super) fn new(probe: &'a TargetProbe<'a>, bucket: String) -> Self {
        // Random, so that two doctors in one bucket do not delete each other's objects.
        let prefix = format!("{KEY_PREFIX}{:032x}/", clock::random());
        let (created, uploads) = (RefCell::default(), RefCell::default());
        Self { probe, is_versioned: Cell::new(false), bucket, prefix, created, uploads }
    }

    /// Builds the key of a scratch object.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Builds a request for a scratch object. What the request creates is deleted later.
    pub(super) fn build_request(&self, operation: Operation, name: &str) -> Request {
        let key = self.key(name);
        if operation.creates_object() || operation == Operation::CompleteMultipartUpload {
            self.created.borrow_mut().push((key.clone(), None));
        }
        Request::for_object(operation, self.bucket.clone(), key, Fields::default())
    }

    /// Builds a copy of one scratch object to another, or to a part of another.
    pub(super) fn build_copy_request(&self, operation: Operation, from: &str, to: &str) -> Request {
        let source = Some(CopySource { bucket: self.bucket.clone(), key: self.key(from), version: None });
        Request { source, ..self.build_request(operation, to) }
    }

    /// Records the version that was created.
    pub(super) fn record_version(&self, request: &Request, response: &Response) {
        let (Some(key), Some(version)) = (request.scope.key(), response.text(ResponseField::VersionId))
        else {
            return;
        };
        // Without versioning the version ID is "null" or missing.
        if version != "null" {
            self.is_versioned.set(true);
            self.created.borrow_mut().push((key.to_owned(), Some(version.to_owned())));
        }
    }

    /// Records a multipart upload of a scratch object.
    pub(super) fn record_upload(&self, name: &str, upload: &str) {
        self.uploads.borrow_mut().push((self.key(name), upload.to_owned()));
    }

    /// Deletes all recorded objects, lists what remains, deletes that too, and lists again.
    pub(super) async fn clean_up(&self) -> CleanupResult {
        if self.created.borrow().is_empty() {
            return CleanupResult { keys_left: Vec::new(), is_listed: true };
        }
        let uploads = self.uploads.borrow().clone();
        for (key, upload) in &uploads {
            self.abort_upload(key, upload).await;
        }
        let mut created = self.created.borrow().clone();
        created.sort();
        created.dedup();
        if self.is_versioned.get() {
            // A delete without a version ID would only add a delete marker.
            created.retain(|version| version.1.is_some());
        }
        let mut failed = self.delete_versions(&created).await;
        // Two rounds, because a delete may fail once.
        for _ in 0..2 {
            match self.list_remaining().await {
                Ok(remaining) if remaining.is_empty() => {
                    return CleanupResult { keys_left: Vec::new(), is_listed: true };
                }
                Ok(there) => {
                    self.delete_versions(&there).await;
                    failed = there.into_iter().map(|version| version.0).collect();
                }
                Err(_) => return CleanupResult { keys_left: failed, is_listed: false },
            }
        }
        match self.list_remaining().await {
            Ok(there) => failed = there.into_iter().map(|version| version.0).collect(),
            Err(_) => return CleanupResult { keys_left: failed, is_listed: false },
        }
        failed.sort();
        failed.dedup();
        CleanupResult { keys_left: failed, is_listed: true }
    }

    /// All recorded keys, for a manual clean-up.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.created.borrow().iter().map(|version| version.0.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Deletes versions, and returns the keys of those that could not be deleted.
    async fn delete_versions(&self, versions: &[ScratchVersion]) -> Vec<String> {
        let mut failed = Vec::new();
        for (key, version) in versions {
            let mut fields = Fields::default();
            if let Some(version) = version {
                fields.set(Field::VersionId, Value::Text(version.clone()));
            }
            let request =
                Request::for_object(Operation::DeleteObject, self.bucket.clone(), key.clone(), fields);
            match self.probe.run_exchange(request).await {
                Ok(_) => {}
                // The object was never created, or is deleted already.
                Err(ProbeError::Rejected(ErrorKind::NoSuchKey | ErrorKind::NoSuchVersion, _)) => {}
                Err(_) => failed.push(key.clone()),
            }
        }
        failed
    }

    async fn abort_upload(&self, key: &str, upload: &str) {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(upload.to_owned()));
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        let request = Request::for_object(Operation::AbortMultipartUpload, bucket, key, fields);
        // Most uploads are completed by now. An upload that remains is found by the listing.
        let _ = self.probe.run_exchange(request).await;
    }

    /// Lists the remaining scratch objects, versions and multipart uploads.
    async fn list_remaining(&self) -> Result<Vec<ScratchVersion>, ProbeError> {
        let versions = self.is_versioned.get();
        let objects = if versions { Operation::ListObjectVersions } else { Operation::ListObjects };
        let mut found = Vec::new();
        match self.list_page(objects).await?.document {
            Some(Document::Versions(page)) => {
                found.extend(page.versions.into_iter().map(|row| (row.object.key, Some(row.id))));
            }
            Some(Document::Objects(page)) => {
                found.extend(page.objects.into_iter().map(|row| (row.key, None)));
            }
            _ => {}
        }
        // At a target that cannot list uploads, the recorded ones were already aborted by their upload IDs.
        if let Ok(response) = self.list_page(Operation::ListMultipartUploads).await
            && let Some(Document::Uploads(page)) = response.document
        {
            for upload in page.uploads.into_iter().filter(|upload| upload.key.starts_with(&self.prefix)) {
                self.abort_upload(&upload.key, &upload.id).await;
                found.push((upload.key, None));
            }
        }
        found.retain(|version| version.0.starts_with(&self.prefix));
        Ok(found)
    }

    async fn list_page(&self, operation: Operation) -> Result<Response, ProbeError> {
        let mut request = Request::for_bucket(operation, self.bucket.as_str());
        request.fields.set(Field::Prefix, Value::Text(self.prefix.clone()));
        self.probe.run_exchange(request).await
    }
}
