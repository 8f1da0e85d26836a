//! The documents of answers and of completing calls. The elements have the same names everywhere; order,
//! namespace, dates and a few extras are in each dialect's [`XmlStyle`](crate::engine::dialect::XmlStyle).

use crate::engine::dialect::Dialect;
use crate::engine::tell::{Listener, trace};
use crate::engine::{access, deletes, etag, pages, settings};
use crate::model::{
    Access, Algorithm, BucketInfo, BucketList, Checksums, CopyResult, Document, ErrorDocument, Fault, Listed,
    Listing, Operation, Part, PartList, Refusal, Setting, StorageClass, Timestamp,
};
use crate::wire::xml::{self, Bounds, Node, Writer};
use crate::wire::{date, percent};

/// The parts of a completing call; no vendor takes more.
const PARTS_MAX: usize = 10_000;

/// Writes a document in the caller's dialect.
pub fn write(dialect: &Dialect, document: &Document, listener: &Listener, id: &str) -> Vec<u8> {
    let mut out = Writer::shown();
    let namespace = dialect.xml.namespace;
    match document {
        Document::CopyObject(result) => copied(dialect, "CopyObjectResult", result, &mut out),
        Document::CopyPart(result) => copied(dialect, "CopyPartResult", result, &mut out),
        Document::Initiated { bucket, key, upload_id, encoded } => {
            out.open_root("InitiateMultipartUploadResult", namespace);
            for name in dialect.xml.initiated {
                match *name {
                    "EncodingType" if *encoded => out.text(name, "url"),
                    "Bucket" => out.text(name, bucket),
                    "Key" if *encoded => out.text(name, &(dialect.xml.encode_key)(key)),
                    "Key" => out.text(name, key),
                    "UploadId" => out.text(name, upload_id),
                    _ => {}
                }
            }
            out.close("InitiateMultipartUploadResult");
        }
        Document::Completed { bucket, key, etag, checksums, encoded } => {
            out.open_root("CompleteMultipartUploadResult", dialect.xml.namespace_completed.or(namespace));
            for name in dialect.xml.completed {
                match *name {
                    "EncodingType" if *encoded => out.text(name, "url"),
                    "Location" => out.text(name, &format!("http://{}{}", listener.host, listener.path)),
                    "Bucket" => out.text(name, bucket),
                    "Key" if *encoded => out.text(name, &(dialect.xml.encode_key)(key)),
                    "Key" => out.text(name, key),
                    "ETag" => out.text(name, &etag::quoted(dialect, etag)),
                    _ => {}
                }
            }
            write_checksums(dialect, checksums, &mut out);
            out.close("CompleteMultipartUploadResult");
        }
        Document::Parts(list) => parts(dialect, list, &mut out),
        Document::Objects(listing) => objects(dialect, listing, &mut out),
        Document::Buckets(list) => buckets(dialect, list, &mut out),
        Document::Versions(page) => pages::write_versions(dialect, page, &mut out),
        Document::Uploads(page) => pages::write_uploads(dialect, page, &mut out),
        Document::Deleted { lines, quiet, encoded } => {
            let encode = |key: &str| if *encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
            return deletes::write_result(dialect, lines, *quiet, encode, *encoded);
        }
        Document::Setting(setting, tree) => {
            if let Some(form) = dialect.form(*setting) {
                out.root(&settings::write(dialect, form, tree).0, namespace);
            }
        }
        Document::Verbatim(_, bytes) => return bytes.clone(),
        Document::Access(access) => access::write(dialect, access, &mut out),
        Document::Location(region) => {
            out.root_text("LocationConstraint", &(dialect.xml.location)(region), namespace);
        }
        Document::Info(info) => bucket_info(dialect, info, &listener.host, &mut out),
        Document::Posted { location, bucket, key, etag } => {
            out.open("PostResponse");
            out.text("Location", location);
            out.text("Bucket", bucket);
            out.text("Key", key);
            out.text("ETag", etag);
            out.close("PostResponse");
        }
        Document::Attributes(tree) => out.root(tree, namespace),
        Document::Error(error) => fault(dialect, error, listener, id, &mut out),
    }
    out.finish()
}

fn copied(dialect: &Dialect, root: &str, result: &CopyResult, out: &mut Writer) {
    out.open_root(root, dialect.xml.namespace);
    for name in dialect.xml.copy {
        let text = match *name {
            "ETag" => Some(etag::quoted(dialect, &result.etag)),
            "LastModified" => result.modified.map(|at| time(at, dialect.xml.copy_milliseconds)),
            "CRC64" => result.crc64.clone(),
            "VersionId" => result.version.clone(),
            _ => None,
        };
        if let Some(text) = text {
            out.text(name, &text);
        }
    }
    write_checksums(dialect, &result.checksums, out);
    out.close(root);
}

/// 3.9, 4.8 of the S3 reference: algorithm and type beside the values.
fn write_checksums(dialect: &Dialect, checksums: &Checksums, out: &mut Writer) {
    if !dialect.tells_checksums() {
        return;
    }
    let algorithm = checksums.algorithm.iter().map(|text| ("ChecksumAlgorithm".to_owned(), text));
    let values = checksums.values.iter().map(|(algorithm, text)| (element(*algorithm), text));
    let kind = checksums.kind.iter().map(|text| ("ChecksumType".to_owned(), text));
    for (name, text) in algorithm.chain(values).chain(kind) {
        out.text(&name, text);
    }
}

fn element(algorithm: Algorithm) -> String {
    format!("Checksum{}", algorithm.name())
}

fn read_checksums(node: &Node) -> Checksums {
    let text = |name: &str| node.text_of(name).map(str::trim).filter(|text| is_word(text)).map(str::to_owned);
    let value = |algorithm: Algorithm| Some((algorithm, text(&element(algorithm))?));
    Checksums {
        values: Algorithm::ALL.into_iter().filter_map(value).collect(),
        kind: text("ChecksumType"),
        algorithm: text("ChecksumAlgorithm"),
    }
}

fn time(at: Timestamp, milliseconds: bool) -> String {
    if milliseconds { date::iso(at) } else { date::iso_seconds(at) }
}

fn parts(dialect: &Dialect, list: &PartList, out: &mut Writer) {
    out.open_root("ListPartsResult", dialect.xml.namespace);
    let encode = |key: &str| if list.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    for name in dialect.xml.parts {
        match *name {
            "Bucket" => out.text(name, &list.bucket),
            "Key" => out.text(name, &encode(&list.key)),
            "UploadId" => out.text(name, &list.upload_id),
            "EncodingType" | "Encoding-type" if list.encoded => out.text(name, "url"),
            "StorageClass" => out.text(name, &class_word(dialect, list.class.as_deref())),
            "PartNumberMarker" => out.text(name, &list.marker.to_string()),
            "NextPartNumberMarker" => out.text(name, &list.next_marker.to_string()),
            "MaxParts" => out.text(name, &list.max_parts.to_string()),
            "IsTruncated" => out.text(name, yes_no(list.truncated)),
            "Initiator" | "Owner" => owner(name, out),
            "Part" => {
                for (part, modified, size) in &list.parts {
                    out.open("Part");
                    out.text("PartNumber", &part.number.to_string());
                    if let Some(at) = modified {
                        out.text("LastModified", &date::iso(*at));
                    }
                    out.text("ETag", &etag::quoted(dialect, &part.etag));
                    out.text("Size", &size.to_string());
                    write_checksums(dialect, &part.checksums, out);
                    out.close("Part");
                }
            }
            _ => {}
        }
    }
    write_checksums(dialect, &list.checksums, out);
    out.close("ListPartsResult");
}

fn objects(dialect: &Dialect, listing: &Listing, out: &mut Writer) {
    out.open_root("ListBucketResult", dialect.xml.namespace);
    let encode = |key: &str| if listing.encoded { (dialect.xml.encode_key)(key) } else { key.to_owned() };
    let token = |token: &str| if dialect.xml.encodes_token { encode(token) } else { token.to_owned() };
    let order = if listing.second { dialect.xml.objects_second } else { dialect.xml.objects };
    for name in order {
        let text = match *name {
            "Name" => Some(listing.bucket.clone()),
            "Prefix" => Some(encode(&listing.prefix)),
            "Marker" => Some(encode(listing.marker.as_deref().unwrap_or_default())),
            "NextMarker" => listing.next_marker.as_deref().filter(|_| listing.truncated).map(encode),
            "StartAfter" => listing.start_after.as_deref().map(encode),
            "ContinuationToken" => listing.token.as_deref().map(token),
            "NextContinuationToken" => listing.next_token.as_deref().filter(|_| listing.truncated).map(token),
            "KeyCount" => Some(listing.objects.len().saturating_add(listing.prefixes.len()).to_string()),
            "MaxKeys" => Some(listing.max_keys.to_string()),
            "Delimiter" => listing
                .delimiter
                .as_deref()
                .map(encode)
                .or_else(|| dialect.xml.empty_delimiter.then(String::new)),
            "EncodingType" => listing.encoded.then(|| "url".to_owned()),
            "IsTruncated" => Some(yes_no(listing.truncated).to_owned()),
            _ => None,
        };
        match text {
            Some(text) if name.starts_with("Next") => out.exact(name, &text),
            Some(text) => out.text(name, &text),
            None => {}
        }
        match *name {
            "Contents" => {
                // The next page of the first version may begin behind the last key of this one.
                let marker = listing.objects.last().filter(|_| listing.truncated && !listing.second);
                for object in &listing.objects {
                    let exact = marker.is_some_and(|last| std::ptr::eq(last, object));
                    listed(dialect, listing, object, exact, out);
                }
            }
            "CommonPrefixes" => {
                for prefix in &listing.prefixes {
                    out.open("CommonPrefixes");
                    out.text("Prefix", &encode(prefix));
                    out.close("CommonPrefixes");
                }
            }
            _ => {}
        }
    }
    out.close("ListBucketResult");
}

fn listed(dialect: &Dialect, listing: &Listing, object: &Listed, exact: bool, out: &mut Writer) {
    out.open("Contents");
    for name in dialect.xml.listed {
        match *name {
            "Key" if listing.encoded => out.text(name, &(dialect.xml.encode_key)(&object.key)),
            "Key" if exact => out.exact(name, &object.key),
            "Key" => out.text(name, &object.key),
            "LastModified" => out.text(name, &object.modified.map(date::iso).unwrap_or_default()),
            "ETag" => out.text(name, &etag::quoted(dialect, &object.etag)),
            "Type" => out.text(name, if object.etag.contains('-') { "Multipart" } else { "Normal" }),
            "Size" => out.text(name, &object.size.to_string()),
            "StorageClass" => out.text(name, &class_word(dialect, object.class.as_deref())),
            "Owner" if listing.owners => owner(name, out),
            _ => {}
        }
    }
    out.close("Contents");
}

fn buckets(dialect: &Dialect, list: &BucketList, out: &mut Writer) {
    let truncated = list.next.is_some();
    let pages = if dialect.xml.buckets_paging_when_truncated { truncated } else { list.limited || truncated };
    out.open_root("ListAllMyBucketsResult", dialect.xml.namespace);
    for name in dialect.xml.buckets {
        match *name {
            "Owner" => {
                out.open(name);
                out.text("ID", &list.owner);
                out.text("DisplayName", &list.owner);
                out.close(name);
            }
            "Buckets" => bucket_rows(dialect, list, out),
            "ContinuationToken" | "NextMarker" => {
                if let Some(next) = &list.next {
                    out.text(name, next);
                }
            }
            "Prefix" if pages && (list.prefix.is_some() || dialect.xml.buckets_paging_when_truncated) => {
                out.text(name, list.prefix.as_deref().unwrap_or_default());
            }
            "Marker" if pages => out.text(name, list.marker.as_deref().unwrap_or_default()),
            "MaxKeys" if pages => out.text(name, &list.max_keys.to_string()),
            "IsTruncated" if pages => out.text(name, yes_no(truncated)),
            _ => {}
        }
    }
    out.close("ListAllMyBucketsResult");
}

fn bucket_rows(dialect: &Dialect, list: &BucketList, out: &mut Writer) {
    out.open("Buckets");
    for (bucket, created, region) in &list.buckets {
        out.open("Bucket");
        for name in dialect.xml.bucket {
            match *name {
                "Name" => out.text(name, bucket),
                "CreationDate" => out.text(name, &time(*created, dialect.xml.bucket_milliseconds)),
                "Location" => out.text(name, &(dialect.xml.location)(region)),
                "BucketRegion" if list.limited => out.text(name, region),
                "Region" => out.text(name, region),
                "ExtranetEndpoint" | "IntranetEndpoint" => out.text(name, &list.host),
                "StorageClass" => out.text(name, &class_word(dialect, None)),
                _ => {}
            }
        }
        out.close("Bucket");
    }
    out.close("Buckets");
}

/// The overview of a bucket. Its end point is the one that the caller used.
fn bucket_info(dialect: &Dialect, info: &BucketInfo, host: &str, out: &mut Writer) {
    out.open("BucketInfo");
    out.open("Bucket");
    out.text("Name", &info.bucket);
    // Clients cannot read an overview without a date.
    out.text("CreationDate", &date::iso(info.created.unwrap_or(Timestamp(0))));
    out.text("Location", &(dialect.xml.location)(&info.region));
    out.text("ExtranetEndpoint", host);
    out.text("IntranetEndpoint", host);
    out.text("StorageClass", &class_word(dialect, info.class.as_deref()));
    if let Some(redundancy) = &info.redundancy {
        out.text("DataRedundancyType", redundancy);
    }
    if let Some(versioning) = info.versioning.as_ref().filter(|word| !word.is_empty()) {
        out.text("Versioning", versioning);
    }
    owner("Owner", out);
    out.open("AccessControlList");
    let word = info.access.canned().and_then(|acl| dialect.words.acl.word(acl));
    out.text("Grant", word.unwrap_or_default());
    out.close("AccessControlList");
    out.close("Bucket");
    out.close("BucketInfo");
}

fn fault(dialect: &Dialect, error: &ErrorDocument, listener: &Listener, id: &str, out: &mut Writer) {
    out.open("Error");
    for name in dialect.xml.error {
        match *name {
            "Code" => out.text(name, &error.code),
            "Message" => out.text(name, &error.message),
            "Resource" => out.text(name, &format!("{}{}", listener.host, listener.path)),
            "RequestId" => out.text(name, id),
            "TraceId" => out.text(name, &trace(id)),
            "HostId" if dialect.identity.trace_id.is_some() => out.text(name, &trace(id)),
            "HostId" => out.text(name, &listener.host),
            "*" => {
                for (name, text) in &error.details {
                    out.text(name, text);
                }
            }
            _ => {}
        }
    }
    out.close("Error");
}

/// The one owner that callers see: they hold no account at the target.
pub(super) fn owner(name: &str, out: &mut Writer) {
    out.open(name);
    out.text("ID", OWNER);
    out.text("DisplayName", OWNER);
    out.close(name);
}

/// Id of the owner shown in listings.
pub const OWNER: &str = "blobfish";

pub(super) fn yes_no(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// A class in the caller's words; what the caller has no word for is shown as the vendor said it.
pub(super) fn class_word(dialect: &Dialect, class: Option<&str>) -> String {
    let word = match class {
        None => dialect.words.class.word(StorageClass::Standard),
        Some(class) => canonical_class(class).and_then(|class| dialect.words.class.word(class)),
    };
    word.map_or_else(|| class.unwrap_or_default().to_owned(), str::to_owned)
}

/// The canonical classes by name, as answers carry them between two dialects.
pub fn canonical_class(name: &str) -> Option<StorageClass> {
    CLASSES.iter().find(|class| format!("{class:?}") == name).copied()
}

const CLASSES: [StorageClass; 12] = [
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
pub fn class_name(target: &Dialect, word: &str) -> String {
    target.words.class.value(word).map_or_else(|| word.to_owned(), |class| format!("{class:?}"))
}

/// Reads a target's document of success. `None`: the operation has none.
///
/// # Errors
/// `None` inside where the body is not the complete document of this operation: that is no success.
pub fn read(target: &Dialect, operation: Operation, body: &[u8]) -> Result<Option<Document>, Unsound> {
    let root = |name: &str| {
        let node = xml::read(body).map_err(|_| Unsound::NotTheDocument)?;
        match node.name.as_str() {
            found if found == name => Ok(node),
            "Error" => Err(Unsound::Error(read_error(&node))),
            _ => Err(Unsound::NotTheDocument),
        }
    };
    match operation {
        Operation::CopyObject => read_copied(&root("CopyObjectResult")?).map(Document::CopyObject).map(Some),
        Operation::UploadPartCopy => read_copied(&root("CopyPartResult")?).map(Document::CopyPart).map(Some),
        Operation::CreateMultipartUpload => {
            let node = root("InitiateMultipartUploadResult")?;
            let upload_id =
                node.text_of("UploadId").filter(|id| !id.is_empty()).ok_or(Unsound::NotTheDocument)?;
            Ok(Some(Document::Initiated {
                bucket: String::new(),
                key: String::new(),
                upload_id: upload_id.to_owned(),
                encoded: false,
            }))
        }
        Operation::CompleteMultipartUpload => {
            let node = root("CompleteMultipartUploadResult")?;
            let etag = read_etag(&node)?;
            let checksums = read_checksums(&node);
            let (bucket, key) = (String::new(), String::new());
            Ok(Some(Document::Completed { bucket, key, etag, checksums, encoded: false }))
        }
        Operation::ListParts => {
            read_parts_list(target, &root("ListPartsResult")?).map(Document::Parts).map(Some)
        }
        Operation::ListObjects | Operation::ListObjectsV2 => {
            read_listing(target, &root("ListBucketResult")?).map(Document::Objects).map(Some)
        }
        Operation::ListBuckets => {
            let node = root("ListAllMyBucketsResult")?;
            Ok(Some(Document::Buckets(read_buckets(&node))))
        }
        Operation::ListObjectVersions => {
            pages::read_versions(target, &root("ListVersionsResult")?).map(Document::Versions).map(Some)
        }
        Operation::ListMultipartUploads => {
            let page = pages::read_uploads(target, &root("ListMultipartUploadsResult")?)?;
            Ok(Some(Document::Uploads(page)))
        }
        Operation::DeleteObjects => {
            let node = root("DeleteResult")?;
            let lines = deletes::read_result(target, &node, decoder(target, &node))?;
            Ok(Some(Document::Deleted { lines, quiet: false, encoded: false }))
        }
        Operation::GetBucketLocation => {
            let node = xml::read(body).map_err(|_| Unsound::NotTheDocument)?;
            // Some servers put it into the element of a bucket's creation.
            let text = match node.name.as_str() {
                "Error" => return Err(Unsound::Error(read_error(&node))),
                "LocationConstraint" => Some(node.text.as_str()),
                _ => node.text_of("LocationConstraint"),
            };
            let region = (target.xml.read_location)(text.ok_or(Unsound::NotTheDocument)?.trim());
            Ok(Some(Document::Location(region)))
        }
        Operation::GetBucketInfo => {
            let node = root("BucketInfo")?;
            read_info(target, node.child("Bucket").ok_or(Unsound::NotTheDocument)?).map(Some)
        }
        Operation::GetObjectAttributes => {
            let node = xml::read(body).map_err(|_| Unsound::NotTheDocument)?;
            match node.name.as_str() {
                "Error" => Err(Unsound::Error(read_error(&node))),
                // Documents and servers disagree on the name.
                "GetObjectAttributesResponse" | "GetObjectAttributesOutput" => {
                    Ok(Some(Document::Attributes(node)))
                }
                _ => Err(Unsound::NotTheDocument),
            }
        }
        Operation::Get(setting) => read_setting(target, setting, body).map(Some),
        _ => Ok(None),
    }
}

fn read_setting(target: &Dialect, setting: Setting, body: &[u8]) -> Result<Document, Unsound> {
    let form = target.form(setting).ok_or(Unsound::NotTheDocument)?;
    if form.root.is_empty() {
        return Ok(Document::Verbatim("application/json", body.to_vec()));
    }
    let node = xml::read(body).map_err(|_| Unsound::NotTheDocument)?;
    if node.name == "Error" {
        return Err(Unsound::Error(read_error(&node)));
    }
    let document = match setting.is_access() {
        true => access::read(target, &node).map(Document::Access),
        false => settings::read_told(target, form, &node).map(|tree| Document::Setting(setting, tree)),
    };
    document.ok_or(Unsound::NotTheDocument)
}

fn read_info(target: &Dialect, node: &Node) -> Result<Document, Unsound> {
    let list = node.child("AccessControlList").and_then(|list| list.text_of("Grant"));
    let acl = list.and_then(|word| target.words.acl.value(word.trim()));
    let access = acl.and_then(Access::of_canned).ok_or(Unsound::NotTheDocument)?;
    Ok(Document::Info(BucketInfo {
        created: node.text_of("CreationDate").and_then(date::parse_any),
        region: (target.xml.read_location)(node.text_of("Location").unwrap_or_default()),
        versioning: node.text_of("Versioning").map(str::to_owned),
        access,
        class: node.text_of("StorageClass").map(|word| class_name(target, word.trim())),
        redundancy: node.text_of("DataRedundancyType").map(|word| word.trim().to_owned()),
        gathered: true,
        ..BucketInfo::default()
    }))
}

/// Why a target's body is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsound {
    /// It is an error document, whatever the status said.
    Error(ErrorDocument),
    /// It is cut, empty, or something else.
    NotTheDocument,
}

fn read_copied(node: &Node) -> Result<CopyResult, Unsound> {
    Ok(CopyResult {
        etag: read_etag(node)?,
        modified: node.text_of("LastModified").and_then(date::parse_any),
        crc64: node.text_of("CRC64").filter(|text| is_word(text)).map(str::to_owned),
        version: node.text_of("VersionId").filter(|text| is_word(text)).map(str::to_owned),
        checksums: read_checksums(node),
    })
}

fn read_etag(node: &Node) -> Result<String, Unsound> {
    let etag = node.text_of("ETag").map(etag::bare).filter(|etag| is_word(etag));
    etag.map(str::to_owned).ok_or(Unsound::NotTheDocument)
}

/// What may also be told in a header.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

pub(super) fn read_number(node: &Node, name: &str) -> Option<u64> {
    node.text_of(name).and_then(|text| text.trim().parse().ok())
}

pub(super) fn read_flag(node: &Node, name: &str) -> bool {
    node.text_of(name).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

/// Undoes `encoding-type=url` where the target says that it did it.
pub(super) fn decoder<'a>(target: &'a Dialect, node: &Node) -> impl Fn(&str) -> Result<String, Unsound> + 'a {
    let spellings = ["EncodingType", "Encoding-type", "Encoding-Type"];
    let encoded = spellings.into_iter().any(|name| node.text_of(name) == Some("url"));
    let plus = target.xml.plus_is_space;
    move |text: &str| match (encoded, plus) {
        (false, _) => Ok(text.to_owned()),
        (true, true) => percent::decode_form(text).map_err(|_| Unsound::NotTheDocument),
        (true, false) => percent::decode(text).map_err(|_| Unsound::NotTheDocument),
    }
}

fn read_parts_list(target: &Dialect, node: &Node) -> Result<PartList, Unsound> {
    let mut list = PartList {
        marker: read_number(node, "PartNumberMarker").unwrap_or_default(),
        next_marker: read_number(node, "NextPartNumberMarker").unwrap_or_default(),
        max_parts: read_number(node, "MaxParts").unwrap_or(1000),
        truncated: read_flag(node, "IsTruncated"),
        class: node.text_of("StorageClass").map(|word| class_name(target, word)),
        checksums: read_checksums(node),
        ..PartList::default()
    };
    for part in node.all("Part") {
        let number = read_number(part, "PartNumber").ok_or(Unsound::NotTheDocument)?;
        let size = read_number(part, "Size").ok_or(Unsound::NotTheDocument)?;
        let modified = part.text_of("LastModified").and_then(date::parse_any);
        let etag = read_etag(part)?;
        let part = Part { checksums: read_checksums(part), ..Part::new(number, etag) };
        list.parts.push((part, modified, size));
    }
    if list.next_marker == 0 {
        list.next_marker = list.parts.last().map_or(0, |part| part.0.number);
    }
    Ok(list)
}

fn read_listing(target: &Dialect, node: &Node) -> Result<Listing, Unsound> {
    let decode = decoder(target, node);
    let mut listing = Listing {
        max_keys: read_number(node, "MaxKeys").unwrap_or_default(),
        truncated: read_flag(node, "IsTruncated"),
        ..Listing::default()
    };
    let token = node.text_of("NextContinuationToken").filter(|text| !text.is_empty());
    let plain = |token: &str| match target.xml.encodes_token {
        true => decode(token),
        false => Ok(token.to_owned()),
    };
    listing.next_token = token.map(plain).transpose()?;
    let marker = node.text_of("NextMarker").filter(|text| !text.is_empty());
    listing.next_marker = marker.map(&decode).transpose()?;
    for object in node.all("Contents") {
        listing.objects.push(Listed {
            key: decode(object.text_of("Key").ok_or(Unsound::NotTheDocument)?)?,
            modified: object.text_of("LastModified").and_then(date::parse_any),
            etag: object.text_of("ETag").map(etag::bare).unwrap_or_default().to_owned(),
            size: read_number(object, "Size").ok_or(Unsound::NotTheDocument)?,
            class: object.text_of("StorageClass").map(|word| class_name(target, word)),
        });
    }
    for prefixes in node.all("CommonPrefixes") {
        for prefix in prefixes.all("Prefix") {
            listing.prefixes.push(decode(&prefix.text)?);
        }
    }
    Ok(listing)
}

fn read_buckets(node: &Node) -> BucketList {
    // Some name it where nothing follows.
    let more = node.text_of("IsTruncated").is_none() || read_flag(node, "IsTruncated");
    let next = ["ContinuationToken", "NextMarker"].into_iter().find_map(|name| node.text_of(name));
    let next = next.filter(|next| more && !next.is_empty()).map(str::to_owned);
    let mut list = BucketList { next, ..BucketList::default() };
    for bucket in node.child("Buckets").into_iter().flat_map(|buckets| buckets.all("Bucket")) {
        let Some(name) = bucket.text_of("Name") else { continue };
        let created = bucket.text_of("CreationDate").and_then(date::parse_any).unwrap_or(Timestamp(0));
        list.buckets.push((name.to_owned(), created, String::new()));
    }
    list
}

/// Reads an error document of any vendor: the elements have the same names.
pub fn read_error(node: &Node) -> ErrorDocument {
    let details = node.children.iter().filter(|child| !IDENTITY.contains(&child.name.as_str()));
    ErrorDocument {
        fault: None,
        code: node.text_of("Code").unwrap_or_default().to_owned(),
        message: node.text_of("Message").unwrap_or_default().to_owned(),
        details: details.map(|child| (child.name.clone(), child.text.clone())).collect(),
    }
}

/// Elements of an error that belong to the vendor's request, not to ours.
const IDENTITY: [&str; 9] =
    ["Code", "Message", "RequestId", "HostId", "TraceId", "Resource", "EC", "RecommendDoc", "ServerTime"];

/// Reads the body of a completing call.
///
/// # Errors
/// `MalformedXml`, `InvalidPart`, `InvalidPartOrder`.
pub fn read_parts(body: &[u8]) -> Result<Vec<Part>, Refusal> {
    let bounds = Bounds::of_list("Part", PARTS_MAX);
    let root = xml::read_within(body, bounds).map_err(|_| Fault::MalformedXml)?;
    let mut parts: Vec<Part> = Vec::new();
    for node in root.all("Part") {
        let number = read_number(node, "PartNumber").filter(|number| (1..=10_000).contains(number));
        let number = number.ok_or(Fault::MalformedXml)?;
        let etag = node.text_of("ETag").map(etag::bare).filter(|etag| !etag.is_empty());
        let etag = etag.ok_or(Fault::MalformedXml)?.to_owned();
        if parts.last().is_some_and(|last| last.number >= number) {
            return Err(Fault::InvalidPartOrder.into());
        }
        parts.push(Part { checksums: read_checksums(node), ..Part::new(number, etag) });
        if parts.len() > PARTS_MAX {
            return Err(Fault::MalformedXml.into());
        }
    }
    if parts.is_empty() {
        return Err(Refusal::say(Fault::MalformedXml, "You must specify at least one part"));
    }
    Ok(parts)
}

/// Reads what a creating call says of its bucket beside the region, in the target's own words: only what the target can
/// be told or does by nature is let through.
///
/// # Errors
/// `MalformedXml`, or `NotImplemented` naming the setting.
pub fn read_bucket_settings(caller: &Dialect, target: &Dialect, body: &[u8]) -> Result<Node, Refusal> {
    let mut settings = Node::default();
    if body.is_empty() {
        return Ok(settings);
    }
    let root = xml::read(body).map_err(|_| Fault::MalformedXml)?;
    for node in &root.children {
        let text = node.text.trim();
        let class = caller.words.class.value(text);
        let (place, word, by_nature) = match node.name.as_str() {
            "LocationConstraint" => continue,
            "StorageClass" => (
                target.bucket_settings.class,
                class.and_then(|class| target.words.class.word(class)),
                class == Some(StorageClass::Standard),
            ),
            // One zone is the least that anybody promises.
            "DataRedundancyType" => (
                target.bucket_settings.redundancy,
                ["LRS", "ZRS"].into_iter().find(|word| *word == text),
                text == "LRS",
            ),
            _ => (None, None, false),
        };
        match (place, word) {
            (Some(_), Some(word)) => settings.children.push(settings::leaf(&node.name, word)),
            _ if by_nature => {}
            _ => {
                return Err(Refusal::say(
                    Fault::NotImplemented,
                    format!("The bucket setting {} is not translated between these services.", node.name),
                )
                .with("Header", node.name.clone()));
            }
        }
    }
    Ok(settings)
}

/// Writes the body of a completing call for a target.
pub fn write_parts(target: &Dialect, parts: &[Part]) -> Vec<u8> {
    let mut out = Writer::default();
    out.open_root("CompleteMultipartUpload", target.xml.namespace);
    for part in parts {
        out.open("Part");
        out.text("PartNumber", &part.number.to_string());
        out.text("ETag", &etag::quoted(target, &part.etag));
        if target.keeps_checksums() {
            write_checksums(target, &part.checksums, &mut out);
        }
        out.close("Part");
    }
    out.close("CompleteMultipartUpload");
    out.finish()
}
