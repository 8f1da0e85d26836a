//! Bucket settings: documents that are validated, stored completely, and returned unchanged.
//!
//! One table contains them all, by bucket, setting and ID. They are handled here and not by the s3s library. Its
//! types drop unknown elements. Three settings have an effect: `encryption` on every write, `cors` on every response, and
//! `ownershipControls` on every ACL. The others are only stored. A policy is rejected, because this store would not
//! enforce it.

use crate::attributes::Acl;
use crate::bucket::Bucket;
use crate::errors::{invalid_argument_error, not_implemented_error, s3_error};
use crate::list::{decode_token, encode_token};
use crate::meta::{MetadataReader, MetadataWriter, StoredSetting};
use crate::objects::Core;
use crate::request::{RequestHead, parse_query};
use crate::schema::{self, Schema};
use crate::xml::Element;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::{Body, S3Error, S3Response, S3Result};
use std::collections::BTreeMap;

/// The name of the `cors` setting.
pub(crate) const CORS: &str = "cors";
const ENCRYPTION: &str = "encryption";
const LOGGING: &str = "logging";
const LIFECYCLE: &str = "lifecycle";
const OWNERSHIP: &str = "ownershipControls";
/// The proxy authorizes requests before they reach the store.
const POLICY: &str = "policy";
const POLICY_STATUS: &str = "policyStatus";
/// The maximum number of configurations with IDs: per bucket and kind, and per page.
const CONFIGURATIONS_MAX: usize = 1000;
const CONFIGURATIONS_PER_PAGE: usize = 100;
const MINIMUM_OBJECT_SIZE_HEADER: &str = "x-amz-transition-default-minimum-object-size";

/// The response if the setting is not configured.
#[derive(Clone, Copy)]
enum UnsetResponse {
    NotFound(&'static str, &'static str),
    Document(&'static str),
}

#[derive(Clone, Copy)]
struct SettingKind {
    name: &'static str,
    schema: Schema,
    unset_response: UnsetResponse,
    is_deletable: bool,
    /// The status of a PUT.
    put_status: StatusCode,
    /// Several settings with IDs: the root element of a list of them.
    list_element: Option<&'static str>,
}

const fn define_setting(name: &'static str, schema: Schema, unset_response: UnsetResponse) -> SettingKind {
    SettingKind {
        name,
        schema,
        unset_response,
        is_deletable: true,
        put_status: StatusCode::OK,
        list_element: None,
    }
}

const fn define_setting_list(name: &'static str, schema: Schema, list: &'static str) -> SettingKind {
    let unset_response =
        UnsetResponse::NotFound("NoSuchConfiguration", "The specified configuration does not exist.");
    SettingKind { list_element: Some(list), ..define_setting(name, schema, unset_response) }
}

const SETTING_KINDS: [SettingKind; 13] = [
    define_setting(
        CORS,
        schema::CORS,
        UnsetResponse::NotFound("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ),
    define_setting(
        LIFECYCLE,
        schema::LIFECYCLE,
        UnsetResponse::NotFound("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ),
    SettingKind {
        put_status: StatusCode::NO_CONTENT,
        ..define_setting(
            "tagging",
            schema::TAGGING,
            UnsetResponse::NotFound("NoSuchTagSet", "The TagSet does not exist"),
        )
    },
    define_setting(
        "website",
        schema::WEBSITE,
        UnsetResponse::NotFound(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
    ),
    SettingKind {
        is_deletable: false,
        ..define_setting(LOGGING, schema::LOGGING, UnsetResponse::Document("<BucketLoggingStatus/>"))
    },
    // Every bucket of S3 has one: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    define_setting(
        ENCRYPTION,
        schema::ENCRYPTION,
        UnsetResponse::Document(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
             <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
             <BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
        ),
    ),
    define_setting(
        "publicAccessBlock",
        schema::PUBLIC_ACCESS,
        UnsetResponse::NotFound(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
    ),
    SettingKind {
        is_deletable: false,
        ..define_setting(
            "requestPayment",
            schema::PAYMENT,
            UnsetResponse::Document(
                "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
            ),
        )
    },
    SettingKind {
        is_deletable: false,
        ..define_setting(
            "accelerate",
            schema::ACCELERATE,
            UnsetResponse::Document("<AccelerateConfiguration/>"),
        )
    },
    define_setting(
        OWNERSHIP,
        schema::OWNERSHIP,
        UnsetResponse::NotFound(
            "OwnershipControlsNotFoundError",
            "The bucket ownership controls were not found",
        ),
    ),
    define_setting_list("inventory", schema::INVENTORY, "ListInventoryConfigurationsResult"),
    define_setting_list("metrics", schema::METRICS, "ListMetricsConfigurationsResult"),
    define_setting_list(
        "intelligent-tiering",
        schema::TIERING,
        "ListBucketIntelligentTieringConfigurationsOutput",
    ),
];

/// The decoded bucket and key of a path. The key is empty for a bucket.
pub(crate) fn parse_bucket_and_key(uri: &Uri) -> Option<(String, String)> {
    let path = uri.path().strip_prefix('/')?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    Some((decode(bucket)?, decode(key)?)).filter(|(bucket, _)| s3s::path::check_bucket_name(bucket))
}

/// Handles a request for a setting; `None` for any other request.
pub(crate) async fn handle_setting_request(
    core: &Core,
    method: &Method,
    uri: &Uri,
    request_head: &RequestHead,
    body: &Bytes,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = parse_bucket_and_key(uri) else { return Ok(None) };
    let parameters: Vec<(String, String)> = parse_query(uri).collect();
    let find_parameter =
        |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    // Parameters apply to a bucket only if there is no key: `GET /bucket/key?cors` reads the object.
    if key.is_empty() && (find_parameter(POLICY).is_some() || find_parameter(POLICY_STATUS).is_some()) {
        return handle_policy(core, method, bucket).await.map(Some);
    }
    let kind = SETTING_KINDS.into_iter().find(|kind| key.is_empty() && find_parameter(kind.name).is_some());
    let Some(kind) = kind else { return Ok(None) };
    let id = find_parameter("id").filter(|id| !id.is_empty());
    if let (Some(root), None) = (kind.list_element, &id) {
        if method != Method::GET {
            return Err(invalid_argument_error("The specified configuration id is invalid.", "id", ""));
        }
        return list_settings(core, bucket, kind.name, root, find_parameter("continuation-token"))
            .await
            .map(Some);
    }
    let id = id.unwrap_or_default();
    let response = match *method {
        Method::GET => get_setting(core, bucket, kind, id).await?,
        Method::PUT => put_setting(core, bucket, kind, id, request_head, body).await?,
        Method::DELETE if kind.is_deletable => delete_setting(core, bucket, kind, id).await?,
        _ => return Err(method_not_allowed_error(method, kind.name)),
    };
    Ok(Some(response))
}

fn method_not_allowed_error(method: &Method, resource: &str) -> S3Error {
    let elements = [("Method", method.as_str()), ("ResourceType", &resource.to_ascii_uppercase())];
    let message = "The specified method is not allowed against this resource.";
    s3_error(405, "MethodNotAllowed", message, &elements)
}

/// For a method that a subresource does not support, the s3s library calls the operation without the subresource: a
/// `DELETE ?acl` would delete the bucket or the object.
pub(crate) fn check_subresource_method(method: &Method, uri: &Uri) -> S3Result<()> {
    const BUCKET: [(&str, &[Method]); 10] = [
        ("acl", &[Method::PUT]),
        ("location", &[]),
        ("versioning", &[Method::PUT]),
        ("versions", &[]),
        ("uploads", &[]),
        ("object-lock", &[Method::PUT]),
        ("notification", &[Method::PUT]),
        ("policyStatus", &[]),
        (LOGGING, &[Method::PUT]),
        ("requestPayment", &[Method::PUT]),
    ];
    const OBJECT: [(&str, &[Method]); 5] = [
        ("acl", &[Method::PUT]),
        ("attributes", &[]),
        ("retention", &[Method::PUT]),
        ("legal-hold", &[Method::PUT]),
        ("restore", &[Method::POST]),
    ];
    // Newer subresources that the library does not know. Without this check it would ignore the parameter and, for
    // example, list the bucket.
    const LATER_BUCKET: [&str; 6] = [
        "abac",
        "metadataTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "session",
    ];
    const LATER_OBJECT: [&str; 4] = ["renameObject", "annotation", "torrent", ENCRYPTION];
    let Some((_, key)) = parse_bucket_and_key(uri) else { return Ok(()) };
    let is_bucket = key.is_empty();
    let known: &[(&str, &[Method])] = if is_bucket { &BUCKET } else { &OBJECT };
    let later: &[&str] = if is_bucket { &LATER_BUCKET } else { &LATER_OBJECT };
    for (name, value) in parse_query(uri) {
        if value.is_empty() && later.contains(&name.as_str()) {
            return Err(not_implemented_error(&name));
        }
        let row = known.iter().find(|row| row.0 == name);
        if row.is_some_and(|row| !matches!(*method, Method::GET | Method::HEAD) && !row.1.contains(method)) {
            return Err(method_not_allowed_error(method, &name));
        }
    }
    Ok(())
}

fn build_document_response(
    body: String,
    kind: &'static str,
    headers: &BTreeMap<String, String>,
) -> S3Response<Body> {
    let mut response = S3Response::with_status(Body::from(body), StatusCode::OK);
    response.headers = to_header_map(headers);
    response.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn to_header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    let pair = |(name, value): (&String, &String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.iter().filter_map(pair).collect()
}

async fn get_setting(
    core: &Core,
    bucket: String,
    kind: SettingKind,
    id: String,
) -> S3Result<S3Response<Body>> {
    let name = bucket.clone();
    let stored = core.meta.read(move |reading| reading.find_setting(&bucket, kind.name, &id)).await?;
    let Some(setting) = stored else {
        return match kind.unset_response {
            UnsetResponse::NotFound(code, message) => {
                Err(s3_error(404, code, message, &[("BucketName", &name)]))
            }
            UnsetResponse::Document(text) => {
                let root = Element::parse(text.as_bytes())?;
                Ok(build_document_response(root.to_document(), "application/xml", &BTreeMap::new()))
            }
        };
    };
    Ok(build_document_response(setting.document, "application/xml", &setting.headers))
}

async fn list_settings(
    core: &Core,
    bucket: String,
    kind: &'static str,
    root: &str,
    after: Option<String>,
) -> S3Result<S3Response<Body>> {
    let from = after.as_deref().map(decode_token).transpose()?.unwrap_or_default();
    let work = move |reading: &MetadataReader| reading.list_settings(&bucket, kind);
    let all = core.meta.read(work).await?;
    let mut rows = all.into_iter().filter(|(id, _)| *id > from).peekable();
    let (mut children, mut last) = (Vec::new(), String::new());
    while children.len() < CONFIGURATIONS_PER_PAGE {
        let Some((id, setting)) = rows.next() else { break };
        children.push(Element::parse(setting.document.as_bytes())?);
        last = id;
    }
    // S3 has no token on the last page, so the page must know whether another row follows.
    let more = rows.peek().is_some();
    children.extend(after.map(|after| Element::with_text("ContinuationToken", &after)));
    children.push(Element::with_text("IsTruncated", if more { "true" } else { "false" }));
    children.extend(more.then(|| Element::with_text("NextContinuationToken", &encode_token(&last))));
    let list = Element::with_children(root, children);
    Ok(build_document_response(list.to_document(), "application/xml", &BTreeMap::new()))
}

async fn put_setting(
    core: &Core,
    bucket: String,
    kind: SettingKind,
    id: String,
    request_head: &RequestHead,
    body: &Bytes,
) -> S3Result<S3Response<Body>> {
    let root = kind.schema.read(body)?;
    let document = root.to_document();
    if kind.list_element.is_some() && root.child_text("Id") != Some(id.as_str()) {
        let message = "Document ID does not match the specified configuration ID.";
        return Err(s3_error(400, "IdMismatch", message, &[]));
    }
    let mut headers = BTreeMap::new();
    if kind.name == LIFECYCLE {
        headers.insert(MINIMUM_OBJECT_SIZE_HEADER.to_owned(), read_minimum_object_size(request_head)?);
    }
    let response_headers = headers.clone();
    let work = move |writing: &mut MetadataWriter<'_>| {
        let row = writing.get_bucket(&bucket)?;
        apply_setting(writing, &bucket, row, kind, &root)?;
        if kind.list_element.is_some()
            && writing.find_setting(&bucket, kind.name, &id)?.is_none()
            && writing.list_settings(&bucket, kind.name)?.len() >= CONFIGURATIONS_MAX
        {
            let message = "You are attempting to create a new configuration but have already reached the \
                           1,000-configuration limit.";
            return Err(s3_error(400, "TooManyConfigurations", message, &[]));
        }
        writing.put_setting(&bucket, kind.name, &id, &StoredSetting { document, headers })
    };
    core.meta.write(work).await?;
    let mut response = S3Response::with_status(Body::empty(), kind.put_status);
    response.headers = to_header_map(&response_headers);
    Ok(response)
}

/// Applies the effect of a setting on the bucket.
fn apply_setting(
    writing: &mut MetadataWriter<'_>,
    bucket: &str,
    row: Bucket,
    kind: SettingKind,
    root: &Element,
) -> S3Result<()> {
    match kind.name {
        ENCRYPTION => {
            let managed =
                root.child("Rule").is_some_and(|rule| rule.has_child("ApplyServerSideEncryptionByDefault"));
            let blocks_customer_keys = schema::blocks_customer_keys(root);
            writing.put_bucket(bucket, &Bucket { managed, blocks_customer_keys, ..row })
        }
        OWNERSHIP => {
            let owner = root.child("Rule").and_then(|rule| rule.child_text("ObjectOwnership"));
            let no_acls = owner == Some("BucketOwnerEnforced");
            if no_acls && row.acl != Acl::Private {
                let message =
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
                return Err(s3_error(400, "InvalidBucketAclWithObjectOwnership", message, &[]));
            }
            writing.put_bucket(bucket, &Bucket { no_acls, ..row })
        }
        LOGGING => {
            let target = root.child("LoggingEnabled").and_then(|row| row.child_text("TargetBucket"));
            match target {
                Some(target) if writing.find_bucket(target)?.is_none() => {
                    let message = "The target bucket for logging does not exist";
                    let elements = [("TargetBucket", target)];
                    Err(s3_error(400, "InvalidTargetBucketForLogging", message, &elements))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

async fn delete_setting(
    core: &Core,
    bucket: String,
    kind: SettingKind,
    id: String,
) -> S3Result<S3Response<Body>> {
    let work = move |writing: &mut MetadataWriter<'_>| {
        let row = writing.get_bucket(&bucket)?;
        match kind.name {
            ENCRYPTION => {
                writing
                    .put_bucket(&bucket, &Bucket { managed: false, blocks_customer_keys: false, ..row })?;
            }
            OWNERSHIP => writing.put_bucket(&bucket, &Bucket { no_acls: false, ..row })?,
            _ => {}
        }
        writing.delete_setting(&bucket, kind.name, &id)
    };
    core.meta.write(work).await?;
    Ok(S3Response::with_status(Body::empty(), StatusCode::NO_CONTENT))
}

fn read_minimum_object_size(request_head: &RequestHead) -> S3Result<String> {
    const ALL: &str = "all_storage_classes_128K";
    let Some(value) = request_head.headers.get(MINIMUM_OBJECT_SIZE_HEADER) else { return Ok(ALL.to_owned()) };
    match value.to_str() {
        Ok(value @ (ALL | "varies_by_storage_class")) => Ok(value.to_owned()),
        other => Err(invalid_argument_error(
            "Invalid value",
            MINIMUM_OBJECT_SIZE_HEADER,
            other.unwrap_or_default(),
        )),
    }
}

/// Policies are not supported. One that an earlier release stored had no effect, and can be deleted.
async fn handle_policy(core: &Core, method: &Method, bucket: String) -> S3Result<S3Response<Body>> {
    let method = method.clone();
    let work = move |writing: &mut MetadataWriter<'_>| {
        writing.get_bucket(&bucket)?;
        match method {
            Method::GET => {
                let elements = [("BucketName", bucket.as_str())];
                Err(s3_error(404, "NoSuchBucketPolicy", "The bucket policy does not exist", &elements))
            }
            Method::PUT => {
                let message = "This store does not enforce bucket policies, so it does not accept them.";
                Err(s3_error(501, "NotImplemented", message, &[]))
            }
            Method::DELETE => writing.delete_setting(&bucket, POLICY, ""),
            _ => Err(method_not_allowed_error(&method, POLICY)),
        }
    };
    core.meta.write(work).await?;
    Ok(S3Response::with_status(Body::empty(), StatusCode::NO_CONTENT))
}

/// The CORS rules of a bucket, if it has any.
pub(crate) fn read_cors_rules(reading: &MetadataReader, bucket: &str) -> S3Result<Option<Element>> {
    let setting = reading.find_setting(bucket, CORS, "")?;
    setting.map(|setting| Element::parse(setting.document.as_bytes())).transpose()
}
