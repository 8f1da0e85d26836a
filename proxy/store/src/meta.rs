//! The metadata: redb tables, their rows, and the transactions that keep them consistent with the data files.
//!
//! The table `blobs` contains every data file with the number of objects and parts that use it. When the store opens,
//! it removes every other file. Rows are JSON, so that a later release can add fields, followed by a CRC-32C.

use crate::attributes::Attributes;
use crate::blobs::{BlobId, BlobStore, Segment};
use crate::bucket::{Bucket, Versioning};
use crate::conditions::{CurrentObject, WriteCondition};
use crate::dates::now_ms;
use crate::digests::{Algorithm, Checksum};
use crate::encryption::ObjectEncryption;
use crate::errors::{
    internal_error, invalid_version_id_error, no_such_bucket_error, no_such_key_error, no_such_version_error,
    s3_error,
};
use blobfish_dialects::encoding::hash::encode_hex;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use s3s::{S3Error, S3Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

const BUCKETS: TableDefinition<&str, &[u8]> = TableDefinition::new("buckets");
/// Bucket, key, rank. The newest version of a key has the smallest rank.
type VersionKey = (&'static str, &'static [u8], u64);
const VERSIONS: TableDefinition<VersionKey, &[u8]> = TableDefinition::new("versions");
/// The data files of a version. They have their own table, so that listings read less.
const BODIES: TableDefinition<VersionKey, &[u8]> = TableDefinition::new("bodies");
/// Bucket, key, upload ID.
type UploadKey = (&'static str, &'static [u8], &'static str);
const UPLOADS: TableDefinition<UploadKey, &[u8]> = TableDefinition::new("uploads");
/// Upload ID, part number.
const PARTS: TableDefinition<(&str, u32), &[u8]> = TableDefinition::new("parts");
/// File, number of uses.
const BLOBS: TableDefinition<u128, u64> = TableDefinition::new("blobs");
/// Upload ID to the result of its completion, for a client that lost the response and retries.
const COMPLETED_UPLOADS: TableDefinition<&str, &[u8]> = TableDefinition::new("completed");
/// The same by time: milliseconds since 1970, upload ID.
const COMPLETED_UPLOADS_BY_TIME: TableDefinition<(u64, &str), ()> = TableDefinition::new("completed_at");
const COUNTERS: TableDefinition<&str, u64> = TableDefinition::new("counters");
const SETTINGS: TableDefinition<&str, &[u8]> = TableDefinition::new("settings");
/// Bucket, setting, ID (empty for a setting without IDs).
type SettingKey = (&'static str, &'static str, &'static str);
const BUCKET_SETTINGS: TableDefinition<SettingKey, &[u8]> = TableDefinition::new("bucket_settings");

/// How long a completed upload can be completed again.
// SDKs retry within minutes; a day also covers jobs that run again after a failure.
const COMPLETED_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// The version ID of objects that are written while versioning is disabled or suspended.
pub(crate) const NULL_VERSION_ID: &str = "null";

/// A settings document of a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSetting {
    pub(crate) document: String,
    /// Response headers that belong to the document.
    pub(crate) headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) modified_ms: u64,
    /// `None` for a delete marker.
    pub(crate) object: Option<Object>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) attributes: Attributes,
    pub(crate) sealing: ObjectEncryption,
    /// The expiry of a restore. It has an effect only in archive classes.
    #[serde(default)]
    pub(crate) restored_until_ms: Option<u64>,
    /// CRC-64/XZ of the plain bytes. `None` for objects of earlier releases.
    #[serde(default)]
    pub(crate) crc64: Option<u64>,
    /// Whether the object was created by an append, and can be appended to.
    #[serde(default)]
    pub(crate) appendable: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ObjectBody {
    pub(crate) segments: Vec<Segment>,
    /// Each segment is a part of a multipart upload.
    pub(crate) multipart: bool,
    /// The checksum of each part, if the upload has an algorithm.
    #[serde(default)]
    pub(crate) sums: Vec<Checksum>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) created_ms: u64,
    /// Ranks at or below this one are newer than the upload.
    pub(crate) rank: u64,
    pub(crate) attributes: Attributes,
    pub(crate) sealing: ObjectEncryption,
    pub(crate) algorithm: Algorithm,
    /// Whether the client chose the algorithm.
    pub(crate) chosen: bool,
    pub(crate) composite: bool,
}

/// An upload that was completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CompletedUpload {
    pub(crate) bucket: String,
    /// Distinguishes the bucket from a later one with the same name.
    pub(crate) bucket_created_ms: u64,
    pub(crate) key: String,
    /// A digest of the list of parts in the request.
    pub(crate) parts: String,
    pub(crate) version: Version,
    pub(crate) versioning: Versioning,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) modified_ms: u64,
    pub(crate) etag: String,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) segment: Segment,
}

/// A version with its rank.
#[derive(Clone, Debug)]
pub(crate) struct RankedVersion {
    pub(crate) rank: u64,
    pub(crate) version: Version,
    /// Whether it is the current one.
    pub(crate) is_latest: bool,
}

/// The database, and the data files that go with it.
pub(crate) struct MetadataStore {
    /// `None` after a failure, until it can be opened again.
    database: RwLock<Option<Database>>,
    /// The file of the database, if it is not in memory.
    file: Option<PathBuf>,
    pub(crate) blobs: Arc<BlobStore>,
}

/// The size of the database cache. The default of redb is 1 GiB, too much for a demo.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Opens the database in a file, or creates it.
pub(crate) fn open_database(file: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(file)
}

/// Creates a database in memory.
pub(crate) fn create_memory_database() -> Result<Database, DatabaseError> {
    let backend = redb::backends::InMemoryBackend::new();
    Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)
}

/// The separator between the JSON of a row and its checksum in hexadecimal.
const ROW_CHECKSUM_MARK: u8 = b'#';
const ROW_CHECKSUM_DIGITS: usize = 8;

fn compute_row_checksum(json: &[u8]) -> String {
    format!("{:08x}", crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, json))
}

/// Reads a row.
///
/// # Errors
/// 500 if the checksum does not match. Rows of earlier releases have no checksum, and none of them ends like one.
pub(crate) fn decode_row<T: DeserializeOwned>(row: &[u8]) -> S3Result<T> {
    let end = row.len().saturating_sub(ROW_CHECKSUM_DIGITS.saturating_add(1));
    let json = match row.split_at_checked(end) {
        Some((json, [ROW_CHECKSUM_MARK, sum @ ..])) => {
            if sum != compute_row_checksum(json).as_bytes() {
                return Err(internal_error("a row of meta.redb does not match its checksum"));
            }
            json
        }
        _ => row,
    };
    serde_json::from_slice(json).map_err(internal_error)
}

fn encode_row<T: Serialize>(row: &T) -> S3Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(row).map_err(internal_error)?;
    let sum = compute_row_checksum(&bytes);
    bytes.push(ROW_CHECKSUM_MARK);
    bytes.extend_from_slice(sum.as_bytes());
    Ok(bytes)
}

/// Creates every table, so that read transactions find all of them.
pub(crate) fn create_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(BUCKETS)?;
    transaction.open_table(VERSIONS)?;
    transaction.open_table(BODIES)?;
    transaction.open_table(UPLOADS)?;
    transaction.open_table(PARTS)?;
    transaction.open_table(COMPLETED_UPLOADS)?;
    transaction.open_table(COMPLETED_UPLOADS_BY_TIME)?;
    transaction.open_table(BLOBS)?;
    transaction.open_table(COUNTERS)?;
    transaction.open_table(SETTINGS)?;
    transaction.open_table(BUCKET_SETTINGS)?;
    transaction.commit()?;
    Ok(())
}

/// Whether a setting was ever stored.
pub(crate) fn has_setting(database: &Database, name: &str) -> Result<bool, redb::Error> {
    Ok(database.begin_read()?.open_table(SETTINGS)?.get(name)?.is_some())
}

/// Returns a stored setting. If there is none, stores `fresh` and returns it.
pub(crate) fn get_or_insert_setting(
    database: &Database,
    name: &str,
    default_value: &[u8],
) -> Result<Vec<u8>, redb::Error> {
    let transaction = database.begin_write()?;
    let value = {
        let mut table = transaction.open_table(SETTINGS)?;
        let stored = table.get(name)?.map(|value| value.value().to_vec());
        match stored {
            Some(stored) => stored,
            None => {
                table.insert(name, default_value)?;
                default_value.to_vec()
            }
        }
    };
    transaction.commit()?;
    Ok(value)
}

/// The IDs of all data files that a row refers to.
pub(crate) fn list_blob_ids(database: &Database) -> Result<std::collections::HashSet<u128>, redb::Error> {
    let table = database.begin_read()?.open_table(BLOBS)?;
    let mut known = std::collections::HashSet::new();
    for row in table.range::<u128>(..)? {
        known.insert(row?.0.value());
    }
    Ok(known)
}

impl MetadataStore {
    pub(crate) fn new(database: Database, file: Option<PathBuf>, blobs: Arc<BlobStore>) -> Self {
        Self { database: RwLock::new(Some(database)), file, blobs }
    }

    // A read lock: redb itself allows concurrent transactions. Only opening the database again needs the write lock.
    fn lock_database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // No operation under this lock can stop halfway, so the value is consistent even after a panic.
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// After an I/O error, such as a full disk, redb rejects every transaction until the database is opened again.
    /// This checks after an error whether that is needed. Blocks.
    fn reopen_if_broken(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = &self.file else { return };
        if database.as_ref().is_some_and(|database| {
            database.begin_write().and_then(|transaction| transaction.abort().map_err(Into::into)).is_ok()
        }) {
            return;
        }
        *database = None;
        match open_database(file) {
            Ok(opened) => {
                tracing::warn!("the database of the store was reopened after an error");
                *database = Some(opened);
            }
            Err(error) => tracing::error!(%error, "the database of the store cannot be reopened"),
        }
    }

    /// Returns the result, after opening the database again if it failed.
    fn reopen_on_error<T>(&self, result: S3Result<T>) -> S3Result<T> {
        if result
            .as_ref()
            .is_err_and(|error| error.status_code().is_none_or(|status| status.is_server_error()))
        {
            self.reopen_if_broken();
        }
        result
    }

    /// Runs `work` on a snapshot, on a thread that may block.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&MetadataReader) -> S3Result<T> + Send + 'static,
    {
        let meta = Arc::clone(self);
        let task = move || {
            // While this lock is held, no file of the snapshot can be removed: see [`BlobStore::discard`].
            // The order matters: the guard is taken before the snapshot begins, or a file could be removed in between.
            let removal_guard = meta.blobs.lock_removals();
            let reader = meta
                .lock_database()
                .as_ref()
                .ok_or_else(database_closed_error)
                .and_then(|database| MetadataReader::begin(database).map_err(internal_error));
            let result = reader.and_then(|reading| work(&reading));
            drop(removal_guard);
            meta.reopen_on_error(result)
        };
        tokio::task::spawn_blocking(task).await.map_err(internal_error)?
    }

    /// Runs `work` in a transaction. It is durable when this returns, and rolled back if `work` fails.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut MetadataWriter<'_>) -> S3Result<T> + Send + 'static,
    {
        let meta = Arc::clone(self);
        tokio::task::spawn_blocking(move || meta.write_blocking(work)).await.map_err(internal_error)?
    }

    fn write_blocking<T>(&self, work: impl FnOnce(&mut MetadataWriter<'_>) -> S3Result<T>) -> S3Result<T> {
        let result = self
            .lock_database()
            .as_ref()
            .ok_or_else(database_closed_error)
            .and_then(|database| self.transact(database, work));
        self.reopen_on_error(result)
    }

    fn transact<T>(
        &self,
        database: &Database,
        work: impl FnOnce(&mut MetadataWriter<'_>) -> S3Result<T>,
    ) -> S3Result<T> {
        let transaction = database.begin_write().map_err(internal_error)?;
        let result = MetadataWriter::begin(&transaction).map_err(internal_error).and_then(|mut writing| {
            let value = work(&mut writing)?;
            Ok((value, writing.unused))
        });
        match result {
            Ok((value, unused)) => {
                // Files are removed only after the commit. After a crash in between they are unused, and the next
                // start removes them; in the other order a row could refer to a missing file.
                transaction.commit().map_err(internal_error)?;
                self.blobs.discard(&unused);
                Ok(value)
            }
            Err(error) => {
                transaction.abort().map_err(internal_error)?;
                Err(error)
            }
        }
    }
}

fn database_closed_error() -> S3Error {
    internal_error("the store's database is closed")
}

type Rows<K> = redb::ReadOnlyTable<K, &'static [u8]>;

/// One snapshot.
pub(crate) struct MetadataReader {
    pub(crate) buckets: Rows<&'static str>,
    pub(crate) versions: Rows<VersionKey>,
    bodies: Rows<VersionKey>,
    pub(crate) uploads: Rows<UploadKey>,
    parts: redb::ReadOnlyTable<(&'static str, u32), &'static [u8]>,
    settings: Rows<SettingKey>,
}

impl MetadataReader {
    fn begin(database: &Database) -> Result<Self, redb::Error> {
        let transaction = database.begin_read()?;
        let to_redb_error = |error: TableError| redb::Error::from(error);
        Ok(Self {
            buckets: transaction.open_table(BUCKETS).map_err(to_redb_error)?,
            versions: transaction.open_table(VERSIONS).map_err(to_redb_error)?,
            bodies: transaction.open_table(BODIES).map_err(to_redb_error)?,
            uploads: transaction.open_table(UPLOADS).map_err(to_redb_error)?,
            parts: transaction.open_table(PARTS).map_err(to_redb_error)?,
            settings: transaction.open_table(BUCKET_SETTINGS).map_err(to_redb_error)?,
        })
    }

    pub(crate) fn get_bucket(&self, name: &str) -> S3Result<Bucket> {
        get_bucket_row(&self.buckets, name)
    }

    /// The given version, or the current one. It may be a delete marker.
    pub(crate) fn get_version(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<(RankedVersion, Bucket)> {
        let row = self.get_bucket(bucket)?;
        let found = match version {
            Some(id) => find_version_row(&self.versions, bucket, key, id)?
                .ok_or_else(|| no_such_version_error(key, id))?,
            None => find_current_row(&self.versions, bucket, key)?.ok_or_else(|| no_such_key_error(key))?,
        };
        Ok((found, row))
    }

    pub(crate) fn get_body(&self, bucket: &str, key: &str, rank: u64) -> S3Result<ObjectBody> {
        let row = self.bodies.get((bucket, key.as_bytes(), rank)).map_err(internal_error)?;
        row.map_or_else(|| Err(internal_error("a version has no body row")), |row| decode_row(row.value()))
    }

    pub(crate) fn find_current_version(&self, bucket: &str, key: &str) -> S3Result<Option<RankedVersion>> {
        find_current_row(&self.versions, bucket, key)
    }

    pub(crate) fn find_version(&self, bucket: &str, key: &str, id: &str) -> S3Result<Option<RankedVersion>> {
        find_version_row(&self.versions, bucket, key, id)
    }

    pub(crate) fn get_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        get_upload_row(&self.uploads, bucket, key, id)
    }

    /// The parts with numbers above `after`, in ascending order.
    pub(crate) fn list_parts(&self, id: &str, after: u32) -> S3Result<Vec<(u32, Part)>> {
        list_part_rows(&self.parts, id, after)
    }

    /// A setting of a bucket that exists.
    pub(crate) fn find_setting(&self, bucket: &str, name: &str, id: &str) -> S3Result<Option<StoredSetting>> {
        self.get_bucket(bucket)?;
        find_setting_row(&self.settings, bucket, name, id)
    }

    /// The settings with a name, in the order of their IDs.
    pub(crate) fn list_settings(&self, bucket: &str, name: &str) -> S3Result<Vec<(String, StoredSetting)>> {
        self.get_bucket(bucket)?;
        list_setting_rows(&self.settings, bucket, name)
    }
}

/// One transaction that writes.
pub(crate) struct MetadataWriter<'t> {
    buckets: Table<'t, &'static str, &'static [u8]>,
    versions: Table<'t, VersionKey, &'static [u8]>,
    bodies: Table<'t, VersionKey, &'static [u8]>,
    uploads: Table<'t, UploadKey, &'static [u8]>,
    parts: Table<'t, (&'static str, u32), &'static [u8]>,
    completed: Table<'t, &'static str, &'static [u8]>,
    completed_at: Table<'t, (u64, &'static str), ()>,
    blobs: Table<'t, u128, u64>,
    counters: Table<'t, &'static str, u64>,
    settings: Table<'t, SettingKey, &'static [u8]>,
    /// Files that no row refers to after the commit.
    unused: Vec<BlobId>,
}

impl<'t> MetadataWriter<'t> {
    fn begin(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            buckets: transaction.open_table(BUCKETS)?,
            versions: transaction.open_table(VERSIONS)?,
            bodies: transaction.open_table(BODIES)?,
            uploads: transaction.open_table(UPLOADS)?,
            parts: transaction.open_table(PARTS)?,
            completed: transaction.open_table(COMPLETED_UPLOADS)?,
            completed_at: transaction.open_table(COMPLETED_UPLOADS_BY_TIME)?,
            blobs: transaction.open_table(BLOBS)?,
            counters: transaction.open_table(COUNTERS)?,
            settings: transaction.open_table(BUCKET_SETTINGS)?,
            unused: Vec::new(),
        })
    }

    pub(crate) fn get_bucket(&self, name: &str) -> S3Result<Bucket> {
        get_bucket_row(&self.buckets, name)
    }

    pub(crate) fn find_bucket(&self, name: &str) -> S3Result<Option<Bucket>> {
        let row = self.buckets.get(name).map_err(internal_error)?;
        row.map(|row| decode_row(row.value())).transpose()
    }

    pub(crate) fn put_bucket(&mut self, name: &str, bucket: &Bucket) -> S3Result<()> {
        self.buckets.insert(name, encode_row(bucket)?.as_slice()).map_err(internal_error)?;
        Ok(())
    }

    /// Deletes a bucket without versions, and aborts its incomplete uploads.
    pub(crate) fn delete_bucket(&mut self, name: &str) -> S3Result<()> {
        self.get_bucket(name)?;
        let from = (name, [].as_slice(), 0);
        let version = self
            .versions
            .range(from..)
            .map_err(internal_error)?
            .next()
            .transpose()
            .map_err(internal_error)?;
        if version.is_some_and(|row| row.0.value().0 == name) {
            let message = "The bucket you tried to delete is not empty";
            return Err(s3_error(409, "BucketNotEmpty", message, &[("BucketName", name)]));
        }
        for (key, id) in self.list_open_uploads(name)? {
            self.end_upload(name, &key, &id, &[])?;
        }
        self.buckets.remove(name).map_err(internal_error)?;
        // A later bucket with the same name must not inherit them.
        self.settings.retain(|at, _| at.0 != name).map_err(internal_error)?;
        Ok(())
    }

    /// Key and id of every upload of a bucket.
    fn list_open_uploads(&self, bucket: &str) -> S3Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for row in self.uploads.range((bucket, [].as_slice(), "")..).map_err(internal_error)? {
            let (at, _) = row.map_err(internal_error)?;
            let (owner, key, id) = at.value();
            if owner != bucket {
                break;
            }
            found.push((String::from_utf8(key.to_vec()).map_err(internal_error)?, id.to_owned()));
        }
        Ok(found)
    }

    pub(crate) fn find_setting(&self, bucket: &str, name: &str, id: &str) -> S3Result<Option<StoredSetting>> {
        find_setting_row(&self.settings, bucket, name, id)
    }

    pub(crate) fn list_settings(&self, bucket: &str, name: &str) -> S3Result<Vec<(String, StoredSetting)>> {
        list_setting_rows(&self.settings, bucket, name)
    }

    pub(crate) fn put_setting(
        &mut self,
        bucket: &str,
        name: &str,
        id: &str,
        setting: &StoredSetting,
    ) -> S3Result<()> {
        self.settings.insert((bucket, name, id), encode_row(setting)?.as_slice()).map_err(internal_error)?;
        Ok(())
    }

    pub(crate) fn delete_setting(&mut self, bucket: &str, name: &str, id: &str) -> S3Result<()> {
        self.settings.remove((bucket, name, id)).map_err(internal_error)?;
        Ok(())
    }

    pub(crate) fn find_current_version(&self, bucket: &str, key: &str) -> S3Result<Option<RankedVersion>> {
        find_current_row(&self.versions, bucket, key)
    }

    pub(crate) fn find_version(&self, bucket: &str, key: &str, id: &str) -> S3Result<Option<RankedVersion>> {
        find_version_row(&self.versions, bucket, key, id)
    }

    /// The given version, or the current one.
    pub(crate) fn get_version(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<RankedVersion> {
        match version {
            Some(id) => self.find_version(bucket, key, id)?.ok_or_else(|| no_such_version_error(key, id)),
            None => self.find_current_version(bucket, key)?.ok_or_else(|| no_such_key_error(key)),
        }
    }

    fn allocate_rank(&mut self) -> S3Result<u64> {
        // Ranks count down, so that the newest version of a key comes first in the table and is found with one lookup.
        let last = self.counters.get("rank").map_err(internal_error)?.map_or(u64::MAX, |row| row.value());
        let rank = last.checked_sub(1).ok_or_else(|| internal_error("no ranks are left"))?;
        self.counters.insert("rank", rank).map_err(internal_error)?;
        Ok(rank)
    }

    /// The last rank. New versions get smaller ones.
    pub(crate) fn get_last_rank(&self) -> S3Result<u64> {
        Ok(self.counters.get("rank").map_err(internal_error)?.map_or(u64::MAX, |row| row.value()))
    }

    /// Makes an object the current version, if the condition holds; returns its version and the bucket's state.
    ///
    /// The files of the segments must be durable already, and the caller must increment their use counts.
    pub(crate) fn publish_version(
        &mut self,
        bucket: &str,
        key: &str,
        mut object: Object,
        body: &ObjectBody,
        condition: &WriteCondition,
    ) -> S3Result<(Version, Versioning)> {
        let row = self.get_bucket(bucket)?;
        // The bucket is read again inside the transaction: its settings may have changed while the body was received.
        let versioning = row.versioning;
        row.check_acl(object.attributes.acl)?;
        object.attributes.lock = row.resolve_lock(object.attributes.lock)?;
        self.check_condition(bucket, key, condition)?;
        let version = self.insert_version(bucket, key, versioning, Some((object, body)))?;
        Ok((version, versioning))
    }

    pub(crate) fn check_condition(
        &self,
        bucket: &str,
        key: &str,
        condition: &WriteCondition,
    ) -> S3Result<()> {
        if *condition == WriteCondition::None {
            return Ok(());
        }
        let current = self.find_current_version(bucket, key)?;
        let object = current.as_ref().and_then(|found| found.version.object.as_ref());
        condition.check(key, &CurrentObject { etag: object.map(|object| object.etag.as_str()) })
    }

    /// Adds a version: an object, or a delete marker.
    pub(crate) fn insert_version(
        &mut self,
        bucket: &str,
        key: &str,
        versioning: Versioning,
        object: Option<(Object, &ObjectBody)>,
    ) -> S3Result<Version> {
        let rank = self.allocate_rank()?;
        let id = if versioning == Versioning::Enabled {
            generate_version_id(rank).map_err(internal_error)?
        } else {
            // Without versioning a key has one `null` version, which a new one replaces (S3, "Working with objects in a
            // versioning-suspended bucket").
            if let Some(old) = self.find_version(bucket, key, NULL_VERSION_ID)? {
                self.remove_version(bucket, key, &old)?;
            }
            NULL_VERSION_ID.to_owned()
        };
        let (object, body) = object.map_or((None, None), |(object, body)| (Some(object), Some(body)));
        let version = Version { id, modified_ms: now_ms(), object };
        let at = (bucket, key.as_bytes(), rank);
        self.versions.insert(at, encode_row(&version)?.as_slice()).map_err(internal_error)?;
        if let Some(body) = body {
            self.bodies.insert(at, encode_row(body)?.as_slice()).map_err(internal_error)?;
        }
        Ok(version)
    }

    pub(crate) fn get_body(&self, bucket: &str, key: &str, rank: u64) -> S3Result<ObjectBody> {
        let row = self.bodies.get((bucket, key.as_bytes(), rank)).map_err(internal_error)?;
        row.map_or_else(|| Err(internal_error("a version has no body row")), |row| decode_row(row.value()))
    }

    /// Replaces the data files of a version. The caller must update their use counts.
    pub(crate) fn put_body(&mut self, bucket: &str, key: &str, rank: u64, body: &ObjectBody) -> S3Result<()> {
        self.bodies
            .insert((bucket, key.as_bytes(), rank), encode_row(body)?.as_slice())
            .map_err(internal_error)?;
        Ok(())
    }

    /// Replaces the row of a version. Its data files stay.
    pub(crate) fn update_version(&mut self, bucket: &str, key: &str, found: &RankedVersion) -> S3Result<()> {
        let at = (bucket, key.as_bytes(), found.rank);
        self.versions.insert(at, encode_row(&found.version)?.as_slice()).map_err(internal_error)?;
        Ok(())
    }

    /// Removes one version permanently.
    pub(crate) fn remove_version(&mut self, bucket: &str, key: &str, found: &RankedVersion) -> S3Result<()> {
        let at = (bucket, key.as_bytes(), found.rank);
        self.versions.remove(at).map_err(internal_error)?;
        let body = self
            .bodies
            .remove(at)
            .map_err(internal_error)?
            .map(|row| decode_row::<ObjectBody>(row.value()))
            .transpose()?;
        // A delete marker has no body row.
        for segment in body.unwrap_or_default().segments {
            self.release_blob(segment.blob)?;
        }
        Ok(())
    }

    /// Counts one more use of a file.
    pub(crate) fn retain_blob(&mut self, blob: BlobId) -> S3Result<()> {
        let uses = self.blobs.get(blob.0).map_err(internal_error)?.map_or(0, |row| row.value());
        self.blobs.insert(blob.0, uses.saturating_add(1)).map_err(internal_error)?;
        Ok(())
    }

    fn release_blob(&mut self, blob: BlobId) -> S3Result<()> {
        let uses = self.blobs.get(blob.0).map_err(internal_error)?.map_or(0, |row| row.value());
        if uses > 1 {
            self.blobs.insert(blob.0, uses.saturating_sub(1)).map_err(internal_error)?;
        } else {
            self.blobs.remove(blob.0).map_err(internal_error)?;
            self.unused.push(blob);
        }
        Ok(())
    }

    pub(crate) fn get_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        get_upload_row(&self.uploads, bucket, key, id)
    }

    pub(crate) fn find_upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Option<Upload>> {
        let row = self.uploads.get((bucket, key.as_bytes(), id)).map_err(internal_error)?;
        row.map(|row| decode_row(row.value())).transpose()
    }

    /// Stores the result of a completion, and removes results that are too old to be requested again.
    pub(crate) fn put_completed_upload(&mut self, id: &str, completed: &CompletedUpload) -> S3Result<()> {
        let now = now_ms();
        self.completed.insert(id, encode_row(completed)?.as_slice()).map_err(internal_error)?;
        // Old results are removed here and not by a background task, so that the store needs none.
        self.completed_at.insert((now, id), ()).map_err(internal_error)?;
        let mut old = Vec::new();
        for row in
            self.completed_at.range(..(now.saturating_sub(COMPLETED_MS_MAX), "")).map_err(internal_error)?
        {
            let (at, ()) =
                row.map(|row| (row.0.value().1.to_owned(), row.1.value())).map_err(internal_error)?;
            old.push(at);
        }
        self.completed_at
            .retain_in(..(now.saturating_sub(COMPLETED_MS_MAX), ""), |_, ()| false)
            .map_err(internal_error)?;
        for id in old {
            self.completed.remove(id.as_str()).map_err(internal_error)?;
        }
        Ok(())
    }

    pub(crate) fn find_completed_upload(&self, id: &str) -> S3Result<Option<CompletedUpload>> {
        let row = self.completed.get(id).map_err(internal_error)?;
        row.map(|row| decode_row(row.value())).transpose()
    }

    pub(crate) fn put_upload(&mut self, bucket: &str, key: &str, id: &str, upload: &Upload) -> S3Result<()> {
        self.uploads
            .insert((bucket, key.as_bytes(), id), encode_row(upload)?.as_slice())
            .map_err(internal_error)?;
        Ok(())
    }

    pub(crate) fn list_parts(&self, id: &str) -> S3Result<Vec<(u32, Part)>> {
        list_part_rows(&self.parts, id, 0)
    }

    /// Adds or replaces a part, and counts the use of its file.
    pub(crate) fn put_part(&mut self, id: &str, number: u32, part: &Part) -> S3Result<()> {
        self.retain_blob(part.segment.blob)?;
        let old = self.parts.insert((id, number), encode_row(part)?.as_slice()).map_err(internal_error)?;
        let old = old.map(|row| decode_row::<Part>(row.value())).transpose()?;
        old.map_or(Ok(()), |old| self.release_blob(old.segment.blob))
    }

    /// Ends an upload. The files of `retained_parts` stay, because an object uses them now.
    pub(crate) fn end_upload(
        &mut self,
        bucket: &str,
        key: &str,
        id: &str,
        retained_parts: &[u32],
    ) -> S3Result<()> {
        for (number, part) in self.list_parts(id)? {
            self.parts.remove((id, number)).map_err(internal_error)?;
            if retained_parts.binary_search(&number).is_err() {
                self.release_blob(part.segment.blob)?;
            }
        }
        self.uploads.remove((bucket, key.as_bytes(), id)).map_err(internal_error)?;
        Ok(())
    }
}

fn get_bucket_row(table: &impl ReadableTable<&'static str, &'static [u8]>, name: &str) -> S3Result<Bucket> {
    let row = table.get(name).map_err(internal_error)?.ok_or_else(|| no_such_bucket_error(name))?;
    decode_row(row.value())
}

fn get_upload_row(
    table: &impl ReadableTable<UploadKey, &'static [u8]>,
    bucket: &str,
    key: &str,
    id: &str,
) -> S3Result<Upload> {
    let row = table.get((bucket, key.as_bytes(), id)).map_err(internal_error)?;
    row.map_or_else(|| Err(crate::errors::no_such_upload_error(id)), |row| decode_row(row.value()))
}

fn list_part_rows(
    table: &impl ReadableTable<(&'static str, u32), &'static [u8]>,
    id: &str,
    after: u32,
) -> S3Result<Vec<(u32, Part)>> {
    let from = (id, after.saturating_add(1));
    let rows = table.range(from..=(id, u32::MAX)).map_err(internal_error)?;
    rows.map(|row| {
        let (at, part) = row.map_err(internal_error)?;
        Ok((at.value().1, decode_row(part.value())?))
    })
    .collect()
}

fn find_setting_row(
    table: &impl ReadableTable<SettingKey, &'static [u8]>,
    bucket: &str,
    name: &str,
    id: &str,
) -> S3Result<Option<StoredSetting>> {
    let row = table.get((bucket, name, id)).map_err(internal_error)?;
    row.map(|row| decode_row(row.value())).transpose()
}

fn list_setting_rows(
    table: &impl ReadableTable<SettingKey, &'static [u8]>,
    bucket: &str,
    name: &str,
) -> S3Result<Vec<(String, StoredSetting)>> {
    let mut found = Vec::new();
    for row in table.range((bucket, name, "")..).map_err(internal_error)? {
        let (at, setting) = row.map_err(internal_error)?;
        let (owner, kind, id) = at.value();
        if (owner, kind) != (bucket, name) {
            break;
        }
        found.push((id.to_owned(), decode_row(setting.value())?));
    }
    Ok(found)
}

/// The newest version of a key, which may be a delete marker.
fn find_current_row(
    table: &impl ReadableTable<VersionKey, &'static [u8]>,
    bucket: &str,
    key: &str,
) -> S3Result<Option<RankedVersion>> {
    let key = key.as_bytes();
    let mut rows = table.range((bucket, key, 0)..=(bucket, key, u64::MAX)).map_err(internal_error)?;
    let Some((at, row)) = rows.next().transpose().map_err(internal_error)? else { return Ok(None) };
    Ok(Some(RankedVersion { rank: at.value().2, version: decode_row(row.value())?, is_latest: true }))
}

/// A version by its ID.
///
/// # Errors
/// 400 if the ID does not have the form of this store's IDs.
fn find_version_row(
    table: &impl ReadableTable<VersionKey, &'static [u8]>,
    bucket: &str,
    key: &str,
    id: &str,
) -> S3Result<Option<RankedVersion>> {
    let key = key.as_bytes();
    let wanted_rank = match id {
        NULL_VERSION_ID => None,
        _ => Some(parse_version_rank(id).ok_or_else(|| invalid_version_id_error(id))?),
    };
    let mut newest = None;
    // A `null` version can have any rank, so the rows are searched. An ID contains its rank, and other rows are skipped
    // without decoding them.
    for row in table.range((bucket, key, 0)..=(bucket, key, u64::MAX)).map_err(internal_error)? {
        let (at, row) = row.map_err(internal_error)?;
        let rank = at.value().2;
        let newest = *newest.get_or_insert(rank);
        if wanted_rank.is_some_and(|wanted| wanted != rank) {
            continue;
        }
        let version: Version = decode_row(row.value())?;
        if version.id == id {
            return Ok(Some(RankedVersion { rank, version, is_latest: rank == newest }));
        }
    }
    Ok(None)
}

/// Rank and 64 random bits, so that an ID cannot be guessed from another.
fn generate_version_id(rank: u64) -> Result<String, getrandom::Error> {
    Ok(format!("{rank:016x}{:016x}", getrandom::u64()?))
}

/// The rank in a version ID.
pub(crate) fn parse_version_rank(id: &str) -> Option<u64> {
    // Upper case is rejected, because the ID is compared as text and two spellings must not mean one version.
    let all = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    all.then(|| u64::from_str_radix(id.get(..16)?, 16).ok()).flatten()
}

/// Generates an ID for an upload.
pub(crate) fn generate_upload_id() -> Result<String, S3Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(internal_error)?;
    Ok(encode_hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rows_of_earlier_releases() {
        let bucket: Bucket =
            decode_row(br#"{"created_ms":1,"versioning":"Enabled","acl":"Private","location":""}"#).unwrap();
        assert!(bucket.lock.is_none() && !bucket.managed && !bucket.blocks_customer_keys);
        let version =
            br#"{"id":"null","modified_ms":1,"object":{"size":1,"etag":"e","checksum":null,"attributes":
            {"metadata":{"system":{},"user":{}},"class":"STANDARD","acl":"Private","redirect":null,"tags":[]},
            "sealing":"Open"}}"#;
        let object = decode_row::<Version>(version).unwrap().object.unwrap();
        assert!(object.attributes.lock.is_empty() && object.restored_until_ms.is_none());
        assert!(decode_row::<ObjectBody>(br#"{"segments":[],"multipart":true}"#).unwrap().sums.is_empty());
    }

    #[test]
    fn rejects_a_corrupted_row() {
        let row = encode_row(&Part {
            modified_ms: 1,
            etag: "e".to_owned(),
            checksum: None,
            segment: Segment { blob: BlobId(7), length: 3, nonce: None, summed: true, crc64: Some(u64::MAX) },
        })
        .unwrap();
        assert_eq!(decode_row::<Part>(&row).unwrap().segment.crc64, Some(u64::MAX));
        for at in 0..row.len() {
            let mut wrong = row.clone();
            wrong[at] ^= 1;
            assert!(decode_row::<Part>(&wrong).is_err(), "{at}");
        }
    }
}
