//! Requests to try translations with: a few in each dialect, in a file of its folder that other tools can read too.

use crate::DIALECTS;

/// A request to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The dialect that it is written in.
    pub dialect: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// As it would be sent.
    pub request: &'static str,
}

/// All of them, in the order in which they are best shown: the dialects of the first family, which most readers know, last.
pub fn parse_examples() -> impl Iterator<Item = Example> {
    let first_family = DIALECTS.first().map_or("", |dialect| dialect.family);
    let (known, others): (Vec<_>, Vec<_>) =
        DIALECTS.iter().copied().partition(|dialect| dialect.family == first_family);
    others.into_iter().chain(known).flat_map(|dialect| {
        let parse = |example: &'static str| {
            let (title, request) = example.split_once('\n')?;
            Some(Example { dialect: dialect.name, title, request: request.trim_end() })
        };
        dialect.examples.split("### ").filter_map(parse)
    })
}
