//! Detects floods of HTTP/2 control frames. Each of these frames costs work or a response and has no data, so many
//! of them in a short time are an attack (CVE-2019-9512, -9515, -9518).

use std::time::Instant;

/// Length of the client's connection preface.
const PREFACE_BYTES: usize = 24;

/// Burst and rate of control frames. Clients send a few when they connect, and an occasional PING.
const CONTROL_FRAMES_BURST: f64 = 200.0;
const CONTROL_FRAMES_PER_SECOND: f64 = 20.0;

/// Frame types, RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Counts control frames in the received bytes.
#[derive(Debug)]
pub(crate) struct FloodDetector {
    /// Bytes of the preface or of a frame payload that are still to be skipped.
    skip_bytes: usize,
    frame_header: Vec<u8>,
    tokens: f64,
    refilled_at: Instant,
    is_flooded: bool,
}

impl FloodDetector {
    /// Creates a detector at the start of a connection.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            skip_bytes: PREFACE_BYTES,
            frame_header: Vec::with_capacity(9),
            tokens: CONTROL_FRAMES_BURST,
            refilled_at: now,
            is_flooded: false,
        }
    }

    /// Whether the client has exceeded the limit.
    pub(crate) fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Inspects received bytes, which may be split anywhere.
    pub(crate) fn inspect_bytes(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() && !self.is_flooded {
            let skipped = self.skip_bytes.min(bytes.len());
            self.skip_bytes = self.skip_bytes.saturating_sub(skipped);
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first().filter(|_| self.skip_bytes == 0) else { continue };
            self.frame_header.push(*first);
            bytes = rest;
            // Length, type, flags, stream ID.
            if let [high, middle, low, kind, flags, _, _, _, _] = *self.frame_header.as_slice() {
                let length = u32::from_be_bytes([0, high, middle, low]);
                self.skip_bytes = usize::try_from(length).unwrap_or(usize::MAX);
                self.frame_header.clear();
                self.count_frame(kind, length, flags, now);
            }
        }
    }

    fn count_frame(&mut self, kind: u8, length: u32, flags: u8, now: Instant) {
        let ends_stream = flags & 1 == 1;
        match kind {
            // The h2 crate limits these itself, and the minimum rate of bodies covers streams without data.
            HEADERS | RST_STREAM | WINDOW_UPDATE | CONTINUATION => return,
            DATA if length > 0 || ends_stream => return,
            _ => {}
        }
        let seconds = now.saturating_duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        // A token bucket: it allows the burst at the start of a connection and limits the rate afterwards.
        self.tokens = (self.tokens + seconds * CONTROL_FRAMES_PER_SECOND).min(CONTROL_FRAMES_BURST) - 1.0;
        self.is_flooded = self.tokens < 0.0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn build_frame(kind: u8, flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &[0, 0, 0, 1], content].concat()
    }

    fn detects_flood(frames: &[u8], piece: usize) -> bool {
        let now = Instant::now();
        let mut flood = FloodDetector::new(now);
        flood.inspect_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        frames.chunks(piece).for_each(|piece| flood.inspect_bytes(piece, now));
        flood.is_flooded()
    }

    #[test]
    fn control_frames_are_counted() {
        for (name, frame) in [
            ("SETTINGS", build_frame(4, 0, b"")),
            ("PING", build_frame(6, 0, &[0; 8])),
            ("PRIORITY", build_frame(2, 0, &[0; 5])),
            ("empty DATA", build_frame(0, 0, b"")),
            ("unknown", build_frame(0xbe, 0, &[9; 20])),
        ] {
            for piece in [1, 7, 9, 64, 100_000] {
                assert!(!detects_flood(&frame.repeat(200), piece), "{name} in {piece}");
                assert!(detects_flood(&frame.repeat(201), piece), "{name} in {piece}");
            }
        }
    }

    #[test]
    fn requests_and_bodies_are_not_counted() {
        let frames: [Vec<u8>; 5] = [
            build_frame(0, 0, &[4; 16_384]),
            build_frame(0, 1, b""),
            build_frame(1, 4, &[0; 100]),
            build_frame(8, 0, &[0; 4]),
            build_frame(3, 0, &[0; 4]),
        ];
        for frame in frames {
            for piece in [9, 100_000] {
                assert!(!detects_flood(&frame.repeat(1000), piece));
            }
        }
    }

    #[test]
    fn an_occasional_ping_is_not_a_flood() {
        let mut now = Instant::now();
        let mut flood = FloodDetector::new(now);
        flood.inspect_bytes(&[0; PREFACE_BYTES], now);
        for _ in 0..10_000 {
            now += Duration::from_millis(60);
            flood.inspect_bytes(&build_frame(6, 0, &[0; 8]), now);
        }
        assert!(!flood.is_flooded());
    }
}
