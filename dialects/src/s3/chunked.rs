//! Bodies in `aws-chunked` framing. Section 2.5 of the S3 reference.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::dialect::signature::BodyDecoder;
use crate::encoding::hash::{constant_time_eq, encode_hex, hmac_sha256, sha256_hex};
use crate::model::{ErrorKind, Rejection};

/// A signed chunk is held until its signature was verified, so its size is bounded. SDKs send 64 KiB to 1 MiB, and who
/// replays a head can send as much as this without a key.
const SIGNED_CHUNK_BYTES_MAX: u64 = 1024 * 1024;

/// The longest line of framing: a size, a signature, and extensions that nobody needs.
const LINE_BYTES_MAX: usize = 1024;

/// All lines behind the last chunk.
const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What chunk signatures are made with; each covers the one before.
pub struct ChunkKey {
    /// kSigning
    pub key: Zeroizing<Vec<u8>>,
    /// The request's time.
    pub stamp: String,
    /// The request's scope.
    pub scope: String,
    /// The signature before: of the request, then of each chunk.
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

/// The decoder.
pub struct AwsChunkedDecoder {
    key: Option<ChunkKey>,
    /// The trailer that was announced.
    trailer: Option<String>,
    announced_bytes: u64,
    decoded_bytes: u64,
    state: AwsChunkState,
    line: Vec<u8>,
    /// A signed chunk on its way: its bytes, and their digest.
    signed_chunk: Vec<u8>,
    digest: Sha256,
    trailer_lines: Vec<(String, String)>,
    trailer_bytes: usize,
}

enum AwsChunkState {
    /// In the line that begins a chunk.
    Size,
    /// In a chunk, with so many bytes to come and the signature it has to have.
    ChunkBytes { bytes_left: u64, signature: String },
    /// In the CRLF behind a chunk.
    ChunkEnd { bytes_read: u8 },
    /// In the lines behind the last chunk.
    Trailer,
    /// Behind the empty line at the end.
    Done,
}

impl AwsChunkedDecoder {
    /// A decoder of `announced` bytes; signed where there is a key.
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

    /// Takes bytes up to the next LF into the line; gives it without its end once it is whole.
    fn take_line<'a>(&mut self, encoded: &'a [u8]) -> Result<(Option<Vec<u8>>, &'a [u8]), Rejection> {
        let end = encoded.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = match end {
            Some(at) => (
                encoded.get(..at).unwrap_or_default(),
                encoded.get(at.saturating_add(1)..).unwrap_or_default(),
            ),
            None => (encoded, Default::default()),
        };
        if self.line.len().saturating_add(piece.len()) > LINE_BYTES_MAX {
            return Err(ErrorKind::IncompleteBody.into());
        }
        self.line.extend_from_slice(piece);
        Ok((end.is_some().then(|| std::mem::take(&mut self.line)), rest))
    }

    /// `hex-size[;chunk-signature=...][;other=...]`
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
        if self.decoded_bytes.saturating_add(size) > self.announced_bytes {
            return Err(build_rejection());
        }
        if self.key.is_some() && (signature.is_empty() || size > SIGNED_CHUNK_BYTES_MAX) {
            return Err(if signature.is_empty() {
                ErrorKind::SignatureDoesNotMatch.into()
            } else {
                Rejection::with_message(
                    ErrorKind::InvalidRequest,
                    "A signed chunk has at most 1048576 bytes here.",
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

    /// `left`: bytes of the chunk that follow these.
    fn append_chunk_bytes(&mut self, piece: &[u8], bytes_left: u64, out: &mut Vec<u8>) {
        self.decoded_bytes =
            self.decoded_bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.key.is_some() {
            self.digest.update(piece);
            // No more than the chunk has, where a vector would double.
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

    /// One line behind the last chunk; the empty one ends the body. Some senders end lines with a bare LF.
    fn take_trailer(&mut self, line: &[u8]) -> Result<(), Rejection> {
        let build_rejection = || Rejection::from(ErrorKind::MalformedTrailer);
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

    /// The trailer is the one that was announced, alone, and signed where chunks are.
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
                    // Some senders end with one line end more.
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
