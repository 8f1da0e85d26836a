//! The bytes of objects: one file (or one run of memory) for each put and each part, named at random.
//!
//! A file is written and synced before any row names it, and removed only after the transaction that frees it is
//! durable. Keys never appear in names.

use crate::blocks::{BlockReader, BlockWriter, PlainReader, named, within};
use crate::digests::{Algorithm, Digests, Hasher};
use crate::sealing::{Cipher, Key, Nonce, random_nonce};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// What is left of a disk for the database: without room it could not even delete.
const SPARE_BYTES: u64 = 16 * 1024 * 1024;

/// The random name of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct BlobId(pub(crate) u128);

/// A whole file as a piece of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    pub(crate) blob: BlobId,
    /// In bytes; encryption does not change it.
    pub(crate) length: u64,
    /// Present where the file is encrypted.
    pub(crate) nonce: Option<Nonce>,
    /// Whether the sums of its blocks stand behind its bytes; not so in files of earlier releases.
    #[serde(default)]
    pub(crate) summed: bool,
    /// CRC-64/XZ of the plain bytes; none of files of earlier releases.
    #[serde(default)]
    pub(crate) crc64: Option<u64>,
}

enum Home {
    Dir(PathBuf),
    Memory { kept: RwLock<HashMap<BlobId, Arc<Vec<Bytes>>>>, used: AtomicU64, bytes_max: u64 },
}

/// How many read a file now, and whether it goes when they are done.
#[derive(Default)]
struct Readers {
    count: usize,
    doomed: bool,
}

/// All files of a store.
pub(crate) struct Blobs {
    home: Home,
    /// The store's own key, for `AES256`.
    pub(crate) managed: Key,
    readers: Mutex<HashMap<BlobId, Readers>>,
    gate: RwLock<()>,
}

fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    // Nothing under these locks is left half done: a panic elsewhere does not spoil it.
    result.unwrap_or_else(PoisonError::into_inner)
}

impl Blobs {
    pub(crate) fn in_dir(data: PathBuf, managed: Key) -> Arc<Self> {
        Self::new(Home::Dir(data), managed)
    }

    pub(crate) fn in_memory(bytes_max: u64, managed: Key) -> Arc<Self> {
        Self::new(Home::Memory { kept: RwLock::default(), used: AtomicU64::new(0), bytes_max }, managed)
    }

    fn new(home: Home, managed: Key) -> Arc<Self> {
        Arc::new(Self { home, managed, readers: Mutex::default(), gate: RwLock::default() })
    }

    /// Held while a snapshot is read and its files are pinned.
    pub(crate) fn gate(&self) -> RwLockReadGuard<'_, ()> {
        unpoisoned(self.gate.read())
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<BlobId, Readers>> {
        unpoisoned(self.readers.lock())
    }

    /// Keeps the files of these segments until the pin is dropped. Call it under the gate.
    pub(crate) fn pin(self: &Arc<Self>, segments: &[Segment]) -> Pin {
        let blobs: Vec<BlobId> = segments.iter().map(|segment| segment.blob).collect();
        let mut readers = self.readers();
        for blob in &blobs {
            let entry = readers.entry(*blob).or_default();
            entry.count = entry.count.saturating_add(1);
        }
        drop(readers);
        Pin { home: Arc::clone(self), blobs }
    }

    /// Removes files no row names any more; those being read go when the last reader is done.
    pub(crate) fn discard(&self, unused: &[BlobId]) {
        if unused.is_empty() {
            return;
        }
        // Who began to read before the rows went has pinned by now; who begins after does not see the rows.
        drop(unpoisoned(self.gate.write()));
        for blob in unused {
            let mut readers = self.readers();
            match readers.get_mut(blob) {
                Some(entry) => entry.doomed = true,
                None => self.remove(*blob),
            }
        }
    }

    fn unpin(&self, blobs: &[BlobId]) {
        for blob in blobs {
            let mut readers = self.readers();
            let Some(entry) = readers.get_mut(blob) else { continue };
            entry.count = entry.count.saturating_sub(1);
            if entry.count == 0 && readers.remove(blob).is_some_and(|entry| entry.doomed) {
                self.remove(*blob);
            }
        }
    }

    fn remove(&self, blob: BlobId) {
        match &self.home {
            Home::Dir(data) => {
                if let Err(error) = fs::remove_file(path(data, blob)) {
                    tracing::warn!(%error, "a data file that is no longer used stays until the next start");
                }
            }
            Home::Memory { kept, used, .. } => {
                let gone = unpoisoned(kept.write()).remove(&blob);
                let length = gone.map_or(0, |gone| gone.iter().map(|bytes| length(bytes)).sum());
                used.fetch_sub(length, Ordering::Relaxed);
            }
        }
    }

    /// Begins a file; with a key it is encrypted. Blocks.
    pub(crate) fn writer(
        self: &Arc<Self>,
        key: Option<&Key>,
        algorithms: &[Algorithm],
    ) -> io::Result<Writer> {
        let blob = BlobId(random()?);
        let nonce = key.map(|_| random_nonce().map_err(io::Error::other)).transpose()?;
        let cipher = match (key, &nonce) {
            (Some(key), Some(nonce)) => Some(Cipher::new(key, nonce, 0)?),
            _ => None,
        };
        let (sink, summed) = match &self.home {
            Home::Dir(data) => {
                let path = path(data, blob);
                fs::create_dir_all(path.parent().unwrap_or(data))?;
                (Sink::File(Box::new(BlockWriter::create(path)?)), true)
            }
            Home::Memory { .. } => (Sink::Memory(Vec::new()), false),
        };
        let draft = Draft {
            home: Arc::clone(self),
            segment: Segment { blob, length: 0, nonce, summed, crc64: None },
            kept: false,
            reserved: 0,
        };
        Ok(Writer { draft, sink, cipher, hasher: Hasher::new(algorithms) })
    }

    /// Opens a file to read `count` bytes from `offset` on.
    fn open(&self, segment: &Segment, key: Option<&Key>, offset: u64, count: u64) -> io::Result<Open> {
        let cipher = match (&segment.nonce, key) {
            (None, _) => None,
            (Some(nonce), Some(key)) => Some(Cipher::new(key, nonce, offset)?),
            (Some(_), None) => return Err(io::Error::other("an encrypted file without a key")),
        };
        let source = match &self.home {
            Home::Dir(data) if segment.summed => {
                let path = path(data, segment.blob);
                Source::File(BlockReader::open(path, segment.length, offset, count)?)
            }
            Home::Dir(data) => Source::Plain(PlainReader::open(path(data, segment.blob), offset)?),
            Home::Memory { kept, .. } => {
                let chunks = unpoisoned(kept.read()).get(&segment.blob).cloned();
                Source::Memory { chunks: chunks.ok_or(io::ErrorKind::NotFound)?, offset }
            }
        };
        Ok(Open { source, cipher })
    }
}

fn path(data: &Path, blob: BlobId) -> PathBuf {
    let name = format!("{:032x}", blob.0);
    data.join(name.get(..2).unwrap_or_default()).join(name)
}

/// Refuses to write so many bytes where the disk would be full then.
fn check_room(data: &Path, added: u64) -> io::Result<()> {
    let Some(disk) = rustix::fs::statvfs(data).ok().filter(|disk| disk.f_blocks > 0) else {
        // A file system that does not say how much room it has finds out by itself.
        return Ok(());
    };
    let spare = SPARE_BYTES.min(disk.f_blocks.saturating_mul(disk.f_frsize) / 10);
    if disk.f_bavail.saturating_mul(disk.f_frsize) < added.saturating_add(spare) {
        return Err(named(data, &io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

/// Removes every file that is not `known`, as a crash leaves them. Blocks.
///
/// # Errors
/// Where the folder cannot be read or a file not removed.
pub(crate) fn sweep(data: &Path, known: &std::collections::HashSet<u128>) -> io::Result<usize> {
    let mut removed = 0_usize;
    for shard in fs::read_dir(data)? {
        let shard = shard?.path();
        if !shard.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&shard)? {
            let entry = entry?;
            let name = entry.file_name();
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

fn random() -> io::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(u128::from_be_bytes(bytes))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Keeps files from being removed.
pub(crate) struct Pin {
    home: Arc<Blobs>,
    blobs: Vec<BlobId>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.home.unpin(&self.blobs);
    }
}

enum Sink {
    File(Box<BlockWriter>),
    Memory(Vec<Bytes>),
}

/// A file being written.
pub(crate) struct Writer {
    draft: Draft,
    sink: Sink,
    cipher: Option<Cipher>,
    hasher: Hasher,
}

impl Writer {
    /// Appends, after hashing the plain bytes. Blocks.
    pub(crate) fn write(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        self.hasher.update(&bytes);
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut bytes)?;
        }
        let added = length(&bytes);
        self.draft.reserve(added)?;
        if let Home::Dir(data) = &self.draft.home.home {
            check_room(data, added)?;
        }
        self.draft.segment.length = self.draft.segment.length.saturating_add(added);
        match &mut self.sink {
            Sink::File(file) => file.write(&bytes),
            Sink::Memory(chunks) => {
                chunks.push(Bytes::from(bytes));
                Ok(())
            }
        }
    }

    /// Makes the file durable. Blocks.
    pub(crate) fn finish(self) -> io::Result<(Draft, Digests)> {
        let Self { mut draft, sink, hasher, .. } = self;
        let blob = draft.segment.blob;
        let digests = hasher.finish();
        draft.segment.crc64 = Some(digests.crc64);
        match (sink, &draft.home.home) {
            (Sink::File(file), Home::Dir(data)) => {
                file.finish()?;
                // The name must be as durable as the bytes; so must the shard's folder, made on demand.
                File::open(path(data, blob).parent().unwrap_or(data))?.sync_all()?;
                File::open(data)?.sync_all()?;
            }
            (Sink::Memory(chunks), Home::Memory { kept, .. }) => {
                unpoisoned(kept.write()).insert(blob, Arc::new(chunks));
                draft.reserved = 0;
            }
            _ => return Err(io::Error::other("a sink of another store")),
        }
        Ok((draft, digests))
    }
}

/// A durable file that no row names yet: gone when dropped, unless kept.
pub(crate) struct Draft {
    home: Arc<Blobs>,
    pub(crate) segment: Segment,
    kept: bool,
    /// Memory taken for chunks that are not in the map.
    reserved: u64,
}

impl Draft {
    /// A row names the file now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    fn reserve(&mut self, added: u64) -> io::Result<()> {
        let Home::Memory { used, bytes_max, .. } = &self.home.home else { return Ok(()) };
        let fits = |used: u64| used.checked_add(added).filter(|total| total <= bytes_max);
        if used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserved = self.reserved.saturating_add(added);
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Home::Memory { used, .. } = &self.home.home {
            used.fetch_sub(self.reserved, Ordering::Relaxed);
        }
        self.home.remove(self.segment.blob);
    }
}

enum Source {
    File(BlockReader),
    Plain(PlainReader),
    Memory { chunks: Arc<Vec<Bytes>>, offset: u64 },
}

struct Open {
    source: Source,
    cipher: Option<Cipher>,
}

impl Open {
    /// The next bytes, at most `max`. Never empty.
    fn read(&mut self, max: u64) -> io::Result<Vec<u8>> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let mut bytes = match &mut self.source {
            Source::File(file) => file.read(max)?,
            Source::Plain(file) => file.read(max)?,
            Source::Memory { chunks, offset } => {
                let bytes = within(chunks, *offset, max);
                *offset = offset.saturating_add(length(&bytes));
                bytes
            }
        };
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(cipher) = &mut self.cipher {
            cipher.apply(&mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Reads a range of an object, chunk by chunk.
pub(crate) struct Reader {
    pin: Pin,
    key: Option<Key>,
    segments: std::vec::IntoIter<Segment>,
    open: Option<(Open, u64)>,
    /// Bytes to pass over before the first one that counts.
    skip: u64,
    left: u64,
}

impl Reader {
    /// `first` and `count` in bytes of the object.
    pub(crate) fn new(pin: Pin, segments: Vec<Segment>, key: Option<Key>, first: u64, count: u64) -> Self {
        Self { pin, key, segments: segments.into_iter(), open: None, skip: first, left: count }
    }

    /// The next bytes, or none at the end. Blocks.
    ///
    /// # Errors
    /// Where a file is missing or short: the caller must not end its answer as if it were whole.
    pub(crate) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        while self.left > 0 {
            if let Some((open, rest)) = &mut self.open {
                if *rest > 0 {
                    let bytes = open.read((*rest).min(self.left))?;
                    *rest = rest.saturating_sub(length(&bytes));
                    self.left = self.left.saturating_sub(length(&bytes));
                    return Ok(Some(bytes));
                }
                self.open = None;
            }
            let segment = self.segments.next().ok_or(io::ErrorKind::UnexpectedEof)?;
            if self.skip >= segment.length {
                self.skip = self.skip.saturating_sub(segment.length);
                continue;
            }
            let rest = segment.length.saturating_sub(self.skip);
            let open = self.pin.home.open(&segment, self.key.as_ref(), self.skip, rest.min(self.left))?;
            self.open = Some((open, rest));
            self.skip = 0;
        }
        Ok(None)
    }

    /// Copies everything into a new file. Blocks.
    pub(crate) fn copy(
        &mut self,
        key: Option<&Key>,
        algorithms: &[Algorithm],
    ) -> io::Result<(Draft, Digests)> {
        let mut writer = self.pin.home.writer(key, algorithms)?;
        while let Some(bytes) = self.next()? {
            writer.write(bytes)?;
        }
        writer.finish()
    }
}
