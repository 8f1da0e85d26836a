//! The values of headers and elements in OSS.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, Field, StorageClass};

/// OSS, CopyObject, request headers; PutBucket and PutObject, request headers.
pub(crate) static WORDS: WordTables = WordTables {
    // The two directives have different spellings in OSS, CopyObject, which is why they have tables of their own.
    metadata: Words(&[(Directive::Copy, "COPY"), (Directive::Replace, "REPLACE")], &[]),
    tagging: Words(&[(Directive::Copy, "Copy"), (Directive::Replace, "Replace")], &[]),
    class: Words(
        &[
            (StorageClass::Standard, "Standard"),
            (StorageClass::StandardIa, "IA"),
            (StorageClass::Archive, "Archive"),
            (StorageClass::ColdArchive, "ColdArchive"),
            (StorageClass::DeepArchive, "DeepColdArchive"),
        ],
        &[
            StorageClass::ReducedRedundancy,
            StorageClass::OneZoneIa,
            StorageClass::IntelligentTiering,
            StorageClass::ArchiveInstant,
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    acl: Words(
        &[
            (CannedAcl::Inherit, "default"),
            (CannedAcl::Private, "private"),
            (CannedAcl::PublicRead, "public-read"),
            (CannedAcl::PublicReadWrite, "public-read-write"),
        ],
        &[
            CannedAcl::AuthenticatedRead,
            CannedAcl::BucketOwnerRead,
            CannedAcl::BucketOwnerFullControl,
            CannedAcl::ExecRead,
            CannedAcl::LogDeliveryWrite,
        ],
    ),
    encryption: Words(
        &[(Encryption::Aes256, "AES256"), (Encryption::Kms, "KMS"), (Encryption::Sm4, "SM4")],
        &[Encryption::KmsDualLayer],
    ),
    flag_word,
};

fn flag_word(field: Field) -> &'static str {
    match field {
        Field::StandardRange => "standard",
        Field::CompleteAll => "yes",
        _ => "true",
    }
}
