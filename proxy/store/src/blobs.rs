//! The bytes of objects: one file, or one list of chunks in memory, for each put and each part. The name is random.
//!
//! A file is written and synced before a row refers to it, and removed only after the transaction that frees it is
//! durable. File names never contain keys.

use crate::blocks::{BlockReader, BlockWriter, PlainReader, read_from_chunks, with_path};
use crate::digests::{Algorithm, BodyHasher, Digests};
use crate::encryption::{Cipher, EncryptionKey, Nonce, generate_nonce};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// The space on the disk that is reserved for the database, which needs some even to delete.
const RESERVED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The random name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BlobId(pub(crate) u128);

/// A whole file as a segment of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) blob: BlobId,
    /// In bytes; encryption does not change it.
    pub(crate) length: u64,
    /// Present if the file is encrypted.
    pub(crate) nonce: Option<Nonce>,
    /// Whether the file ends with the checksums of its blocks. Files of earlier releases do not.
    #[serde(default)]
    pub(crate) summed: bool,
    /// CRC-64/XZ of the plain bytes; `None` for files of earlier releases.
    #[serde(default)]
    pub(crate) crc64: Option<u64>,
}

enum BlobBackend {
    Dir(PathBuf),
    Memory { chunks_by_id: RwLock<HashMap<BlobId, Arc<Vec<Bytes>>>>, used: AtomicU64, bytes_max: u64 },
}

/// The number of readers of a file, and whether it is removed after the last one.
#[derive(Default)]
struct PinState {
    count: usize,
    remove_on_unpin: bool,
}

/// All files of a store.
pub(crate) struct BlobStore {
    backend: BlobBackend,
    /// The store's own key, for `AES256`.
    pub(crate) managed_key: EncryptionKey,
    pins: Mutex<HashMap<BlobId, PinState>>,
    removal_lock: RwLock<()>,
}

fn ignore_poison<T>(result: Result<T, PoisonError<T>>) -> T {
    // No operation under these locks can stop halfway, so the data is consistent even after a panic.
    result.unwrap_or_else(PoisonError::into_inner)
}

impl BlobStore {
    pub(crate) fn with_dir(data: PathBuf, managed: EncryptionKey) -> Arc<Self> {
        Self::new(BlobBackend::Dir(data), managed)
    }

    pub(crate) fn with_memory(bytes_max: u64, managed: EncryptionKey) -> Arc<Self> {
        Self::new(
            BlobBackend::Memory { chunks_by_id: RwLock::default(), used: AtomicU64::new(0), bytes_max },
            managed,
        )
    }

    fn new(backend: BlobBackend, managed: EncryptionKey) -> Arc<Self> {
        Arc::new(Self {
            backend,
            managed_key: managed,
            pins: Mutex::default(),
            removal_lock: RwLock::default(),
        })
    }

    /// Hold this while a snapshot is read and its files are pinned.
    pub(crate) fn lock_removals(&self) -> RwLockReadGuard<'_, ()> {
        ignore_poison(self.removal_lock.read())
    }

    fn lock_pins(&self) -> MutexGuard<'_, HashMap<BlobId, PinState>> {
        ignore_poison(self.pins.lock())
    }

    /// Protects the files of these segments until the pin is dropped. Call it while [`Self::lock_removals`] is held.
    pub(crate) fn pin(self: &Arc<Self>, segments: &[Segment]) -> BlobPin {
        let blobs: Vec<BlobId> = segments.iter().map(|segment| segment.blob).collect();
        let mut readers = self.lock_pins();
        for blob in &blobs {
            let entry = readers.entry(*blob).or_default();
            entry.count = entry.count.saturating_add(1);
        }
        drop(readers);
        BlobPin { store: Arc::clone(self), blobs }
    }

    /// Removes files that no row refers to. A file that is being read is removed after the last reader.
    pub(crate) fn discard(&self, unused: &[BlobId]) {
        if unused.is_empty() {
            return;
        }
        // Waits for readers that started before the rows were removed: they have pinned their files then. Later ones
        // see no rows.
        drop(ignore_poison(self.removal_lock.write()));
        for blob in unused {
            let mut readers = self.lock_pins();
            match readers.get_mut(blob) {
                Some(entry) => entry.remove_on_unpin = true,
                None => self.remove(*blob),
            }
        }
    }

    fn unpin(&self, blobs: &[BlobId]) {
        for blob in blobs {
            let mut readers = self.lock_pins();
            let Some(entry) = readers.get_mut(blob) else { continue };
            entry.count = entry.count.saturating_sub(1);
            if entry.count == 0 && readers.remove(blob).is_some_and(|entry| entry.remove_on_unpin) {
                self.remove(*blob);
            }
        }
    }

    fn remove(&self, blob: BlobId) {
        match &self.backend {
            BlobBackend::Dir(data) => {
                if let Err(error) = fs::remove_file(build_blob_path(data, blob)) {
                    tracing::warn!(%error, "an unused data file could not be removed; the next start removes it");
                }
            }
            BlobBackend::Memory { chunks_by_id, used, .. } => {
                let removed = ignore_poison(chunks_by_id.write()).remove(&blob);
                let length = removed.map_or(0, |gone| gone.iter().map(|bytes| len_as_u64(bytes)).sum());
                used.fetch_sub(length, Ordering::Relaxed);
            }
        }
    }

    /// Creates a file; with a key it is encrypted. Blocks.
    pub(crate) fn create_writer(
        self: &Arc<Self>,
        key: Option<&EncryptionKey>,
        algorithms: &[Algorithm],
    ) -> io::Result<BlobWriter> {
        let blob = BlobId(generate_blob_id()?);
        // CTR mode must never use a key and nonce twice. Every file has a random nonce, and files are never rewritten.
        let nonce = key.map(|_| generate_nonce().map_err(io::Error::other)).transpose()?;
        let cipher = match (key, &nonce) {
            (Some(key), Some(nonce)) => Some(Cipher::new(key, nonce, 0)?),
            _ => None,
        };
        let (sink, summed) = match &self.backend {
            BlobBackend::Dir(data) => {
                let path = build_blob_path(data, blob);
                fs::create_dir_all(path.parent().unwrap_or(data))?;
                (BlobSink::File(Box::new(BlockWriter::create(path)?)), true)
            }
            BlobBackend::Memory { .. } => (BlobSink::Memory(Vec::new()), false),
        };
        let draft = PendingBlob {
            store: Arc::clone(self),
            segment: Segment { blob, length: 0, nonce, summed, crc64: None },
            is_referenced: false,
            reserved: 0,
        };
        Ok(BlobWriter { draft, sink, cipher, hasher: BodyHasher::new(algorithms) })
    }

    /// Opens a file to read `count` bytes from `offset`.
    fn open_reader(
        &self,
        segment: &Segment,
        key: Option<&EncryptionKey>,
        offset: u64,
        count: u64,
    ) -> io::Result<OpenBlob> {
        let cipher = match (&segment.nonce, key) {
            (None, _) => None,
            (Some(nonce), Some(key)) => Some(Cipher::new(key, nonce, offset)?),
            (Some(_), None) => return Err(io::Error::other("an encrypted file without a key")),
        };
        let source = match &self.backend {
            BlobBackend::Dir(data) if segment.summed => {
                let path = build_blob_path(data, segment.blob);
                BlobSource::File(BlockReader::open(path, segment.length, offset, count)?)
            }
            BlobBackend::Dir(data) => {
                BlobSource::Plain(PlainReader::open(build_blob_path(data, segment.blob), offset)?)
            }
            BlobBackend::Memory { chunks_by_id, .. } => {
                let chunks = ignore_poison(chunks_by_id.read()).get(&segment.blob).cloned();
                BlobSource::Memory { chunks: chunks.ok_or(io::ErrorKind::NotFound)?, offset }
            }
        };
        Ok(OpenBlob { source, cipher })
    }
}

fn build_blob_path(data: &Path, blob: BlobId) -> PathBuf {
    let name = format!("{:032x}", blob.0);
    data.join(name.get(..2).unwrap_or_default()).join(name)
}

/// Rejects a write that would fill the disk.
fn check_disk_space(data: &Path, added: u64) -> io::Result<()> {
    let Some(disk) = rustix::fs::statvfs(data).ok().filter(|disk| disk.f_blocks > 0) else {
        // The file system does not report its free space. A write to a full disk fails then.
        return Ok(());
    };
    // On a small disk, such as a memory file system in a container, a fixed reserve could be most of it.
    let spare = RESERVED_BYTES_MAX.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 10);
    if disk.f_bavail.saturating_mul(disk.f_frsize) < added.saturating_add(spare) {
        return Err(with_path(data, &io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

/// Removes every file that is not `known`, such as after a crash. Blocks.
///
/// # Errors
/// The directory cannot be read, or a file cannot be removed.
pub(crate) fn remove_unknown_blobs(
    data: &Path,
    known: &std::collections::HashSet<u128>,
) -> io::Result<usize> {
    let mut removed = 0_usize;
    for shard in fs::read_dir(data)? {
        let shard = shard?.path();
        if !shard.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&shard)? {
            let entry = entry?;
            let name = entry.file_name();
            // A file with another name was not created by this store, so it is left untouched.
            let Some(blob) = name.to_str().and_then(|name| u128::from_str_radix(name, 16).ok()) else {
                continue;
            };
            if !known.contains(&blob) {
                fs::remove_file(entry.path())?;
                removed = removed.saturating_add(1);
            }
        }
    }
    Ok(removed)
}

fn generate_blob_id() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_be_bytes(bytes))
}

fn len_as_u64(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Protects files from removal.
pub(crate) struct BlobPin {
    store: Arc<BlobStore>,
    blobs: Vec<BlobId>,
}

impl Drop for BlobPin {
    fn drop(&mut self) {
        self.store.unpin(&self.blobs);
    }
}

enum BlobSink {
    File(Box<BlockWriter>),
    Memory(Vec<Bytes>),
}

/// A file being written.
pub(crate) struct BlobWriter {
    draft: PendingBlob,
    sink: BlobSink,
    cipher: Option<Cipher>,
    hasher: BodyHasher,
}

impl BlobWriter {
    /// Hashes the plain bytes, then appends them. Blocks.
    pub(crate) fn write(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        // Digests cover the plain bytes, so they are computed before the encryption.
        self.hasher.update(&bytes);
        if let Some(cipher) = &mut self.cipher {
            cipher.apply_keystream(&mut bytes)?;
        }
        let added = len_as_u64(&bytes);
        self.draft.reserve(added)?;
        if let BlobBackend::Dir(data) = &self.draft.store.backend {
            check_disk_space(data, added)?;
        }
        self.draft.segment.length = self.draft.segment.length.saturating_add(added);
        match &mut self.sink {
            BlobSink::File(file) => file.write(&bytes),
            BlobSink::Memory(chunks) => {
                chunks.push(Bytes::from(bytes));
                Ok(())
            }
        }
    }

    /// Makes the file durable. Blocks.
    pub(crate) fn finish(self) -> io::Result<(PendingBlob, Digests)> {
        let Self { mut draft, sink, hasher, .. } = self;
        let blob = draft.segment.blob;
        let digests = hasher.finish();
        draft.segment.crc64 = Some(digests.crc64);
        match (sink, &draft.store.backend) {
            (BlobSink::File(file), BlobBackend::Dir(data)) => {
                file.finish()?;
                // The name must be as durable as the bytes, and so must the directory of the shard, which may be new.
                File::open(build_blob_path(data, blob).parent().unwrap_or(data))?.sync_all()?;
                File::open(data)?.sync_all()?;
            }
            // The map owns the chunks from here, and `remove` subtracts their length; dropping must not subtract it
            // twice.
            (BlobSink::Memory(chunks), BlobBackend::Memory { chunks_by_id, .. }) => {
                ignore_poison(chunks_by_id.write()).insert(blob, Arc::new(chunks));
                draft.reserved = 0;
            }
            _ => return Err(io::Error::other("the writer belongs to another store")),
        }
        Ok((draft, digests))
    }
}

/// A durable file that no row refers to yet. It is removed when dropped, unless [`Self::keep`] was called.
pub(crate) struct PendingBlob {
    store: Arc<BlobStore>,
    pub(crate) segment: Segment,
    is_referenced: bool,
    /// Memory of chunks that are not in the map yet.
    reserved: u64,
}

impl PendingBlob {
    /// Keeps the file, because a row refers to it now.
    pub(crate) fn keep(mut self) {
        self.is_referenced = true;
    }

    fn reserve(&mut self, added: u64) -> io::Result<()> {
        let BlobBackend::Memory { used, bytes_max, .. } = &self.store.backend else { return Ok(()) };
        let add_within_limit = |used: u64| used.checked_add(added).filter(|total| total <= bytes_max);
        if used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_within_limit).is_err() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserved = self.reserved.saturating_add(added);
        Ok(())
    }
}

impl Drop for PendingBlob {
    fn drop(&mut self) {
        if self.is_referenced {
            return;
        }
        if let BlobBackend::Memory { used, .. } = &self.store.backend {
            used.fetch_sub(self.reserved, Ordering::Relaxed);
        }
        self.store.remove(self.segment.blob);
    }
}

enum BlobSource {
    File(BlockReader),
    Plain(PlainReader),
    Memory { chunks: Arc<Vec<Bytes>>, offset: u64 },
}

struct OpenBlob {
    source: BlobSource,
    cipher: Option<Cipher>,
}

impl OpenBlob {
    /// The next bytes, at most `max`. Never empty.
    fn read(&mut self, max: u64) -> io::Result<Vec<u8>> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let mut bytes = match &mut self.source {
            BlobSource::File(file) => file.read(max)?,
            BlobSource::Plain(file) => file.read(max)?,
            BlobSource::Memory { chunks, offset } => {
                let bytes = read_from_chunks(chunks, *offset, max);
                *offset = offset.saturating_add(len_as_u64(&bytes));
                bytes
            }
        };
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(cipher) = &mut self.cipher {
            cipher.apply_keystream(&mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Reads a range of an object in chunks.
pub(crate) struct ObjectReader {
    pin: BlobPin,
    key: Option<EncryptionKey>,
    segments: std::vec::IntoIter<Segment>,
    open_blob: Option<(OpenBlob, u64)>,
    /// Bytes to skip before the first requested one.
    bytes_to_skip: u64,
    bytes_left: u64,
}

impl ObjectReader {
    /// `first` and `count` in bytes of the object.
    pub(crate) fn new(
        pin: BlobPin,
        segments: Vec<Segment>,
        key: Option<EncryptionKey>,
        first: u64,
        count: u64,
    ) -> Self {
        Self {
            pin,
            key,
            segments: segments.into_iter(),
            open_blob: None,
            bytes_to_skip: first,
            bytes_left: count,
        }
    }

    /// The next bytes, or `None` at the end. Blocks.
    ///
    /// # Errors
    /// A file is missing or truncated. The response must then not end as if it were complete.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while self.bytes_left > 0 {
            if let Some((open, rest)) = &mut self.open_blob {
                if *rest > 0 {
                    let bytes = open.read((*rest).min(self.bytes_left))?;
                    *rest = rest.saturating_sub(len_as_u64(&bytes));
                    self.bytes_left = self.bytes_left.saturating_sub(len_as_u64(&bytes));
                    return Ok(Some(bytes));
                }
                self.open_blob = None;
            }
            let segment = self.segments.next().ok_or(io::ErrorKind::UnexpectedEof)?;
            if self.bytes_to_skip >= segment.length {
                self.bytes_to_skip = self.bytes_to_skip.saturating_sub(segment.length);
                continue;
            }
            let rest = segment.length.saturating_sub(self.bytes_to_skip);
            let open = self.pin.store.open_reader(
                &segment,
                self.key.as_ref(),
                self.bytes_to_skip,
                rest.min(self.bytes_left),
            )?;
            self.open_blob = Some((open, rest));
            self.bytes_to_skip = 0;
        }
        Ok(None)
    }

    /// Copies everything into a new file. Blocks.
    pub(crate) fn copy_to_new_blob(
        &mut self,
        key: Option<&EncryptionKey>,
        algorithms: &[Algorithm],
    ) -> io::Result<(PendingBlob, Digests)> {
        let mut writer = self.pin.store.create_writer(key, algorithms)?;
        while let Some(bytes) = self.next()? {
            writer.write(bytes)?;
        }
        writer.finish()
    }
}
