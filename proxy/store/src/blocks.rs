//! Data files: the bytes, followed by a CRC-32C of each block. Bytes are served only if they still match their
//! checksum, so a damaged disk gives an error instead of wrong data.
//!
//! The checksums cover the bytes on the disk, so that an encrypted file can be verified without its key.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 64 * 1024;
/// The size of one read.
const BLOCKS_PER_READ_MAX: usize = 4;

type BlockChecksum = [u8; 4];
const BLOCK_CHECKSUM_BYTES: u64 = 4;

fn compute_block_checksum(digest: &Digest) -> BlockChecksum {
    let [_, _, _, _, a, b, c, d] = digest.finalize().to_be_bytes();
    [a, b, c, d]
}

fn new_block_digest() -> Digest {
    Digest::new(CrcAlgorithm::Crc32Iscsi)
}

/// Adds the file name to an error, so that the operator can find the damaged file.
pub(crate) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A data file being written.
pub(crate) struct BlockWriter {
    file: File,
    path: PathBuf,
    /// The digest of the unfinished block, and its number of bytes.
    block: Digest,
    filled: usize,
    checksums: Vec<u8>,
}

impl BlockWriter {
    /// Creates the file, which must not exist. Blocks.
    pub(crate) fn create(path: PathBuf) -> io::Result<Self> {
        // `create_new`: names are random, so an existing file means that something is wrong, and it must not be overwritten.
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|error| with_path(&path, &error))?;
        Ok(Self { file, path, block: new_block_digest(), filled: 0, checksums: Vec::new() })
    }

    /// Appends. Blocks.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = BLOCK_BYTES.saturating_sub(self.filled);
            let (piece, after) = rest.split_at(room.min(rest.len()));
            self.block.update(piece);
            self.filled = self.filled.saturating_add(piece.len());
            if self.filled == BLOCK_BYTES {
                self.finish_block();
            }
            rest = after;
        }
        self.file.write_all(bytes).map_err(|error| with_path(&self.path, &error))
    }

    fn finish_block(&mut self) {
        self.checksums.extend(compute_block_checksum(&self.block));
        self.block.reset();
        self.filled = 0;
    }

    /// Adds the checksums and makes the file durable. Blocks.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.finish_block();
        }
        let result = self.file.write_all(&self.checksums).and_then(|()| self.file.sync_all());
        result.map_err(|error| with_path(&self.path, &error))
    }
}

/// Reads a data file from an offset.
pub(crate) struct BlockReader {
    file: File,
    path: PathBuf,
    /// The checksums of the blocks that are not read yet.
    checksums: std::vec::IntoIter<BlockChecksum>,
    /// The start of the next block, and the end of the bytes.
    at: u64,
    end: u64,
    /// The number of bytes at the start of the next block that are not requested.
    skip: usize,
}

impl BlockReader {
    /// Opens a file of `length` bytes to read `count` of them from `offset` on. Blocks.
    pub(crate) fn open(path: PathBuf, length: u64, offset: u64, count: u64) -> io::Result<Self> {
        let result = Self::open_and_seek(&path, length, offset, count);
        let (file, sums, at, skip) = result.map_err(|error| with_path(&path, &error))?;
        Ok(Self { file, path, checksums: sums.into_iter(), at, end: length, skip })
    }

    fn open_and_seek(
        path: &Path,
        length: u64,
        offset: u64,
        count: u64,
    ) -> io::Result<(File, Vec<BlockChecksum>, u64, usize)> {
        let block = u64::try_from(BLOCK_BYTES).unwrap_or(u64::MAX);
        let (first, skip) = (offset / block, usize::try_from(offset % block).unwrap_or(usize::MAX));
        let blocks = offset.saturating_add(count).div_ceil(block).saturating_sub(first);
        let mut file = File::open(path)?;
        // The checksums are read first, then the file is positioned at the first requested block.
        file.seek(SeekFrom::Start(length.saturating_add(first.saturating_mul(BLOCK_CHECKSUM_BYTES))))?;
        let mut sums = vec![BlockChecksum::default(); usize::try_from(blocks).map_err(io::Error::other)?];
        for sum in sums.chunks_mut(BLOCK_BYTES) {
            file.read_exact(sum.as_flattened_mut())?;
        }
        let at = first.saturating_mul(block);
        file.seek(SeekFrom::Start(at))?;
        Ok((file, sums, at, skip))
    }

    /// The next bytes, at most `max`. A shorter result means that nothing more can be read.
    /// Never empty. Blocks.
    ///
    /// # Errors
    /// The bytes do not match their checksum. The error contains the file name.
    pub(crate) fn read(&mut self, max: usize) -> io::Result<Vec<u8>> {
        self.read_blocks(max).map_err(|error| with_path(&self.path, &error))
    }

    fn read_blocks(&mut self, max: usize) -> io::Result<Vec<u8>> {
        // Whole blocks are read, because a checksum can be verified only with all bytes of its block.
        let blocks_to_read =
            self.skip.saturating_add(max).div_ceil(BLOCK_BYTES).clamp(1, BLOCKS_PER_READ_MAX);
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; blocks_to_read.saturating_mul(BLOCK_BYTES).min(left)];
        self.file.read_exact(&mut bytes)?;
        for block in bytes.chunks(BLOCK_BYTES) {
            let mut digest = new_block_digest();
            digest.update(block);
            if self.checksums.next() != Some(compute_block_checksum(&digest)) {
                let message = format!("the checksum of the block at byte {} does not match", self.at);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            self.at = self.at.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
        }
        // Only after the verification: the skipped bytes are part of the first block.
        bytes.drain(..self.skip.min(bytes.len()));
        self.skip = 0;
        bytes.truncate(max);
        if bytes.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }
}

/// A file of an earlier release, without checksums.
pub(crate) struct PlainReader {
    file: File,
    path: PathBuf,
}

impl PlainReader {
    /// Blocks.
    pub(crate) fn open(path: PathBuf, offset: u64) -> io::Result<Self> {
        let result = File::open(&path).and_then(|mut file| file.seek(SeekFrom::Start(offset)).map(|_| file));
        let file = result.map_err(|error| with_path(&path, &error))?;
        Ok(Self { file, path })
    }

    /// The next bytes, at most `max`. Never empty. Blocks.
    pub(crate) fn read(&mut self, max: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; max.min(BLOCK_BYTES.saturating_mul(BLOCKS_PER_READ_MAX))];
        let bytes_read = match self.file.read(&mut bytes) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            other => other,
        };
        bytes.truncate(bytes_read.map_err(|error| with_path(&self.path, &error))?);
        Ok(bytes)
    }
}

/// Reads bytes in memory from an offset.
pub(crate) fn read_from_chunks(chunks: &[Bytes], mut offset: u64, max: usize) -> Vec<u8> {
    let want = max.min(BLOCK_BYTES.saturating_mul(BLOCKS_PER_READ_MAX));
    for chunk in chunks {
        match usize::try_from(offset).ok().and_then(|offset| chunk.get(offset..)) {
            Some(rest) if !rest.is_empty() => return rest.get(..want).unwrap_or(rest).to_vec(),
            _ => offset = offset.saturating_sub(u64::try_from(chunk.len()).unwrap_or(u64::MAX)),
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: usize = 5 * BLOCK_BYTES + 77;

    fn write_test_file(folder: &Path) -> (PathBuf, Vec<u8>) {
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at % 251) as u8).collect();
        let path = folder.join("file");
        let mut writer = BlockWriter::create(path.clone()).unwrap();
        for piece in bytes.chunks(100_000) {
            writer.write(piece).unwrap();
        }
        writer.finish().unwrap();
        (path, bytes)
    }

    fn read_range(path: &Path, offset: usize, count: usize) -> io::Result<Vec<u8>> {
        let mut reader = BlockReader::open(path.to_owned(), LENGTH as u64, offset as u64, count as u64)?;
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(reader.read(count - all.len())?);
        }
        Ok(all)
    }

    #[test]
    fn reads_any_range() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bytes) = write_test_file(folder.path());
        for offset in [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 4 * BLOCK_BYTES + 5, LENGTH - 1] {
            for count in [1, 2, BLOCK_BYTES, 4 * BLOCK_BYTES, LENGTH] {
                let count = count.min(LENGTH - offset);
                assert!(
                    read_range(&path, offset, count).unwrap() == bytes[offset..offset + count],
                    "{offset} {count}"
                );
            }
        }
    }

    #[test]
    fn detects_every_corrupted_bit_in_the_range() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = write_test_file(folder.path());
        let right = std::fs::read(&path).unwrap();
        for at in [0, BLOCK_BYTES, LENGTH - 1, LENGTH, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 1;
            std::fs::write(&path, &wrong).unwrap();
            let error = read_range(&path, 0, LENGTH).unwrap_err();
            assert!(error.to_string().contains("file: the bytes from "), "{error}");
        }
        // A change outside the range has no effect; a truncated file always gives an error.
        assert!(read_range(&path, 0, LENGTH - BLOCK_BYTES).is_ok());
        std::fs::write(&path, &right[..LENGTH]).unwrap();
        assert!(read_range(&path, 0, 1).is_err());
    }
}
