//! The words of COS.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, StorageClass};

/// 4.4 (the Java SDK really sends `REPLACE`), 5.1, 5.2, 5.4
pub static WORDS: WordTables = WordTables {
    metadata: DIRECTIVE,
    tagging: DIRECTIVE,
    class: Words(&[
        (StorageClass::Standard, "STANDARD"),
        (StorageClass::StandardIa, "STANDARD_IA"),
        (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
        (StorageClass::Archive, "ARCHIVE"),
        (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
        (StorageClass::ColdArchive, "DEEP_ARCHIVE"),
        (StorageClass::MultiAzStandard, "MAZ_STANDARD"),
        (StorageClass::MultiAzStandardIa, "MAZ_STANDARD_IA"),
        (StorageClass::MultiAzIntelligentTiering, "MAZ_INTELLIGENT_TIERING"),
    ]),
    acl: Words(&[
        (CannedAcl::Inherit, "default"),
        (CannedAcl::Private, "private"),
        (CannedAcl::PublicRead, "public-read"),
        (CannedAcl::PublicReadWrite, "public-read-write"),
        (CannedAcl::AuthenticatedRead, "authenticated-read"),
        (CannedAcl::BucketOwnerRead, "bucket-owner-read"),
        (CannedAcl::BucketOwnerFullControl, "bucket-owner-full-control"),
    ]),
    encryption: Words(&[
        (Encryption::Aes256, "AES256"),
        (Encryption::Kms, "cos/kms"),
        (Encryption::Sm4, "SM4"),
    ]),
    flag_word: |_| "true",
};

const DIRECTIVE: Words<Directive> =
    Words(&[(Directive::Copy, "Copy"), (Directive::Replace, "Replaced"), (Directive::Replace, "Replace")]);
