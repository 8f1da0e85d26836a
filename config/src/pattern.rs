//! Patterns of bucket names, with at most one `*`, which matches any characters or none.

use std::fmt;

use crate::mistake::ValueError;

/// The maximum length of a bucket name in bytes. Vendors allow 63 today; old S3 buckets have up to 255.
const NAME_BYTES_MAX: usize = 255;

/// A bucket name or a pattern of names, such as `photos-*`. Matching takes time linear in the length of the name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    prefix: String,
    /// The text after the `*`; `None` if there is no `*`.
    suffix: Option<String>,
}

impl Pattern {
    /// Reads a name or pattern: letters, digits, `.`, `_`, `-`, beginning with a letter or digit, at most one
    /// `*`, at most 255 bytes.
    ///
    /// # Errors
    /// The text is not such a name or pattern.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.matches('*').count() > 1 {
            return Err(ValueError::new("a pattern can contain only one *"));
        }
        match text.split_once('*') {
            None => parse_bucket_name(text).map(|name| Self { prefix: name, suffix: None }),
            Some((prefix, suffix)) if prefix.chars().chain(suffix.chars()).all(is_bucket_character) => {
                Ok(Self { prefix: prefix.to_owned(), suffix: Some(suffix.to_owned()) })
            }
            Some(_) => Err(new_bucket_error()),
        }
    }

    /// Whether `bucket` matches. Matching is case-sensitive.
    #[must_use]
    pub fn matches(&self, bucket: &str) -> bool {
        match &self.suffix {
            None => bucket == self.prefix,
            Some(suffix) => {
                bucket.strip_prefix(self.prefix.as_str()).is_some_and(|rest| rest.ends_with(suffix))
            }
        }
    }

    /// The name, if this is not a pattern.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        self.suffix.is_none().then_some(&self.prefix)
    }

    /// Of two patterns that match a name, the one with the greater value is more specific: the longer prefix, then the
    /// longer suffix. Two different patterns that match the same name never have the same value.
    pub(crate) fn specificity(&self) -> (usize, usize) {
        (self.prefix.len(), self.suffix.as_ref().map_or(0, String::len))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prefix)?;
        self.suffix.as_ref().map_or(Ok(()), |suffix| write!(f, "*{suffix}"))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({self})")
    }
}

/// Parses the name of one bucket. The vendor decides which names are valid; here a name only has to be safe as a label
/// of a host name and as a segment of a path.
pub(crate) fn parse_bucket_name(text: &str) -> Result<String, ValueError> {
    let has_valid_start = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_name = has_valid_start && text.len() <= NAME_BYTES_MAX && text.chars().all(is_bucket_character);
    if is_name { Ok(text.to_owned()) } else { Err(new_bucket_error()) }
}

fn new_bucket_error() -> ValueError {
    ValueError::new("invalid bucket name").with_hint("use letters, digits, dots, underscores and hyphens")
}

fn is_bucket_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let parsed = Pattern::parse(pattern).unwrap();
        assert_eq!(parsed.to_string(), pattern);
        assert!(matching.iter().all(|name| parsed.matches(name)), "{pattern} matches {matching:?}");
        assert!(!others.iter().any(|name| parsed.matches(name)), "{pattern} does not match {others:?}");
    }

    #[test]
    fn a_star_matches_any_characters() {
        check("photos", &["photos"], &["photos2", "Photos", ""]);
        check("photos-*", &["photos-1", "photos-"], &["photos", "my-photos-1"]);
        check("*-logs", &["a-logs", "-logs"], &["logs"]);
        check("a*a", &["aa", "aba"], &["a"]);
        check("*", &["anything", ""], &[]);
    }

    #[test]
    fn rejects_invalid_names() {
        for text in ["", "a/b", "a b", "..", "-a", "a**b", "*a*", "b\u{fc}cher", "a\n", &"a".repeat(256)] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
