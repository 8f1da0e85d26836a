//! The translation for readers: one request line by line, the matrix of fields, the vendors' rules, examples.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`, `engine`, `lib.rs` (the list of dialects).

pub mod examples;
pub mod explain;
pub mod handling;
pub mod line_subject;
pub mod lines;
pub mod request_text;
pub mod rules;
