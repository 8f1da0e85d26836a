//! placeholder
use crate::engine::dialect::Dialect;
use crate::engine::tell::Listener;
use crate::model::Document;
/// Writes a document in the caller's dialect.
pub fn write(dialect: &Dialect, document: &Document, listener: &Listener, id: &str) -> Vec<u8> { let _ = (dialect, document, listener, id); vec![] }
