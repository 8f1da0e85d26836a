//! What a caller sends on an HTTP/2 connection beside requests and their bodies: each frame of control costs an answer or
//! work and carries nothing, so that many of them in a short time are an attack (CVE-2019-9512, -9515, -9518).

use std::time::Instant;

/// Bytes of the caller's first words.
const PREFACE_BYTES: usize = 24;

/// Frames of control at once, and in a second. Clients send a handful at the beginning, and a PING now and then.
const FRAMES_AT_ONCE: f64 = 200.0;
const FRAMES_PER_SECOND: f64 = 20.0;

/// Types of frames, RFC 9113, 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Counts frames in the bytes that arrive.
#[derive(Debug)]
pub struct Flood {
    /// Bytes of the preface, or of a frame's content, that are passed over.
    skip: usize,
    head: Vec<u8>,
    tokens: f64,
    since: Instant,
    is_flooded: bool,
}

impl Flood {
    /// At the beginning of a connection.
    pub fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE_BYTES,
            head: Vec::with_capacity(9),
            tokens: FRAMES_AT_ONCE,
            since: now,
            is_flooded: false,
        }
    }

    /// Whether it was too much.
    pub fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Takes bytes as they arrive, in any splits.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() && !self.is_flooded {
            let skipped = self.skip.min(bytes.len());
            self.skip = self.skip.saturating_sub(skipped);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first().filter(|_| self.skip == 0) else { continue };
            self.head.push(*first);
            bytes = rest;
            // Length, type, flags, stream.
            if let [high, middle, low, kind, flags, _, _, _, _] = *self.head.as_slice() {
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip = usize::try_from(length).unwrap_or(usize::MAX);
                self.head.clear();
                self.frame(kind, length, flags, now);
            }
        }
    }

    fn frame(&mut self, kind: u8, length: u32, flags: u8, now: Instant) {
        let ends = flags & 1 == 1;
        match kind {
            // The framing counts those, and bodies that carry nothing are slow.
            HEADERS | RST_STREAM | WINDOW_UPDATE | CONTINUATION => return,
            DATA if length > 0 || ends => return,
            _ => {}
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        self.since = now;
        self.tokens = (self.tokens + seconds * FRAMES_PER_SECOND).min(FRAMES_AT_ONCE) - 1.0;
        self.is_flooded = self.tokens < 0.0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &[0, 0, 0, 1], content].concat()
    }

    fn flooded(frames: &[u8], piece: usize) -> bool {
        let now = Instant::now();
        let mut flood = Flood::new(now);
        flood.take(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        frames.chunks(piece).for_each(|piece| flood.take(piece, now));
        flood.is_flooded()
    }

    #[test]
    fn frames_that_carry_nothing_are_counted() {
        for (name, frame) in [
            ("SETTINGS", frame(4, 0, b"")),
            ("PING", frame(6, 0, &[0; 8])),
            ("PRIORITY", frame(2, 0, &[0; 5])),
            ("empty DATA", frame(0, 0, b"")),
            ("unknown", frame(0xbe, 0, &[9; 20])),
        ] {
            for piece in [1, 7, 9, 64, 100_000] {
                assert!(!flooded(&frame.repeat(200), piece), "{name} in {piece}");
                assert!(flooded(&frame.repeat(201), piece), "{name} in {piece}");
            }
        }
    }

    #[test]
    fn requests_and_bodies_are_not() {
        let frames: [Vec<u8>; 5] = [
            frame(0, 0, &[4; 16_384]),
            frame(0, 1, b""),
            frame(1, 4, &[0; 100]),
            frame(8, 0, &[0; 4]),
            frame(3, 0, &[0; 4]),
        ];
        for frame in frames {
            for piece in [9, 100_000] {
                assert!(!flooded(&frame.repeat(1000), piece));
            }
        }
    }

    #[test]
    fn a_ping_now_and_then_is_none() {
        let mut now = Instant::now();
        let mut flood = Flood::new(now);
        flood.take(&[0; PREFACE_BYTES], now);
        for _ in 0..10_000 {
            now += Duration::from_millis(60);
            flood.take(&frame(6, 0, &[0; 8]), now);
        }
        assert!(!flood.is_flooded());
    }
}
