//! The words of S3.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, Field, StorageClass};

/// 4.3, 4.4, 7.2, 7.3, 7.4
pub static WORDS: WordTables = TABLES;

/// The same, for profiles that differ in a few.
pub const TABLES: WordTables = WordTables {
    metadata: DIRECTIVE,
    tagging: DIRECTIVE,
    class: Words(&[
        (StorageClass::Standard, "STANDARD"),
        (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
        (StorageClass::StandardIa, "STANDARD_IA"),
        (StorageClass::OneZoneIa, "ONEZONE_IA"),
        (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
        (StorageClass::ArchiveInstant, "GLACIER_IR"),
        (StorageClass::Archive, "GLACIER"),
        (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
        (StorageClass::ColdArchive, "DEEP_ARCHIVE"),
    ]),
    acl: Words(&[
        (CannedAcl::Private, "private"),
        (CannedAcl::PublicRead, "public-read"),
        (CannedAcl::PublicReadWrite, "public-read-write"),
        (CannedAcl::AuthenticatedRead, "authenticated-read"),
        (CannedAcl::BucketOwnerRead, "bucket-owner-read"),
        (CannedAcl::BucketOwnerFullControl, "bucket-owner-full-control"),
        (CannedAcl::ExecRead, "aws-exec-read"),
        (CannedAcl::LogDeliveryWrite, "log-delivery-write"),
    ]),
    encryption: Words(&[
        (Encryption::Aes256, "AES256"),
        (Encryption::Kms, "aws:kms"),
        (Encryption::KmsDualLayer, "aws:kms:dsse"),
    ]),
    flag_word,
};

const DIRECTIVE: Words<Directive> = Words(&[(Directive::Copy, "COPY"), (Directive::Replace, "REPLACE")]);

fn flag_word(field: Field) -> &'static str {
    match field {
        // 5.2: the only value that a write takes.
        Field::ForbidOverwrite => "*",
        _ => "true",
    }
}
