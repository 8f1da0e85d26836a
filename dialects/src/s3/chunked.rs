//! Bodies with `aws-chunked` framing: Amazon S3, Signature calculations for the Authorization header: Transferring
//! payload in multiple chunks.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::dialect::signature::BodyDecoder;
use crate::encoding::hash::{constant_time_eq, encode_hex, hmac_sha256, sha256_hex};
use crate::model::{ErrorKind, Rejection};

/// The largest signed chunk. SDKs send chunks of 64 KiB to 1 MiB.
// A signed chunk is buffered until its signature is verified, so its size must be limited: a client that replays the
// head of another request can make the proxy buffer this much without a key.
const SIGNED_CHUNK_BYTES_MAX: u64 = 1024 * 1024;

/// The longest line of the framing: a size, a signature and extensions.
const LINE_BYTES_MAX: usize = 1024;

/// The maximum size of all trailer lines.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// SHA-256 of the empty string.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The signing key and the state of the signature chain. Each chunk signature covers the previous one.
pub struct ChunkKey {
    /// The signing key of the request.
    pub key: Zeroizing<Vec<u8>>,
    /// The time stamp of the request.
    pub stamp: String,
    /// The credential scope of the request.
    pub scope: String,
    /// The previous signature: first that of the request, then that of each chunk.
    pub previous: String,
}

impl ChunkKey {
    /// Verifies the next signature of the chain.
    fn verify_signature(&mut self, kind: &str, hashes: &str, signature: &str) -> Result<(), Rejection> {
        let string = format!("{kind}\n{}\n{}\n{}\n{hashes}", self.stamp, self.scope, self.previous);
        let computed = encode_hex(&hmac_sha256(&self.key, string.as_bytes()));
        if !constant_time_eq(computed.as_bytes(), signature.as_bytes()) {
            return Err(ErrorKind::SignatureDoesNotMatch.into());
        }
        self.previous = computed;
        Ok(())
    }
}

/// Decodes `aws-chunked` framing and verifies the signatures of chunks and trailer.
pub struct AwsChunkedDecoder {
    key: Option<ChunkKey>,
    /// The name of the trailer that the request announces.
    trailer: Option<String>,
    announced_bytes: u64,
    decoded_bytes: u64,
    state: AwsChunkState,
    line: Vec<u8>,
    /// The data of the current signed chunk, as far as it is received.
    signed_chunk: Vec<u8>,
    /// The digest of that data.
    digest: Sha256,
    trailer_lines: Vec<(String, String)>,
    trailer_bytes: usize,
}

enum AwsChunkState {
    /// In the line before a chunk.
    Size,
    /// In the data of a chunk: the bytes that are still to be received, and the signature that the chunk must have.
    ChunkBytes { bytes_left: u64, signature: String },
    /// In the CRLF after a chunk.
    ChunkEnd { bytes_read: u8 },
    /// In the trailer lines after the last chunk.
    Trailer,
    /// After the empty line at the end.
    Done,
}

impl AwsChunkedDecoder {
    /// A decoder for a body of `announced_bytes` decoded bytes. With a key, chunks and trailer must be signed.
    pub fn new(key: Option<ChunkKey>, trailer: Option<String>, announced_bytes: u64) -> Self {
        Self {
            key,
            trailer,
            announced_bytes,
            decoded_bytes: 0,
            state: AwsChunkState::Size,
            line: Vec::new(),
            signed_chunk: Vec::new(),
            digest: Sha256::new(),
            trailer_lines: Vec::new(),
            trailer_bytes: 0,
        }
    }

    /// Appends bytes up to the next LF to the current line. Returns the line without its LF when it is complete.
    fn take_line<'a>(&mut self, encoded: &'a [u8]) -> Result<(Option<Vec<u8>>, &'a [u8]), Rejection> {
        let end = encoded.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = match end {
            Some(at) => (
                encoded.get(..at).unwrap_or_default(),
                encoded.get(at.saturating_add(1)..).unwrap_or_default(),
            ),
            None => (encoded, Default::default()),
        };
        // The line is checked before it grows, so that a body without a line end cannot fill the memory.
        if self.line.len().saturating_add(piece.len()) > LINE_BYTES_MAX {
            return Err(ErrorKind::IncompleteBody.into());
        }
        self.line.extend_from_slice(piece);
        Ok((end.is_some().then(|| std::mem::take(&mut self.line)), rest))
    }

    /// Parses the line before a chunk: `hex-size[;chunk-signature=...][;other=...]`.
    fn begin_chunk(&mut self, line: &[u8]) -> Result<(), Rejection> {
        let build_rejection = || Rejection::from(ErrorKind::IncompleteBody);
        let line = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.strip_suffix('\r'))
            .ok_or_else(build_rejection)?;
        let mut pieces = line.split(';');
        let size = pieces.next().unwrap_or_default();
        if size.is_empty() || size.len() > 16 || !size.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(build_rejection());
        }
        let size = u64::from_str_radix(size, 16).map_err(|_| build_rejection())?;
        let signature =
            pieces.find_map(|piece| piece.trim().strip_prefix("chunk-signature=")).unwrap_or_default();
        // The target is sent the announced length, so a longer body must be rejected before its excess is passed on.
        if self.decoded_bytes.saturating_add(size) > self.announced_bytes {
            return Err(build_rejection());
        }
        if self.key.is_some() && (signature.is_empty() || size > SIGNED_CHUNK_BYTES_MAX) {
            return Err(if signature.is_empty() {
                ErrorKind::SignatureDoesNotMatch.into()
            } else {
                Rejection::with_message(
                    ErrorKind::InvalidRequest,
                    "A signed chunk must not be larger than 1048576 bytes.",
                )
            });
        }
        self.state = match size {
            0 => {
                self.check_chunk(signature)?;
                AwsChunkState::Trailer
            }
            size => AwsChunkState::ChunkBytes { bytes_left: size, signature: signature.to_owned() },
        };
        Ok(())
    }

    fn check_chunk(&mut self, signature: &str) -> Result<(), Rejection> {
        let digest = encode_hex(&std::mem::take(&mut self.digest).finalize());
        match &mut self.key {
            Some(key) => key.verify_signature(
                "AWS4-HMAC-SHA256-PAYLOAD",
                &format!("{EMPTY_SHA256}\n{digest}"),
                signature,
            ),
            None => Ok(()),
        }
    }

    /// Appends data of a chunk. `bytes_left` bytes of the chunk follow it.
    fn append_chunk_bytes(&mut self, piece: &[u8], bytes_left: u64, out: &mut Vec<u8>) {
        self.decoded_bytes =
            self.decoded_bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.key.is_some() {
            self.digest.update(piece);
            // The buffer grows to at most the size of the chunk, because its capacity counts against the memory limit.
            if self.signed_chunk.capacity().saturating_sub(self.signed_chunk.len()) < piece.len() {
                let left = usize::try_from(bytes_left).unwrap_or(usize::MAX);
                self.signed_chunk
                    .reserve_exact(piece.len().saturating_add(left.min(self.signed_chunk.len())));
            }
            self.signed_chunk.extend_from_slice(piece);
        } else {
            out.extend_from_slice(piece);
        }
    }

    /// Reads one line after the last chunk. An empty line ends the body.
    fn take_trailer(&mut self, line: &[u8]) -> Result<(), Rejection> {
        let build_rejection = || Rejection::from(ErrorKind::MalformedTrailer);
        // A line end without CR is accepted, because some clients send one.
        let line = std::str::from_utf8(line).map_err(|_| build_rejection())?.trim_end_matches(['\r', '\n']);
        self.trailer_bytes = self.trailer_bytes.saturating_add(line.len());
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(build_rejection());
        }
        if line.is_empty() {
            self.state = AwsChunkState::Done;
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or_else(build_rejection)?;
        self.trailer_lines.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(())
    }

    /// Checks that the body has exactly the announced trailer, with a signature if chunks are signed.
    fn check_trailer(&mut self) -> Result<Vec<(String, String)>, Rejection> {
        let build_rejection = || Rejection::from(ErrorKind::MalformedTrailer);
        let mut lines = std::mem::take(&mut self.trailer_lines);
        let at = lines.iter().position(|row| row.0 == "x-amz-trailer-signature");
        let signature = at.map(|at| lines.remove(at).1);
        let expected = usize::from(self.trailer.is_some());
        let is_announced = lines.iter().all(|row| Some(&row.0) == self.trailer.as_ref());
        if lines.len() != expected || !is_announced {
            return Err(build_rejection());
        }
        match (&mut self.key, signature) {
            (Some(key), Some(signature)) if expected > 0 => {
                let text: String = lines.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
                key.verify_signature("AWS4-HMAC-SHA256-TRAILER", &sha256_hex(text.as_bytes()), &signature)?;
            }
            (Some(_), None) if expected > 0 => return Err(ErrorKind::SignatureDoesNotMatch.into()),
            (_, Some(_)) => return Err(build_rejection()),
            _ => {}
        }
        Ok(lines)
    }
}

impl BodyDecoder for AwsChunkedDecoder {
    fn decoded_length(&self) -> u64 {
        self.announced_bytes
    }

    fn unverified_len(&self) -> usize {
        self.signed_chunk.capacity()
    }

    fn push(&mut self, encoded: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        let mut encoded = encoded;
        while !encoded.is_empty() {
            match &mut self.state {
                AwsChunkState::Size => {
                    let (line, rest) = self.take_line(encoded)?;
                    encoded = rest;
                    if let Some(line) = line {
                        self.begin_chunk(&line)?;
                    }
                }
                AwsChunkState::ChunkBytes { bytes_left: left, signature } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(encoded.len());
                    let (piece, rest) = encoded.split_at_checked(take).unwrap_or((encoded, &[]));
                    *left = left.saturating_sub(u64::try_from(take).unwrap_or(u64::MAX));
                    let (left, signature) = (*left, (*left == 0).then(|| std::mem::take(signature)));
                    encoded = rest;
                    self.append_chunk_bytes(piece, left, out);
                    if let Some(signature) = signature {
                        self.check_chunk(&signature)?;
                        out.append(&mut self.signed_chunk);
                        // `append` keeps the allocation, which would still count against the memory limit.
                        self.signed_chunk = Vec::new();
                        self.state = AwsChunkState::ChunkEnd { bytes_read: 0 };
                    }
                }
                AwsChunkState::ChunkEnd { bytes_read: seen } => {
                    let expected = if *seen == 0 { b'\r' } else { b'\n' };
                    let (first, rest) = encoded.split_first().unwrap_or((&0, &[]));
                    if *first != expected {
                        return Err(ErrorKind::IncompleteBody.into());
                    }
                    encoded = rest;
                    self.state = if *seen == 0 {
                        AwsChunkState::ChunkEnd { bytes_read: 1 }
                    } else {
                        AwsChunkState::Size
                    };
                }
                AwsChunkState::Trailer => {
                    let (line, rest) = self.take_line(encoded)?;
                    encoded = rest;
                    if let Some(line) = line {
                        self.take_trailer(&line)?;
                    }
                }
                AwsChunkState::Done => {
                    // Additional line ends are accepted, because some clients send one at the end.
                    if encoded.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                        return Err(ErrorKind::IncompleteBody.into());
                    }
                    encoded = &[];
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<(String, String)>, Rejection> {
        if !matches!(self.state, AwsChunkState::Done) || self.decoded_bytes != self.announced_bytes {
            return Err(ErrorKind::IncompleteBody.into());
        }
        self.check_trailer()
    }
}
