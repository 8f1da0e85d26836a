//! The words of JD Cloud: those of S3, with fewer classes.

use crate::dialect::{WordTables, Words};
use crate::model::StorageClass;
use crate::s3;

/// The copy's page has the first two classes, newer pages the others.
pub static WORDS: WordTables = WordTables {
    class: Words(&[
        (StorageClass::Standard, "STANDARD"),
        (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
        (StorageClass::StandardIa, "STANDARD_IA"),
        (StorageClass::Archive, "GLACIER"),
    ]),
    ..s3::words::TABLES
};
