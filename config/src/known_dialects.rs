//! The dialects and profiles that a configuration may name.

/// The dialects that exist. The program passes them in, because this crate depends on no dialect.
#[derive(Debug, Clone, Copy)]
pub struct KnownDialects<'a> {
    /// Each dialect with its profiles.
    pub dialects: &'a [(&'a str, &'a [&'a str])],
}
