//! Bodies that must be known whole before a target is told of them, in files without a name: how large, how many and
//! where is the operator's. A small one stays in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blobfish_config::SpoolLimits;
use blobfish_dialects::model::{Fault, Refusal};

use crate::metrics::METRICS;

/// Bytes that are kept in memory, and written or read at once.
pub const HELD_BYTES: usize = 256 * 1024;

/// The files of this process.
static FILES: AtomicUsize = AtomicUsize::new(0);

/// Some bytes, to be read as often as needed.
pub struct Spool {
    limits: SpoolLimits,
    file: Option<Arc<Unnamed>>,
    /// Bytes in the file that count.
    written: u64,
    /// What follows them.
    held: Vec<u8>,
}

/// A file without a name; its room is given back when it is closed.
struct Unnamed(File);

impl Drop for Unnamed {
    fn drop(&mut self) {
        FILES.fetch_sub(1, Ordering::Relaxed);
        METRICS.spool_files.dec();
    }
}

impl Spool {
    /// Nothing yet.
    pub fn new(limits: &SpoolLimits) -> Self {
        Self { limits: limits.clone(), file: None, written: 0, held: Vec::new() }
    }

    /// Bytes that are there.
    pub fn bytes(&self) -> u64 {
        self.written.saturating_add(u64::try_from(self.held.len()).unwrap_or(u64::MAX))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// `SlowDown` where there are too many files, `ServiceUnavailable` where the disk is full or cannot be written.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.held.extend_from_slice(bytes);
        if self.held.len() < HELD_BYTES {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(opened(&self.limits).await?)),
        };
        let (at, piece) = (self.written, std::mem::take(&mut self.held));
        let wrote = tokio::task::spawn_blocking(move || {
            let outcome = file.0.write_all_at(&piece, at);
            (outcome, piece)
        });
        let (outcome, mut piece) = wrote.await.map_err(|_| Fault::InternalError)?;
        outcome.map_err(|error| unwritable(&error, &self.limits))?;
        self.written = self.written.saturating_add(u64::try_from(piece.len()).unwrap_or_default());
        piece.clear();
        self.held = piece;
        Ok(())
    }

    /// The bytes from here on, as many as are read at once; none at the end.
    ///
    /// # Errors
    /// `InternalError` where the file cannot be read.
    pub async fn read(&self, at: u64) -> Result<Vec<u8>, Refusal> {
        let Some(file) = self.file.as_ref().filter(|_| at < self.written) else {
            let at = usize::try_from(at.saturating_sub(self.written)).unwrap_or(usize::MAX);
            return Ok(self.held.get(at..).unwrap_or_default().to_vec());
        };
        let file = Arc::clone(file);
        let left = usize::try_from(self.written.saturating_sub(at)).unwrap_or(usize::MAX);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; left.min(HELD_BYTES)];
            file.0.read_exact_at(&mut piece, at).map(|()| piece)
        });
        match read.await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => {
                tracing::error!(%error, "a body's file cannot be read");
                Err(Fault::InternalError.into())
            }
            Err(_) => Err(Fault::InternalError.into()),
        }
    }
}

async fn opened(limits: &SpoolLimits) -> Result<Arc<Unnamed>, Refusal> {
    if FILES.fetch_add(1, Ordering::Relaxed) >= limits.files_max {
        FILES.fetch_sub(1, Ordering::Relaxed);
        return Err(Refusal::say(
            Fault::SlowDown,
            "Too many bodies without a length arrive at once. Say Content-Length, or try again.",
        ));
    }
    let dir = limits.dir.clone().unwrap_or_else(std::env::temp_dir);
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(dir)).await;
    match file {
        Ok(Ok(file)) => {
            METRICS.spool_files.inc();
            Ok(Arc::new(Unnamed(file)))
        }
        Ok(Err(error)) => {
            FILES.fetch_sub(1, Ordering::Relaxed);
            Err(unwritable(&error, limits))
        }
        Err(_) => {
            FILES.fetch_sub(1, Ordering::Relaxed);
            Err(Fault::InternalError.into())
        }
    }
}

/// What a caller is told who can do nothing about it but say a length.
fn unwritable(error: &io::Error, limits: &SpoolLimits) -> Refusal {
    let dir: PathBuf = limits.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = dir.display();
    tracing::error!(%error, %dir, "a body without a length cannot be written to its file");
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let why = if full { "the disk is full" } else { "its file cannot be written" };
    Refusal::say(
        Fault::ServiceUnavailable,
        format!("A body without a length cannot be taken here: {why}. Say Content-Length."),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn limits(dir: Option<PathBuf>, files_max: usize) -> SpoolLimits {
        SpoolLimits { dir, bytes_max: 1 << 30, files_max }
    }

    #[tokio::test]
    async fn what_was_pushed_is_read_again_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let limits = limits(Some(dir.path().to_owned()), 64);
        let body: Vec<u8> = (0..700_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for _ in 0..2 {
            let mut spool = Spool::new(&limits);
            for piece in body.chunks(60_000) {
                spool.push(piece).await.unwrap();
            }
            assert_eq!(spool.bytes(), 700_000);
            let mut read = Vec::new();
            loop {
                let piece = spool.read(u64::try_from(read.len()).unwrap()).await.unwrap();
                if piece.is_empty() {
                    break;
                }
                read.extend(piece);
            }
            assert!(read == body);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it has no name");
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_and_too_many_files_are_told() {
        let large = vec![0; HELD_BYTES];
        let gone = limits(Some(PathBuf::from("/nonexistent/spool")), 64);
        let refused = Spool::new(&gone).push(&large).await.unwrap_err();
        assert_eq!(refused.fault, Fault::ServiceUnavailable);
        let refused = Spool::new(&limits(None, 0)).push(&large).await.unwrap_err();
        assert_eq!(refused.fault, Fault::SlowDown);
        Spool::new(&limits(None, 0)).push(&large[1..]).await.unwrap();
    }
}
