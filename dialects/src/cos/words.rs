//! The values of headers and elements in COS.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, StorageClass};

/// COS, Storage class overview; Access control basics; Server-side encryption headers; PUT Object - Copy.
pub(crate) static WORDS: WordTables = WordTables {
    metadata: DIRECTIVE,
    tagging: DIRECTIVE,
    class: Words(
        &[
            (StorageClass::Standard, "STANDARD"),
            (StorageClass::StandardIa, "STANDARD_IA"),
            (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
            (StorageClass::Archive, "ARCHIVE"),
            // Two archive classes of OSS have one counterpart. The first row is the meaning of the value when it is
            // read, because DEEP_ARCHIVE must not become a class with faster restores.
            (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
            (StorageClass::ColdArchive, "DEEP_ARCHIVE"),
            (StorageClass::MultiAzStandard, "MAZ_STANDARD"),
            (StorageClass::MultiAzStandardIa, "MAZ_STANDARD_IA"),
            (StorageClass::MultiAzIntelligentTiering, "MAZ_INTELLIGENT_TIERING"),
        ],
        &[StorageClass::ReducedRedundancy, StorageClass::OneZoneIa, StorageClass::ArchiveInstant],
    ),
    acl: Words(
        &[
            (CannedAcl::Inherit, "default"),
            (CannedAcl::Private, "private"),
            (CannedAcl::PublicRead, "public-read"),
            (CannedAcl::PublicReadWrite, "public-read-write"),
            (CannedAcl::AuthenticatedRead, "authenticated-read"),
            (CannedAcl::BucketOwnerRead, "bucket-owner-read"),
            (CannedAcl::BucketOwnerFullControl, "bucket-owner-full-control"),
        ],
        &[CannedAcl::ExecRead, CannedAcl::LogDeliveryWrite],
    ),
    encryption: Words(
        &[(Encryption::Aes256, "AES256"), (Encryption::Kms, "cos/kms"), (Encryption::Sm4, "SM4")],
        &[Encryption::KmsDualLayer],
    ),
    flag_word: |_| "true",
};

// `Replaced` is the documented value and is written. `Replace` is only read, because the SDK for Java sends it.
const DIRECTIVE: Words<Directive> = Words(
    &[(Directive::Copy, "Copy"), (Directive::Replace, "Replaced"), (Directive::Replace, "Replace")],
    &[],
);
