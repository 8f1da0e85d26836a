//! The embedded S3 store behind Blobfish's demo mode.
//!
//! A real S3 server in the same process: reached over HTTP with SigV4-signed requests, durable on disk or bounded in
//! memory. It never speaks to the network by itself; the caller binds the listener, on loopback.
//!
//! What is kept: `DIR/meta.redb` (every name and attribute), `DIR/data/xx/` (bytes, in files named at random) and
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
mod conditions;
mod copy;
mod cors;
mod digests;
mod encryption;
mod errors;
mod list;
mod lock;
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

/// 1 GiB of object bytes, where a store is in memory and nothing else is said.
pub const MEMORY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Where a store keeps everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In this folder, made if missing. One process at a time.
    Dir(PathBuf),
    /// In memory, at most [`MEMORY_BYTES_MAX`] of object bytes; gone with the store.
    Memory,
}

/// How to open a store.
#[derive(Debug)]
pub struct Options {
    /// Where everything is kept.
    pub location: Location,
    /// The one access key id that is accepted.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the folder open.
    #[error("{}: another process is using this store", .0.display())]
    InUse(PathBuf),
    /// A file or folder could not be made, read or written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    /// `master.key` is not the key this store was made with: objects stored with `AES256` could not be read.
    #[error("{}: this is not the key the store was made with", .0.display())]
    MasterKey(PathBuf),
    /// The database is broken or of another release.
    #[error("the store's database: {0}")]
    Metadata(#[source] redb::Error),
    /// The system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(#[source] getrandom::Error),
}

/// An open store.
pub struct Store {
    state: serve::ServerState,
}

impl Store {
    /// Opens a store, making what is missing and removing the data files a crash left behind.
    ///
    /// Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Store, OpenError> {
        Self::open_with_memory_limit(options, MEMORY_BYTES_MAX)
    }

    /// Opens a store whose memory, if it is in memory, holds at most `memory_bytes_max` of object bytes.
    ///
    /// A put beyond it is refused with 507 `InsufficientStorage`.
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
    /// The listener is bound by the caller; on loopback, for there is one key and no TLS.
    ///
    /// # Errors
    /// Where the listener has no address any more. A connection that cannot be accepted is logged, not returned.
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
        tracing::info!(removed, "removed data files that nothing uses");
    }
    // The names made above must be as durable as what will be written under them.
    sync_dir(folder).map_err(|error| OpenError::File(folder.to_owned(), error))?;
    Ok(MetadataStore::new(database, Some(file), BlobStore::with_dir(data, managed_key)))
}

/// Makes a folder that is missing, for its owner only.
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

/// Reads the store's own key, or makes it once. The database remembers by which hash to recognise it.
fn load_or_create_master_key(file: &Path, database: &Database) -> Result<EncryptionKey, OpenError> {
    const SALT: &[u8] = b"blobfish-store master key";
    const MASTER_CHECK: &str = "master-check";
    let file_error = |error| OpenError::File(file.to_owned(), error);
    let key = match fs::read(file) {
        Ok(bytes) => {
            EncryptionKey::from_bytes(&bytes).ok_or_else(|| OpenError::MasterKey(file.to_owned()))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // A store that had a key and lost it must not get another one silently.
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

/// Written whole or not at all, readable by the owner only.
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
