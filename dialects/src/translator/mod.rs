//! What people see of a translation: one request explained line by line, the matrix of fields, examples.
//!
//! Uses: `model`, `encoding`, `dialect`, `documents`, `engine`, `lib.rs` (the list of dialects).

pub mod examples;
pub mod explain;
pub mod handling;
pub mod line_subject;
pub mod lines;
pub mod rules;
