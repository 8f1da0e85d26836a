//! The scratch objects: what was made is written down before it is asked for, so that it can be deleted whatever
//! happens.

use std::cell::{Cell, RefCell};

use blobfish_dialects::model::{
    Document, Fault, Field, Fields, Operation, Reply, Request, Source, Told, Value,
};

use crate::clock;
use crate::doctor::asking::{Asking, Trouble};

/// What all keys begin with.
pub const PREFIX: &str = "blobfish-doctor-";

/// The scratch objects of one target.
pub struct Scratch<'a> {
    /// Whom to ask.
    pub asking: &'a Asking<'a>,
    /// Whether the bucket keeps versions, or did once: then each version is deleted by its id.
    pub versions: Cell<bool>,
    bucket: String,
    prefix: String,
    made: RefCell<Vec<Version>>,
    uploads: RefCell<Vec<(String, String)>>,
}

/// A key, and the version that was made of it.
type Version = (String, Option<String>);

/// What became of the scratch objects.
pub struct Left {
    /// Keys that may still be there.
    pub keys: Vec<String>,
    /// Whether the bucket was looked at afterwards.
    pub looked: bool,
}

impl<'a> Scratch<'a> {
    /// Nothing is made yet.
    pub fn new(asking: &'a Asking<'a>, bucket: String) -> Self {
        let prefix = format!("{PREFIX}{:032x}/", clock::random());
        let (made, uploads) = (RefCell::default(), RefCell::default());
        Self { asking, versions: Cell::new(false), bucket, prefix, made, uploads }
    }

    /// A request about a scratch object. What it makes will be deleted.
    pub fn request(&self, operation: Operation, name: &str) -> Request {
        let key = format!("{}{name}", self.prefix);
        if operation.places() || operation == Operation::CompleteMultipartUpload {
            self.made.borrow_mut().push((key.clone(), None));
        }
        Request::of_object(operation, self.bucket.clone(), key, Fields::default())
    }

    /// A copy of one scratch object, or a part of it, to another.
    pub fn copy(&self, operation: Operation, from: &str, to: &str) -> Request {
        let key = format!("{}{from}", self.prefix);
        let source = Some(Source { bucket: self.bucket.clone(), key, version: None });
        Request { source, ..self.request(operation, to) }
    }

    /// Writes down which version was made.
    pub fn note(&self, request: &Request, reply: &Reply) {
        let (Some(key), Some(version)) = (&request.key, reply.text(Told::VersionId)) else { return };
        // What has no versions tells "null", if anything.
        if version != "null" {
            self.versions.set(true);
            self.made.borrow_mut().push((key.clone(), Some(version.to_owned())));
        }
    }

    /// Writes down that an upload in parts was begun.
    pub fn note_upload(&self, request: &Request, upload: &str) {
        let key = request.key.clone().unwrap_or_default();
        self.uploads.borrow_mut().push((key, upload.to_owned()));
    }

    /// Deletes everything, looks what is there all the same, deletes that, and looks again.
    pub async fn cleaned(&self) -> Left {
        if self.made.borrow().is_empty() {
            return Left { keys: Vec::new(), looked: true };
        }
        let uploads = self.uploads.borrow().clone();
        for (key, upload) in &uploads {
            self.given_up(key, upload).await;
        }
        let mut made = self.made.borrow().clone();
        made.sort();
        made.dedup();
        if self.versions.get() {
            // Without an id a version would only be hidden, by one more.
            made.retain(|version| version.1.is_some());
        }
        let mut failed = self.deleted(&made).await;
        for _ in 0..2 {
            match self.there().await {
                Ok(there) if there.is_empty() => return Left { keys: Vec::new(), looked: true },
                Ok(there) => {
                    self.deleted(&there).await;
                    failed = there.into_iter().map(|version| version.0).collect();
                }
                Err(_) => return Left { keys: failed, looked: false },
            }
        }
        match self.there().await {
            Ok(there) => failed = there.into_iter().map(|version| version.0).collect(),
            Err(_) => return Left { keys: failed, looked: false },
        }
        failed.sort();
        failed.dedup();
        Left { keys: failed, looked: true }
    }

    /// Every key that was asked for, for one who has to look by hand.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.made.borrow().iter().map(|version| version.0.clone()).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// Deletes versions, and gives the keys of those that could not be.
    async fn deleted(&self, versions: &[Version]) -> Vec<String> {
        let mut failed = Vec::new();
        for (key, version) in versions {
            let mut fields = Fields::default();
            if let Some(version) = version {
                fields.set(Field::VersionId, Value::Text(version.clone()));
            }
            let request =
                Request::of_object(Operation::DeleteObject, self.bucket.clone(), key.clone(), fields);
            match self.asking.exchanged(request).await {
                Ok(_) => {}
                Err(Trouble::Refused(Fault::NoSuchKey | Fault::NoSuchVersion, _)) => {}
                Err(_) => failed.push(key.clone()),
            }
        }
        failed
    }

    async fn given_up(&self, key: &str, upload: &str) {
        let mut fields = Fields::default();
        fields.set(Field::UploadId, Value::Text(upload.to_owned()));
        let (bucket, key) = (self.bucket.clone(), key.to_owned());
        let request = Request::of_object(Operation::AbortMultipartUpload, bucket, key, fields);
        // Most are completed by now; one that is left shows when the bucket is looked at.
        let _ = self.asking.exchanged(request).await;
    }

    /// What is there of ours: objects, versions, and uploads that were begun.
    async fn there(&self) -> Result<Vec<Version>, Trouble> {
        let versions = self.versions.get();
        let objects = if versions { Operation::ListObjectVersions } else { Operation::ListObjects };
        let mut found = Vec::new();
        match self.page(objects).await?.document {
            Some(Document::Versions(page)) => {
                found.extend(page.versions.into_iter().map(|row| (row.object.key, Some(row.id))));
            }
            Some(Document::Objects(page)) => {
                found.extend(page.objects.into_iter().map(|row| (row.key, None)));
            }
            _ => {}
        }
        // A store that does not list uploads had them given up by their ids.
        if let Ok(reply) = self.page(Operation::ListMultipartUploads).await
            && let Some(Document::Uploads(page)) = reply.document
        {
            for upload in page.uploads.into_iter().filter(|upload| upload.key.starts_with(&self.prefix)) {
                self.given_up(&upload.key, &upload.id).await;
                found.push((upload.key, None));
            }
        }
        found.retain(|version| version.0.starts_with(&self.prefix));
        Ok(found)
    }

    async fn page(&self, operation: Operation) -> Result<Reply, Trouble> {
        let mut request = Request::new(operation);
        request.bucket = Some(self.bucket.clone());
        request.fields.set(Field::Prefix, Value::Text(self.prefix.clone()));
        self.asking.exchanged(request).await
    }
}
