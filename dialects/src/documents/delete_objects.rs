//! DeleteObjects: the list of objects in the request, and the result for each of them.

use std::collections::HashMap;

use crate::dialect::Dialect;
use crate::documents::elements::DocumentError;
use crate::encoding::xml;
use crate::encoding::xml::{Node, ParseLimits, XmlWriter};
use crate::model::{DeletedObject, ErrorKind, ObjectToDelete, Rejection};

/// The most keys in one request, which is the same at every vendor.
const KEYS_MAX: usize = 1000;

/// The version ID of an object that was written without versioning. It is the same in every dialect.
pub(super) const NULL_VERSION_ID: &str = "null";

/// Reads the list of a caller's request, and whether the response should contain failures only (`Quiet`).
///
/// # Errors
/// `MalformedXml`.
pub(crate) fn read_delete_list(
    dialect: &Dialect,
    body: &[u8],
) -> Result<(Vec<ObjectToDelete>, bool), Rejection> {
    let bounds = ParseLimits::for_list("Object", KEYS_MAX);
    let root = xml::parse_with_limits(body, bounds).map_err(|_| ErrorKind::MalformedXml)?;
    if root.name != dialect.xml.roots.delete {
        return Err(ErrorKind::MalformedXml.into());
    }
    let mut entries = Vec::new();
    for node in root.children_named("Object") {
        entries.push(read_delete_entry(dialect, node)?);
    }
    if entries.is_empty() || entries.len() > KEYS_MAX {
        return Err(ErrorKind::MalformedXml.into());
    }
    let quiet = root.child_text("Quiet").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    Ok((entries, quiet))
}

fn read_delete_entry(dialect: &Dialect, node: &Node) -> Result<ObjectToDelete, Rejection> {
    let text = |name: &str| node.child_text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let key = text("Key").ok_or(ErrorKind::MalformedXml)?;
    crate::dialect::limits::check_key(dialect, &key)?;
    let known_elements = ["Key", "VersionId", "ETag"];
    if let Some(condition) = node.children.iter().find(|child| !known_elements.contains(&&*child.name)) {
        // An ignored condition would delete an object that the client wanted to keep.
        return Err(Rejection::new(ErrorKind::NotImplemented).with_detail("Header", condition.name.clone()));
    }
    Ok(ObjectToDelete { key, version: text("VersionId"), etag: text("ETag") })
}

/// Writes the list for a target.
pub(crate) fn write_delete_list(target: &Dialect, entries: &[ObjectToDelete]) -> Vec<u8> {
    let mut out = XmlWriter::default();
    out.open_root(target.xml.roots.delete, target.xml.namespace);
    // Never quiet, even if the caller's request is: only an object that the response lists counts as deleted.
    out.write_text("Quiet", "false");
    for entry in entries {
        out.open("Object");
        out.write_text("Key", &entry.key);
        if let Some(version) = &entry.version {
            out.write_text("VersionId", version);
        }
        if let Some(etag) = &entry.etag {
            out.write_text("ETag", &crate::dialect::etag::quote(target, etag));
        }
        out.close("Object");
    }
    out.close(target.xml.roots.delete);
    out.finish()
}

/// Reads a target's result.
///
/// # Errors
/// [`DocumentError::Invalid`] for an entry without a key, or with one that does not decode.
pub(crate) fn read_delete_result(
    target: &Dialect,
    root: &Node,
    decode: impl Fn(&str) -> Result<String, DocumentError>,
) -> Result<Vec<DeletedObject>, DocumentError> {
    let text =
        |node: &Node, name: &str| node.child_text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut lines = Vec::new();
    for node in &root.children {
        let error = match &*node.name {
            "Deleted" => None,
            name if name == target.xml.roots.error => {
                let code = node.child_text("Code").unwrap_or_default();
                let row = target.errors.iter().find(|row| row.code == code);
                Some(row.map_or(ErrorKind::InternalError, |row| row.kind))
            }
            _ => continue,
        };
        lines.push(DeletedObject {
            key: decode(node.child_text("Key").ok_or(DocumentError::Invalid)?)?,
            version: text(node, "VersionId"),
            delete_marker: text(node, "DeleteMarkerVersionId"),
            made_or_removed_marker: text(node, "DeleteMarker").is_some_and(|text| text == "true"),
            error,
        });
    }
    Ok(lines)
}

/// Finds the result of each requested object. An object without a result counts as not deleted.
pub(crate) fn match_delete_results(
    requested: &[ObjectToDelete],
    results: Vec<DeletedObject>,
) -> Vec<DeletedObject> {
    // By key, because a search through all results for each of a thousand objects takes longer than all the rest.
    let mut results_by_key: HashMap<String, Vec<DeletedObject>> = HashMap::new();
    for result in results {
        results_by_key.entry(result.key.clone()).or_default().push(result);
    }
    let mut lines = Vec::new();
    for line in requested {
        let is_same_version = |result: &DeletedObject| {
            // The result for a removed delete marker may have only `DeleteMarkerVersionId`, and the result for a null
            // version may have no version ID.
            let is_null_version =
                result.version.is_none() && line.version.as_deref() == Some(NULL_VERSION_ID);
            let has_same_version =
                result.version == line.version || result.delete_marker == line.version || is_null_version;
            line.version.is_none() || has_same_version
        };
        let result = results_by_key.get_mut(&line.key).and_then(|results| {
            let at = results.iter().position(is_same_version)?;
            Some(results.swap_remove(at))
        });
        lines.push(match result {
            Some(result) => DeletedObject { version: line.version.clone(), ..result },
            None => DeletedObject {
                key: line.key.clone(),
                version: line.version.clone(),
                error: Some(ErrorKind::InternalError),
                ..DeletedObject::default()
            },
        });
    }
    lines
}

/// Writes the result for the caller.
pub(crate) fn write_delete_result(
    dialect: &Dialect,
    lines: &[DeletedObject],
    quiet: bool,
    encode: impl Fn(&str) -> String,
    encoded: bool,
) -> Vec<u8> {
    if quiet && dialect.xml.omits_deleted_document {
        return Vec::new();
    }
    let mut out = XmlWriter::new_lossy();
    out.open_root(dialect.xml.roots.deleted, dialect.xml.namespace);
    if let Some(name) = dialect.xml.encoding_type_elements.first().filter(|_| encoded) {
        out.write_text(name, "url");
    }
    for line in lines {
        match line.error {
            None if quiet => {}
            None => write_deleted_entry(line, &encode(&line.key), &mut out),
            Some(_) if dialect.xml.omits_deleted_document => {}
            Some(kind) => write_error_entry(dialect, line, &encode(&line.key), kind, &mut out),
        }
    }
    out.close(dialect.xml.roots.deleted);
    out.finish()
}

fn write_deleted_entry(line: &DeletedObject, key: &str, out: &mut XmlWriter) {
    out.open("Deleted");
    out.write_text("Key", key);
    if line.made_or_removed_marker {
        out.write_text("DeleteMarker", "true");
    }
    if let Some(marker) = &line.delete_marker {
        out.write_text("DeleteMarkerVersionId", marker);
    }
    if let Some(version) = &line.version {
        out.write_text("VersionId", version);
    }
    out.close("Deleted");
}

fn write_error_entry(
    dialect: &Dialect,
    line: &DeletedObject,
    key: &str,
    kind: ErrorKind,
    out: &mut XmlWriter,
) {
    out.open(dialect.xml.roots.error);
    out.write_text("Key", key);
    if let Some(version) = &line.version {
        out.write_text("VersionId", version);
    }
    if let Some(row) = dialect.error_row(kind).or_else(|| dialect.error_row(ErrorKind::InternalError)) {
        out.write_text("Code", row.code);
        out.write_text("Message", row.message);
    }
    out.close(dialect.xml.roots.error);
}
