//! Requests to try translations with: a few in each dialect, in one file that other tools read too.

/// Made up in the form of the vendors' documents; the signatures are no signatures.
const REQUESTS: &str = include_str!("../../examples/requests.http");

/// A request to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// The dialect that it speaks.
    pub dialect: &'static str,
    /// What it asks for.
    pub title: &'static str,
    /// As it would be sent.
    pub request: &'static str,
}

/// All of them, in the order in which they are best shown.
pub fn parse_examples() -> impl Iterator<Item = Example> {
    REQUESTS.split("### ").filter_map(|example| {
        let (title, request) = example.split_once('\n')?;
        let (dialect, title) = title.split_once(": ")?;
        Some(Example { dialect, title, request: request.trim_end() })
    })
}
