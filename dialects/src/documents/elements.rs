//! Elements that several documents have: owners, flags, numbers, storage classes, encoded keys.

use crate::dialect::Dialect;
use crate::encoding::xml::{Node, XmlWriter};
use crate::encoding::{date, percent};
use crate::model::{ErrorDocument, ListedObject, RestoreStatus, StorageClass};

/// Writes the owner, which is the same for all objects.
pub(super) fn write_owner(name: &str, out: &mut XmlWriter) {
    // Callers have no account at the target, so the target's account IDs mean nothing to them.
    out.open(name);
    out.write_text("ID", OWNER_ID);
    out.write_text("DisplayName", OWNER_ID);
    out.close(name);
}

/// The ID of the owner in listings.
pub(crate) const OWNER_ID: &str = "blobfish";

pub(super) fn format_bool(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A storage class in the spelling of the caller dialect.
pub(super) fn translate_storage_class(dialect: &Dialect, class: Option<&str>) -> String {
    let word = match class {
        None => dialect.words.class.word(StorageClass::Standard),
        Some(class) => parse_canonical_class(class).and_then(|class| dialect.words.class.word(class)),
    };
    // A class that the caller dialect does not have keeps its name, because any other class would be wrong.
    word.map_or_else(|| class.unwrap_or_default().to_owned(), str::to_owned)
}

/// Parses the canonical name of a storage class, which responses have between two dialects.
pub(crate) fn parse_canonical_class(name: &str) -> Option<StorageClass> {
    StorageClass::ALL.into_iter().find(|class| class.name() == name)
}

/// The canonical name of a target's storage class.
pub(crate) fn to_canonical_class_name(target: &Dialect, word: &str) -> String {
    let class = target.words.class.value(word);
    class.map_or_else(|| word.to_owned(), |class| class.name().to_owned())
}

/// Why the body of a target's response is not the expected document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentError {
    /// It is an error document, although the status may be one of success.
    ErrorDocument(ErrorDocument),
    /// It is incomplete, empty, or another document.
    Invalid,
}

pub(super) fn read_number(node: &Node, name: &str) -> Option<u64> {
    node.child_text(name).and_then(|text| text.trim().parse().ok())
}

/// Whether more pages follow.
///
/// # Errors
/// [`DocumentError::Invalid`] if the element is missing or has another value.
pub(super) fn read_truncated(node: &Node) -> Result<bool, DocumentError> {
    // A default of `false` would end the listing early, and clients would take the other keys for deleted.
    match node.child_text("IsTruncated").map(str::trim) {
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(DocumentError::Invalid),
    }
}

pub(super) fn read_flag(node: &Node, name: &str) -> bool {
    node.child_text(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// Selects the decoder of a document's keys: percent-decoding if the document states `url` as its encoding type.
pub(super) fn select_decoder<'a>(
    target: &'a Dialect,
    node: &Node,
) -> impl Fn(&str) -> Result<String, DocumentError> + 'a {
    // Some servers ignore `encoding-type=url`, and a key that contains `%` would be decoded to another key.
    let spellings = target.xml.encoding_type_elements;
    let encoded = spellings.iter().any(|name| node.child_text(name) == Some("url"));
    let plus = target.xml.plus_is_space;
    move |text: &str| match (encoded, plus) {
        (false, _) => Ok(text.to_owned()),
        (true, true) => percent::decode_form(text).map_err(|_| DocumentError::Invalid),
        (true, false) => percent::decode(text).map_err(|_| DocumentError::Invalid),
    }
}

/// Writes the state of a restored object, if the target returned it. Targets return it only on request.
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
