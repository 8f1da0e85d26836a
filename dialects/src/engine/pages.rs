//! Pages of versions and of uploads that are under way.

use crate::engine::dialect::Dialect;
use crate::engine::documents::{
    Unsound, class_name, class_word, decoder, owner, read_flag, read_number, yes_no,
};
use crate::engine::etag;
use crate::model::{Listed, Upload, Uploads, Version, Versions};
use crate::wire::date;
use crate::wire::xml::{Node, Writer};

/// The version of an object from a time without versions, as every dialect names it in requests.
const NO_VERSION: &str = "null";

/// Writes ListVersionsResult.
pub fn write_versions(dialect: &Dialect, page: &Versions, out: &mut Writer) {
    let encode = |key: &str| if page.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    out.open_root("ListVersionsResult", dialect.xml.namespace);
    for name in dialect.xml.versions {
        let text = match *name {
            "Name" => Some(page.bucket.clone()),
            "Prefix" => Some(encode(&page.prefix)),
            "KeyMarker" => Some(encode(&page.key_marker)),
            "VersionIdMarker" => Some(page.version_marker.clone()),
            "NextKeyMarker" => page.next_key_marker.as_deref().filter(|_| page.truncated).map(encode),
            "NextVersionIdMarker" => page.next_version_marker.clone().filter(|_| page.truncated),
            "MaxKeys" => Some(page.max_keys.to_string()),
            "Delimiter" => delimiter(dialect, page.delimiter.as_deref(), encode),
            "EncodingType" => page.encoded.then(|| "url".to_owned()),
            "IsTruncated" => Some(yes_no(page.truncated).to_owned()),
            _ => None,
        };
        match text {
            Some(text) if page.truncated && name.starts_with("Next") => out.exact(name, &text),
            Some(text) => out.text(name, &text),
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
    out.close("ListVersionsResult");
}

fn delimiter(dialect: &Dialect, delimiter: Option<&str>, encode: impl Fn(&str) -> String) -> Option<String> {
    delimiter.map(encode).or_else(|| dialect.xml.empty_delimiter.then(String::new))
}

fn write_prefixes(prefixes: &[String], encode: impl Fn(&str) -> String, out: &mut Writer) {
    for prefix in prefixes {
        out.open("CommonPrefixes");
        out.text("Prefix", &encode(prefix));
        out.close("CommonPrefixes");
    }
}

fn write_version(dialect: &Dialect, version: &Version, encode: impl Fn(&str) -> String, out: &mut Writer) {
    let element = if version.delete_marker { "DeleteMarker" } else { "Version" };
    let object = &version.object;
    out.open(element);
    for name in dialect.xml.version {
        match *name {
            "Key" => out.text(name, &encode(&object.key)),
            "VersionId" => out.text(name, &version.id),
            "IsLatest" => out.text(name, yes_no(version.latest)),
            "LastModified" => out.text(name, &object.modified.map(date::iso).unwrap_or_default()),
            "Owner" => owner(name, out),
            _ if version.delete_marker => {}
            "ETag" => out.text(name, &etag::quoted(dialect, &object.etag)),
            "Type" => out.text(name, if object.etag.contains('-') { "Multipart" } else { "Normal" }),
            "Size" => out.text(name, &object.size.to_string()),
            "StorageClass" => out.text(name, &class_word(dialect, object.class.as_deref())),
            _ => {}
        }
    }
    out.close(element);
}

/// Writes ListMultipartUploadsResult.
pub fn write_uploads(dialect: &Dialect, page: &Uploads, out: &mut Writer) {
    let encode = |key: &str| if page.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    out.open_root("ListMultipartUploadsResult", dialect.xml.namespace);
    for name in dialect.xml.uploads {
        let text = match *name {
            "Bucket" => Some(page.bucket.clone()),
            "Prefix" => Some(encode(&page.prefix)),
            "KeyMarker" => Some(encode(&page.key_marker)),
            "UploadIdMarker" => Some(page.upload_marker.clone()),
            "NextKeyMarker" => Some(encode(page.next_key_marker.as_deref().unwrap_or_default())),
            "NextUploadIdMarker" => Some(page.next_upload_marker.clone().unwrap_or_default()),
            "MaxUploads" => Some(page.max_uploads.to_string()),
            "Delimiter" => delimiter(dialect, page.delimiter.as_deref(), encode),
            "EncodingType" | "Encoding-Type" => page.encoded.then(|| "url".to_owned()),
            "IsTruncated" => Some(yes_no(page.truncated).to_owned()),
            _ => None,
        };
        match text {
            Some(text) if page.truncated && name.starts_with("Next") => out.exact(name, &text),
            Some(text) => out.text(name, &text),
            None => {}
        }
        match *name {
            "Upload" => page.uploads.iter().for_each(|upload| write_upload(dialect, upload, encode, out)),
            "CommonPrefixes" => write_prefixes(&page.prefixes, encode, out),
            _ => {}
        }
    }
    out.close("ListMultipartUploadsResult");
}

fn write_upload(dialect: &Dialect, upload: &Upload, encode: impl Fn(&str) -> String, out: &mut Writer) {
    out.open("Upload");
    for name in dialect.xml.upload {
        match *name {
            "Key" => out.text(name, &encode(&upload.key)),
            "UploadId" => out.text(name, &upload.id),
            "Initiator" | "Owner" => owner(name, out),
            "StorageClass" => out.text(name, &class_word(dialect, upload.class.as_deref())),
            "Initiated" => out.text(name, &upload.initiated.map(date::iso).unwrap_or_default()),
            _ => {}
        }
    }
    out.close("Upload");
}

/// A text that says something.
fn said(node: &Node, name: &str) -> Option<String> {
    node.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn read_prefixes(
    node: &Node,
    decode: impl Fn(&str) -> Result<String, Unsound>,
) -> Result<Vec<String>, Unsound> {
    let groups = node.all("CommonPrefixes");
    groups.flat_map(|group| group.all("Prefix")).map(|prefix| decode(&prefix.text)).collect()
}

/// Reads ListVersionsResult.
///
/// # Errors
/// [`Unsound::NotTheDocument`].
pub fn read_versions(target: &Dialect, node: &Node) -> Result<Versions, Unsound> {
    let decode = decoder(target, node);
    let mut page = Versions {
        truncated: read_flag(node, "IsTruncated"),
        next_key_marker: said(node, "NextKeyMarker").map(|key| decode(&key)).transpose()?,
        next_version_marker: said(node, "NextVersionIdMarker"),
        prefixes: read_prefixes(node, &decode)?,
        ..Versions::default()
    };
    for child in &node.children {
        let delete_marker = match child.name.as_str() {
            "Version" => false,
            "DeleteMarker" => true,
            _ => continue,
        };
        let size = read_number(child, "Size");
        page.versions.push(Version {
            object: Listed {
                key: decode(child.text_of("Key").ok_or(Unsound::NotTheDocument)?)?,
                modified: child.text_of("LastModified").and_then(date::parse_any),
                etag: child.text_of("ETag").map(etag::bare).unwrap_or_default().to_owned(),
                size: if delete_marker { 0 } else { size.ok_or(Unsound::NotTheDocument)? },
                class: child.text_of("StorageClass").map(|word| class_name(target, word)),
            },
            id: said(child, "VersionId").unwrap_or_else(|| NO_VERSION.to_owned()),
            latest: read_flag(child, "IsLatest"),
            delete_marker,
        });
    }
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
/// [`Unsound::NotTheDocument`].
pub fn read_uploads(target: &Dialect, node: &Node) -> Result<Uploads, Unsound> {
    let decode = decoder(target, node);
    let mut page = Uploads {
        truncated: read_flag(node, "IsTruncated"),
        next_key_marker: said(node, "NextKeyMarker").map(|key| decode(&key)).transpose()?,
        next_upload_marker: said(node, "NextUploadIdMarker"),
        prefixes: read_prefixes(node, &decode)?,
        ..Uploads::default()
    };
    for child in node.all("Upload") {
        page.uploads.push(Upload {
            key: decode(child.text_of("Key").ok_or(Unsound::NotTheDocument)?)?,
            id: said(child, "UploadId").ok_or(Unsound::NotTheDocument)?,
            class: child.text_of("StorageClass").map(|word| class_name(target, word)),
            initiated: child.text_of("Initiated").and_then(date::parse_any),
        });
    }
    if page.next_key_marker.is_none() {
        let last = page.uploads.last();
        page.next_key_marker = last.map(|last| last.key.clone());
        page.next_upload_marker = last.map(|last| last.id.clone());
    }
    Ok(page)
}
