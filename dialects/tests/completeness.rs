//! Every dialect in the list is complete: it has its files, and a decision about everything in the model. A failure
//! message names what is missing and what belongs there.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::dialect::{Dialect, Words};
use blobfish_dialects::model::{CannedAcl, Directive, Encryption, Setting, StorageClass};
use blobfish_dialects::translator::examples::parse_examples;
use blobfish_dialects::{DIALECTS, list_configurable_dialects};

/// Files of a dialect's folder, with what belongs in each.
const FILES: [(&str, &str); 11] = [
    ("mod.rs", "the value `Dialect` that names all the other tables"),
    ("route.rs", "hosts, and which method and parameters select which operation"),
    (
        "settings.rs",
        "the settings documents, the settings that the vendor does not have, and how grants are expressed",
    ),
    ("auth.rs", "the signatures: reading a credential, verifying it, signing"),
    ("headers.rs", "the header or parameter of each field, and the headers that are ignored"),
    ("words.rs", "the closed sets of values, and the values that cannot be expressed"),
    ("copy.rs", "the grammar of a copy source, how conditions combine, when a copy onto itself is allowed"),
    ("xml.rs", "roots, element order and the few elements of its own of the vendor's documents"),
    ("errors.rs", "the code, status and sentence of each error kind"),
    ("defaults.rs", "what an absent field means, and limits"),
    ("examples.http", "four requests or more to try translations with, each under a line `### TITLE`"),
];

/// Folders of test data, one folder in each for every family of dialects.
const TEST_FOLDERS: [(&str, &str); 2] = [
    (
        "vectors",
        "a folder for each vector of the vendor's documents and SDKs, with request.http, context.json and SOURCE",
    ),
    ("corpus/form", "a form upload to begin fuzzing with"),
];

fn get_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_dialect_has_its_files() {
    let mut missing = Vec::new();
    for dialect in DIALECTS {
        for (file, content) in FILES {
            let path = format!("dialects/src/{}/{file}", dialect.name);
            if !get_root().join(&path).is_file() {
                missing.push(format!("{path} is missing; it contains {content}"));
            }
        }
    }
    for dialect in list_configurable_dialects() {
        for (folder, content) in TEST_FOLDERS {
            let path = format!("tests/{folder}/{}", dialect.name);
            if !get_root().join(&path).exists() {
                missing.push(format!("{path} is missing; it contains {content}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_dialect_has_examples() {
    for dialect in DIALECTS {
        let count = parse_examples().filter(|example| example.dialect == dialect.name).count();
        assert!(count >= 4, "dialects/src/{}/examples.http has {count} requests, and needs 4", dialect.name);
    }
}

#[test]
fn every_dialect_has_a_row_for_each_error() {
    for dialect in DIALECTS {
        let known: Vec<String> = dialect.errors.iter().map(|row| format!("{:?}", row.kind)).collect();
        let missing: Vec<String> =
            list_error_kinds().into_iter().filter(|kind| !known.contains(kind)).collect();
        assert!(missing.is_empty(), "dialects/src/{}/errors.rs has no row for {missing:?}", dialect.name);
    }
}

/// The error kinds in their order, from the file that defines them.
fn list_error_kinds() -> Vec<String> {
    let text = fs::read_to_string(get_root().join("dialects/src/model/error.rs")).unwrap();
    let body = text.split_once("pub enum ErrorKind {").unwrap().1.split_once("\n}").unwrap().0;
    let lines = body.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.is_empty());
    let kinds: Vec<String> = lines.map(|line| line.trim_end_matches(',').to_owned()).collect();
    assert!(kinds.len() > 100, "{} error kinds", kinds.len());
    kinds
}

#[test]
fn every_setting_has_a_schema_or_is_listed_as_absent() {
    for dialect in DIALECTS {
        for setting in Setting::ALL {
            let has_schema = dialect.setting_schema(setting).is_some();
            let is_absent = dialect.absent_settings.contains(&setting);
            assert!(
                has_schema != is_absent,
                "dialects/src/{}/settings.rs: {} needs a schema or a place in ABSENT_SETTINGS, and not both",
                dialect.name,
                setting.name()
            );
        }
    }
}

#[test]
fn every_value_has_a_name_or_is_listed_as_absent() {
    for dialect in DIALECTS {
        let words = dialect.words;
        check_words(dialect, "metadata", &words.metadata, &[Directive::Copy, Directive::Replace]);
        check_words(dialect, "tagging", &words.tagging, &[Directive::Copy, Directive::Replace]);
        check_words(dialect, "class", &words.class, &STORAGE_CLASSES);
        check_words(dialect, "acl", &words.acl, &CANNED_ACLS);
        check_words(dialect, "encryption", &words.encryption, &ENCRYPTIONS);
    }
}

fn check_words<T: Copy + PartialEq + std::fmt::Debug>(
    dialect: &Dialect,
    table: &str,
    words: &Words<T>,
    all: &[T],
) {
    for value in all {
        assert!(
            words.word(*value).is_some() != words.1.contains(value),
            "dialects/src/{}/words.rs: {table} needs a word for {value:?}, or the value among those without one, and not both",
            dialect.name
        );
    }
}

const STORAGE_CLASSES: [StorageClass; 12] = [
    StorageClass::Standard,
    StorageClass::ReducedRedundancy,
    StorageClass::StandardIa,
    StorageClass::OneZoneIa,
    StorageClass::IntelligentTiering,
    StorageClass::ArchiveInstant,
    StorageClass::Archive,
    StorageClass::ColdArchive,
    StorageClass::DeepArchive,
    StorageClass::MultiAzStandard,
    StorageClass::MultiAzStandardIa,
    StorageClass::MultiAzIntelligentTiering,
];

const CANNED_ACLS: [CannedAcl; 9] = [
    CannedAcl::Inherit,
    CannedAcl::Private,
    CannedAcl::PublicRead,
    CannedAcl::PublicReadWrite,
    CannedAcl::AuthenticatedRead,
    CannedAcl::BucketOwnerRead,
    CannedAcl::BucketOwnerFullControl,
    CannedAcl::ExecRead,
    CannedAcl::LogDeliveryWrite,
];

const ENCRYPTIONS: [Encryption; 4] =
    [Encryption::Aes256, Encryption::Sm4, Encryption::Kms, Encryption::KmsDualLayer];

/// A value that is added to the model does not compile here until it is added to the lists above.
#[test]
fn the_lists_have_every_value() {
    let is_class = |class: StorageClass| match class {
        StorageClass::Standard
        | StorageClass::ReducedRedundancy
        | StorageClass::StandardIa
        | StorageClass::OneZoneIa
        | StorageClass::IntelligentTiering
        | StorageClass::ArchiveInstant
        | StorageClass::Archive
        | StorageClass::ColdArchive
        | StorageClass::DeepArchive
        | StorageClass::MultiAzStandard
        | StorageClass::MultiAzStandardIa
        | StorageClass::MultiAzIntelligentTiering => STORAGE_CLASSES.contains(&class),
    };
    let is_acl = |acl: CannedAcl| match acl {
        CannedAcl::Inherit
        | CannedAcl::Private
        | CannedAcl::PublicRead
        | CannedAcl::PublicReadWrite
        | CannedAcl::AuthenticatedRead
        | CannedAcl::BucketOwnerRead
        | CannedAcl::BucketOwnerFullControl
        | CannedAcl::ExecRead
        | CannedAcl::LogDeliveryWrite => CANNED_ACLS.contains(&acl),
    };
    let is_encryption = |encryption: Encryption| match encryption {
        Encryption::Aes256 | Encryption::Sm4 | Encryption::Kms | Encryption::KmsDualLayer => {
            ENCRYPTIONS.contains(&encryption)
        }
    };
    assert!(STORAGE_CLASSES.into_iter().all(is_class) && CANNED_ACLS.into_iter().all(is_acl));
    assert!(ENCRYPTIONS.into_iter().all(is_encryption));
}

/// If two dialects had one name, the second one could not be selected.
#[test]
fn names_of_dialects_profiles_and_signatures_are_unique() {
    let known = list_configurable_dialects();
    let mut names: Vec<&str> =
        known.iter().flat_map(|row| std::iter::once(row.name).chain(row.profiles.iter().copied())).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{names:?}");
    let mut signatures: Vec<&str> = known.iter().flat_map(|row| row.signatures.iter().copied()).collect();
    let count = signatures.len();
    signatures.sort_unstable();
    signatures.dedup();
    assert_eq!(signatures.len(), count, "{signatures:?}");
    for dialect in DIALECTS {
        let first = DIALECTS.iter().find(|other| other.family == dialect.family).unwrap();
        assert_eq!(first.name, dialect.family, "the first dialect of a family has the family's name");
    }
}
