//! The documents of responses, and of CompleteMultipartUpload requests. Element names are the same in all dialects.
//! Order, namespace, date formats and additional elements are in each dialect's
//! [`XmlStyle`](crate::dialect::XmlStyle).

use crate::dialect::response_context::{ResponseContext, derive_trace_id};
use crate::dialect::{BucketInfoDocument, Dialect, etag};
use crate::documents::elements::{
    DocumentError, format_bool, read_flag, read_number, read_restore_status, read_truncated, select_decoder,
    to_canonical_class_name, translate_storage_class, write_owner, write_restore_status,
};
use crate::documents::{acl_documents, delete_objects, settings_documents, version_listing};
use crate::encoding::xml::{Node, ParseLimits, XmlWriter};
use crate::encoding::{date, xml};
use crate::model::{
    AccessControlList, BucketInfo, BucketListing, ChecksumAlgorithm, Checksums, CopyResult, Document,
    ErrorDocument, ErrorKind, ListedObject, ObjectListing, Operation, Part, PartListing, Rejection, Setting,
    StorageClass, Timestamp,
};

/// The most parts of an upload, which is the same at every vendor.
const PARTS_MAX: usize = 10_000;

/// Writes a document in the caller dialect.
pub fn write_document(
    dialect: &Dialect,
    document: &Document,
    listener: &ResponseContext,
    request_id: &str,
) -> Vec<u8> {
    let mut out = XmlWriter::new_lossy();
    let (roots, namespace) = (&dialect.xml.roots, dialect.xml.namespace);
    match document {
        Document::CopyObject(result) => write_copy_result(dialect, roots.copy, result, &mut out),
        Document::CopyPart(result) => write_copy_result(dialect, roots.part_copy, result, &mut out),
        Document::Initiated { bucket, key, upload_id, encoded } => {
            out.open_root(roots.multipart_initiated, namespace);
            for name in dialect.xml.multipart_initiated {
                match *name {
                    name if *encoded && dialect.xml.encoding_type_elements.contains(&name) => {
                        out.write_text(name, "url")
                    }
                    "Bucket" => out.write_text(name, bucket),
                    "Key" if *encoded => out.write_text(name, &(dialect.xml.encode_key)(key)),
                    "Key" => out.write_text(name, key),
                    "UploadId" => out.write_text(name, upload_id),
                    _ => {}
                }
            }
            out.close(roots.multipart_initiated);
        }
        Document::Completed { bucket, key, etag, checksums, encoded } => {
            out.open_root(roots.multipart_completed, dialect.xml.multipart_completed_namespace.or(namespace));
            for name in dialect.xml.multipart_completed {
                match *name {
                    name if *encoded && dialect.xml.encoding_type_elements.contains(&name) => {
                        out.write_text(name, "url")
                    }
                    "Location" => out.write_text(name, &format!("http://{}{}", listener.host, listener.path)),
                    "Bucket" => out.write_text(name, bucket),
                    "Key" if *encoded => out.write_text(name, &(dialect.xml.encode_key)(key)),
                    "Key" => out.write_text(name, key),
                    "ETag" => out.write_text(name, &etag::quote(dialect, etag)),
                    _ => {}
                }
            }
            write_checksums(dialect, checksums, &mut out);
            out.close(roots.multipart_completed);
        }
        Document::Parts(list) => write_part_list(dialect, list, &mut out),
        Document::Objects(listing) => write_object_listing(dialect, listing, &mut out),
        Document::Buckets(list) => write_bucket_list(dialect, list, &mut out),
        Document::Versions(page) => version_listing::write_versions(dialect, page, &mut out),
        Document::Uploads(page) => version_listing::write_uploads(dialect, page, &mut out),
        Document::Deleted { results: lines, quiet, encoded } => {
            let encode = |key: &str| if *encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
            return delete_objects::write_delete_result(dialect, lines, *quiet, encode, *encoded);
        }
        Document::Setting(setting, tree) => {
            if let Some(form) = dialect.setting_schema(*setting) {
                out.write_root(&settings_documents::write_setting(dialect, form, tree).0, namespace);
            }
        }
        Document::Verbatim(_, bytes) => return bytes.clone(),
        Document::AccessControlPolicy(access) => acl_documents::write_acl_document(dialect, access, &mut out),
        Document::Location(region) => {
            out.write_root_text(roots.location, &(dialect.xml.format_location)(region), namespace);
        }
        Document::BucketInfo(info) => {
            if let Some(document) = dialect.xml.bucket_info {
                write_bucket_info(dialect, document, info, &listener.host, &mut out);
            }
        }
        Document::PostResponse { location, bucket, key, etag } => {
            out.open(roots.form_upload);
            out.write_text("Location", location);
            out.write_text("Bucket", bucket);
            out.write_text("Key", key);
            out.write_text("ETag", etag);
            out.close(roots.form_upload);
        }
        Document::Attributes(tree) => out.write_root(tree, namespace),
        Document::Error(error) => write_error(dialect, error, listener, request_id, &mut out),
    }
    out.finish()
}

fn write_copy_result(dialect: &Dialect, root: &str, result: &CopyResult, out: &mut XmlWriter) {
    out.open_root(root, dialect.xml.namespace);
    for name in dialect.xml.copy {
        let text = match *name {
            "ETag" => Some(etag::quote(dialect, &result.etag)),
            "LastModified" => result.modified.map(|at| format_time(at, dialect.xml.copy_milliseconds)),
            "CRC64" => result.crc64.clone(),
            "VersionId" => result.version.clone(),
            _ => None,
        };
        if let Some(text) = text {
            out.write_text(name, &text);
        }
    }
    write_checksums(dialect, &result.checksums, out);
    out.close(root);
}

/// Writes algorithm, values and type of checksums (Amazon S3 API Reference, CopyObject and CompleteMultipartUpload,
/// "Response Syntax").
fn write_checksums(dialect: &Dialect, checksums: &Checksums, out: &mut XmlWriter) {
    if !dialect.has_checksums_in_documents() {
        return;
    }
    let algorithm = checksums.algorithm.iter().map(|text| ("ChecksumAlgorithm".to_owned(), text));
    let values = checksums.values.iter().map(|(algorithm, text)| (format_checksum_element(*algorithm), text));
    let kind = checksums.kind.iter().map(|text| ("ChecksumType".to_owned(), text));
    for (name, text) in algorithm.chain(values).chain(kind) {
        out.write_text(&name, text);
    }
}

fn format_checksum_element(algorithm: ChecksumAlgorithm) -> String {
    format!("Checksum{}", algorithm.name())
}

fn read_checksums(node: &Node) -> Checksums {
    let text = |name: &str| {
        node.child_text(name).map(str::trim).filter(|text| is_header_text(text)).map(str::to_owned)
    };
    let value = |algorithm: ChecksumAlgorithm| Some((algorithm, text(&format_checksum_element(algorithm))?));
    Checksums {
        values: ChecksumAlgorithm::ALL.into_iter().filter_map(value).collect(),
        kind: text("ChecksumType"),
        algorithm: text("ChecksumAlgorithm"),
    }
}

fn format_time(at: Timestamp, milliseconds: bool) -> String {
    if milliseconds { date::format_iso(at) } else { date::format_iso_seconds(at) }
}

fn write_part_list(dialect: &Dialect, list: &PartListing, out: &mut XmlWriter) {
    out.open_root(dialect.xml.roots.parts, dialect.xml.namespace);
    let encode = |key: &str| if list.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    for name in dialect.xml.parts {
        match *name {
            "Bucket" => out.write_text(name, &list.bucket),
            "Key" => out.write_text(name, &encode(&list.key)),
            "UploadId" => out.write_text(name, &list.upload_id),
            name if list.encoded && dialect.xml.encoding_type_elements.contains(&name) => {
                out.write_text(name, "url");
            }
            "StorageClass" => out.write_text(name, &translate_storage_class(dialect, list.class.as_deref())),
            "PartNumberMarker" => out.write_text(name, &list.marker.to_string()),
            "NextPartNumberMarker" => out.write_text(name, &list.next_marker.to_string()),
            "MaxParts" => out.write_text(name, &list.max_parts.to_string()),
            "IsTruncated" => out.write_text(name, format_bool(list.truncated)),
            "Initiator" | "Owner" => write_owner(name, out),
            "Part" => {
                for (part, modified, size) in &list.parts {
                    out.open("Part");
                    out.write_text("PartNumber", &part.number.to_string());
                    if let Some(at) = modified {
                        out.write_text("LastModified", &date::format_iso(*at));
                    }
                    out.write_text("ETag", &etag::quote(dialect, &part.etag));
                    out.write_text("Size", &size.to_string());
                    write_checksums(dialect, &part.checksums, out);
                    out.close("Part");
                }
            }
            _ => {}
        }
    }
    write_checksums(dialect, &list.checksums, out);
    out.close(dialect.xml.roots.parts);
}

fn write_object_listing(dialect: &Dialect, listing: &ObjectListing, out: &mut XmlWriter) {
    out.open_root(dialect.xml.roots.objects, dialect.xml.namespace);
    let encode = |key: &str| if listing.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    let token =
        |token: &str| if dialect.xml.encodes_continuation_token { encode(token) } else { token.to_owned() };
    let order = if listing.is_v2 { dialect.xml.objects_v2 } else { dialect.xml.objects };
    for name in order {
        let text = match *name {
            "Name" => Some(listing.bucket.clone()),
            "Prefix" => Some(encode(&listing.prefix)),
            "Marker" => Some(encode(listing.marker.as_deref().unwrap_or_default())),
            "NextMarker" => listing.next_marker.as_deref().filter(|_| listing.truncated).map(encode),
            "StartAfter" => listing.start_after.as_deref().map(encode),
            "ContinuationToken" => listing.continuation_token.as_deref().map(token),
            "NextContinuationToken" => {
                listing.next_continuation_token.as_deref().filter(|_| listing.truncated).map(token)
            }
            "KeyCount" => Some(listing.objects.len().saturating_add(listing.prefixes.len()).to_string()),
            "MaxKeys" => Some(listing.max_keys.to_string()),
            "Delimiter" => listing
                .delimiter
                .as_deref()
                .map(encode)
                .or_else(|| dialect.xml.writes_empty_delimiter.then(String::new)),
            name if dialect.xml.encoding_type_elements.contains(&name) => {
                listing.encoded.then(|| "url".to_owned())
            }
            "IsTruncated" => Some(format_bool(listing.truncated).to_owned()),
            _ => None,
        };
        match text {
            // Clients send markers and tokens back, so no character of them may be replaced.
            Some(text) if name.starts_with("Next") => out.write_unreplaced(name, &text),
            Some(text) => out.write_text(name, &text),
            None => {}
        }
        match *name {
            "Contents" => {
                // Clients of ListObjects may use the last key of a page as the marker of the next one.
                let marker = listing.objects.last().filter(|_| listing.truncated && !listing.is_v2);
                for object in &listing.objects {
                    let exact = marker.is_some_and(|last| std::ptr::eq(last, object));
                    write_listed_object(dialect, listing, object, exact, out);
                }
            }
            "CommonPrefixes" => {
                for prefix in &listing.prefixes {
                    out.open("CommonPrefixes");
                    out.write_text("Prefix", &encode(prefix));
                    out.close("CommonPrefixes");
                }
            }
            _ => {}
        }
    }
    out.close(dialect.xml.roots.objects);
}

fn write_listed_object(
    dialect: &Dialect,
    listing: &ObjectListing,
    object: &ListedObject,
    must_be_exact: bool,
    out: &mut XmlWriter,
) {
    out.open("Contents");
    for name in dialect.xml.listed_object {
        match *name {
            "Key" if listing.encoded => out.write_text(name, &(dialect.xml.encode_key)(&object.key)),
            "Key" if must_be_exact => out.write_unreplaced(name, &object.key),
            "Key" => out.write_text(name, &object.key),
            "LastModified" => {
                out.write_text(name, &object.modified.map(date::format_iso).unwrap_or_default())
            }
            "ETag" => out.write_text(name, &etag::quote(dialect, &object.etag)),
            "Type" => out.write_text(name, (dialect.xml.object_type)(&object.etag)),
            "Size" => out.write_text(name, &object.size.to_string()),
            "StorageClass" => {
                out.write_text(name, &translate_storage_class(dialect, object.class.as_deref()))
            }
            "Owner" if listing.include_owners => write_owner(name, out),
            "RestoreStatus" => write_restore_status(name, object, out),
            _ => {}
        }
    }
    out.close("Contents");
}

fn write_bucket_list(dialect: &Dialect, list: &BucketListing, out: &mut XmlWriter) {
    let truncated = list.next_page.is_some();
    let has_paging =
        if dialect.xml.buckets_paging_when_truncated { truncated } else { list.is_paged || truncated };
    out.open_root(dialect.xml.roots.buckets, dialect.xml.namespace);
    for name in dialect.xml.buckets {
        match *name {
            "Owner" => {
                out.open(name);
                out.write_text("ID", &list.owner);
                out.write_text("DisplayName", &list.owner);
                out.close(name);
            }
            "Buckets" => write_bucket_rows(dialect, list, out),
            "ContinuationToken" | "NextMarker" => {
                if let Some(next) = &list.next_page {
                    out.write_text(name, next);
                }
            }
            "Prefix"
                if has_paging && (list.prefix.is_some() || dialect.xml.buckets_paging_when_truncated) =>
            {
                out.write_text(name, list.prefix.as_deref().unwrap_or_default());
            }
            "Marker" if has_paging => out.write_text(name, list.marker.as_deref().unwrap_or_default()),
            "MaxKeys" if has_paging => out.write_text(name, &list.max_keys.to_string()),
            "IsTruncated" if has_paging => out.write_text(name, format_bool(truncated)),
            _ => {}
        }
    }
    out.close(dialect.xml.roots.buckets);
}

fn write_bucket_rows(dialect: &Dialect, list: &BucketListing, out: &mut XmlWriter) {
    out.open("Buckets");
    for (bucket, created, region) in &list.buckets {
        out.open("Bucket");
        for name in dialect.xml.bucket {
            match *name {
                "Name" => out.write_text(name, bucket),
                "CreationDate" => {
                    out.write_text(name, &format_time(*created, dialect.xml.bucket_milliseconds))
                }
                "Location" => out.write_text(name, &(dialect.xml.format_location)(region)),
                "BucketRegion" if list.is_paged => out.write_text(name, region),
                "Region" => out.write_text(name, region),
                name if dialect.xml.endpoint_elements.contains(&name) => out.write_text(name, &list.host),
                "StorageClass" => out.write_text(name, &translate_storage_class(dialect, None)),
                _ => {}
            }
        }
        out.close("Bucket");
    }
    out.close("Buckets");
}

/// Writes the GetBucketInfo document. The endpoint in it is the one that the client used.
fn write_bucket_info(
    dialect: &Dialect,
    document: &BucketInfoDocument,
    info: &BucketInfo,
    host: &str,
    out: &mut XmlWriter,
) {
    let redundancy = dialect.bucket_settings.redundancy.map(|setting| setting.element);
    out.open(document.root);
    out.open(document.bucket);
    for name in document.children {
        match *name {
            "Name" => out.write_text(name, &info.bucket),
            // SDKs cannot parse the document without a date.
            "CreationDate" => {
                out.write_text(name, &date::format_iso(info.created.unwrap_or(Timestamp(0))));
            }
            "Location" => out.write_text(name, &(dialect.xml.format_location)(&info.region)),
            "StorageClass" => {
                out.write_text(name, &translate_storage_class(dialect, info.class.as_deref()));
            }
            "Versioning" => {
                if let Some(versioning) = info.versioning.as_ref().filter(|word| !word.is_empty()) {
                    out.write_text(name, versioning);
                }
            }
            "Owner" => write_owner(name, out),
            "AccessControlList" => {
                let word = info.access.to_canned().and_then(|acl| dialect.words.acl.word(acl));
                out.open(name);
                out.write_text("Grant", word.unwrap_or_default());
                out.close(name);
            }
            name if dialect.xml.endpoint_elements.contains(&name) => out.write_text(name, host),
            name if redundancy == Some(name) => {
                if let Some(word) = &info.redundancy {
                    out.write_text(name, word);
                }
            }
            _ => {}
        }
    }
    out.close(document.bucket);
    out.close(document.root);
}

fn write_error(
    dialect: &Dialect,
    error: &ErrorDocument,
    listener: &ResponseContext,
    request_id: &str,
    out: &mut XmlWriter,
) {
    out.open(dialect.xml.roots.error);
    for name in dialect.xml.error {
        match *name {
            "Code" => out.write_text(name, &error.code),
            "Message" => out.write_text(name, &error.message),
            "Resource" => out.write_text(name, &format!("{}{}", listener.host, listener.path)),
            // The vendor repeats here which value of which header is not implemented.
            name if has_header_detail(error) && dialect.xml.error_repeat_element == Some(name) => {
                out.write_text(name, &error.message);
            }
            "RequestId" => out.write_text(name, request_id),
            "TraceId" => out.write_text(name, &derive_trace_id(request_id)),
            "HostId" if dialect.common_headers.trace_id_header.is_some() => {
                out.write_text(name, &derive_trace_id(request_id))
            }
            "HostId" => out.write_text(name, &listener.host),
            "*" => {
                for (name, text) in &error.details {
                    out.write_text(name, text);
                }
            }
            _ => {}
        }
    }
    out.close(dialect.xml.roots.error);
}

/// Whether an error names the header that is not implemented.
fn has_header_detail(error: &ErrorDocument) -> bool {
    matches!(error.kind, Some(ErrorKind::NotImplemented | ErrorKind::ConditionNotImplemented))
        && error.details.iter().any(|row| row.0 == "Header")
}

/// Reads the document of a successful response of a target. `None` if the operation has no document.
///
/// # Errors
/// The body is an error document, or not the complete document of this operation.
pub fn read_document(
    target: &Dialect,
    operation: Operation,
    body: &[u8],
) -> Result<Option<Document>, DocumentError> {
    let roots = &target.xml.roots;
    // The status is not enough: vendors send 200 before a long copy ends, and an error in the body after it.
    let read_root = |name: &str| {
        let node = xml::parse(body).map_err(|_| DocumentError::Invalid)?;
        match &*node.name {
            found if found == name => Ok(node),
            found if found == roots.error => Err(DocumentError::ErrorDocument(read_error(target, &node))),
            _ => Err(DocumentError::Invalid),
        }
    };
    match operation {
        Operation::CopyObject => {
            read_copy_result(&read_root(roots.copy)?).map(Document::CopyObject).map(Some)
        }
        Operation::UploadPartCopy => {
            read_copy_result(&read_root(roots.part_copy)?).map(Document::CopyPart).map(Some)
        }
        Operation::CreateMultipartUpload => {
            let node = read_root(roots.multipart_initiated)?;
            let upload_id =
                node.child_text("UploadId").filter(|id| !id.is_empty()).ok_or(DocumentError::Invalid)?;
            let (bucket, key) = read_bucket_and_key(target, &node)?;
            Ok(Some(Document::Initiated { bucket, key, upload_id: upload_id.to_owned(), encoded: false }))
        }
        Operation::CompleteMultipartUpload => {
            let node = read_root(roots.multipart_completed)?;
            let etag = read_etag(&node)?;
            let checksums = read_checksums(&node);
            let (bucket, key) = read_bucket_and_key(target, &node)?;
            Ok(Some(Document::Completed { bucket, key, etag, checksums, encoded: false }))
        }
        Operation::ListParts => {
            read_part_list(target, &read_root(roots.parts)?).map(Document::Parts).map(Some)
        }
        Operation::ListObjects | Operation::ListObjectsV2 => {
            read_object_listing(target, &read_root(roots.objects)?).map(Document::Objects).map(Some)
        }
        Operation::ListBuckets => {
            let node = read_root(roots.buckets)?;
            node.child("Buckets").ok_or(DocumentError::Invalid)?;
            Ok(Some(Document::Buckets(read_bucket_list(&node))))
        }
        Operation::ListObjectVersions => version_listing::read_versions(target, &read_root(roots.versions)?)
            .map(Document::Versions)
            .map(Some),
        Operation::ListMultipartUploads => {
            let page = version_listing::read_uploads(target, &read_root(roots.uploads)?)?;
            Ok(Some(Document::Uploads(page)))
        }
        Operation::DeleteObjects => {
            let node = read_root(roots.deleted)?;
            let lines = delete_objects::read_delete_result(target, &node, select_decoder(target, &node))?;
            Ok(Some(Document::Deleted { results: lines, quiet: false, encoded: false }))
        }
        // A dialect without HEAD for buckets uses a GET of one of the bucket's documents.
        Operation::HeadBucket if target.bucket_head_parameter.is_some() => match xml::parse(body) {
            Ok(node) if node.name == target.xml.roots.error => {
                Err(DocumentError::ErrorDocument(read_error(target, &node)))
            }
            Ok(node) if target.bucket_head_parameter.is_some_and(|probe| is_probe_document(&node, probe)) => {
                Ok(None)
            }
            _ => Err(DocumentError::Invalid),
        },
        Operation::GetBucketLocation => {
            let node = xml::parse(body).map_err(|_| DocumentError::Invalid)?;
            // Some servers return the region as a child of the root of CreateBucket's document.
            let text = match &*node.name {
                found if found == roots.error => {
                    return Err(DocumentError::ErrorDocument(read_error(target, &node)));
                }
                found if found == roots.location => Some(node.text.as_str()),
                _ => node.child_text(roots.location),
            };
            let region = (target.xml.parse_location)(text.ok_or(DocumentError::Invalid)?.trim());
            Ok(Some(Document::Location(region)))
        }
        Operation::GetBucketInfo => {
            let document = target.xml.bucket_info.ok_or(DocumentError::Invalid)?;
            let info = read_bucket_info(target, document, &read_root(document.root)?)
                .ok_or(DocumentError::Invalid)?;
            Ok(Some(Document::BucketInfo(info)))
        }
        Operation::GetObjectAttributes => {
            let node = xml::parse(body).map_err(|_| DocumentError::Invalid)?;
            match &*node.name {
                found if found == roots.error => Err(DocumentError::ErrorDocument(read_error(target, &node))),
                found if roots.attributes.contains(&found) => Ok(Some(Document::Attributes(node))),
                _ => Err(DocumentError::Invalid),
            }
        }
        Operation::Get(setting) => read_setting_document(target, setting, body).map(Some),
        Operation::Put(setting) if is_echoed_setting(target, setting, body) => Ok(None),
        _ => check_no_document(target, body).map(|()| None),
    }
}

/// Whether a body is the document of the setting. Some servers return the document of a PUT.
fn is_echoed_setting(target: &Dialect, setting: Setting, body: &[u8]) -> bool {
    let root = target.setting_schema(setting).map_or("", |form| form.root);
    !root.is_empty() && xml::parse(body).is_ok_and(|node| node.name == root)
}

/// Whether a document's name begins with the query parameter of the request: `LocationConstraint` for `location`.
fn is_probe_document(node: &Node, probe: &str) -> bool {
    node.name.to_ascii_lowercase().starts_with(&probe.to_ascii_lowercase())
}

/// Checks the body of a successful response of an operation without a document.
///
/// # Errors
/// The body is not empty: it is an error document, or the page of another server.
pub(crate) fn check_no_document(target: &Dialect, body: &[u8]) -> Result<(), DocumentError> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    match xml::parse(body) {
        Ok(node) if node.name == target.xml.roots.error => {
            Err(DocumentError::ErrorDocument(read_error(target, &node)))
        }
        _ => Err(DocumentError::Invalid),
    }
}

/// The bucket and the key in a document. Each is empty if the document does not contain it.
fn read_bucket_and_key(target: &Dialect, node: &Node) -> Result<(String, String), DocumentError> {
    let decode = select_decoder(target, node);
    let key = node.child_text("Key").map(&decode).transpose()?;
    Ok((node.child_text("Bucket").unwrap_or_default().to_owned(), key.unwrap_or_default()))
}

fn read_setting_document(target: &Dialect, setting: Setting, body: &[u8]) -> Result<Document, DocumentError> {
    let form = target.setting_schema(setting).ok_or(DocumentError::Invalid)?;
    if form.root.is_empty() {
        let text = body.trim_ascii();
        // A bucket policy is JSON, which is returned unchanged. A body that is cut off has no closing brace.
        let is_object = text.starts_with(b"{") && text.ends_with(b"}");
        return match check_no_document(target, body) {
            Err(DocumentError::Invalid) if is_object => {
                Ok(Document::Verbatim("application/json", body.to_vec()))
            }
            Err(error) => Err(error),
            Ok(()) => Err(DocumentError::Invalid),
        };
    }
    let node = xml::parse(body).map_err(|_| DocumentError::Invalid)?;
    if node.name == target.xml.roots.error {
        return Err(DocumentError::ErrorDocument(read_error(target, &node)));
    }
    let document = match setting.is_acl() {
        true => acl_documents::read_acl_document(target, &node).map(Document::AccessControlPolicy),
        false => settings_documents::parse_target_setting(target, form, &node)
            .map(|tree| Document::Setting(setting, tree)),
    };
    document.ok_or(DocumentError::Invalid)
}

fn read_bucket_info(target: &Dialect, document: &BucketInfoDocument, root: &Node) -> Option<BucketInfo> {
    let node = root.child(document.bucket)?;
    let word = node.child("AccessControlList").and_then(|list| list.child_text("Grant"))?;
    let access = AccessControlList::from_canned(target.words.acl.value(word.trim())?)?;
    let redundancy = target.bucket_settings.redundancy.and_then(|setting| node.child_text(setting.element));
    Some(BucketInfo {
        created: node.child_text("CreationDate").and_then(date::parse_any),
        region: (target.xml.parse_location)(node.child_text("Location").unwrap_or_default()),
        versioning: node.child_text("Versioning").map(str::to_owned),
        access,
        class: node.child_text("StorageClass").map(|word| to_canonical_class_name(target, word.trim())),
        redundancy: redundancy.map(|word| word.trim().to_owned()),
        is_complete: true,
        ..BucketInfo::default()
    })
}

fn read_copy_result(node: &Node) -> Result<CopyResult, DocumentError> {
    Ok(CopyResult {
        etag: read_etag(node)?,
        modified: node.child_text("LastModified").and_then(date::parse_any),
        crc64: node.child_text("CRC64").filter(|text| is_header_text(text)).map(str::to_owned),
        version: node.child_text("VersionId").filter(|text| is_header_text(text)).map(str::to_owned),
        checksums: read_checksums(node),
    })
}

fn read_etag(node: &Node) -> Result<String, DocumentError> {
    let etag = node.child_text("ETag").map(etag::strip_quotes).filter(|etag| is_header_text(etag));
    etag.map(str::to_owned).ok_or(DocumentError::Invalid)
}

/// Whether a text is valid as a header value.
fn is_header_text(text: &str) -> bool {
    // The text may become a header of the response, where a line break would begin another header.
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn read_part_list(target: &Dialect, node: &Node) -> Result<PartListing, DocumentError> {
    let (bucket, key) = read_bucket_and_key(target, node)?;
    let mut list = PartListing {
        bucket,
        key,
        upload_id: node.child_text("UploadId").unwrap_or_default().to_owned(),
        marker: read_number(node, "PartNumberMarker").unwrap_or_default(),
        next_marker: read_number(node, "NextPartNumberMarker").unwrap_or_default(),
        max_parts: read_number(node, "MaxParts").unwrap_or(1000),
        truncated: read_truncated(node)?,
        class: node.child_text("StorageClass").map(|word| to_canonical_class_name(target, word)),
        checksums: read_checksums(node),
        ..PartListing::default()
    };
    for part in node.children_named("Part") {
        let number = read_number(part, "PartNumber").ok_or(DocumentError::Invalid)?;
        let size = read_number(part, "Size").ok_or(DocumentError::Invalid)?;
        let modified = part.child_text("LastModified").and_then(date::parse_any);
        let etag = read_etag(part)?;
        let part = Part { checksums: read_checksums(part), ..Part::new(number, etag) };
        list.parts.push((part, modified, size));
    }
    // Some servers omit the marker, and clients would request the first page again.
    if list.next_marker == 0 {
        list.next_marker = list.parts.last().map_or(0, |part| part.0.number);
    }
    Ok(list)
}

fn read_object_listing(target: &Dialect, node: &Node) -> Result<ObjectListing, DocumentError> {
    let decode = select_decoder(target, node);
    let mut listing = ObjectListing {
        bucket: node.child_text("Name").unwrap_or_default().to_owned(),
        max_keys: read_number(node, "MaxKeys").unwrap_or_default(),
        truncated: read_truncated(node)?,
        ..ObjectListing::default()
    };
    let token = node.child_text("NextContinuationToken").filter(|text| !text.is_empty());
    let decode_token = |token: &str| match target.xml.encodes_continuation_token {
        true => decode(token),
        false => Ok(token.to_owned()),
    };
    listing.next_continuation_token = token.map(decode_token).transpose()?;
    let marker = node.child_text("NextMarker").filter(|text| !text.is_empty());
    listing.next_marker = marker.map(&decode).transpose()?;
    for object in node.children_named("Contents") {
        listing.objects.push(ListedObject {
            key: decode(object.child_text("Key").ok_or(DocumentError::Invalid)?)?,
            modified: object.child_text("LastModified").and_then(date::parse_any),
            etag: object.child_text("ETag").map(etag::strip_quotes).unwrap_or_default().to_owned(),
            size: read_number(object, "Size").ok_or(DocumentError::Invalid)?,
            class: object.child_text("StorageClass").map(|word| to_canonical_class_name(target, word)),
            restore: read_restore_status(object),
        });
    }
    for prefixes in node.children_named("CommonPrefixes") {
        for prefix in prefixes.children_named("Prefix") {
            listing.prefixes.push(decode(&prefix.text)?);
        }
    }
    Ok(listing)
}

fn read_bucket_list(node: &Node) -> BucketListing {
    // Some servers return a marker on the last page too.
    let has_more = node.child_text("IsTruncated").is_none() || read_flag(node, "IsTruncated");
    let next = ["ContinuationToken", "NextMarker"].into_iter().find_map(|name| node.child_text(name));
    let next = next.filter(|next| has_more && !next.is_empty()).map(str::to_owned);
    let mut list = BucketListing { next_page: next, ..BucketListing::default() };
    for bucket in node.child("Buckets").into_iter().flat_map(|buckets| buckets.children_named("Bucket")) {
        let Some(name) = bucket.child_text("Name") else { continue };
        let created = bucket.child_text("CreationDate").and_then(date::parse_any).unwrap_or(Timestamp(0));
        list.buckets.push((name.to_owned(), created, String::new()));
    }
    list
}

/// Reads an error document.
pub(crate) fn read_error(target: &Dialect, node: &Node) -> ErrorDocument {
    let is_identity = |name: &str| target.xml.error_identity.contains(&name);
    let details = node.children.iter().filter(|child| !is_identity(&child.name));
    ErrorDocument {
        kind: None,
        code: node.child_text("Code").unwrap_or_default().to_owned(),
        message: node.child_text("Message").unwrap_or_default().to_owned(),
        details: details.map(|child| (child.name.to_string(), child.text.clone())).collect(),
    }
}

/// Reads the body of a CompleteMultipartUpload request.
///
/// # Errors
/// `MalformedXml`, `InvalidPart`, `InvalidPartOrder`.
pub(crate) fn read_complete_upload(body: &[u8]) -> Result<Vec<Part>, Rejection> {
    let bounds = ParseLimits::for_list("Part", PARTS_MAX);
    let root = xml::parse_with_limits(body, bounds).map_err(|_| ErrorKind::MalformedXml)?;
    let mut parts: Vec<Part> = Vec::new();
    for node in root.children_named("Part") {
        let number = read_number(node, "PartNumber").filter(|number| (1..=10_000).contains(number));
        let number = number.ok_or(ErrorKind::MalformedXml)?;
        let etag = node.child_text("ETag").map(etag::strip_quotes).filter(|etag| !etag.is_empty());
        let etag = etag.ok_or(ErrorKind::MalformedXml)?.to_owned();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(ErrorKind::InvalidPartOrder.into());
        }
        parts.push(Part { checksums: read_checksums(node), ..Part::new(number, etag) });
        if parts.len() > PARTS_MAX {
            return Err(ErrorKind::MalformedXml.into());
        }
    }
    if parts.is_empty() {
        return Err(Rejection::with_message(ErrorKind::MalformedXml, "You must specify at least one part"));
    }
    Ok(parts)
}

/// Reads the settings of a CreateBucket request other than the region, and converts them to the target's spelling. A
/// setting is accepted if the target supports it, or if it is the default.
///
/// # Errors
/// `MalformedXml`, or `NotImplemented` naming the setting.
pub(crate) fn read_bucket_settings(
    caller: &Dialect,
    target: &Dialect,
    body: &[u8],
) -> Result<Node, Rejection> {
    let mut settings = Node::default();
    if body.is_empty() {
        return Ok(settings);
    }
    let root = xml::parse(body).map_err(|_| ErrorKind::MalformedXml)?;
    let redundancy = caller.bucket_settings.redundancy;
    for node in &root.children {
        let text = node.text.trim();
        let class = caller.words.class.value(text);
        let (placement, word, is_default) = match &*node.name {
            name if name == caller.xml.roots.location => continue,
            "StorageClass" => (
                target.bucket_settings.class,
                class.and_then(|class| target.words.class.word(class)),
                class == Some(StorageClass::Standard),
            ),
            name if redundancy.is_some_and(|setting| setting.element == name) => (
                target.bucket_settings.redundancy.map(|setting| setting.location),
                redundancy.and_then(|setting| setting.words.iter().copied().find(|word| *word == text)),
                redundancy.and_then(|setting| setting.words.first()).is_some_and(|least| *least == text),
            ),
            _ => (None, None, false),
        };
        match (placement, word) {
            (Some(_), Some(word)) => settings.children.push(xml::text_node(&node.name, word)),
            _ if is_default => {}
            _ => {
                return Err(Rejection::with_message(
                    ErrorKind::NotImplemented,
                    format!("The bucket setting {} is not translated between these services.", node.name),
                )
                .with_detail("Header", node.name.clone()));
            }
        }
    }
    Ok(settings)
}

/// Writes the body of a CompleteMultipartUpload request to a target.
pub(crate) fn write_complete_upload(target: &Dialect, parts: &[Part]) -> Vec<u8> {
    let mut out = XmlWriter::default();
    out.open_root(target.xml.roots.complete_multipart, target.xml.namespace);
    for part in parts {
        out.open("Part");
        out.write_text("PartNumber", &part.number.to_string());
        out.write_text("ETag", &etag::quote(target, &part.etag));
        if target.keeps_checksums() {
            write_checksums(target, &part.checksums, &mut out);
        }
        out.close("Part");
    }
    out.close(target.xml.roots.complete_multipart);
    out.finish()
}
