//! Elements that several documents have: owners, flags, numbers, storage classes, encoded keys.

use crate::dialect::Dialect;
use crate::encoding::xml::{Node, XmlWriter};
use crate::encoding::{date, percent};
use crate::model::{ErrorDocument, ListedObject, RestoreStatus, StorageClass};

/// The one owner that callers see: they hold no account at the target.
pub(super) fn write_owner(name: &str, out: &mut XmlWriter) {
    out.open(name);
    out.write_text("ID", OWNER_ID);
    out.write_text("DisplayName", OWNER_ID);
    out.close(name);
}

/// Id of the owner shown in listings.
pub const OWNER_ID: &str = "blobfish";

pub(super) fn format_bool(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A class in the caller's words; what the caller has no word for is shown as the vendor said it.
pub(super) fn translate_storage_class(dialect: &Dialect, class: Option<&str>) -> String {
    let word = match class {
        None => dialect.words.class.word(StorageClass::Standard),
        Some(class) => parse_canonical_class(class).and_then(|class| dialect.words.class.word(class)),
    };
    word.map_or_else(|| class.unwrap_or_default().to_owned(), str::to_owned)
}

/// The canonical classes by name, as answers carry them between two dialects.
pub fn parse_canonical_class(name: &str) -> Option<StorageClass> {
    STORAGE_CLASSES.iter().find(|class| format!("{class:?}") == name).copied()
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

/// A target's class as answers carry it on.
pub fn to_canonical_class_name(target: &Dialect, word: &str) -> String {
    target.words.class.value(word).map_or_else(|| word.to_owned(), |class| format!("{class:?}"))
}

/// Why a target's body is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// It is an error document, whatever the status said.
    ErrorDocument(ErrorDocument),
    /// It is cut, empty, or something else.
    Invalid,
}

pub(super) fn read_number(node: &Node, name: &str) -> Option<u64> {
    node.child_text(name).and_then(|text| text.trim().parse().ok())
}

/// Whether there is more than a page: without it nobody knows whether the page is the end.
pub(super) fn read_truncated(node: &Node) -> Result<bool, DocumentError> {
    match node.child_text("IsTruncated").map(str::trim) {
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(DocumentError::Invalid),
    }
}

pub(super) fn read_flag(node: &Node, name: &str) -> bool {
    node.child_text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// Undoes `encoding-type=url` where the target says that it did it.
pub(super) fn select_decoder<'a>(
    target: &'a Dialect,
    node: &Node,
) -> impl Fn(&str) -> Result<String, DocumentError> + 'a {
    let spellings = ["EncodingType", "Encoding-type", "Encoding-Type"];
    let encoded = spellings.into_iter().any(|name| node.child_text(name) == Some("url"));
    let plus = target.xml.plus_is_space;
    move |text: &str| match (encoded, plus) {
        (false, _) => Ok(text.to_owned()),
        (true, true) => percent::decode_form(text).map_err(|_| DocumentError::Invalid),
        (true, false) => percent::decode(text).map_err(|_| DocumentError::Invalid),
    }
}

/// Writes the state of a restored object where the target returned it, which it does only when asked.
pub(super) fn write_restore_status(name: &str, object: &ListedObject, out: &mut XmlWriter) {
    let Some(restore) = object.restore else { return };
    out.open(name);
    out.write_text("IsRestoreInProgress", if restore.is_in_progress { "true" } else { "false" });
    if let Some(expires) = restore.expires {
        out.write_text("RestoreExpiryDate", &date::format_iso(expires));
    }
    out.close(name);
}

pub(super) fn read_restore_status(node: &Node) -> Option<RestoreStatus> {
    let restore = node.child("RestoreStatus")?;
    Some(RestoreStatus {
        is_in_progress: read_flag(restore, "IsRestoreInProgress"),
        expires: restore.child_text("RestoreExpiryDate").and_then(date::parse_any),
    })
}
