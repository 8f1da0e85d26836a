//! The embedded S3 store behind Blobfish's demo mode.
//!
//! An S3 server in the same process. It serves HTTP requests with V4 signatures, and stores data durably on disk, or in
//! limited memory. It opens no connections itself; the program passes in a listener, which is bound to loopback.
//!
//! Files: `DIR/meta.redb` (all names and attributes), `DIR/data/xx/` (the bytes, in files with random names) and
//! `DIR/master.key` (the key for `AES256`, readable by the owner only).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod append;
mod archive;
mod attributes;
mod blobs;
mod blocks;
mod bucket;
mod conditions;
mod copy;
mod cors;
mod dates;
mod digests;
mod encryption;
mod errors;
mod headers;
mod list;
mod lock;
mod lock_operations;
mod meta;
mod object_attributes;
mod objects;
mod part_list;
mod raw_values;
mod reclaimable_body;
mod request;
mod schema;
mod serve;
mod service;
mod settings;
mod uploads;
mod xml;

use crate::blobs::BlobStore;
use crate::encryption::EncryptionKey;
use crate::meta::MetadataStore;
use crate::objects::Core;
use crate::raw_values::SigningKey;
use crate::service::Service;
use redb::Database;
use s3s::auth::SimpleAuth;
use secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// The default limit of object bytes in memory: 1 GiB.
pub const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where a store keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this directory, which is created if it is missing. Only one process can use it at a time.
    Dir(PathBuf),
    /// In memory, at most [`MEMORY_BYTES_MAX`] of object bytes, until the store is dropped.
    Memory,
}

/// How to open a store.
#[derive(Debug)]
pub struct Options {
    /// Where the data is stored.
    pub location: Location,
    /// The access key ID that is accepted.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: SecretString,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{}: another process is using this store", .0.display())]
    InUse(PathBuf),
    /// A file or directory could not be created, read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    /// `master.key` is not the key that this store was created with, so objects with `AES256` could not be read.
    #[error("{}: this is not the key that the store was created with", .0.display())]
    MasterKey(PathBuf),
    /// The database is damaged or of another release.
    #[error("the store's database: {0}")]
    Metadata(#[source] redb::Error),
    /// The system returned no random bytes.
    #[error("the system returned no random bytes: {0}")]
    Random(#[source] getrandom::Error),
}

/// An open store.
pub struct Store {
    state: serve::ServerState,
}

impl Store {
    /// Opens a store, creates what is missing, and removes unused data files, such as after a crash.
    ///
    /// Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Store, OpenError> {
        Self::open_with_memory_limit(options, MEMORY_BYTES_MAX)
    }

    /// Opens a store. If it is in memory, it holds at most `memory_bytes_max` of object bytes.
    ///
    /// A put above the limit is rejected with 507 `InsufficientStorage`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with_memory_limit(options: Options, memory_bytes_max: u64) -> Result<Store, OpenError> {
        let meta = match &options.location {
            Location::Dir(folder) => open_dir(folder)?,
            Location::Memory => open_in_memory(memory_bytes_max)?,
        };
        let core = Core { meta: Arc::new(meta) };
        let auth = SimpleAuth::from_single(options.access_key.clone(), options.secret_key.expose_secret());
        let service = serve::build_service(Service { core: core.clone() }, auth);
        let key = Arc::new(SigningKey { access_key: options.access_key, secret_key: options.secret_key });
        Ok(Self { state: serve::ServerState { service, core, key } })
    }

    /// Serves until `shutdown` resolves, then lets running requests finish for up to 10 seconds.
    ///
    /// The listener must be bound to loopback, because there is only one access key and no TLS.
    ///
    /// # Errors
    /// The listener has no address. A connection that cannot be accepted is logged, and is no error.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        listener.local_addr()?;
        serve::serve_connections(self.state.clone(), listener, shutdown).await;
        Ok(())
    }
}

fn open_in_memory(bytes_max: u64) -> Result<MetadataStore, OpenError> {
    let database = meta::create_memory_database().map_err(|error| OpenError::Metadata(error.into()))?;
    meta::create_tables(&database).map_err(OpenError::Metadata)?;
    let managed_key = EncryptionKey::generate().map_err(OpenError::Random)?;
    Ok(MetadataStore::new(database, None, BlobStore::with_memory(bytes_max, managed_key)))
}

fn open_dir(folder: &Path) -> Result<MetadataStore, OpenError> {
    let data = folder.join("data");
    create_private_dir(&data).map_err(|error| OpenError::File(data.clone(), error))?;
    let file = folder.join("meta.redb");
    let database = meta::open_database(&file).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(folder.to_owned()),
        redb::DatabaseError::Storage(redb::StorageError::Io(error)) => OpenError::File(file.clone(), error),
        other => OpenError::Metadata(other.into()),
    })?;
    meta::create_tables(&database).map_err(OpenError::Metadata)?;
    let managed_key = load_or_create_master_key(&folder.join("master.key"), &database)?;
    let known_blobs = meta::list_blob_ids(&database).map_err(OpenError::Metadata)?;
    let removed = blobs::remove_unknown_blobs(&data, &known_blobs)
        .map_err(|error| OpenError::File(data.clone(), error))?;
    if removed > 0 {
        tracing::info!(removed, "removed unused data files");
    }
    // The directory entries must be as durable as the files that are written later.
    sync_dir(folder).map_err(|error| OpenError::File(folder.to_owned(), error))?;
    Ok(MetadataStore::new(database, Some(file), BlobStore::with_dir(data, managed_key)))
}

/// Creates a missing directory that only its owner can access.
fn create_private_dir(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn sync_dir(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Reads the store's own key, or creates it at the first start. The database contains a hash to verify it.
fn load_or_create_master_key(file: &Path, database: &Database) -> Result<EncryptionKey, OpenError> {
    const SALT: &[u8] = b"blobfish-store master key";
    const MASTER_CHECK: &str = "master-check";
    let file_error = |error| OpenError::File(file.to_owned(), error);
    let key = match fs::read(file) {
        Ok(bytes) => {
            EncryptionKey::from_bytes(&bytes).ok_or_else(|| OpenError::MasterKey(file.to_owned()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A store that lost its key must not get a new one silently: encrypted objects would become unreadable.
            if meta::has_setting(database, MASTER_CHECK).map_err(OpenError::Metadata)? {
                return Err(OpenError::MasterKey(file.to_owned()));
            }
            let key = EncryptionKey::generate().map_err(OpenError::Random)?;
            write_key_file(file, &key).map_err(file_error)?;
            key
        }
        Err(error) => return Err(file_error(error)),
    };
    let stored_hash = meta::get_or_insert_setting(database, MASTER_CHECK, &key.compute_salted_hash(SALT))
        .map_err(OpenError::Metadata)?;
    if stored_hash != key.compute_salted_hash(SALT) {
        return Err(OpenError::MasterKey(file.to_owned()));
    }
    Ok(key)
}

/// Writes the file completely or not at all. Only the owner can read it.
fn write_key_file(file: &Path, key: &EncryptionKey) -> io::Result<()> {
    let temporary_file = file.with_extension("new");
    let _ = fs::remove_file(&temporary_file);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(&temporary_file)?;
    handle.write_all(key.as_bytes())?;
    handle.sync_all()?;
    fs::rename(&temporary_file, file)?;
    file.parent().map_or(Ok(()), sync_dir)
}
