//! The values of headers and elements in S3.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, Field, StorageClass};

/// Amazon S3, Storage classes; Canned ACL; Server-side encryption; CopyObject, directives.
pub(crate) static WORDS: WordTables = TABLES;

/// The same tables, from which the profiles of compatible servers are derived.
pub(crate) const TABLES: WordTables = WordTables {
    metadata: DIRECTIVE,
    tagging: DIRECTIVE,
    class: Words(
        &[
            (StorageClass::Standard, "STANDARD"),
            (StorageClass::ReducedRedundancy, "REDUCED_REDUNDANCY"),
            (StorageClass::StandardIa, "STANDARD_IA"),
            (StorageClass::OneZoneIa, "ONEZONE_IA"),
            (StorageClass::IntelligentTiering, "INTELLIGENT_TIERING"),
            (StorageClass::ArchiveInstant, "GLACIER_IR"),
            (StorageClass::Archive, "GLACIER"),
            // Two archive classes of OSS have one counterpart. The first row is the meaning of the value when it is
            // read, because DEEP_ARCHIVE must not become a class with faster restores.
            (StorageClass::DeepArchive, "DEEP_ARCHIVE"),
            (StorageClass::ColdArchive, "DEEP_ARCHIVE"),
        ],
        &[
            StorageClass::MultiAzStandard,
            StorageClass::MultiAzStandardIa,
            StorageClass::MultiAzIntelligentTiering,
        ],
    ),
    acl: Words(
        &[
            (CannedAcl::Private, "private"),
            (CannedAcl::PublicRead, "public-read"),
            (CannedAcl::PublicReadWrite, "public-read-write"),
            (CannedAcl::AuthenticatedRead, "authenticated-read"),
            (CannedAcl::BucketOwnerRead, "bucket-owner-read"),
            (CannedAcl::BucketOwnerFullControl, "bucket-owner-full-control"),
            (CannedAcl::ExecRead, "aws-exec-read"),
            (CannedAcl::LogDeliveryWrite, "log-delivery-write"),
        ],
        &[CannedAcl::Inherit],
    ),
    encryption: Words(
        &[
            (Encryption::Aes256, "AES256"),
            (Encryption::Kms, "aws:kms"),
            (Encryption::KmsDualLayer, "aws:kms:dsse"),
        ],
        &[Encryption::Sm4],
    ),
    flag_word,
};

const DIRECTIVE: Words<Directive> = Words(&[(Directive::Copy, "COPY"), (Directive::Replace, "REPLACE")], &[]);

fn flag_word(field: Field) -> &'static str {
    match field {
        // Amazon S3, PutObject, If-None-Match: `*` is the only value that is valid on a write.
        Field::ForbidOverwrite => "*",
        _ => "true",
    }
}
