//! Mistakes in a configuration, and their messages, which never contain a secret.

use std::fmt;
use std::ops::Range;

/// Keys with secret values. A message never contains what is written at or below them.
pub(crate) const SECRET_KEYS: [&str; 3] = ["secret_key", "session_token", "value"];

/// The replacement for a secret value in a message.
pub(crate) const SECRET_VALUE: &str = "(secret)";

/// Words that are printed in a source line. Any other word may be part of a secret with a misspelt key or an open
/// quote.
#[rustfmt::skip]
const PUBLIC_WORDS: &[&str] = &[
    "access", "access_key", "address", "addressing", "admin", "anonymous", "base", "body_idle_timeout_seconds",
    "body_timeout_seconds", "bucket", "buckets", "buffer_bytes_max", "buffer_bytes_per_caller_max", "ca",
    "caller", "cert", "certificates", "circuit_breaker_failures", "circuit_breaker_open_seconds", "client_cert",
    "client_key", "concurrent_requests_max", "conditions", "connect_timeout_seconds", "connections_max",
    "connections_per_address_max", "control_socket", "copies_max", "copies_on_disconnect",
    "copies_per_caller_max", "copy_bytes_per_second", "copy_bytes_per_second_per_caller", "copy_concurrency",
    "copy_multipart_threshold_bytes", "copy_part_bytes", "cos_signing", "credentials", "dialect",
    "dns_ttl_seconds", "drain_timeout_seconds", "endpoint", "env", "false", "file", "format", "grants",
    "head_bytes_max", "headers", "headers_max", "hosts", "http", "https", "insecure",
    "keepalive_timeout_seconds", "key", "keys", "kms_keys", "level", "limits", "listen", "log",
    "metadata_endpoint", "name", "profile", "propagate", "proxy_protocol", "region", "relay",
    "requests_per_second", "response_timeout_seconds", "sample_ratio", "secret_key", "session_token",
    "shutdown_delay_seconds", "signatures", "signing", "small_parts", "small_parts_bucket",
    "small_parts_cleanup_seconds", "small_parts_prefix", "spool_bytes_max", "spool_dir", "spool_files_max",
    "target", "target_bucket", "traces", "true", "trust_incoming_context", "trusted_proxies", "unsupported",
    "upgrade_drain_timeout_seconds", "value",
];

/// The maximum length of a printed source line, in characters.
const LINE_CHARS_MAX: usize = 160;

/// One mistake in a configuration file. It contains no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// The key from the root of the file: `target[0].dialect`. Empty for a syntax error.
    pub key: String,
    /// The value as written, including quotes: its first line, at most 80 characters. `(secret)` if it may be a
    /// secret. Empty for tables, lists, unknown keys and missing keys.
    pub value: String,
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub hint: Option<String>,
    /// The section, if it has a name: `target "aliyun"`.
    pub section: Option<String>,
    /// The place in the text, in bytes.
    pub span: Range<usize>,
}

/// Why a value is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// What is wrong.
    pub message: String,
    /// How to correct it.
    pub hint: Option<String>,
    /// Whether the value may contain a secret and must not be printed.
    pub is_secret: bool,
}

impl ValueError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_secret: false }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn with_secret(self) -> Self {
        Self { is_secret: true, ..self }
    }

    /// A word that is not one of `known`. The hint suggests the most similar one.
    pub(crate) fn unknown(noun: &str, word: &str, known: &[&str]) -> Self {
        let unknown = Self::new(format!("unknown {noun}"));
        match find_nearest(word, known) {
            Some(near) => unknown.with_hint(format!("did you mean \"{near}\"?")),
            None if known.is_empty() => unknown,
            None => unknown.with_hint(format!("known: {}", known.join(", "))),
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for ValueError {}

/// The known word that was most likely meant: at most one edit per three letters, ignoring case, or one that continues
/// after an underscore, such as `connections` and `connections_max`.
pub(crate) fn find_nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // The edit distance takes time proportional to the product of the lengths.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_lowercase();
    let edits_max = (word.chars().count() / 3).max(1);
    let distances = known.iter().map(|known| (strsim::osa_distance(&word, &known.to_lowercase()), *known));
    let near = distances.filter(|(edits, _)| *edits <= edits_max).min().map(|(_, known)| known);
    let continues = |known: &str| known.strip_prefix(&word).is_some_and(|rest| rest.starts_with('_'));
    near.or_else(|| known.iter().copied().find(|known| continues(known)))
}

/// `line 14: target "aliyun": dialect = "osss": unknown dialect; did you mean "oss"?`
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.describe())
    }
}

impl Mistake {
    /// The mistake with the name of the file, and the source line with a caret below:
    ///
    /// ```text
    /// blobfish.toml:14: target "aliyun": dialect = "osss": unknown dialect; did you mean "oss"?
    ///    |
    /// 14 | dialect = "osss"
    ///    |           ^^^^^^
    /// ```
    ///
    /// `text` is the text that was loaded. In the source line, everything that may be a secret is replaced by dots.
    #[must_use]
    pub fn render(&self, file: &str, text: &str) -> String {
        let description = format!("{file}:{}: {}", self.line, self.describe());
        let Some((line, caret)) = self.render_line_and_caret(text) else { return description };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        format!("{description}\n{margin} |\n{number} | {line}\n{margin} | {caret}")
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        if let Some(subject) = &self.section {
            text += &format!("{subject}: ");
        }
        // The section already identifies the element of the list.
        let key = match self.key.split_once("].") {
            Some((_, key)) if self.section.is_some() => key,
            _ => &self.key,
        };
        text += key;
        if !self.value.is_empty() {
            text += &format!(" = {}", self.value);
        }
        if !key.is_empty() {
            text += ": ";
        }
        text += &self.message;
        if let Some(hint) = &self.hint {
            text += &format!("; {hint}");
        }
        // Keys and values come from the file. Printed unchanged, they could contain terminal escape sequences.
        text.chars().map(to_printable).collect()
    }

    fn render_line_and_caret(&self, text: &str) -> Option<(String, String)> {
        let line_start = text.get(..self.span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..)?.lines().next().unwrap_or_default();
        let masked: String = self.mask_secrets(line, line_start).chars().take(LINE_CHARS_MAX).collect();
        let column = text.get(line_start..self.span.start)?.chars().count();
        let width = text.get(self.span.clone())?.lines().next().map_or(0, |part| part.chars().count());
        let room = LINE_CHARS_MAX.checked_sub(column)?;
        Some((masked, " ".repeat(column) + &"^".repeat(width.clamp(1, room.max(1)))))
    }

    /// The line with a dot for each character that may belong to a secret: all except punctuation, known keys and
    /// values, and the key or value of this mistake.
    fn mask_secrets(&self, line: &str, line_start: usize) -> String {
        let is_value_public = !self.value.is_empty() && self.value != SECRET_VALUE;
        let own_key = self.key.rsplit_once('.').map_or(self.key.as_str(), |(_, last)| last);
        let mut masked = String::new();
        let mut at = line_start;
        for word in line.split_inclusive(|c| !is_word_character(c)) {
            // Each piece is a word and the character that ends it.
            let (word, end) = match word.char_indices().next_back() {
                Some((i, c)) if !is_word_character(c) => {
                    (word.get(..i).unwrap_or_default(), Some((at + i, c)))
                }
                _ => (word, None),
            };
            // The value of this mistake is already part of the message, so hiding it here would protect nothing.
            let is_about = |at: usize| is_value_public && self.span.contains(&at);
            if PUBLIC_WORDS.contains(&word) || word == own_key || is_about(at) {
                masked += word;
            } else {
                masked.extend(word.chars().map(|_| MASK));
            }
            at += word.len();
            if let Some((i, c)) = end {
                masked.push(if is_about(i) { to_printable(c) } else { mask_punctuation(c) });
                at += c.len_utf8();
            }
        }
        masked
    }
}

/// The replacement for a character that must not be printed.
const MASK: char = '\u{b7}';

fn is_word_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

fn mask_punctuation(c: char) -> char {
    if " \t=[]{},.:\"'#".contains(c) { to_printable(c) } else { MASK }
}

/// The character, or a replacement for a control character, which could change the terminal.
fn to_printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_mistake(text: &str, key: &str, value: &str, at: &str) -> Mistake {
        let start = text.find(at).unwrap();
        let line = text[..start].matches('\n').count() + 1;
        let subject = key.starts_with("target").then(|| "target \"aliyun\"".to_owned());
        let span = start..start + at.len();
        let what = "unknown dialect".to_owned();
        let hint = Some("did you mean \"oss\"?".to_owned());
        Mistake {
            line,
            key: key.to_owned(),
            value: value.to_owned(),
            message: what,
            hint,
            section: subject,
            span,
        }
    }

    #[test]
    fn renders_the_source_line() {
        let text = "[[target]]\nname = \"aliyun\"\ndialect = \"osss\"\n";
        let mistake = make_mistake(text, "target[0].dialect", "\"osss\"", "\"osss\"");
        let description = "target \"aliyun\": dialect = \"osss\": unknown dialect; did you mean \"oss\"?";
        assert_eq!(mistake.to_string(), format!("line 3: {description}"));
        let line = "  |\n3 | dialect = \"osss\"\n  |           ^^^^^^";
        assert_eq!(mistake.render("blobfish.toml", text), format!("blobfish.toml:3: {description}\n{line}"));
    }

    #[track_caller]
    fn check_line(text: &str, key: &str, value: &str, at: &str, expected: &str) {
        let masked = make_mistake(text, key, value, at).render_line_and_caret(text).map(|(line, _)| line);
        assert_eq!(masked.as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn masks_secrets_in_the_source_line() {
        check_line(
            "secret_key = \"TOP\"",
            "secret_key",
            SECRET_VALUE,
            "\"TOP\"",
            "secret_key = \"\u{b7}\u{b7}\u{b7}\"",
        );
        check_line("secretkey = \"A/B\"", "secretkey", "", "secretkey", "secretkey = \"\u{b7}\u{b7}\u{b7}\"");
        check_line("name = 15, sk = \"T\"", "name", "15", "15", "name = 15, \u{b7}\u{b7} = \"\u{b7}\"");
        check_line(
            "endpoint = \"//a:T@b\"",
            "endpoint",
            SECRET_VALUE,
            "\"//",
            "endpoint = \"\u{b7}\u{b7}\u{b7}:\u{b7}\u{b7}\u{b7}\"",
        );
        check_line(
            "secret_k \"TOP\" = ",
            "",
            "",
            "\"",
            "\u{b7}\u{b7}\u{b7}\u{b7}\u{b7}\u{b7}\u{b7}\u{b7} \"\u{b7}\u{b7}\u{b7}\" = ",
        );
        check_line("[[target]]", "target[0].region", "", "[[target]]", "[[target]]");
        check_line(
            "name = \"\u{20ac}\t\"",
            "name",
            "\"\u{20ac}\t\"",
            "\"\u{20ac}\t\"",
            "name = \"\u{20ac} \"",
        );
    }

    #[test]
    fn renders_no_source_line_for_an_invalid_span() {
        let mut mistake = make_mistake("name = 1", "name", "1", "1");
        mistake.span = 50..60;
        assert!(!mistake.render("f", "short").contains('\n'));
        mistake.span = 1..2;
        assert!(!mistake.render("f", "\u{20ac}").contains('\n'));
    }

    #[test]
    fn finds_the_most_similar_word() {
        assert_eq!(find_nearest("osss", &["s3", "cos", "oss"]), Some("oss"));
        assert_eq!(find_nearest("OSS", &["s3", "cos", "oss"]), Some("oss"));
        assert_eq!(find_nearest("secretkey", &["access_key", "secret_key"]), Some("secret_key"));
        assert_eq!(find_nearest("swift", &["s3", "cos", "oss"]), None);
        assert_eq!(find_nearest(&"s".repeat(100_000), &["s3"]), None);
    }
}
