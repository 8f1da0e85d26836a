//! Spool files: temporary files without a name for bodies that must be complete before they are sent to a target. The
//! operator configures their size, number and directory. A small body stays in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blobfish_config::SpoolLimits;
use blobfish_dialects::model::{ErrorKind, Rejection};

use crate::telemetry::metrics::METRICS;

/// The size of the memory buffer, and of one write or read.
pub(crate) const BUFFER_BYTES: usize = 256 * 1024;

/// The open spool files of this process.
static OPEN_FILES: AtomicUsize = AtomicUsize::new(0);

/// A body that can be read repeatedly, which a retry needs.
pub(crate) struct Spool {
    limits: SpoolLimits,
    file: Option<Arc<UnnamedFile>>,
    /// The number of valid bytes in the file.
    file_bytes: u64,
    /// The bytes after them, not written yet.
    buffer: Vec<u8>,
}

/// A file without a name. The system frees its space when it is closed, also after a crash.
struct UnnamedFile(File);

impl Drop for UnnamedFile {
    fn drop(&mut self) {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
        METRICS.spool_files.dec();
    }
}

impl Spool {
    /// Creates an empty spool. No file is opened.
    pub(crate) fn new(limits: &SpoolLimits) -> Self {
        Self { limits: limits.clone(), file: None, file_bytes: 0, buffer: Vec::new() }
    }

    /// The number of bytes in the spool.
    pub(crate) fn byte_count(&self) -> u64 {
        self.file_bytes.saturating_add(u64::try_from(self.buffer.len()).unwrap_or(u64::MAX))
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `SlowDown` if there are too many spool files, `ServiceUnavailable` if the file cannot be written.
    pub(crate) async fn push(&mut self, bytes: &[u8]) -> Result<(), Rejection> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(self.file.insert(open_spool_file(&self.limits).await?)),
        };
        let (at, chunk) = (self.file_bytes, std::mem::take(&mut self.buffer));
        // A slow disk would otherwise block the runtime, and all requests with it.
        let write_task = tokio::task::spawn_blocking(move || {
            let outcome = file.0.write_all_at(&chunk, at);
            (outcome, chunk)
        });
        let (outcome, mut chunk) = write_task.await.map_err(|_| ErrorKind::InternalError)?;
        outcome.map_err(|error| reject_unwritable_file(&error, &self.limits))?;
        self.file_bytes = self.file_bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or_default());
        // The buffer is reused, which saves an allocation per write.
        chunk.clear();
        self.buffer = chunk;
        Ok(())
    }

    /// Reads up to [`BUFFER_BYTES`] from an offset; returns an empty buffer at the end.
    ///
    /// # Errors
    /// `InternalError` if the file cannot be read.
    pub(crate) async fn read(&self, at: u64) -> Result<Vec<u8>, Rejection> {
        let Some(file) = self.file.as_ref().filter(|_| at < self.file_bytes) else {
            let at = usize::try_from(at.saturating_sub(self.file_bytes)).unwrap_or(usize::MAX);
            return Ok(self.buffer.get(at..).unwrap_or_default().to_vec());
        };
        let file = Arc::clone(file);
        let bytes_left = usize::try_from(self.file_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let read_task = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; bytes_left.min(BUFFER_BYTES)];
            file.0.read_exact_at(&mut chunk, at).map(|()| chunk)
        });
        match read_task.await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => {
                tracing::error!(%error, "a spool file (limits.spool_dir) cannot be read; an upload failed");
                Err(ErrorKind::InternalError.into())
            }
            Err(_) => Err(ErrorKind::InternalError.into()),
        }
    }
}

async fn open_spool_file(limits: &SpoolLimits) -> Result<Arc<UnnamedFile>, Rejection> {
    // Counted before the file is opened, so that concurrent requests cannot exceed the limit together.
    if OPEN_FILES.fetch_add(1, Ordering::Relaxed) >= limits.files_max {
        OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
        return Err(Rejection::with_message(
            ErrorKind::SlowDown,
            "Too many bodies without a length are in progress. Send Content-Length, or try again later.",
        ));
    }
    let dir = limits.dir.clone().unwrap_or_else(std::env::temp_dir);
    let file = tokio::task::spawn_blocking(move || tempfile::tempfile_in(dir)).await;
    match file {
        Ok(Ok(file)) => {
            METRICS.spool_files.inc();
            Ok(Arc::new(UnnamedFile(file)))
        }
        Ok(Err(error)) => {
            OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
            Err(reject_unwritable_file(&error, limits))
        }
        Err(_) => {
            OPEN_FILES.fetch_sub(1, Ordering::Relaxed);
            Err(ErrorKind::InternalError.into())
        }
    }
}

/// Logs a file error, and returns the rejection, which names the remedy of the client: a Content-Length.
fn reject_unwritable_file(error: &io::Error, limits: &SpoolLimits) -> Rejection {
    let dir: PathBuf = limits.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = dir.display();
    tracing::error!(
        %error,
        %dir,
        "a spool file (limits.spool_dir) cannot be written; an upload without Content-Length was rejected with 503"
    );
    // The details stay in the log: the client must not learn the directory.
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let reason = if is_full { "the disk is full" } else { "the temporary file cannot be written" };
    Rejection::with_message(
        ErrorKind::ServiceUnavailable,
        format!("A body without a length cannot be accepted: {reason}. Send Content-Length."),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn spool_limits(dir: Option<PathBuf>, files_max: usize) -> SpoolLimits {
        SpoolLimits { dir, bytes_max: 1 << 30, files_max }
    }

    #[tokio::test]
    async fn pushed_bytes_can_be_read_repeatedly_and_leave_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let limits = spool_limits(Some(dir.path().to_owned()), 64);
        let body: Vec<u8> = (0..700_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for _ in 0..2 {
            let mut spool = Spool::new(&limits);
            for piece in body.chunks(60_000) {
                spool.push(piece).await.unwrap();
            }
            assert_eq!(spool.byte_count(), 700_000);
            let mut read = Vec::new();
            loop {
                let piece = spool.read(u64::try_from(read.len()).unwrap()).await.unwrap();
                if piece.is_empty() {
                    break;
                }
                read.extend(piece);
            }
            assert!(read == body);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
        }
    }

    #[tokio::test]
    async fn a_missing_directory_and_too_many_files_are_rejected() {
        let large = vec![0; BUFFER_BYTES];
        let missing_dir = spool_limits(Some(PathBuf::from("/nonexistent/spool")), 64);
        let rejection = Spool::new(&missing_dir).push(&large).await.unwrap_err();
        assert_eq!(rejection.kind, ErrorKind::ServiceUnavailable);
        let rejection = Spool::new(&spool_limits(None, 0)).push(&large).await.unwrap_err();
        assert_eq!(rejection.kind, ErrorKind::SlowDown);
        Spool::new(&spool_limits(None, 0)).push(&large[1..]).await.unwrap();
    }
}
