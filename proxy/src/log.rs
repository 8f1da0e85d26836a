//! What is written down: one JSON line per request on standard output, faults of our own on standard error.
//!
//! A line holds no query, header, signature or secret, and nothing here can be handed one (security, section 3.8).

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::metrics::METRICS;

/// Bytes of one line.
const LINE_BYTES_MAX: usize = 4096;

/// Bytes of a key or bucket in a line, escaped.
const NAME_BYTES_MAX: usize = 1024;

/// Lines that wait for a slow reader of standard output; more are dropped and counted.
const LINES_WAITING_MAX: usize = 8192;

/// One request, as the log has it.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are the keys of the line")]
pub struct Record {
    pub time: String,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    pub dialect: &'static str,
    pub method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it ended otherwise than with a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub unsigned: usize,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_id: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A name as a line may hold it: escaped, and cut where it is long.
pub fn name(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        let at = escaped.len();
        escaped.extend(character.escape_default().filter(|_| character.is_control()));
        if !character.is_control() {
            escaped.push(character);
        }
        if escaped.len() > NAME_BYTES_MAX {
            escaped.truncate(at);
            escaped.push_str("...");
            break;
        }
    }
    escaped
}

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static LINES: OnceLock<SyncSender<Entry>> = OnceLock::new();

/// Starts the writer of the access log, and the log of faults. `BLOBFISH_LOG` sets its filter.
pub fn start() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BLOBFISH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // The framework logs through another crate, which is not bridged: its lines could hold bytes of requests.
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // That of HTTP/2 would print heads, with signatures, where an operator asks for more than usual.
    let without_heads = filter_fn(|metadata| !metadata.target().starts_with("h2"));
    let _ = tracing::subscriber::set_global_default(subscriber.finish().with(without_heads));
    let (sender, receiver) = sync_channel(LINES_WAITING_MAX);
    if LINES.set(sender).is_ok() {
        thread::spawn(move || write_lines(&receiver));
    }
}

/// Writes a request down. Never waits: a reader that is too slow loses lines, requests go on.
pub fn request(mut record: Record) {
    record.time = moment(crate::clock::now_ms());
    let mut line = serde_json::to_vec(&record).unwrap_or_default();
    if line.len() >= LINE_BYTES_MAX {
        record.losses.truncate(8);
        record.source = None;
        record.key = record.key.map(|key| key.chars().take(200).collect());
        record.bucket = record.bucket.map(|bucket| bucket.chars().take(80).collect());
        line = serde_json::to_vec(&record).unwrap_or_default();
    }
    line.push(b'\n');
    let Some(lines) = LINES.get() else { return };
    if line.len() > LINE_BYTES_MAX || lines.try_send(Entry::Line(line)).is_err() {
        METRICS.log_dropped.inc();
    }
}

/// Waits until everything written so far is out, a second at most.
pub fn flush() {
    let (done, wait) = sync_channel(1);
    if LINES.get().is_some_and(|lines| lines.try_send(Entry::Flush(done)).is_ok()) {
        let _ = wait.recv_timeout(Duration::from_secs(1));
    }
}

fn write_lines(entries: &Receiver<Entry>) {
    let mut out = BufWriter::new(io::stdout());
    while let Ok(first) = entries.recv() {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                Entry::Line(line) => {
                    if out.write_all(&line).is_err() {
                        METRICS.log_dropped.inc();
                    }
                }
                Entry::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
            next = entries.try_recv().ok();
        }
        let _ = out.flush();
    }
}

/// A time as the log has it.
pub fn moment(ms: u64) -> String {
    use blobfish_dialects::{model::Timestamp, wire::date};
    let seconds = date::iso_seconds(Timestamp(i64::try_from(ms / 1000).unwrap_or_default()));
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_cut() {
        assert_eq!(name("a\nb\u{1b}c"), "a\\nb\\u{1b}c");
        assert_eq!(name("腾讯/云"), "腾讯/云");
        assert!(name(&"x".repeat(5000)).len() <= NAME_BYTES_MAX + 3);
        assert_eq!(moment(1_714_979_289_042), "2024-05-06T07:08:09.042Z");
    }
}
