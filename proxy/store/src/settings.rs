//! Bucket settings: documents that are validated, kept whole, and given back.
//!
//! One table holds them all, by bucket, setting and id. They are answered here and not by the protocol library, whose
//! types drop elements they do not know. Three of them act: `encryption` on every write, `cors` on every answer, and
//! `ownershipControls` on every ACL; the others are kept for whoever reads them. A policy is refused, since nobody would
//! enforce it.

use crate::attributes::Acl;
use crate::errors::{fault, invalid_argument, not_implemented};
use crate::list::{token, untoken};
use crate::meta::{Bucket, Reading, Setting, Writing};
use crate::objects::Core;
use crate::request::{Facts, query};
use crate::schema::{self, Schema};
use crate::xml::Element;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use percent_encoding::percent_decode_str;
use s3s::{Body, S3Error, S3Response, S3Result};
use std::collections::BTreeMap;

/// The name `cors` is kept under.
pub(crate) const CORS: &str = "cors";
const ENCRYPTION: &str = "encryption";
const LOGGING: &str = "logging";
const LIFECYCLE: &str = "lifecycle";
const OWNERSHIP: &str = "ownershipControls";
/// Who may do what is decided at the front door, before a request comes here.
const POLICY: &str = "policy";
const POLICY_STATUS: &str = "policyStatus";
/// Configurations with ids: of one kind and bucket, and of one page.
const CONFIGURATIONS_MAX: usize = 1000;
const CONFIGURATIONS_PAGE: usize = 100;
const SMALLEST: &str = "x-amz-transition-default-minimum-object-size";

/// What is answered where nothing was set.
#[derive(Clone, Copy)]
enum Unset {
    Missing(&'static str, &'static str),
    Document(&'static str),
}

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    schema: Schema,
    unset: Unset,
    deletable: bool,
    /// The status of a PUT.
    done: StatusCode,
    /// Many of them, told apart by an id: the element around a list of them.
    many: Option<&'static str>,
}

const fn kind(name: &'static str, schema: Schema, unset: Unset) -> Kind {
    Kind { name, schema, unset, deletable: true, done: StatusCode::OK, many: None }
}

const fn several(name: &'static str, schema: Schema, list: &'static str) -> Kind {
    let unset = Unset::Missing("NoSuchConfiguration", "The specified configuration does not exist.");
    Kind { many: Some(list), ..kind(name, schema, unset) }
}

const KINDS: [Kind; 13] = [
    kind(
        CORS,
        schema::CORS,
        Unset::Missing("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
    ),
    kind(
        LIFECYCLE,
        schema::LIFECYCLE,
        Unset::Missing("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
    ),
    Kind {
        done: StatusCode::NO_CONTENT,
        ..kind("tagging", schema::TAGGING, Unset::Missing("NoSuchTagSet", "The TagSet does not exist"))
    },
    kind(
        "website",
        schema::WEBSITE,
        Unset::Missing(
            "NoSuchWebsiteConfiguration",
            "The specified bucket does not have a website configuration",
        ),
    ),
    Kind { deletable: false, ..kind(LOGGING, schema::LOGGING, Unset::Document("<BucketLoggingStatus/>")) },
    // Every bucket of S3 has one: https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    kind(
        ENCRYPTION,
        schema::ENCRYPTION,
        Unset::Document(
            "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
             <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>\
             <BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
        ),
    ),
    kind(
        "publicAccessBlock",
        schema::PUBLIC_ACCESS,
        Unset::Missing(
            "NoSuchPublicAccessBlockConfiguration",
            "The public access block configuration was not found",
        ),
    ),
    Kind {
        deletable: false,
        ..kind(
            "requestPayment",
            schema::PAYMENT,
            Unset::Document(
                "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
            ),
        )
    },
    Kind {
        deletable: false,
        ..kind("accelerate", schema::ACCELERATE, Unset::Document("<AccelerateConfiguration/>"))
    },
    kind(
        OWNERSHIP,
        schema::OWNERSHIP,
        Unset::Missing("OwnershipControlsNotFoundError", "The bucket ownership controls were not found"),
    ),
    several("inventory", schema::INVENTORY, "ListInventoryConfigurationsResult"),
    several("metrics", schema::METRICS, "ListMetricsConfigurationsResult"),
    several("intelligent-tiering", schema::TIERING, "ListBucketIntelligentTieringConfigurationsOutput"),
];

/// The bucket and the key of a path, decoded; the key is empty where there is none.
pub(crate) fn bucket_and_key(uri: &Uri) -> Option<(String, String)> {
    let path = uri.path().strip_prefix('/')?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    Some((decode(bucket)?, decode(key)?)).filter(|(bucket, _)| s3s::path::check_bucket_name(bucket))
}

/// Answers a request for a setting; none where it is about something else.
pub(crate) async fn answer(
    core: &Core,
    method: &Method,
    uri: &Uri,
    facts: &Facts,
    body: &Bytes,
) -> S3Result<Option<S3Response<Body>>> {
    let Some((bucket, key)) = bucket_and_key(uri) else { return Ok(None) };
    let wanted: Vec<(String, String)> = query(uri).collect();
    let named = |name: &str| wanted.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    if key.is_empty() && (named(POLICY).is_some() || named(POLICY_STATUS).is_some()) {
        return policy(core, method, bucket).await.map(Some);
    }
    let kind = KINDS.into_iter().find(|kind| key.is_empty() && named(kind.name).is_some());
    let Some(kind) = kind else { return Ok(None) };
    let id = named("id").filter(|id| !id.is_empty());
    if let (Some(root), None) = (kind.many, &id) {
        if method != Method::GET {
            return Err(invalid_argument("The specified configuration id is invalid.", "id", ""));
        }
        return list(core, bucket, kind.name, root, named("continuation-token")).await.map(Some);
    }
    let id = id.unwrap_or_default();
    let answer = match *method {
        Method::GET => get(core, bucket, kind, id).await?,
        Method::PUT => put(core, bucket, kind, id, facts, body).await?,
        Method::DELETE if kind.deletable => delete(core, bucket, kind, id).await?,
        _ => return Err(not_allowed(method, kind.name)),
    };
    Ok(Some(answer))
}

fn not_allowed(method: &Method, resource: &str) -> S3Error {
    let elements = [("Method", method.as_str()), ("ResourceType", &resource.to_ascii_uppercase())];
    let message = "The specified method is not allowed against this resource.";
    fault(405, "MethodNotAllowed", message, &elements)
}

/// The protocol library takes a method that a sub-resource does not have for the call without the sub-resource: a
/// `DELETE ?acl` would delete the bucket or the object.
pub(crate) fn check_method(method: &Method, uri: &Uri) -> S3Result<()> {
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
    const LATER_BUCKET: [&str; 6] = [
        "abac",
        "metadataTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "session",
    ];
    const LATER_OBJECT: [&str; 4] = ["renameObject", "annotation", "torrent", ENCRYPTION];
    let Some((_, key)) = bucket_and_key(uri) else { return Ok(()) };
    let is_bucket = key.is_empty();
    let known: &[(&str, &[Method])] = if is_bucket { &BUCKET } else { &OBJECT };
    let later: &[&str] = if is_bucket { &LATER_BUCKET } else { &LATER_OBJECT };
    for (name, value) in query(uri) {
        if value.is_empty() && later.contains(&name.as_str()) {
            return Err(not_implemented(&name));
        }
        let row = known.iter().find(|row| row.0 == name);
        if row.is_some_and(|row| !matches!(*method, Method::GET | Method::HEAD) && !row.1.contains(method)) {
            return Err(not_allowed(method, &name));
        }
    }
    Ok(())
}

fn document(body: String, kind: &'static str, headers: &BTreeMap<String, String>) -> S3Response<Body> {
    let mut response = S3Response::with_status(Body::from(body), StatusCode::OK);
    response.headers = told(headers);
    response.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn told(headers: &BTreeMap<String, String>) -> HeaderMap {
    let pair = |(name, value): (&String, &String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.iter().filter_map(pair).collect()
}

async fn get(core: &Core, bucket: String, kind: Kind, id: String) -> S3Result<S3Response<Body>> {
    let name = bucket.clone();
    let stored = core.meta.read(move |reading| reading.setting(&bucket, kind.name, &id)).await?;
    let Some(setting) = stored else {
        return match kind.unset {
            Unset::Missing(code, message) => Err(fault(404, code, message, &[("BucketName", &name)])),
            Unset::Document(text) => {
                let root = Element::read(text.as_bytes())?;
                Ok(document(root.document(), "application/xml", &BTreeMap::new()))
            }
        };
    };
    Ok(document(setting.document, "application/xml", &setting.headers))
}

async fn list(
    core: &Core,
    bucket: String,
    kind: &'static str,
    root: &str,
    after: Option<String>,
) -> S3Result<S3Response<Body>> {
    let from = after.as_deref().map(untoken).transpose()?.unwrap_or_default();
    let work = move |reading: &Reading| reading.settings(&bucket, kind);
    let all = core.meta.read(work).await?;
    let mut rows = all.into_iter().filter(|(id, _)| *id > from).peekable();
    let (mut children, mut last) = (Vec::new(), String::new());
    while children.len() < CONFIGURATIONS_PAGE {
        let Some((id, setting)) = rows.next() else { break };
        children.push(Element::read(setting.document.as_bytes())?);
        last = id;
    }
    let more = rows.peek().is_some();
    children.extend(after.map(|after| Element::leaf("ContinuationToken", &after)));
    children.push(Element::leaf("IsTruncated", if more { "true" } else { "false" }));
    children.extend(more.then(|| Element::leaf("NextContinuationToken", &token(&last))));
    let list = Element::group(root, children);
    Ok(document(list.document(), "application/xml", &BTreeMap::new()))
}

async fn put(
    core: &Core,
    bucket: String,
    kind: Kind,
    id: String,
    facts: &Facts,
    body: &Bytes,
) -> S3Result<S3Response<Body>> {
    let root = kind.schema.read(body)?;
    let document = root.document();
    if kind.many.is_some() && root.text_of("Id") != Some(id.as_str()) {
        let message = "Document ID does not match the specified configuration ID.";
        return Err(fault(400, "IdMismatch", message, &[]));
    }
    let mut headers = BTreeMap::new();
    if kind.name == LIFECYCLE {
        headers.insert(SMALLEST.to_owned(), smallest(facts)?);
    }
    let answer = headers.clone();
    let work = move |writing: &mut Writing<'_>| {
        let row = writing.bucket(&bucket)?;
        act(writing, &bucket, row, kind, &root)?;
        if kind.many.is_some()
            && writing.setting(&bucket, kind.name, &id)?.is_none()
            && writing.settings(&bucket, kind.name)?.len() >= CONFIGURATIONS_MAX
        {
            let message = "You are attempting to create a new configuration but have already reached the \
                           1,000-configuration limit.";
            return Err(fault(400, "TooManyConfigurations", message, &[]));
        }
        writing.put_setting(&bucket, kind.name, &id, &Setting { document, headers })
    };
    core.meta.write(work).await?;
    let mut response = S3Response::with_status(Body::empty(), kind.done);
    response.headers = told(&answer);
    Ok(response)
}

/// What a setting means to the rest of the store.
fn act(writing: &mut Writing<'_>, bucket: &str, row: Bucket, kind: Kind, root: &Element) -> S3Result<()> {
    match kind.name {
        ENCRYPTION => {
            let managed =
                root.child("Rule").is_some_and(|rule| rule.has("ApplyServerSideEncryptionByDefault"));
            let blocks_customer_keys = schema::blocks_customer_keys(root);
            writing.put_bucket(bucket, &Bucket { managed, blocks_customer_keys, ..row })
        }
        OWNERSHIP => {
            let owner = root.child("Rule").and_then(|rule| rule.text_of("ObjectOwnership"));
            let no_acls = owner == Some("BucketOwnerEnforced");
            if no_acls && row.acl != Acl::Private {
                let message =
                    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
                return Err(fault(400, "InvalidBucketAclWithObjectOwnership", message, &[]));
            }
            writing.put_bucket(bucket, &Bucket { no_acls, ..row })
        }
        LOGGING => {
            let target = root.child("LoggingEnabled").and_then(|row| row.text_of("TargetBucket"));
            match target {
                Some(target) if writing.find_bucket(target)?.is_none() => {
                    let message = "The target bucket for logging does not exist";
                    let elements = [("TargetBucket", target)];
                    Err(fault(400, "InvalidTargetBucketForLogging", message, &elements))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

async fn delete(core: &Core, bucket: String, kind: Kind, id: String) -> S3Result<S3Response<Body>> {
    let work = move |writing: &mut Writing<'_>| {
        let row = writing.bucket(&bucket)?;
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

fn smallest(facts: &Facts) -> S3Result<String> {
    const ALL: &str = "all_storage_classes_128K";
    let Some(value) = facts.headers.get(SMALLEST) else { return Ok(ALL.to_owned()) };
    match value.to_str() {
        Ok(value @ (ALL | "varies_by_storage_class")) => Ok(value.to_owned()),
        other => Err(invalid_argument("Invalid value", SMALLEST, other.unwrap_or_default())),
    }
}

/// Policies: there are none. One that an earlier release kept never meant anything, and can be deleted.
async fn policy(core: &Core, method: &Method, bucket: String) -> S3Result<S3Response<Body>> {
    let wanted = method.clone();
    let work = move |writing: &mut Writing<'_>| {
        writing.bucket(&bucket)?;
        match wanted {
            Method::GET => {
                let elements = [("BucketName", bucket.as_str())];
                Err(fault(404, "NoSuchBucketPolicy", "The bucket policy does not exist", &elements))
            }
            Method::PUT => {
                let message = "A bucket policy would not be enforced here, and is not kept.";
                Err(fault(501, "NotImplemented", message, &[]))
            }
            Method::DELETE => writing.delete_setting(&bucket, POLICY, ""),
            _ => Err(not_allowed(&wanted, POLICY)),
        }
    };
    core.meta.write(work).await?;
    Ok(S3Response::with_status(Body::empty(), StatusCode::NO_CONTENT))
}

/// The CORS rules of a bucket; none where it has none.
pub(crate) fn cors_rules(reading: &Reading, bucket: &str) -> S3Result<Option<Element>> {
    let setting = reading.setting(bucket, CORS, "")?;
    setting.map(|setting| Element::read(setting.document.as_bytes())).transpose()
}
