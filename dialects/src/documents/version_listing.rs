//! Pages of object versions and of incomplete multipart uploads.

use crate::dialect::{Dialect, etag};
use crate::documents::delete_objects::NULL_VERSION_ID;
use crate::documents::elements::{
    DocumentError, format_bool, read_flag, read_number, read_restore_status, read_truncated, select_decoder,
    to_canonical_class_name, translate_storage_class, write_owner, write_restore_status,
};
use crate::encoding::date;
use crate::encoding::xml::{Node, XmlWriter};
use crate::model::{ListedObject, ListedUpload, ListedVersion, UploadListing, VersionListing};

/// Writes ListVersionsResult.
pub(crate) fn write_versions(dialect: &Dialect, page: &VersionListing, out: &mut XmlWriter) {
    let encode = |key: &str| if page.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    out.open_root(dialect.xml.roots.versions, dialect.xml.namespace);
    for name in dialect.xml.versions {
        let text = match *name {
            "Name" => page.bucket.clone(),
            "Prefix" => Some(encode(&page.prefix)),
            "KeyMarker" => Some(encode(&page.key_marker)),
            "VersionIdMarker" => Some(page.version_marker.clone()),
            "NextKeyMarker" => page.next_key_marker.as_deref().filter(|_| page.truncated).map(encode),
            "NextVersionIdMarker" => page.next_version_marker.clone().filter(|_| page.truncated),
            "MaxKeys" => Some(page.max_keys.to_string()),
            "Delimiter" => encode_delimiter(dialect, page.delimiter.as_deref(), encode),
            name if dialect.xml.encoding_type_elements.contains(&name) => {
                page.encoded.then(|| "url".to_owned())
            }
            "IsTruncated" => Some(format_bool(page.truncated).to_owned()),
            _ => None,
        };
        match text {
            // Clients send markers back, so no character of them may be replaced.
            Some(text) if page.truncated && name.starts_with("Next") => out.write_unreplaced(name, &text),
            Some(text) => out.write_text(name, &text),
            None => {}
        }
        match *name {
            "Version" => {
                page.versions.iter().for_each(|version| write_version(dialect, version, encode, out))
            }
            "CommonPrefixes" => write_prefixes(&page.prefixes, encode, out),
            _ => {}
        }
    }
    out.close(dialect.xml.roots.versions);
}

fn encode_delimiter(
    dialect: &Dialect,
    delimiter: Option<&str>,
    encode: impl Fn(&str) -> String,
) -> Option<String> {
    delimiter.map(encode).or_else(|| dialect.xml.writes_empty_delimiter.then(String::new))
}

fn write_prefixes(prefixes: &[String], encode: impl Fn(&str) -> String, out: &mut XmlWriter) {
    for prefix in prefixes {
        out.open("CommonPrefixes");
        out.write_text("Prefix", &encode(prefix));
        out.close("CommonPrefixes");
    }
}

fn write_version(
    dialect: &Dialect,
    version: &ListedVersion,
    encode: impl Fn(&str) -> String,
    out: &mut XmlWriter,
) {
    let element = if version.delete_marker { "DeleteMarker" } else { "Version" };
    let object = &version.object;
    out.open(element);
    for name in dialect.xml.version {
        match *name {
            "Key" => out.write_text(name, &encode(&object.key)),
            "VersionId" => out.write_text(name, &version.id),
            "IsLatest" => out.write_text(name, format_bool(version.latest)),
            "LastModified" => {
                out.write_text(name, &object.modified.map(date::format_iso).unwrap_or_default())
            }
            "Owner" => write_owner(name, out),
            // A delete marker has only the elements above.
            _ if version.delete_marker => {}
            "ETag" => out.write_text(name, &etag::quote(dialect, &object.etag)),
            "Type" => out.write_text(name, (dialect.xml.object_type)(&object.etag)),
            "Size" => out.write_text(name, &object.size.to_string()),
            "StorageClass" => {
                out.write_text(name, &translate_storage_class(dialect, object.class.as_deref()))
            }
            "RestoreStatus" => write_restore_status(name, object, out),
            _ => {}
        }
    }
    out.close(element);
}

/// Writes ListMultipartUploadsResult.
pub(crate) fn write_uploads(dialect: &Dialect, page: &UploadListing, out: &mut XmlWriter) {
    let encode = |key: &str| if page.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    out.open_root(dialect.xml.roots.uploads, dialect.xml.namespace);
    for name in dialect.xml.uploads {
        let text = match *name {
            "Bucket" => page.bucket.clone(),
            "Prefix" => Some(encode(&page.prefix)),
            "KeyMarker" => Some(encode(&page.key_marker)),
            "UploadIdMarker" => Some(page.upload_marker.clone()),
            "NextKeyMarker" => Some(encode(page.next_key_marker.as_deref().unwrap_or_default())),
            "NextUploadIdMarker" => Some(page.next_upload_marker.clone().unwrap_or_default()),
            "MaxUploads" => Some(page.max_uploads.to_string()),
            "Delimiter" => encode_delimiter(dialect, page.delimiter.as_deref(), encode),
            name if dialect.xml.encoding_type_elements.contains(&name) => {
                page.encoded.then(|| "url".to_owned())
            }
            "IsTruncated" => Some(format_bool(page.truncated).to_owned()),
            _ => None,
        };
        match text {
            Some(text) if page.truncated && name.starts_with("Next") => out.write_unreplaced(name, &text),
            Some(text) => out.write_text(name, &text),
            None => {}
        }
        match *name {
            "Upload" => page.uploads.iter().for_each(|upload| write_upload(dialect, upload, encode, out)),
            "CommonPrefixes" => write_prefixes(&page.prefixes, encode, out),
            _ => {}
        }
    }
    out.close(dialect.xml.roots.uploads);
}

fn write_upload(
    dialect: &Dialect,
    upload: &ListedUpload,
    encode: impl Fn(&str) -> String,
    out: &mut XmlWriter,
) {
    out.open("Upload");
    for name in dialect.xml.upload {
        match *name {
            "Key" => out.write_text(name, &encode(&upload.key)),
            "UploadId" => out.write_text(name, &upload.id),
            "Initiator" | "Owner" => write_owner(name, out),
            "StorageClass" => {
                out.write_text(name, &translate_storage_class(dialect, upload.class.as_deref()))
            }
            "Initiated" => out.write_text(name, &upload.initiated.map(date::format_iso).unwrap_or_default()),
            _ => {}
        }
    }
    out.close("Upload");
}

/// The text of a child, if it is not empty.
fn read_text(node: &Node, name: &str) -> Option<String> {
    node.child_text(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn read_prefixes(
    node: &Node,
    decode: impl Fn(&str) -> Result<String, DocumentError>,
) -> Result<Vec<String>, DocumentError> {
    let groups = node.children_named("CommonPrefixes");
    groups.flat_map(|group| group.children_named("Prefix")).map(|prefix| decode(&prefix.text)).collect()
}

/// Reads ListVersionsResult.
///
/// # Errors
/// [`DocumentError::Invalid`] if required elements are missing.
pub(crate) fn read_versions(target: &Dialect, node: &Node) -> Result<VersionListing, DocumentError> {
    let decode = select_decoder(target, node);
    let mut page = VersionListing {
        bucket: read_text(node, "Name"),
        truncated: read_truncated(node)?,
        next_key_marker: read_text(node, "NextKeyMarker").map(|key| decode(&key)).transpose()?,
        next_version_marker: read_text(node, "NextVersionIdMarker"),
        prefixes: read_prefixes(node, &decode)?,
        ..VersionListing::default()
    };
    for child in &node.children {
        let delete_marker = match &*child.name {
            "Version" => false,
            "DeleteMarker" => true,
            _ => continue,
        };
        let size = read_number(child, "Size");
        page.versions.push(ListedVersion {
            object: ListedObject {
                key: decode(child.child_text("Key").ok_or(DocumentError::Invalid)?)?,
                modified: child.child_text("LastModified").and_then(date::parse_any),
                etag: child.child_text("ETag").map(etag::strip_quotes).unwrap_or_default().to_owned(),
                size: if delete_marker { 0 } else { size.ok_or(DocumentError::Invalid)? },
                class: child.child_text("StorageClass").map(|word| to_canonical_class_name(target, word)),
                restore: read_restore_status(child),
            },
            // A server may omit the ID of the null version.
            id: read_text(child, "VersionId").unwrap_or_else(|| NULL_VERSION_ID.to_owned()),
            latest: read_flag(child, "IsLatest"),
            delete_marker,
        });
    }
    // Without a marker, clients would request the same page again.
    if page.truncated && page.next_key_marker.is_none() {
        let last = page.versions.last();
        page.next_key_marker = last.map(|last| last.object.key.clone());
        page.next_version_marker = last.map(|last| last.id.clone());
    }
    Ok(page)
}

/// Reads ListMultipartUploadsResult.
///
/// # Errors
/// [`DocumentError::Invalid`] if required elements are missing.
pub(crate) fn read_uploads(target: &Dialect, node: &Node) -> Result<UploadListing, DocumentError> {
    let decode = select_decoder(target, node);
    let mut page = UploadListing {
        bucket: read_text(node, "Bucket"),
        truncated: read_truncated(node)?,
        next_key_marker: read_text(node, "NextKeyMarker").map(|key| decode(&key)).transpose()?,
        next_upload_marker: read_text(node, "NextUploadIdMarker"),
        prefixes: read_prefixes(node, &decode)?,
        ..UploadListing::default()
    };
    for child in node.children_named("Upload") {
        page.uploads.push(ListedUpload {
            key: decode(child.child_text("Key").ok_or(DocumentError::Invalid)?)?,
            id: read_text(child, "UploadId").ok_or(DocumentError::Invalid)?,
            class: child.child_text("StorageClass").map(|word| to_canonical_class_name(target, word)),
            initiated: child.child_text("Initiated").and_then(date::parse_any),
        });
    }
    // Unlike the page of versions, the last page of uploads has markers too.
    if page.next_key_marker.is_none() {
        let last = page.uploads.last();
        page.next_key_marker = last.map(|last| last.key.clone());
        page.next_upload_marker = last.map(|last| last.id.clone());
    }
    Ok(page)
}
