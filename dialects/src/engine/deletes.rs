//! Many objects deleted at once: the list that is asked for, and what became of it.

use crate::engine::dialect::Dialect;
use crate::engine::documents::Unsound;
use crate::model::{Deleted, Fault, Refusal, Unwanted};
use crate::wire::xml::{self, Bounds, Node, Writer};

/// No vendor takes more in one call.
const KEYS_MAX: usize = 1000;

/// Reads a caller's list, and whether it wants to hear of failures only.
///
/// # Errors
/// `MalformedXml`.
pub fn read_list(dialect: &Dialect, body: &[u8]) -> Result<(Vec<Unwanted>, bool), Refusal> {
    let bounds = Bounds::of_list("Object", KEYS_MAX);
    let root = xml::read_within(body, bounds).map_err(|_| Fault::MalformedXml)?;
    if root.name != "Delete" {
        return Err(Fault::MalformedXml.into());
    }
    let mut unwanted = Vec::new();
    for node in root.all("Object") {
        unwanted.push(read_line(dialect, node)?);
    }
    if unwanted.is_empty() || unwanted.len() > KEYS_MAX {
        return Err(Fault::MalformedXml.into());
    }
    let quiet = root.text_of("Quiet").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    Ok((unwanted, quiet))
}

fn read_line(dialect: &Dialect, node: &Node) -> Result<Unwanted, Refusal> {
    let text = |name: &str| node.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let key = text("Key").ok_or(Fault::MalformedXml)?;
    crate::engine::read::check_key(dialect, &key)?;
    let own = ["Key", "VersionId", "ETag"];
    if let Some(condition) = node.children.iter().find(|child| !own.contains(&child.name.as_str())) {
        // Passing over a condition would delete what it guards.
        return Err(Refusal::new(Fault::NotImplemented).with("Header", condition.name.clone()));
    }
    Ok(Unwanted { key, version: text("VersionId"), etag: text("ETag") })
}

/// Writes the list for a target. It is asked for every line, whatever the caller wants to hear: what is not told to
/// be deleted was not.
pub fn write_list(target: &Dialect, unwanted: &[Unwanted]) -> Vec<u8> {
    let mut out = Writer::default();
    out.open_root("Delete", target.xml.namespace);
    out.text("Quiet", "false");
    for line in unwanted {
        out.open("Object");
        out.text("Key", &line.key);
        if let Some(version) = &line.version {
            out.text("VersionId", version);
        }
        if let Some(etag) = &line.etag {
            out.text("ETag", &crate::engine::etag::quoted(target, etag));
        }
        out.close("Object");
    }
    out.close("Delete");
    out.finish()
}

/// Reads what a target did.
///
/// # Errors
/// [`Unsound::NotTheDocument`].
pub fn read_result(
    target: &Dialect,
    root: &Node,
    decode: impl Fn(&str) -> Result<String, Unsound>,
) -> Result<Vec<Deleted>, Unsound> {
    let text =
        |node: &Node, name: &str| node.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let mut lines = Vec::new();
    for node in &root.children {
        let failed = match node.name.as_str() {
            "Deleted" => None,
            "Error" => {
                let code = node.text_of("Code").unwrap_or_default();
                let row = target.faults.iter().find(|row| row.code == code);
                Some(row.map_or(Fault::InternalError, |row| row.fault))
            }
            _ => continue,
        };
        lines.push(Deleted {
            key: decode(node.text_of("Key").ok_or(Unsound::NotTheDocument)?)?,
            version: text(node, "VersionId"),
            delete_marker: text(node, "DeleteMarkerVersionId"),
            is_marker: text(node, "DeleteMarker").is_some_and(|text| text == "true"),
            failed,
        });
    }
    Ok(lines)
}

/// What became of each line that was asked for: one that the target says nothing of was not deleted.
pub fn completed(asked: &[Unwanted], mut told: Vec<Deleted>) -> Vec<Deleted> {
    let mut lines = Vec::new();
    for line in asked {
        let same = |told: &Deleted| {
            // A delete marker that was removed may be named as that only.
            let named = told.version == line.version || told.delete_marker == line.version;
            told.key == line.key && (line.version.is_none() || named)
        };
        lines.push(match told.iter().position(same) {
            Some(at) => Deleted { version: line.version.clone(), ..told.swap_remove(at) },
            None => Deleted {
                key: line.key.clone(),
                version: line.version.clone(),
                failed: Some(Fault::InternalError),
                ..Deleted::default()
            },
        });
    }
    lines
}

/// Writes the result for a caller.
pub fn write_result(
    dialect: &Dialect,
    lines: &[Deleted],
    quiet: bool,
    encode: impl Fn(&str) -> String,
    encoded: bool,
) -> Vec<u8> {
    if quiet && dialect.xml.deleted_by_absence {
        return Vec::new();
    }
    let mut out = Writer::shown();
    out.open_root("DeleteResult", dialect.xml.namespace);
    if encoded {
        out.text("EncodingType", "url");
    }
    for line in lines {
        match line.failed {
            None if quiet => {}
            None => write_deleted(line, &encode(&line.key), &mut out),
            Some(_) if dialect.xml.deleted_by_absence => {}
            Some(fault) => write_failed(dialect, line, &encode(&line.key), fault, &mut out),
        }
    }
    out.close("DeleteResult");
    out.finish()
}

fn write_deleted(line: &Deleted, key: &str, out: &mut Writer) {
    out.open("Deleted");
    out.text("Key", key);
    if line.is_marker {
        out.text("DeleteMarker", "true");
    }
    if let Some(marker) = &line.delete_marker {
        out.text("DeleteMarkerVersionId", marker);
    }
    if let Some(version) = &line.version {
        out.text("VersionId", version);
    }
    out.close("Deleted");
}

fn write_failed(dialect: &Dialect, line: &Deleted, key: &str, fault: Fault, out: &mut Writer) {
    out.open("Error");
    out.text("Key", key);
    if let Some(version) = &line.version {
        out.text("VersionId", version);
    }
    if let Some(row) = dialect.fault(fault).or_else(|| dialect.fault(Fault::InternalError)) {
        out.text("Code", row.code);
        out.text("Message", row.message);
    }
    out.close("Error");
}
