//! Small request bodies: reads them in the caller's dialect and writes them in the target's.

use crate::dialect::route::Route;
use crate::dialect::settings_schema::Removal;
use crate::dialect::{BucketSettingLocation, Dialect};
use crate::documents::{acl_documents, delete_objects, response_documents, settings_documents};
use crate::encoding::xml;
use crate::encoding::xml::{Node, XmlWriter, text_node};
use crate::engine::{cors, crc64, emulation, loss, small_parts};
use crate::model::{ErrorKind, Field, Operation, Rejection, Request, Setting, Value};

/// Reads the complete body into the request.
///
/// # Errors
/// The caller's vendor rejects the body, or the target's dialect cannot express it.
pub fn read_request_body(route: &Route<'_>, request: &mut Request, body: &[u8]) -> Result<(), Rejection> {
    let caller = route.caller;
    match request.operation {
        // The proxy's own requests already have their parts.
        Operation::CompleteMultipartUpload
            if !request.fields.has(Field::CompleteAll) && request.parts.is_empty() =>
        {
            request.parts = response_documents::read_complete_upload(body)?;
            crc64::unseal_part_etags(route, request);
        }
        Operation::CreateBucket => {
            let settings = response_documents::read_bucket_settings(caller, route.target.dialect, body)?;
            request.document = Some(settings);
        }
        // The proxy's own requests already have their list.
        Operation::DeleteObjects if request.objects_to_delete.is_empty() => {
            (request.objects_to_delete, request.quiet) = delete_objects::read_delete_list(caller, body)?;
            request
                .objects_to_delete
                .iter()
                .try_for_each(|line| small_parts::check_key_allowed(route.target, &line.key))?;
        }
        Operation::RestoreObject => request.document = Some(read_restore_request(caller, body)?),
        Operation::Put(setting) if setting.is_acl() => read_acl_body(route, request, setting, body)?,
        Operation::Put(setting) if is_removal(caller, setting, body) => {
            request.operation = Operation::Delete(setting);
        }
        Operation::Put(setting) => read_setting_body(route, request, setting, body)?,
        _ => {}
    }
    Ok(())
}

/// The fields that specify an ACL.
const ACL_FIELDS: [Field; 7] = [
    Field::Acl,
    Field::BucketAcl,
    Field::GrantRead,
    Field::GrantWrite,
    Field::GrantReadAcp,
    Field::GrantWriteAcp,
    Field::GrantFullControl,
];

/// Reads an ACL document and replaces it by the canned ACL with the same meaning, because accounts differ between
/// vendors.
fn read_acl_body(
    route: &Route<'_>,
    request: &mut Request,
    setting: Setting,
    body: &[u8],
) -> Result<(), Rejection> {
    let by_header = ACL_FIELDS.into_iter().any(|field| request.fields.has(field));
    match (by_header, body.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) if route.caller.acl_style.headers_take_precedence => return Ok(()),
        (true, false) => {
            return Err(Rejection::with_message(
                ErrorKind::InvalidRequest,
                "This request specifies an access control list both in headers and in its body.",
            ));
        }
        (false, true) => return Err(ErrorKind::MissingAcl.into()),
        (false, false) => {}
    }
    let node = xml::parse(body).map_err(|_| ErrorKind::MalformedAcl)?;
    let access = acl_documents::read_acl_document(route.caller, &node).ok_or(ErrorKind::MalformedAcl)?;
    let acl = access.to_canned().ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::NotImplemented,
            "Grants to accounts, and grants that do not correspond to a canned ACL, are not translated between these services.",
        )
        .with_detail("Header", "AccessControlPolicy")
    })?;
    let field = if setting == Setting::BucketAcl { Field::BucketAcl } else { Field::Acl };
    request.fields.set(field, Value::Acl(acl));
    Ok(())
}

/// Whether a PUT is empty, in a dialect in which this removes the setting.
fn is_removal(caller: &Dialect, setting: Setting, body: &[u8]) -> bool {
    let Some(form) = caller.setting_schema(setting).filter(|form| form.removal == Removal::DeleteOrEmptyPut)
    else {
        return false;
    };
    let is_empty_root =
        |node: Node| node.name == form.root && node.children.is_empty() && node.text.trim().is_empty();
    body.trim_ascii().is_empty() || xml::parse(body).is_ok_and(is_empty_root)
}

fn read_setting_body(
    route: &Route<'_>,
    request: &mut Request,
    setting: Setting,
    body: &[u8],
) -> Result<(), Rejection> {
    let target = route.target.dialect;
    let reject_unsupported = |what: &str| {
        Rejection::with_message(ErrorKind::NotImplemented, loss::describe_unsupported(route.target, what))
            .with_detail("Header", what)
    };
    let form = route.caller.setting_schema(setting).ok_or(ErrorKind::MethodNotAllowed)?;
    let target_form =
        target.setting_schema(setting).ok_or_else(|| reject_unsupported(request.operation.name()))?;
    if form.root.is_empty() {
        emulation::check_policy_support(request.operation, route.caller, target)?;
        // A policy is JSON, which the proxy passes unchanged; it is stored as text of an unnamed node.
        let text = std::str::from_utf8(body).map_err(|_| ErrorKind::MalformedPolicy)?;
        request.document = Some(text_node("", text));
        return Ok(());
    }
    let node = xml::parse(body).map_err(|_| ErrorKind::MalformedXml)?;
    let mut tree = settings_documents::parse_setting(route.caller, form, node)?;
    // The rules contain header names, which differ between dialects like the headers themselves.
    if setting == Setting::Cors {
        tree = cors::translate_rules(route.caller, target, tree);
    }
    let tree_at_target =
        settings_documents::rename_buckets(tree, &|bucket| route.bucket_names.to_target_bucket(bucket));
    let tree = tree_at_target.ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::AccessDenied,
            "The document refers to a bucket that is not configured for you at this service.",
        )
    })?;
    if let (_, lost_fields) = settings_documents::write_setting(target, target_form, &tree)
        && let Some(name) = lost_fields.first()
    {
        return Err(reject_unsupported(name));
    }
    if let Some(key) =
        find_kms_key(&tree).filter(|key| !route.target.kms_keys.iter().any(|configured| configured == key))
    {
        return Err(Rejection::with_message(ErrorKind::NotImplemented, loss::describe_unlisted_key(key)));
    }
    request.document = Some(tree);
    Ok(())
}

fn find_kms_key(tree: &Node) -> Option<&str> {
    let own_key = (tree.name == "KMSMasterKeyID" && !tree.text.is_empty()).then_some(tree.text.as_str());
    own_key.or_else(|| tree.children.iter().find_map(find_kms_key))
}

/// Reads a restore document: the days, and the tier without its parent element, which has a different name in each
/// dialect.
fn read_restore_request(caller: &Dialect, body: &[u8]) -> Result<Node, Rejection> {
    let mut tree = Node::default();
    if body.is_empty() {
        // Only some vendors accept an empty body, with a default number of days.
        let days = caller.xml.restore_days.ok_or(ErrorKind::MalformedXml)?;
        tree.children.push(text_node("Days", days));
        return Ok(tree);
    }
    let root = xml::parse(body).map_err(|_| ErrorKind::MalformedXml)?;
    if root.name != caller.xml.roots.restore {
        return Err(ErrorKind::MalformedXml.into());
    }
    for child in &root.children {
        match &*child.name {
            "Days" if child.text.trim().parse::<u32>().is_ok_and(|days| days > 0) => {
                tree.children.push(text_node("Days", child.text.trim()));
            }
            name if name == caller.xml.restore_parameters => {
                let tier = child.child_text("Tier").map(str::trim).unwrap_or_default();
                if !TIERS.contains(&tier) {
                    return Err(ErrorKind::MalformedXml.into());
                }
                // Standard is the default, and some storage classes of OSS reject a tier.
                if tier != "Standard" {
                    tree.children.push(text_node("Tier", tier));
                }
            }
            "Days" => return Err(ErrorKind::MalformedXml.into()),
            other => {
                return Err(Rejection::new(ErrorKind::NotImplemented).with_detail("Header", other));
            }
        }
    }
    Ok(tree)
}

/// The restore tiers, which have the same names in all dialects.
const TIERS: [&str; 3] = ["Expedited", "Standard", "Bulk"];

/// Writes the request body in the target's dialect.
pub(crate) fn write_request_body(route: &Route<'_>, request: &Request) -> Vec<u8> {
    let target = route.target.dialect;
    match (request.operation, &request.document) {
        (Operation::CompleteMultipartUpload, _) if !request.parts.is_empty() => {
            response_documents::write_complete_upload(target, &request.parts)
        }
        (Operation::CreateBucket, settings) => {
            let settings = settings.clone().unwrap_or_default();
            (target.write_create_bucket_body)(&route.target.region, &settings)
        }
        (Operation::DeleteObjects, _) => {
            delete_objects::write_delete_list(target, &request.objects_to_delete)
        }
        (Operation::RestoreObject, Some(tree)) => write_restore_request(target, tree),
        (Operation::Put(setting), Some(tree)) => match target.setting_schema(setting) {
            // A schema without a root is a policy, which is not XML.
            Some(form) if form.root.is_empty() => tree.text.clone().into_bytes(),
            Some(form) => {
                let mut out = XmlWriter::default();
                out.write_root(
                    &settings_documents::write_setting(target, form, tree).0,
                    target.xml.namespace,
                );
                out.finish()
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Builds the headers with the settings of a new bucket.
pub(crate) fn build_bucket_headers(route: &Route<'_>, request: &Request) -> Vec<(String, Vec<u8>)> {
    let placements = route.target.dialect.bucket_settings;
    let redundancy = placements.redundancy.map(|setting| (setting.element, Some(setting.location)));
    let rows = std::iter::once(("StorageClass", placements.class)).chain(redundancy);
    let headers = rows.filter_map(|(name, placement)| {
        let Some(BucketSettingLocation::Header(header)) = placement else { return None };
        let value = request.document.as_ref().filter(|_| request.operation == Operation::CreateBucket)?;
        Some((header.to_owned(), value.child_text(name)?.as_bytes().to_vec()))
    });
    headers.collect()
}

fn write_restore_request(target: &Dialect, tree: &Node) -> Vec<u8> {
    let mut out = XmlWriter::default();
    out.open_root(target.xml.roots.restore, target.xml.namespace);
    for child in &tree.children {
        match &*child.name {
            "Tier" => {
                out.open(target.xml.restore_parameters);
                out.write_text("Tier", &child.text);
                out.close(target.xml.restore_parameters);
            }
            _ => out.write_node(child),
        }
    }
    out.close(target.xml.roots.restore);
    out.finish()
}
