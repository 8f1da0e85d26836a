//! The bodies of small requests: read from the caller's dialect, written in the target's.

use crate::engine::dialect::{BucketPlace, Dialect};
use crate::engine::settings::{self, Removal, leaf};
use crate::engine::way::Way;
use crate::engine::{access, cors, crc64, deletes, documents};
use crate::model::{Fault, Field, Operation, Refusal, Request, Setting, Value};
use crate::wire::xml::{self, Node, Writer};

/// Reads a request's whole body into the request.
///
/// # Errors
/// What the caller's vendor would refuse, and what the target cannot be told.
pub fn read(way: &Way<'_>, request: &mut Request, body: &[u8]) -> Result<(), Refusal> {
    let caller = way.caller;
    match request.operation {
        // A request of ours has its parts already.
        Operation::CompleteMultipartUpload
            if !request.fields.has(Field::CompleteAll) && request.parts.is_empty() =>
        {
            request.parts = documents::read_parts(body)?;
            crc64::unseal_parts(way, request);
        }
        Operation::CreateBucket => {
            let settings = documents::read_bucket_settings(caller, way.target.dialect, body)?;
            request.document = Some(settings);
        }
        Operation::DeleteObjects => {
            (request.unwanted, request.quiet) = deletes::read_list(caller, body)?;
        }
        Operation::RestoreObject => request.document = Some(read_restore(caller, body)?),
        Operation::Put(setting) if setting.is_access() => read_access(way, request, setting, body)?,
        Operation::Put(setting) if removes(caller, setting, body) => {
            request.operation = Operation::Delete(setting);
        }
        Operation::Put(setting) => read_setting(way, request, setting, body)?,
        _ => {}
    }
    Ok(())
}

/// The fields by which access is said.
const ACCESS: [Field; 7] = [
    Field::Acl,
    Field::BucketAcl,
    Field::GrantRead,
    Field::GrantWrite,
    Field::GrantReadAcp,
    Field::GrantWriteAcp,
    Field::GrantFullControl,
];

/// A document of grants is said to the target by the canned word that means the same: accounts are a vendor's own.
fn read_access(way: &Way<'_>, request: &mut Request, setting: Setting, body: &[u8]) -> Result<(), Refusal> {
    let by_header = ACCESS.into_iter().any(|field| request.fields.has(field));
    match (by_header, body.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) if way.caller.access.headers_win => return Ok(()),
        (true, false) => {
            return Err(Refusal::say(
                Fault::InvalidRequest,
                "This request says an access control list in headers and in its body.",
            ));
        }
        (false, true) => return Err(Fault::MissingAcl.into()),
        (false, false) => {}
    }
    let node = xml::read(body).map_err(|_| Fault::MalformedAcl)?;
    let access = access::read(way.caller, &node).ok_or(Fault::MalformedAcl)?;
    let acl = access.canned().ok_or_else(|| {
        Refusal::say(
            Fault::NotImplemented,
            "Grants to accounts, and grants that no canned list means, are not translated between these services.",
        )
        .with("Header", "AccessControlPolicy")
    })?;
    let field = if setting == Setting::BucketAcl { Field::BucketAcl } else { Field::Acl };
    request.fields.set(field, Value::Acl(acl));
    Ok(())
}

/// Whether a PUT sets nothing, in a dialect where that removes the setting.
fn removes(caller: &Dialect, setting: Setting, body: &[u8]) -> bool {
    let Some(form) = caller.form(setting).filter(|form| form.removal == Removal::CallOrNothing) else {
        return false;
    };
    let hollow =
        |node: Node| node.name == form.root && node.children.is_empty() && node.text.trim().is_empty();
    body.trim_ascii().is_empty() || xml::read(body).is_ok_and(hollow)
}

fn read_setting(way: &Way<'_>, request: &mut Request, setting: Setting, body: &[u8]) -> Result<(), Refusal> {
    let target = way.target.dialect;
    let cannot = |what: &str| {
        Refusal::say(
            Fault::NotImplemented,
            format!("{what} cannot be carried out here: {} has no such thing", target.name),
        )
        .with("Header", what)
    };
    let form = way.caller.form(setting).ok_or(Fault::MethodNotAllowed)?;
    let written = target.form(setting).ok_or_else(|| cannot(request.operation.name()))?;
    if form.root.is_empty() {
        if way.caller.family != target.family {
            return Err(Refusal::say(
                Fault::NotImplemented,
                "Policies name a vendor's own accounts and actions: they are not translated.",
            ));
        }
        let text = std::str::from_utf8(body).map_err(|_| Fault::MalformedPolicy)?;
        request.document = Some(leaf("", text));
        return Ok(());
    }
    let node = xml::read(body).map_err(|_| Fault::MalformedXml)?;
    let mut tree = settings::read(way.caller, form, node)?;
    if setting == Setting::Cors {
        tree = cors::renamed(way.caller, target, tree);
    }
    let named = settings::with_buckets(tree, &|bucket| way.names.at_target(bucket));
    let tree = named.ok_or_else(|| {
        Refusal::say(
            Fault::AccessDenied,
            "The bucket that the document names is not one of yours at this service.",
        )
    })?;
    if let (_, lost) = settings::write(target, written, &tree)
        && let Some(name) = lost.first()
    {
        return Err(cannot(name));
    }
    if let Some(key) = kms_key(&tree).filter(|key| !way.target.kms_keys.iter().any(|own| own == key)) {
        return Err(Refusal::say(
            Fault::NotImplemented,
            format!("{} is not configured with the key {key}", target.name),
        ));
    }
    request.document = Some(tree);
    Ok(())
}

fn kms_key(tree: &Node) -> Option<&str> {
    let own = (tree.name == "KMSMasterKeyID" && !tree.text.is_empty()).then_some(tree.text.as_str());
    own.or_else(|| tree.children.iter().find_map(kms_key))
}

/// Days, and the tier without the element that each dialect calls otherwise.
fn read_restore(caller: &Dialect, body: &[u8]) -> Result<Node, Refusal> {
    let mut tree = Node::default();
    if body.is_empty() {
        let days = caller.xml.restore_days.ok_or(Fault::MalformedXml)?;
        tree.children.push(leaf("Days", days));
        return Ok(tree);
    }
    let root = xml::read(body).map_err(|_| Fault::MalformedXml)?;
    if root.name != "RestoreRequest" {
        return Err(Fault::MalformedXml.into());
    }
    for child in &root.children {
        match child.name.as_str() {
            "Days" if child.text.trim().parse::<u32>().is_ok_and(|days| days > 0) => {
                tree.children.push(leaf("Days", child.text.trim()));
            }
            name if name == caller.xml.restore_parameters => {
                let tier = child.text_of("Tier").map(str::trim).unwrap_or_default();
                if !TIERS.contains(&tier) {
                    return Err(Fault::MalformedXml.into());
                }
                // What is meant where nothing is said is not said: some classes of OSS have no tiers.
                if tier != "Standard" {
                    tree.children.push(leaf("Tier", tier));
                }
            }
            "Days" => return Err(Fault::MalformedXml.into()),
            other => {
                return Err(Refusal::new(Fault::NotImplemented).with("Header", other));
            }
        }
    }
    Ok(tree)
}

/// How fast objects are restored: the words are the same everywhere.
const TIERS: [&str; 3] = ["Expedited", "Standard", "Bulk"];

/// Writes a request's body for the target.
pub fn write(way: &Way<'_>, request: &Request) -> Vec<u8> {
    let target = way.target.dialect;
    match (request.operation, &request.document) {
        (Operation::CompleteMultipartUpload, _) if !request.parts.is_empty() => {
            documents::write_parts(target, &request.parts)
        }
        (Operation::CreateBucket, settings) => {
            let settings = settings.clone().unwrap_or_default();
            (target.create_bucket_body)(&way.target.region, &settings)
        }
        (Operation::DeleteObjects, _) => deletes::write_list(target, &request.unwanted),
        (Operation::RestoreObject, Some(tree)) => write_restore(target, tree),
        (Operation::Put(setting), Some(tree)) => match target.form(setting) {
            Some(form) if form.root.is_empty() => tree.text.clone().into_bytes(),
            Some(form) => {
                let mut out = Writer::default();
                out.root(&settings::write(target, form, tree).0, target.xml.namespace);
                out.finish()
            }
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The headers that say what else the target is told of a new bucket.
pub fn bucket_headers(way: &Way<'_>, request: &Request) -> Vec<(String, Vec<u8>)> {
    let places = way.target.dialect.bucket_settings;
    let rows = [("StorageClass", places.class), ("DataRedundancyType", places.redundancy)];
    let said = rows.into_iter().filter_map(|(name, place)| {
        let Some(BucketPlace::Header(header)) = place else { return None };
        let value = request.document.as_ref().filter(|_| request.operation == Operation::CreateBucket)?;
        Some((header.to_owned(), value.text_of(name)?.as_bytes().to_vec()))
    });
    said.collect()
}

fn write_restore(target: &Dialect, tree: &Node) -> Vec<u8> {
    let mut out = Writer::default();
    out.open_root("RestoreRequest", target.xml.namespace);
    for child in &tree.children {
        match child.name.as_str() {
            "Tier" => {
                out.open(target.xml.restore_parameters);
                out.text("Tier", &child.text);
                out.close(target.xml.restore_parameters);
            }
            _ => out.node(child),
        }
    }
    out.close("RestoreRequest");
    out.finish()
}
