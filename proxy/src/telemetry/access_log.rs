//! The two logs: the access log with one line per request on standard output, the process log on standard error.
//!
//! A line contains no query, header, signature or secret. [`AccessRecord`] has no field that could hold one.

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use blobfish_config::{Log, LogFormat, LogLevel};
use serde::Serialize;
use serde_json::Value;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::telemetry::metrics::METRICS;

/// Maximum size of a line.
const LINE_BYTES_MAX: usize = 4096;

/// Maximum size of an escaped key or bucket in a line.
const NAME_BYTES_MAX: usize = 1024;

/// Maximum number of lines that wait for a slow reader of standard output; more are dropped and counted.
const QUEUE_LINES_MAX: usize = 8192;

/// How long the process waits for the last lines before it exits.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// How often a flush checks whether a full queue has a free slot.
const FLUSH_RETRY_INTERVAL: Duration = Duration::from_millis(1);

/// One line of the access log.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the fields are the keys of the line; docs/logs.md describes them")]
pub(crate) struct AccessRecord {
    pub time: String,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The client's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    pub dialect: &'static str,
    pub method: String,
    /// With status 403: the host as received, because the client may have signed another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// With status 403: the path as received, without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
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
    /// Why the response was aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost_fields: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub unsigned: usize,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_request_id: Option<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// The keys of a line, in order.
#[rustfmt::skip]
const FIELDS: [&str; 23] = [
    "time", "id", "trace_id", "caller", "client", "dialect", "method", "host", "path", "operation", "bucket", "key",
    "source", "target", "status", "code", "aborted", "lost_fields", "unsigned", "bytes_in", "bytes_out", "ms", "target_request_id",
];

/// Escapes a name for a line, and truncates it if it is long.
pub(crate) fn escape_name(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        let at = escaped.len();
        if is_printable(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
        if escaped.len() > NAME_BYTES_MAX {
            escaped.truncate(at);
            escaped.push_str("...");
            break;
        }
    }
    escaped
}

/// Whether a character is shown as it is: no control character, line separator or change of the text direction.
fn is_printable(character: char) -> bool {
    // Some terminals and log viewers treat U+2028 as a line break, and the others reorder the text around them.
    let is_layout_control = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    !character.is_control() && !is_layout_control
}

enum LogEntry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static LINE_SENDER: OnceLock<SyncSender<LogEntry>> = OnceLock::new();

/// Whether the access log is written as `name=value` pairs.
static LOGFMT_ENABLED: AtomicBool = AtomicBool::new(false);

/// Changes the level of the process log.
static LEVEL_HANDLE: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts the access log and the process log. `BLOBFISH_LOG` sets the filter of the process log.
pub(crate) fn start() {
    let env_filter = EnvFilter::try_from_env("BLOBFISH_LOG").ok();
    let is_set_by_env = env_filter.is_some();
    let (filter, handle) = reload::Layer::new(env_filter.unwrap_or_else(|| EnvFilter::new("info")));
    // Log lines of libraries may contain bytes of requests. Pingora logs through the `log` crate, which is not bridged;
    // the lines of the embedded store's libraries are filtered here.
    let own_lines = filter_fn(|line| line.target().starts_with("blobfish"));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    let subscriber = Registry::default().with(lines.with_filter(filter.and(own_lines)));
    let _ = tracing::subscriber::set_global_default(subscriber);
    if !is_set_by_env {
        let _ = LEVEL_HANDLE.set(handle);
    }
    // A thread of its own: standard output may block, and a blocked worker thread would stop many requests.
    let (sender, receiver) = sync_channel(QUEUE_LINES_MAX);
    if LINE_SENDER.set(sender).is_ok() {
        thread::spawn(move || write_lines(&receiver));
    }
}

/// Applies the `[log]` table of a configuration. `BLOBFISH_LOG` takes precedence.
pub(crate) fn configure(log: Log) {
    LOGFMT_ENABLED.store(log.format == LogFormat::Logfmt, Ordering::Relaxed);
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    if let Some(handle) = LEVEL_HANDLE.get() {
        let _ = handle.reload(EnvFilter::default().add_directive(level.into()));
    }
}

/// Writes a line. It never waits: if the reader is too slow, lines are dropped and requests continue.
pub(crate) fn write_record(mut record: AccessRecord) {
    record.time = format_timestamp(crate::clock::now_ms());
    record.method = escape_name(&record.method);
    record.code = record.code.as_deref().map(escape_name);
    let mut line = format_line(&record);
    // Short names keep their meaning in a truncated line, so the longest fields are shortened first and status, target and
    // IDs always remain.
    if line.len() >= LINE_BYTES_MAX {
        record.lost_fields.truncate(8);
        record.source = None;
        record.key = record.key.map(|key| key.chars().take(200).collect());
        record.path = record.path.map(|path| path.chars().take(200).collect());
        record.host = record.host.map(|host| host.chars().take(80).collect());
        record.bucket = record.bucket.map(|bucket| bucket.chars().take(80).collect());
        line = format_line(&record);
    }
    line.push(b'\n');
    // Unit tests do not start the writer.
    let Some(lines) = LINE_SENDER.get() else { return };
    if line.len() > LINE_BYTES_MAX || lines.try_send(LogEntry::Line(line)).is_err() {
        METRICS.log_dropped.inc();
    }
}

fn format_line(record: &AccessRecord) -> Vec<u8> {
    if LOGFMT_ENABLED.load(Ordering::Relaxed) {
        format_logfmt(record)
    } else {
        serde_json::to_vec(record).unwrap_or_default()
    }
}

fn format_logfmt(record: &AccessRecord) -> Vec<u8> {
    let values = serde_json::to_value(record).unwrap_or_default();
    let format_pair =
        |field: &&str| values.get(field).map(|value| format!("{field}={}", format_logfmt_value(value)));
    FIELDS.iter().filter_map(format_pair).collect::<Vec<_>>().join(" ").into_bytes()
}

/// Formats a value of a pair: unquoted if that is unambiguous, otherwise quoted and escaped as in JSON.
fn format_logfmt_value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let is_bare = |c: char| is_printable(c) && !c.is_whitespace() && !matches!(c, '"' | '=' | '\\');
    if !text.is_empty() && text.chars().all(is_bare) { text } else { Value::from(text).to_string() }
}

/// Waits until all lines are written, one second at most.
pub(crate) fn flush() {
    if let Some(lines) = LINE_SENDER.get() {
        flush_queue(lines, Instant::now() + FLUSH_TIME_MAX);
    }
}

fn flush_queue(lines: &SyncSender<LogEntry>, deadline: Instant) {
    let (done, wait) = sync_channel(1);
    let mut entry = LogEntry::Flush(done);
    // A full queue has lines to write too, so its flush waits until the writer has taken one of them. A reader that has
    // stopped must not keep the process from exiting, therefore `send` is not used.
    while let Err(TrySendError::Full(back)) = lines.try_send(entry) {
        if Instant::now() >= deadline {
            return;
        }
        entry = back;
        thread::sleep(FLUSH_RETRY_INTERVAL);
    }
    let _ = wait.recv_timeout(deadline.saturating_duration_since(Instant::now()));
}

fn write_lines(entries: &Receiver<LogEntry>) {
    let mut out = BufWriter::new(io::stdout());
    while let Ok(first) = entries.recv() {
        let mut next = Some(first);
        while let Some(entry) = next {
            match entry {
                LogEntry::Line(line) => {
                    if out.write_all(&line).is_err() {
                        METRICS.log_dropped.inc();
                    }
                }
                LogEntry::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
            // Flush only when the queue is empty: one write call for many lines under load, no delay otherwise.
            next = entries.try_recv().ok();
        }
        let _ = out.flush();
    }
}

/// Formats a time for the log.
pub(crate) fn format_timestamp(ms: u64) -> String {
    use blobfish_dialects::encoding::date;
    use blobfish_dialects::model::Timestamp;
    let seconds = date::format_iso_seconds(Timestamp(i64::try_from(ms / 1000).unwrap_or_default()));
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_truncated() {
        assert_eq!(escape_name("a\nb\u{1b}c"), "a\\nb\\u{1b}c");
        assert_eq!(escape_name("腾讯/云"), "腾讯/云");
        assert_eq!(escape_name("a\u{2028}b\u{202e}c"), "a\\u{2028}b\\u{202e}c");
        assert!(escape_name(&"x".repeat(5000)).len() <= NAME_BYTES_MAX + 3);
        assert_eq!(format_timestamp(1_714_979_289_042), "2024-05-06T07:08:09.042Z");
    }

    /// A record with every field.
    fn full_record(key: &str) -> AccessRecord {
        AccessRecord {
            time: "now".to_owned(),
            id: "1".to_owned(),
            trace_id: Some("2".to_owned()),
            caller: Some("app".to_owned()),
            client: Some(IpAddr::from([127, 0, 0, 1])),
            dialect: "s3",
            method: "PUT".to_owned(),
            host: Some("h:1".to_owned()),
            path: Some("/k".to_owned()),
            operation: Some("PutObject"),
            bucket: Some("photos".to_owned()),
            key: Some(escape_name(key)),
            source: Some("a/b".to_owned()),
            target: Some("aliyun".to_owned()),
            status: 200,
            code: Some(String::new()),
            aborted: Some("the client disconnected"),
            lost_fields: vec!["a".to_owned(), "b c".to_owned()],
            unsigned: 1,
            bytes_in: 1,
            bytes_out: 2,
            ms: 3,
            target_request_id: Some("x=y".to_owned()),
        }
    }

    #[test]
    fn both_formats_have_every_field_in_order() {
        let json = String::from_utf8(serde_json::to_vec(&full_record("k")).unwrap()).unwrap();
        let positions: Vec<_> =
            FIELDS.iter().map(|field| json.find(&format!("\"{field}\":")).unwrap()).collect();
        assert!(positions.is_sorted(), "{json}");
        let fields: serde_json::Map<String, Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(fields.len(), FIELDS.len(), "{json}");
        let line = String::from_utf8(format_logfmt(&full_record("k"))).unwrap();
        let expected = "time=now id=1 trace_id=2 caller=app client=127.0.0.1 dialect=s3 method=PUT host=h:1 path=/k operation=PutObject \
                        bucket=photos key=k source=a/b target=aliyun status=200 code=\"\" aborted=\"the client disconnected\" lost_fields=\"a,b c\" \
                        unsigned=1 bytes_in=1 bytes_out=2 ms=3 target_request_id=\"x=y\"";
        assert_eq!(line, expected);
    }

    #[test]
    fn key_cannot_forge_a_line_or_field() {
        let forged = "k\" status=200\r\n{\"id\":\"forged\"}\u{85}\u{2028}\\\" x=\"\u{7f}\u{0}";
        let record = full_record(forged);
        for line in [format_logfmt(&record), serde_json::to_vec(&record).unwrap()] {
            let line = String::from_utf8(line).unwrap();
            assert!(line.chars().all(is_printable), "{line}");
        }
        let line = String::from_utf8(format_logfmt(&record)).unwrap();
        let key_value = line.split_once(" key=").unwrap().1;
        let mut values = serde_json::Deserializer::from_str(key_value).into_iter::<String>();
        assert_eq!(values.next().unwrap().unwrap(), escape_name(forged));
        assert!(key_value[values.byte_offset()..].starts_with(" source=a/b target="), "{line}");
        let json: Value = serde_json::from_slice(&serde_json::to_vec(&record).unwrap()).unwrap();
        assert_eq!(json["key"], escape_name(forged));
    }

    #[test]
    fn flush_waits_for_a_full_queue_until_the_deadline() {
        let (sender, receiver) = sync_channel(1);
        sender.send(LogEntry::Line(Vec::new())).unwrap();
        flush_queue(&sender, Instant::now() + Duration::from_millis(20));
        assert!(matches!(receiver.try_recv(), Ok(LogEntry::Line(_))), "the line is still queued");
        assert!(receiver.try_recv().is_err(), "there was no free slot for the flush");

        sender.send(LogEntry::Line(Vec::new())).unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            let mut entries = receiver.into_iter();
            assert!(matches!(entries.next(), Some(LogEntry::Line(_))));
            let Some(LogEntry::Flush(done)) = entries.next() else { panic!("no flush") };
            done.send(()).unwrap();
        });
        flush_queue(&sender, Instant::now() + Duration::from_secs(10));
        writer.join().unwrap();
    }

    #[test]
    fn every_field_is_documented() {
        let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/logs.md")).unwrap();
        let rows: Vec<_> =
            docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(rows, FIELDS);
    }
}
