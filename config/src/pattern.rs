//! Names of buckets, with at most one `*` that stands for any run of characters, an empty one included.

use std::fmt;

use crate::mistake::ValueError;

/// The longest name of a bucket, bytes. Vendors allow 63 today; old S3 buckets have up to 255.
const NAME_BYTES_MAX: usize = 255;

/// A bucket's name or a pattern of names, such as `photos-*`. Matching takes time linear in the name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    prefix: String,
    /// What follows the `*`; `None` where there is no `*`.
    suffix: Option<String>,
}

impl Pattern {
    /// Reads a name or pattern: letters, digits, `.`, `_`, `-`, beginning with a letter or digit, at most one
    /// `*`, at most 255 bytes.
    ///
    /// # Errors
    /// Anything else, with the reason.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        if text.matches('*').count() > 1 {
            return Err(ValueError::new("a pattern has at most one *"));
        }
        match text.split_once('*') {
            None => parse_bucket_name(text).map(|name| Self { prefix: name, suffix: None }),
            Some((prefix, suffix)) if prefix.chars().chain(suffix.chars()).all(is_bucket_character) => {
                Ok(Self { prefix: prefix.to_owned(), suffix: Some(suffix.to_owned()) })
            }
            Some(_) => Err(new_bucket_error()),
        }
    }

    /// Whether `bucket` is this name or fits this pattern. Letter case counts.
    #[must_use]
    pub fn matches(&self, bucket: &str) -> bool {
        match &self.suffix {
            None => bucket == self.prefix,
            Some(suffix) => {
                bucket.strip_prefix(self.prefix.as_str()).is_some_and(|rest| rest.ends_with(suffix))
            }
        }
    }

    /// The name, where this is one and no pattern.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        self.suffix.is_none().then_some(&self.prefix)
    }

    /// Of two patterns that match a name, the one with the greater value is the closer one: the longer prefix,
    /// then the longer suffix. No two patterns that match the same name have the same value.
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

/// Reads the name of one bucket. Which names a vendor allows is the vendor's to say; here a name only has to be
/// safe as a label of a host and as a segment of a path.
pub(crate) fn parse_bucket_name(text: &str) -> Result<String, ValueError> {
    let has_valid_start = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_name = has_valid_start && text.len() <= NAME_BYTES_MAX && text.chars().all(is_bucket_character);
    if is_name { Ok(text.to_owned()) } else { Err(new_bucket_error()) }
}

fn new_bucket_error() -> ValueError {
    ValueError::new("not a bucket's name").with_hint("use letters, digits, dots, underscores and hyphens")
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
    fn a_star_is_any_run() {
        check("photos", &["photos"], &["photos2", "Photos", ""]);
        check("photos-*", &["photos-1", "photos-"], &["photos", "my-photos-1"]);
        check("*-logs", &["a-logs", "-logs"], &["logs"]);
        check("a*a", &["aa", "aba"], &["a"]);
        check("*", &["anything", ""], &[]);
    }

    #[test]
    fn names_that_no_bucket_has() {
        for text in ["", "a/b", "a b", "..", "-a", "a**b", "*a*", "b\u{fc}cher", "a\n", &"a".repeat(256)] {
            assert!(Pattern::parse(text).is_err(), "{text:?}");
        }
    }
}
