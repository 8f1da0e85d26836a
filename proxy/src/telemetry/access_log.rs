//! The two logs: the access log with one line per request on standard output, the process log on standard error.
//!
//! A line contains no query, header, signature or secret. [`AccessRecord`] has no field that could hold one.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

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

/// Maximum size of the lines that wait for a slow reader of standard output; more lines are dropped and counted.
const BUFFER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// From this size on, lines are written without waiting for more of them.
const WRITE_BYTES: usize = 64 * 1024;

/// How long a line waits for others that are written with it.
const COLLECT_TIME: Duration = Duration::from_millis(10);

/// How long the process waits for the last lines before it exits.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

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
    if text.len() <= NAME_BYTES_MAX && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
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

/// The lines that are not written yet. A thread of its own writes them: standard output may block, and a blocked worker
/// thread would stop many requests.
#[derive(Default)]
struct LineBuffer {
    state: Mutex<BufferState>,
    /// Wakes the writer.
    lines_added: Condvar,
    /// Wakes flushes.
    lines_written: Condvar,
}

#[derive(Default)]
struct BufferState {
    lines: Vec<u8>,
    is_writing: bool,
    is_flush_requested: bool,
}

static LINE_BUFFER: OnceLock<LineBuffer> = OnceLock::new();

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
    if LINE_BUFFER.set(LineBuffer::default()).is_ok() {
        thread::spawn(|| {
            if let Some(buffer) = LINE_BUFFER.get() {
                buffer.write_lines(&mut io::stdout());
            }
        });
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
    // Unit tests do not start the writer.
    let Some(buffer) = LINE_BUFFER.get() else { return };
    LINE.with_borrow_mut(|line| {
        format_line(&record, line);
        // Short names keep their meaning in a truncated line, so the longest fields are shortened first and status, target
        // and IDs always remain.
        if line.len() > LINE_BYTES_MAX {
            shorten_record(&mut record);
            format_line(&record, line);
        }
        if line.len() > LINE_BYTES_MAX || !buffer.add_line(line) {
            METRICS.log_dropped.inc();
        }
    });
}

thread_local! {
    /// The line that this thread formats; reused, so that a request does not allocate one.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn shorten_record(record: &mut AccessRecord) {
    let shorten = |text: &mut Option<String>, characters_max: usize| {
        *text = text.take().map(|text| text.chars().take(characters_max).collect());
    };
    record.lost_fields.truncate(8);
    record.source = None;
    shorten(&mut record.key, 200);
    shorten(&mut record.path, 200);
    shorten(&mut record.host, 80);
    shorten(&mut record.bucket, 80);
}

/// Replaces the bytes of `line` by the line of a record, with its line feed.
fn format_line(record: &AccessRecord, line: &mut Vec<u8>) {
    line.clear();
    if LOGFMT_ENABLED.load(Ordering::Relaxed) {
        line.extend(format_logfmt(record));
    } else if serde_json::to_writer(&mut *line, record).is_err() {
        line.clear();
    }
    line.push(b'\n');
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
    if let Some(buffer) = LINE_BUFFER.get() {
        buffer.flush(FLUSH_TIME_MAX);
    }
}

impl LineBuffer {
    fn lock_state(&self) -> MutexGuard<'_, BufferState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line. It never waits for the writer: `false` if the buffer is full.
    fn add_line(&self, line: &[u8]) -> bool {
        let mut state = self.lock_state();
        let bytes_before = state.lines.len();
        if bytes_before.saturating_add(line.len()) > BUFFER_BYTES_MAX {
            return false;
        }
        state.lines.extend_from_slice(line);
        // A notification is a system call, so only the first line and the one that completes a large write cause one.
        let is_write_due = bytes_before < WRITE_BYTES && state.lines.len() >= WRITE_BYTES;
        drop(state);
        if bytes_before == 0 || is_write_due {
            self.lines_added.notify_one();
        }
        true
    }

    /// Waits until the lines so far are written. A reader that has stopped must not keep the process from exiting, so
    /// the wait is limited.
    fn flush(&self, time_max: Duration) {
        let mut state = self.lock_state();
        state.is_flush_requested = true;
        self.lines_added.notify_one();
        let is_pending = |state: &mut BufferState| state.is_writing || !state.lines.is_empty();
        drop(self.lines_written.wait_timeout_while(state, time_max, is_pending));
    }

    /// Writes the lines, forever.
    fn write_lines(&self, out: &mut impl Write) {
        let mut lines = Vec::new();
        loop {
            self.take_lines(&mut lines);
            if out.write_all(&lines).and_then(|()| out.flush()).is_err() {
                let count = lines.iter().filter(|byte| **byte == b'\n').count();
                METRICS.log_dropped.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
            }
            self.lock_state().is_writing = false;
            self.lines_written.notify_all();
        }
    }

    /// Waits for lines, and collects more of them for a short time, so that many requests share one wake-up and one
    /// write.
    fn take_lines(&self, lines: &mut Vec<u8>) {
        lines.clear();
        // After a slow reader the buffer may have its maximum size.
        lines.shrink_to(WRITE_BYTES);
        let state = self.lock_state();
        let state = self.lines_added.wait_while(state, |state| state.lines.is_empty());
        let state = state.unwrap_or_else(PoisonError::into_inner);
        let is_collecting =
            |state: &mut BufferState| !state.is_flush_requested && state.lines.len() < WRITE_BYTES;
        let waited = self.lines_added.wait_timeout_while(state, COLLECT_TIME, is_collecting);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        std::mem::swap(&mut state.lines, lines);
        state.is_writing = true;
        state.is_flush_requested = false;
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
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

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

    /// A writer that passes on what it writes, and blocks while `is_blocked`.
    struct TestOutput(Arc<(Mutex<Vec<u8>>, AtomicBool, AtomicUsize)>);

    impl Write for TestOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while self.0.1.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            self.0.2.fetch_add(1, Ordering::Relaxed);
            self.0.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start_writer(is_blocked: bool) -> (&'static LineBuffer, TestOutput) {
        let buffer: &'static LineBuffer = Box::leak(Box::new(LineBuffer::default()));
        let output = Arc::new((Mutex::default(), AtomicBool::new(is_blocked), AtomicUsize::new(0)));
        let mut writer = TestOutput(Arc::clone(&output));
        thread::spawn(move || buffer.write_lines(&mut writer));
        (buffer, TestOutput(output))
    }

    #[test]
    fn lines_of_many_threads_are_written_whole_and_in_few_writes() {
        let (buffer, output) = start_writer(false);
        thread::scope(|scope| {
            for thread_number in 0..4 {
                scope.spawn(move || {
                    for number in 0..500 {
                        assert!(buffer.add_line(format!("{thread_number} {number}\n").as_bytes()));
                    }
                });
            }
        });
        buffer.flush(Duration::from_secs(10));
        let text = String::from_utf8(output.0.0.lock().unwrap().clone()).unwrap();
        for thread_number in ["0", "1", "2", "3"] {
            let own = text.lines().filter_map(|line| line.split_once(' '));
            let numbers = own.filter(|row| row.0 == thread_number).map(|row| row.1.parse::<usize>().unwrap());
            assert_eq!(numbers.collect::<Vec<_>>(), (0..500).collect::<Vec<_>>());
        }
        assert!(output.0.2.load(Ordering::Relaxed) < 200, "2,000 lines are not 2,000 writes");
    }

    #[test]
    fn a_line_is_written_without_a_flush_and_without_more_lines() {
        let (buffer, output) = start_writer(false);
        assert!(buffer.add_line(b"a\n"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while output.0.0.lock().unwrap().is_empty() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(*output.0.0.lock().unwrap(), b"a\n");
    }

    #[test]
    fn a_blocked_reader_costs_lines_and_neither_memory_nor_time() {
        let (buffer, output) = start_writer(true);
        let line = [b'x'; LINE_BYTES_MAX];
        let added = (0..5000).filter(|_| buffer.add_line(&line)).count();
        assert!(added * LINE_BYTES_MAX <= 2 * BUFFER_BYTES_MAX, "one buffer waits and one is being written");
        assert!(!buffer.add_line(&line));
        buffer.flush(Duration::from_millis(20));
        assert!(output.0.0.lock().unwrap().is_empty(), "the time of the flush has expired");
        output.0.1.store(false, Ordering::Relaxed);
        buffer.flush(Duration::from_secs(10));
        assert_eq!(output.0.0.lock().unwrap().len(), added * LINE_BYTES_MAX);
    }

    #[test]
    fn every_field_is_documented() {
        let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/logs.md")).unwrap();
        let rows: Vec<_> =
            docs.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(rows, FIELDS);
    }
}
