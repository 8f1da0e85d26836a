//! A strict decoder for the chunked bodies of requests and of target responses: every line ends in CRLF and is short, and
//! trailers are ignored.

use bytes::{Buf, Bytes, BytesMut};

/// Maximum length of a chunk-size line with its extensions, and of a trailer line.
const CHUNK_LINE_BYTES_MAX: usize = 256;

/// Maximum number of trailers. They are ignored: no dialect defines one outside the aws-chunked coding.
const TRAILERS_MAX: usize = 16;

/// The chunked coding is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed: {0}")]
pub(crate) struct ChunkError(&'static str);

/// The result of decoding a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodedPiece {
    /// Bytes of the body.
    Bytes(Bytes),
    /// The buffer ends within an element of the coding.
    NeedMore,
    /// The end of the body. The rest of the buffer belongs to the next request.
    End,
}

/// Decodes one body.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    state: ChunkedState,
}

#[derive(Debug, Clone, Copy)]
enum ChunkedState {
    Size,
    Data(u64),
    DataEnd,
    Trailers(usize),
    End,
}

impl ChunkedDecoder {
    /// Creates a decoder at the start of a body.
    pub(crate) fn new() -> Self {
        Self { state: ChunkedState::Size }
    }

    /// Removes the next piece of the body from a buffer.
    ///
    /// # Errors
    /// [`ChunkError`].
    pub(crate) fn decode_next(&mut self, buffer: &mut BytesMut) -> Result<DecodedPiece, ChunkError> {
        loop {
            match self.state {
                ChunkedState::Data(left) if buffer.is_empty() && left > 0 => {
                    return Ok(DecodedPiece::NeedMore);
                }
                ChunkedState::Data(0) => self.state = ChunkedState::DataEnd,
                ChunkedState::Data(left) => {
                    let taken_bytes = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                    self.state =
                        ChunkedState::Data(left.saturating_sub(u64::try_from(taken_bytes).unwrap_or(left)));
                    return Ok(DecodedPiece::Bytes(buffer.split_to(taken_bytes).freeze()));
                }
                ChunkedState::DataEnd => match buffer.get(..2) {
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        self.state = ChunkedState::Size;
                    }
                    Some(_) => return Err(ChunkError("a chunk does not have the announced size")),
                    None => return Ok(DecodedPiece::NeedMore),
                },
                ChunkedState::Size => {
                    let Some(line) = take_line(buffer)? else { return Ok(DecodedPiece::NeedMore) };
                    self.state = match parse_chunk_size(&line)? {
                        0 => ChunkedState::Trailers(0),
                        size => ChunkedState::Data(size),
                    };
                }
                ChunkedState::Trailers(trailer_count) => {
                    let Some(line) = take_line(buffer)? else { return Ok(DecodedPiece::NeedMore) };
                    if line.is_empty() {
                        self.state = ChunkedState::End;
                    // Without a limit a client could send trailers without end.
                    } else if trailer_count >= TRAILERS_MAX || !line.contains(&b':') {
                        return Err(ChunkError("the trailers are too many or malformed"));
                    } else {
                        self.state = ChunkedState::Trailers(trailer_count.saturating_add(1));
                    }
                }
                ChunkedState::End => return Ok(DecodedPiece::End),
            }
        }
    }
}

/// Removes a line that ends in CRLF and contains no control characters except tabs.
fn take_line(buffer: &mut BytesMut) -> Result<Option<Bytes>, ChunkError> {
    // A bare LF or CR ends a line for some parsers and not for others; accepting one would allow request smuggling.
    let end = buffer.iter().position(|byte| *byte != b'\t' && (*byte < 0x20 || *byte == 0x7f));
    match end {
        None if buffer.len() > CHUNK_LINE_BYTES_MAX => Err(ChunkError("a line is too long")),
        None => Ok(None),
        Some(end) if end > CHUNK_LINE_BYTES_MAX => Err(ChunkError("a line is too long")),
        Some(end) => match (buffer.get(end), buffer.get(end.saturating_add(1))) {
            (Some(b'\r'), Some(b'\n')) => {
                let line = buffer.split_to(end).freeze();
                buffer.advance(2);
                Ok(Some(line))
            }
            (Some(b'\r'), None) => Ok(None),
            _ => Err(ChunkError("a line does not end in CRLF")),
        },
    }
}

/// Parses 1 to 15 hexadecimal digits. Extensions after `;` are ignored.
fn parse_chunk_size(line: &[u8]) -> Result<u64, ChunkError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    // `from_str_radix` also accepts a sign, which RFC 9112 does not allow here.
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(ChunkError("the chunk size is not a number"));
    }
    let digits = std::str::from_utf8(digits).map_err(|_| ChunkError("the chunk size is not a number"))?;
    u64::from_str_radix(digits, 16).map_err(|_| ChunkError("the chunk size is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes a body that arrives in pieces of `step` bytes. Returns the body and the bytes after it.
    fn decode_in_steps(wire: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), ChunkError> {
        let (mut chunks, mut buffer, mut body) = (ChunkedDecoder::new(), BytesMut::new(), Vec::new());
        for (at, piece) in wire.chunks(step).enumerate() {
            buffer.extend_from_slice(piece);
            loop {
                match chunks.decode_next(&mut buffer)? {
                    DecodedPiece::Bytes(bytes) => body.extend_from_slice(&bytes),
                    DecodedPiece::NeedMore => break,
                    DecodedPiece::End => {
                        let mut rest = buffer.to_vec();
                        rest.extend(wire.chunks(step).skip(at + 1).flatten());
                        return Ok((body, rest));
                    }
                }
            }
        }
        Err(ChunkError("truncated"))
    }

    #[test]
    fn the_body_does_not_depend_on_how_it_is_split() {
        let wire = b"5\r\nhello\r\n00A;name=value\r\n, world ok\r\n0\r\nx-t: y\r\n\r\nGET /";
        for step in 1..wire.len() {
            assert_eq!(
                decode_in_steps(wire, step),
                Ok((b"hello, world ok".to_vec(), b"GET /".to_vec())),
                "{step}"
            );
        }
        assert_eq!(decode_in_steps(b"0\r\n\r\n", 1), Ok((vec![], vec![])));
    }

    #[test]
    fn ambiguous_coding_is_rejected() {
        for wire in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"-1\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b"FFFFFFFFFFFFFFFF\r\nhello",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n0\r\nx: y\n\r\n",
            b"5\r\nhello\r\n0\r\nno-colon\r\n\r\n",
            b"5;\0\r\nhello\r\n0\r\n\r\n",
        ] {
            let outcome = decode_in_steps(wire, 1);
            assert!(
                outcome.is_err() && outcome != Err(ChunkError("truncated")),
                "{:?}",
                String::from_utf8_lossy(wire)
            );
        }
    }

    #[test]
    fn lines_and_trailers_are_limited() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300));
        assert_eq!(decode_in_steps(long.as_bytes(), 64), Err(ChunkError("a line is too long")));
        let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(17));
        assert!(decode_in_steps(many.as_bytes(), 64).is_err());
    }

    #[test]
    fn a_truncated_body_has_no_end() {
        for wire in [&b"5\r\nhel"[..], b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"5"] {
            assert_eq!(decode_in_steps(wire, 3), Err(ChunkError("truncated")));
        }
    }
}
