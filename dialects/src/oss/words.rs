//! The words of OSS.

use crate::dialect::{WordTables, Words};
use crate::model::{CannedAcl, Directive, Encryption, Field, StorageClass};

/// 4.2, 5.1, 5.2, 5.3
pub static WORDS: WordTables = WordTables {
    metadata: Words(&[(Directive::Copy, "COPY"), (Directive::Replace, "REPLACE")]),
    tagging: Words(&[(Directive::Copy, "Copy"), (Directive::Replace, "Replace")]),
    class: Words(&[
        (StorageClass::Standard, "Standard"),
        (StorageClass::StandardIa, "IA"),
        (StorageClass::Archive, "Archive"),
        (StorageClass::ColdArchive, "ColdArchive"),
        (StorageClass::DeepArchive, "DeepColdArchive"),
    ]),
    acl: Words(&[
        (CannedAcl::Inherit, "default"),
        (CannedAcl::Private, "private"),
        (CannedAcl::PublicRead, "public-read"),
        (CannedAcl::PublicReadWrite, "public-read-write"),
    ]),
    encryption: Words(&[(Encryption::Aes256, "AES256"), (Encryption::Kms, "KMS"), (Encryption::Sm4, "SM4")]),
    flag_word,
};

fn flag_word(field: Field) -> &'static str {
    match field {
        Field::StandardRange => "standard",
        Field::CompleteAll => "yes",
        _ => "true",
    }
}
