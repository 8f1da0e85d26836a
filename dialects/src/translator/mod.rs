//! The translation as people read it: one request line by line, the matrix of fields, the vendors' rules, examples.
//!
//! Uses: `model`, `encoding`, `engine`, `authentication`, `documents`.

pub mod examples;
pub mod explain;
pub mod lines;
pub mod request_text;
pub mod rules;
