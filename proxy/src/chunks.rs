//! The chunked coding of request bodies, read strictly: CRLF everywhere, short lines, no trailer that means a thing.

use bytes::{Buf, Bytes, BytesMut};

/// A line of a chunk with its extensions, or of a trailer. Nobody needs either.
const LINE_BYTES_MAX: usize = 256;

/// Trailers are read and passed over; none of the dialects puts anything there.
const TRAILERS_MAX: usize = 16;

/// The coding was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked body is malformed: {0}")]
pub struct BadChunk(&'static str);

/// What a buffer held.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body.
    Bytes(Bytes),
    /// Too little to say.
    More,
    /// The end; what is left in the buffer is no part of the body.
    End,
}

/// Where in the coding a body is.
#[derive(Debug)]
pub struct Chunks {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers(usize),
    End,
}

impl Chunks {
    /// At the start of a body.
    pub fn new() -> Self {
        Self { state: State::Size }
    }

    /// Takes the next piece of the body from a buffer.
    ///
    /// # Errors
    /// [`BadChunk`].
    pub fn next(&mut self, wire: &mut BytesMut) -> Result<Piece, BadChunk> {
        loop {
            match self.state {
                State::Data(left) if wire.is_empty() && left > 0 => return Ok(Piece::More),
                State::Data(0) => self.state = State::DataEnd,
                State::Data(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(wire.len());
                    self.state = State::Data(left.saturating_sub(u64::try_from(taken).unwrap_or(left)));
                    return Ok(Piece::Bytes(wire.split_to(taken).freeze()));
                }
                State::DataEnd => match wire.get(..2) {
                    Some(b"\r\n") => {
                        wire.advance(2);
                        self.state = State::Size;
                    }
                    Some(_) => return Err(BadChunk("a chunk does not end where it says")),
                    None => return Ok(Piece::More),
                },
                State::Size => {
                    let Some(line) = take_line(wire)? else { return Ok(Piece::More) };
                    self.state = match chunk_size(&line)? {
                        0 => State::Trailers(0),
                        size => State::Data(size),
                    };
                }
                State::Trailers(read) => {
                    let Some(line) = take_line(wire)? else { return Ok(Piece::More) };
                    if line.is_empty() {
                        self.state = State::End;
                    } else if read >= TRAILERS_MAX || !line.contains(&b':') {
                        return Err(BadChunk("the trailers are not headers"));
                    } else {
                        self.state = State::Trailers(read.saturating_add(1));
                    }
                }
                State::End => return Ok(Piece::End),
            }
        }
    }
}

/// Takes a line that ends in CRLF and holds no other control byte than tabs.
fn take_line(wire: &mut BytesMut) -> Result<Option<Bytes>, BadChunk> {
    let end = wire.iter().position(|byte| *byte != b'\t' && (*byte < 0x20 || *byte == 0x7f));
    match end {
        None if wire.len() > LINE_BYTES_MAX => Err(BadChunk("a line is too long")),
        None => Ok(None),
        Some(end) if end > LINE_BYTES_MAX => Err(BadChunk("a line is too long")),
        Some(end) => match (wire.get(end), wire.get(end.saturating_add(1))) {
            (Some(b'\r'), Some(b'\n')) => {
                let line = wire.split_to(end).freeze();
                wire.advance(2);
                Ok(Some(line))
            }
            (Some(b'\r'), None) => Ok(None),
            _ => Err(BadChunk("a line does not end in CRLF")),
        },
    }
}

/// 1 to 15 hex digits; extensions behind `;` are passed over.
fn chunk_size(line: &[u8]) -> Result<u64, BadChunk> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(BadChunk("a chunk's size is no number"));
    }
    let digits = std::str::from_utf8(digits).map_err(|_| BadChunk("a chunk's size is no number"))?;
    u64::from_str_radix(digits, 16).map_err(|_| BadChunk("a chunk's size is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and what is left behind it.
    fn decoded(wire: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), BadChunk> {
        let (mut chunks, mut buffer, mut body) = (Chunks::new(), BytesMut::new(), Vec::new());
        for (at, piece) in wire.chunks(step).enumerate() {
            buffer.extend_from_slice(piece);
            loop {
                match chunks.next(&mut buffer)? {
                    Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                    Piece::More => break,
                    Piece::End => {
                        let mut rest = buffer.to_vec();
                        rest.extend(wire.chunks(step).skip(at + 1).flatten());
                        return Ok((body, rest));
                    }
                }
            }
        }
        Err(BadChunk("cut"))
    }

    #[test]
    fn any_split_gives_the_same_body() {
        let wire = b"5\r\nhello\r\n00A;name=value\r\n, world ok\r\n0\r\nx-t: y\r\n\r\nGET /";
        for step in 1..wire.len() {
            assert_eq!(decoded(wire, step), Ok((b"hello, world ok".to_vec(), b"GET /".to_vec())), "{step}");
        }
        assert_eq!(decoded(b"0\r\n\r\n", 1), Ok((vec![], vec![])));
    }

    #[test]
    fn what_two_readers_could_take_apart_is_refused() {
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
            b"5\r\nhello\r\n0\r\nnothing\r\n\r\n",
            b"5;\0\r\nhello\r\n0\r\n\r\n",
        ] {
            let outcome = decoded(wire, 1);
            assert!(
                outcome.is_err() && outcome != Err(BadChunk("cut")),
                "{:?}",
                String::from_utf8_lossy(wire)
            );
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(300));
        assert_eq!(decoded(long.as_bytes(), 64), Err(BadChunk("a line is too long")));
        let many = format!("0\r\n{}\r\n", "a: b\r\n".repeat(17));
        assert!(decoded(many.as_bytes(), 64).is_err());
    }

    #[test]
    fn a_cut_body_is_no_end() {
        for wire in [&b"5\r\nhel"[..], b"5\r\nhello", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"5"] {
            assert_eq!(decoded(wire, 3), Err(BadChunk("cut")));
        }
    }
}
