//! Sample requests for the translator: a few in each dialect, in a file of the dialect's folder that other tools can
//! read, too.

use crate::DIALECTS;

/// A sample request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Its dialect.
    pub dialect: &'static str,
    /// A short description.
    pub title: &'static str,
    /// Its text.
    pub request: &'static str,
}

/// Returns all samples. The dialects of the first family, which most readers know, come last.
pub fn parse_examples() -> impl Iterator<Item = Example> {
    let first_family = DIALECTS.first().map_or("", |dialect| dialect.family);
    let (known, others): (Vec<_>, Vec<_>) =
        DIALECTS.iter().copied().partition(|dialect| dialect.family == first_family);
    others.into_iter().chain(known).flat_map(|dialect| {
        let parse = |example: &'static str| {
            // The first piece of the split is empty and is skipped.
            let (title, request) = example.split_once('\n')?;
            Some(Example { dialect: dialect.name, title, request: request.trim_end() })
        };
        dialect.examples.split("### ").filter_map(parse)
    })
}
