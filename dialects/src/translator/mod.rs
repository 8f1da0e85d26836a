//! What people see of a translation: one request explained line by line, the matrix of fields, examples.
//!
//! Uses: `model`, `encoding`, `engine`, `authentication`, `documents`.

pub mod examples;
pub mod explain;
pub mod handling;
pub mod line_subject;
pub mod lines;
pub mod rules;
