//! The values of headers and elements in JD Cloud: those of S3, with fewer storage classes.

use crate::dialect::{WordTables, Words};
use crate::model::StorageClass;
use crate::s3;

/// JD Cloud OSS, Put Object-Copy lists the first two storage classes; newer documents list the others.
pub(crate) static WORDS: WordTables = WordTables {
    class: Words(
        &[
            (StorageClass::Standard, "STANDARD"),
            (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
            (StorageClass::StandardIa, "STANDARD_IA"),
            (StorageClass::Archive, "GLACIER"),
        ],
        &[
            StorageClass::OneZoneIa,
            StorageClass::IntelligentTiering,
            StorageClass::ArchiveInstant,
            StorageClass::ColdArchive,
            StorageClass::DeepArchive,
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    ..s3::words::TABLES
};
