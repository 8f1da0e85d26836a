//! Operations that a target does not have and that other operations replace, and responses that need further requests
//! to the target before they are complete.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, etag};
use crate::documents::elements::to_canonical_class_name;
use crate::documents::settings_documents::IGNORABLE_ELEMENTS;
use crate::documents::{acl_documents, delete_objects, settings_documents};
use crate::encoding::xml::{Node, text_node};
use crate::engine::cors;
use crate::model::{
    BucketInfo, CannedAcl, Document, ErrorKind, Field, Operation, Rejection, Request, Response,
    ResponseField, Setting, Value,
};

/// Replaces an operation that the target does not have by one that returns the same information.
pub fn adapt_to_target(route: &Route<'_>, mut request: Request) -> Request {
    if route.target.dialect.find_route(request.operation).is_some() {
        return request;
    }
    match request.operation {
        Operation::GetObjectAttributes => {
            request.operation = Operation::HeadObject;
            // HeadObject does not have these fields; `adapt_to_caller` evaluates them.
            for field in [Field::Attributes, Field::MaxParts, Field::PartNumberMarker] {
                request.fields.remove(field);
            }
        }
        Operation::GetBucketInfo => request.operation = Operation::Get(Setting::BucketAcl),
        // A setting that cannot be deleted is set to the value of a bucket that never had it.
        Operation::Delete(setting) => {
            if let Some(document) = build_unset_document(route.target.dialect, setting) {
                request.operation = Operation::Put(setting);
                request.document = Some(document);
            }
        }
        _ => {}
    }
    request
}

fn build_unset_document(target: &Dialect, setting: Setting) -> Option<Node> {
    target.find_route(Operation::Put(setting)).filter(|_| !setting.is_acl())?;
    let form = target.setting_schema(setting).filter(|form| !form.root.is_empty())?;
    settings_documents::build_unset_setting(form).ok()
}

/// The operation that is sent to a target for this one; `None` if the target has neither it nor a substitute.
pub fn select_target_operation(target: &Dialect, operation: Operation) -> Option<Operation> {
    if target.find_route(operation).is_some() {
        return Some(operation);
    }
    let substitute = match operation {
        Operation::ListObjectsV2 => Operation::ListObjects,
        Operation::GetObjectAttributes => Operation::HeadObject,
        Operation::GetBucketInfo => Operation::Get(Setting::BucketAcl),
        Operation::Delete(setting) if build_unset_document(target, setting).is_some() => {
            Operation::Put(setting)
        }
        _ => return None,
    };
    target.find_route(substitute).map(|route| route.operation)
}

/// How other operations replace one that the target does not have, for the printed matrix.
pub(crate) fn describe_substitute(target: &Dialect, operation: Operation) -> Option<&'static str> {
    let description = match operation {
        Operation::ListObjectsV2 => "with ListObjects",
        Operation::GetObjectAttributes => "with HeadObject",
        Operation::GetBucketInfo => "with the bucket's ACL, its versioning and the list of buckets",
        Operation::Delete(_) => "with an empty setting",
        _ => return None,
    };
    select_target_operation(target, operation).map(|_| description)
}

/// Removes the ACL from CompleteMultipartUpload if the target accepts it only in CreateMultipartUpload or in a
/// request of its own. The caller of this function sets it afterwards.
pub(crate) fn take_deferred_acl(route: &Route<'_>, request: &mut Request) -> Option<Value> {
    let target = route.target.dialect;
    let accepts_acl =
        target.field_name_in(Field::Acl, request.operation).is_some() || !target.supports_field(Field::Acl);
    let put_acl = Operation::Put(Setting::ObjectAcl);
    if request.operation != Operation::CompleteMultipartUpload
        || accepts_acl
        || target.find_route(put_acl).is_none()
    {
        return None;
    }
    match request.fields.get(Field::Acl) {
        Some(Value::Acl(acl)) if target.words.acl.word(*acl).is_some() => request.fields.remove(Field::Acl),
        _ => None,
    }
}

/// A detail that the target's response does not contain and that needs another request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingDetail {
    /// The bucket's ACL, if an object inherits it.
    BucketAcl,
    /// The bucket's versioning state.
    Versioning,
    /// The bucket's creation date.
    CreationDate,
}

impl MissingDetail {
    /// The operation that returns it.
    pub fn operation(self) -> Operation {
        match self {
            Self::BucketAcl => Operation::Get(Setting::BucketAcl),
            Self::Versioning => Operation::Get(Setting::Versioning),
            Self::CreationDate => Operation::ListBuckets,
        }
    }
}

/// The next detail that the response does not contain yet.
pub(crate) fn find_missing_detail(route: &Route<'_>, response: &Response) -> Option<MissingDetail> {
    match &response.document {
        Some(Document::AccessControlPolicy(access)) => {
            let is_missing =
                access.inherits && access.grants.is_empty() && !route.caller.acl_style.canned_in_document;
            is_missing.then_some(MissingDetail::BucketAcl)
        }
        Some(Document::BucketInfo(info)) if info.is_complete => None,
        Some(Document::BucketInfo(info)) if info.versioning.is_none() => Some(MissingDetail::Versioning),
        Some(Document::BucketInfo(_)) => Some(MissingDetail::CreationDate),
        _ => None,
    }
}

/// Adds a detail to the response.
///
/// # Errors
/// The request for the detail failed. A bucket's creation date may be missing.
pub(crate) fn apply_detail(
    response: &mut Response,
    route: &Route<'_>,
    detail: MissingDetail,
    result: Result<Response, Rejection>,
) -> Result<(), Rejection> {
    let gathered = match (detail, &mut response.document, result) {
        // Credentials for one bucket often may not list all buckets; the rest of the document is still correct.
        (MissingDetail::CreationDate, Some(Document::BucketInfo(info)), Err(_)) => {
            info.is_complete = true;
            return Ok(());
        }
        (_, _, result) => result?,
    };
    match (&mut response.document, gathered.document) {
        (Some(Document::AccessControlPolicy(access)), Some(Document::AccessControlPolicy(bucket))) => {
            access.grants = bucket.grants
        }
        (Some(Document::BucketInfo(info)), Some(Document::Setting(_, tree))) => {
            info.versioning = Some(tree.child_text("Status").unwrap_or_default().to_owned());
        }
        (Some(Document::BucketInfo(info)), Some(Document::Buckets(list)))
            if detail == MissingDetail::CreationDate =>
        {
            // ListBuckets returns all buckets of the account; only the requested one concerns the client.
            let own_row = list.buckets.iter().find(|row| Some(row.0.as_str()) == route.bucket());
            info.created = own_row.map(|row| row.1);
            info.is_complete = true;
        }
        _ => return Err(crate::engine::target_response::reject_incomplete_response()),
    }
    Ok(())
}

/// Converts a successful response to the form of the caller's dialect.
///
/// # Errors
/// The caller's dialect cannot express the response.
pub(crate) fn adapt_to_caller(
    route: &Route<'_>,
    request: &Request,
    response: &mut Response,
) -> Result<(), Rejection> {
    match (request.operation, &mut response.document) {
        (Operation::GetObjectAttributes, None) => {
            response.document = Some(Document::Attributes(build_attributes(request, response)?));
            response
                .fields
                .retain(|row| matches!(row.0, ResponseField::LastModified | ResponseField::VersionId));
            // The response is made of a HEAD response, which has headers that GetObjectAttributes does not return.
            response.metadata.clear();
            response.status = 200;
        }
        (Operation::GetBucketInfo, Some(Document::AccessControlPolicy(access))) => {
            let (access, region) = (std::mem::take(access), route.target.region.clone());
            let class = response
                .text(ResponseField::StorageClass)
                .map(|word| to_canonical_class_name(route.caller, word));
            response.remove(ResponseField::StorageClass);
            let info = BucketInfo { access, region, class, ..BucketInfo::default() };
            response.document = Some(Document::BucketInfo(info));
        }
        (Operation::GetBucketLocation, Some(Document::Location(region))) => {
            route.target.region.clone_into(region);
        }
        (Operation::DeleteObjects, Some(Document::Deleted { results: lines, quiet, encoded })) => {
            *lines = delete_objects::match_delete_results(&request.objects_to_delete, std::mem::take(lines));
            *quiet = request.quiet;
            *encoded = request.fields.has(Field::EncodingType);
            // This dialect reports a failure by omitting the key. If all keys failed alike, an error response can
            // report the reason.
            let kind = lines.first().and_then(|line| line.error);
            if let Some(kind) = kind.filter(|kind| {
                route.caller.xml.omits_deleted_document && lines.iter().all(|line| line.error == Some(*kind))
            }) {
                return Err(kind.into());
            }
        }
        // If the deletion was replaced by a PUT, the target's status is that of the PUT.
        (Operation::Delete(_), _) => response.status = route.caller.success_status(request.operation),
        (Operation::Get(setting), Some(Document::Setting(_, tree))) => {
            translate_setting(route, setting, tree)?
        }
        (Operation::Get(_), Some(Document::AccessControlPolicy(_))) => translate_acl(route, response)?,
        (Operation::Get(_), Some(Document::Verbatim(..))) => {
            check_policy_support(request.operation, route.caller, route.target.dialect)?
        }
        _ => {}
    }
    Ok(())
}

/// Checks that a bucket policy is not translated between vendors. The proxy sends the GET request nevertheless: for a bucket
/// without a policy the target's 404 is the right response.
///
/// # Errors
/// `NotImplemented`: the policy would name accounts and actions of another vendor.
pub(crate) fn check_policy_support(
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
) -> Result<(), Rejection> {
    let is_policy = matches!(operation, Operation::Get(Setting::Policy) | Operation::Put(Setting::Policy));
    if is_policy && caller.family != target.family {
        return Err(Rejection::with_message(
            ErrorKind::NotImplemented,
            "Bucket policies contain the accounts and actions of one vendor and are not translated.",
        ));
    }
    Ok(())
}

fn translate_setting(route: &Route<'_>, setting: Setting, tree: &mut Node) -> Result<(), Rejection> {
    let Some(form) = route.caller.setting_schema(setting) else { return Ok(()) };
    // Vendors express a setting that does not exist by an empty document or by an error.
    if settings_documents::is_unset(tree) {
        *tree = settings_documents::build_unset_setting(form).map_err(Rejection::from)?;
    }
    if setting == Setting::Cors {
        *tree = cors::translate_rules(route.target.dialect, route.caller, std::mem::take(tree));
    }
    let tree_at_caller = settings_documents::rename_buckets(std::mem::take(tree), &|bucket| {
        route.bucket_names.to_caller_bucket(bucket)
    });
    *tree = tree_at_caller.ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::NotImplemented,
            "The setting refers to a bucket that is not configured at this service.",
        )
    })?;
    let (_, lost_fields) = settings_documents::write_setting(route.caller, form, tree);
    match lost_fields.iter().find(|name| !IGNORABLE_ELEMENTS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Rejection::with_message(
            ErrorKind::NotImplemented,
            format!("The stored setting contains {name}, which this API cannot express."),
        )
        .with_detail("Header", name.clone())),
    }
}

fn translate_acl(route: &Route<'_>, response: &mut Response) -> Result<(), Rejection> {
    let acl = response.text(ResponseField::Acl).and_then(|word| route.target.dialect.words.acl.value(word));
    response.remove(ResponseField::Acl);
    let Some(Document::AccessControlPolicy(access)) = &mut response.document else { return Ok(()) };
    access.inherits |= acl == Some(CannedAcl::Inherit);
    acl_documents::check_acl_support(
        route.caller,
        route.caller.family == route.target.dialect.family,
        access,
    )?;
    if access.inherits
        && let Some(word) = route.caller.words.acl.word(CannedAcl::Inherit)
    {
        response.set(ResponseField::Acl, word);
    }
    Ok(())
}

/// Builds the requested attributes of an object from its head.
///
/// # Errors
/// The parts of a multipart object were requested: a HEAD response does not list them. An object without parts has
/// none to list.
fn build_attributes(request: &Request, response: &Response) -> Result<Node, Rejection> {
    let requested = request.fields.text(Field::Attributes).unwrap_or_default();
    let requested: Vec<&str> = requested.split(',').map(str::trim).collect();
    let has_parts = response.text(ResponseField::Etag).is_some_and(|etag| etag.contains('-'));
    if has_parts && requested.contains(&OBJECT_PARTS) {
        return Err(Rejection::with_message(
            ErrorKind::NotImplemented,
            format!("{OBJECT_PARTS} is not supported: the storage behind this service does not return the parts of an object."),
        )
        .with_detail("Header", OBJECT_PARTS));
    }
    let mut children = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|_| requested.contains(&name)) {
            children.push(text_node(name, value));
        }
    };
    add("ETag", response.text(ResponseField::Etag).map(etag::strip_quotes));
    // S3 omits the storage class header for STANDARD (S3, HeadObject, response headers).
    add("StorageClass", response.text(ResponseField::StorageClass).or(Some("STANDARD")));
    add("ObjectSize", response.text(ResponseField::ContentLength));
    Ok(Node { name: "GetObjectAttributesResponse".to_owned().into(), children, ..Node::default() })
}

/// The attribute with an object's parts.
const OBJECT_PARTS: &str = "ObjectParts";
