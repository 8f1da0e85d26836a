//! What a target does not have and is made of what it has; and answers that are completed before they are told.

use crate::engine::deletes;
use crate::engine::dialect::Dialect;
use crate::engine::documents::class_name;
use crate::engine::settings::{self, SAY_NOTHING, leaf};
use crate::engine::way::Way;
use crate::engine::{access, cors, etag};
use crate::model::{
    Acl, BucketInfo, Document, Fault, Field, Operation, Refusal, Reply, Request, Setting, Told, Value,
};
use crate::wire::xml::Node;

/// The request as the target has to be asked, where it does not have the operation but one that tells as much.
pub fn adapted(way: &Way<'_>, mut sent: Request) -> Request {
    if way.target.dialect.route(sent.operation).is_some() {
        return sent;
    }
    match sent.operation {
        Operation::GetObjectAttributes => {
            sent.operation = Operation::HeadObject;
            for field in [Field::Attributes, Field::MaxParts, Field::PartNumberMarker] {
                sent.fields.remove(field);
            }
        }
        Operation::GetBucketInfo => sent.operation = Operation::Get(Setting::BucketAcl),
        // Where a setting cannot be removed it can be set to what buckets have that never had it.
        Operation::Delete(setting) => {
            if let Some(unset) = set_to_nothing(way.target.dialect, setting) {
                sent.operation = Operation::Put(setting);
                sent.document = Some(unset);
            }
        }
        _ => {}
    }
    sent
}

fn set_to_nothing(target: &Dialect, setting: Setting) -> Option<Node> {
    target.route(Operation::Put(setting)).filter(|_| !setting.is_access())?;
    let form = target.form(setting).filter(|form| !form.root.is_empty())?;
    settings::unset(form).ok()
}

/// The operation by which a target is asked for another, if it can be asked at all.
pub fn sent_as(target: &Dialect, operation: Operation) -> Option<Operation> {
    if target.route(operation).is_some() {
        return Some(operation);
    }
    let sent = match operation {
        Operation::ListObjectsV2 => Operation::ListObjects,
        Operation::GetObjectAttributes => Operation::HeadObject,
        Operation::GetBucketInfo => Operation::Get(Setting::BucketAcl),
        Operation::Delete(setting) if set_to_nothing(target, setting).is_some() => Operation::Put(setting),
        _ => return None,
    };
    target.route(sent).map(|route| route.operation)
}

/// How a target's operations stand in for one that it does not have, for the printed matrix.
pub fn stands_in(target: &Dialect, operation: Operation) -> Option<&'static str> {
    let how = match operation {
        Operation::ListObjectsV2 => "by the first version",
        Operation::GetObjectAttributes => "by a HEAD",
        Operation::GetBucketInfo => "by its ACL, versioning and place in the list of buckets",
        Operation::Delete(_) => "by an empty one",
        _ => return None,
    };
    sent_as(target, operation).map(|_| how)
}

/// Takes the access out of a completing call to a target that is told it only where an upload begins, or afterwards.
pub fn access_after(way: &Way<'_>, sent: &mut Request) -> Option<Value> {
    let target = way.target.dialect;
    let told = target.name_in(Field::Acl, sent.operation).is_some() || !target.can_say(Field::Acl);
    let put = Operation::Put(Setting::ObjectAcl);
    if sent.operation != Operation::CompleteMultipartUpload || told || target.route(put).is_none() {
        return None;
    }
    match sent.fields.get(Field::Acl) {
        Some(Value::Acl(acl)) if target.words.acl.word(*acl).is_some() => sent.fields.remove(Field::Acl),
        _ => None,
    }
}

/// Something that is still missing of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gather {
    /// Who may do what with the bucket, where an object leaves it to the bucket.
    BucketAccess,
    /// Whether the bucket keeps versions.
    Versioning,
    /// When it was made.
    Creation,
}

impl Gather {
    /// What tells it.
    pub fn operation(self) -> Operation {
        match self {
            Self::BucketAccess => Operation::Get(Setting::BucketAcl),
            Self::Versioning => Operation::Get(Setting::Versioning),
            Self::Creation => Operation::ListBuckets,
        }
    }
}

/// What is still missing of an answer.
pub fn missing(way: &Way<'_>, reply: &Reply) -> Option<Gather> {
    match &reply.document {
        Some(Document::Access(access)) => {
            let untold = access.inherits && access.grants.is_empty() && !way.caller.access.by_word;
            untold.then_some(Gather::BucketAccess)
        }
        Some(Document::Info(info)) if info.gathered => None,
        Some(Document::Info(info)) if info.versioning.is_none() => Some(Gather::Versioning),
        Some(Document::Info(_)) => Some(Gather::Creation),
        _ => None,
    }
}

/// Takes what was missing.
///
/// # Errors
/// What was asked for could not be had. The date of a bucket is done without.
pub fn take(
    reply: &mut Reply,
    way: &Way<'_>,
    what: Gather,
    told: Result<Reply, Refusal>,
) -> Result<(), Refusal> {
    let told = match (what, &mut reply.document, told) {
        (Gather::Creation, Some(Document::Info(info)), Err(_)) => {
            info.gathered = true;
            return Ok(());
        }
        (_, _, told) => told?,
    };
    match (&mut reply.document, told.document) {
        (Some(Document::Access(access)), Some(Document::Access(bucket))) => access.grants = bucket.grants,
        (Some(Document::Info(info)), Some(Document::Setting(_, tree))) => {
            info.versioning = Some(tree.text_of("Status").unwrap_or_default().to_owned());
        }
        (Some(Document::Info(info)), Some(Document::Buckets(list))) if what == Gather::Creation => {
            let own = list.buckets.iter().find(|row| row.0 == way.bucket);
            info.created = own.map(|row| row.1);
            info.gathered = true;
        }
        _ => return Err(crate::engine::answer::unproven()),
    }
    Ok(())
}

/// Completes a success before it is told: what the caller's dialect says differently is said so here.
///
/// # Errors
/// What the caller's dialect cannot say.
pub fn completed(way: &Way<'_>, asked: &Request, reply: &mut Reply) -> Result<(), Refusal> {
    match (asked.operation, &mut reply.document) {
        (Operation::GetObjectAttributes, None) => {
            reply.document = Some(Document::Attributes(attributes(asked, reply)?));
            reply.fields.retain(|row| matches!(row.0, Told::LastModified | Told::VersionId));
            reply.metadata.clear();
            reply.status = 200;
        }
        (Operation::GetBucketInfo, Some(Document::Access(access))) => {
            let (access, region) = (std::mem::take(access), way.target.region.clone());
            let class = reply.text(Told::StorageClass).map(|word| class_name(way.caller, word));
            reply.remove(Told::StorageClass);
            let info = BucketInfo { access, region, class, ..BucketInfo::default() };
            reply.document = Some(Document::Info(info));
        }
        (Operation::GetBucketLocation, Some(Document::Location(region))) => {
            way.target.region.clone_into(region);
        }
        (Operation::DeleteObjects, Some(Document::Deleted { lines, quiet, encoded })) => {
            *lines = deletes::completed(&asked.unwanted, std::mem::take(lines));
            *quiet = asked.quiet;
            *encoded = asked.fields.has(Field::EncodingType);
            // Where failures are told by absence, one that is everybody's can be told as the answer.
            let fault = lines.first().and_then(|line| line.failed);
            if let Some(fault) = fault.filter(|fault| {
                way.caller.xml.deleted_by_absence && lines.iter().all(|line| line.failed == Some(*fault))
            }) {
                return Err(fault.into());
            }
        }
        (Operation::Delete(_), _) => reply.status = way.caller.success_status(asked.operation),
        (Operation::Get(setting), Some(Document::Setting(_, tree))) => told_setting(way, setting, tree)?,
        (Operation::Get(_), Some(Document::Access(_))) => told_access(way, reply)?,
        (Operation::Get(_), Some(Document::Verbatim(..)))
            if way.caller.family != way.target.dialect.family =>
        {
            return Err(Refusal::say(
                Fault::NotImplemented,
                "Policies name a vendor's own accounts and actions: they are not translated.",
            ));
        }
        _ => {}
    }
    Ok(())
}

fn told_setting(way: &Way<'_>, setting: Setting, tree: &mut Node) -> Result<(), Refusal> {
    let Some(form) = way.caller.form(setting) else { return Ok(()) };
    if settings::is_unset(tree) {
        *tree = settings::unset(form).map_err(Refusal::from)?;
    }
    if setting == Setting::Cors {
        *tree = cors::renamed(way.target.dialect, way.caller, std::mem::take(tree));
    }
    let named = settings::with_buckets(std::mem::take(tree), &|bucket| way.names.at_caller(bucket));
    *tree = named.ok_or_else(|| {
        Refusal::say(Fault::NotImplemented, "What is set names a bucket that has no name here.")
    })?;
    let (_, lost) = settings::write(way.caller, form, tree);
    match lost.iter().find(|name| !SAY_NOTHING.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Refusal::say(
            Fault::NotImplemented,
            format!("What is set has {name}, which cannot be told in the terms of this service."),
        )
        .with("Header", name.clone())),
    }
}

fn told_access(way: &Way<'_>, reply: &mut Reply) -> Result<(), Refusal> {
    let told = reply.text(Told::Acl).and_then(|word| way.target.dialect.words.acl.value(word));
    reply.remove(Told::Acl);
    let Some(Document::Access(access)) = &mut reply.document else { return Ok(()) };
    access.inherits |= told == Some(Acl::Inherit);
    access::check(way.caller, way.caller.family == way.target.dialect.family, access)?;
    if access.inherits
        && let Some(word) = way.caller.words.acl.word(Acl::Inherit)
    {
        reply.set(Told::Acl, word);
    }
    Ok(())
}

/// The attributes of an object that were asked for, from its head.
///
/// # Errors
/// The parts of an object that has some: a head does not tell them. An object without parts has none to be told.
fn attributes(asked: &Request, told: &Reply) -> Result<Node, Refusal> {
    let wanted = asked.fields.text(Field::Attributes).unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    let has_parts = told.text(Told::Etag).is_some_and(|etag| etag.contains('-'));
    if has_parts && wanted.contains(&PARTS) {
        return Err(Refusal::say(
            Fault::NotImplemented,
            format!("{PARTS} cannot be told here: the storage behind this service does not tell the parts of an object."),
        )
        .with("Header", PARTS));
    }
    let mut children = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|_| wanted.contains(&name)) {
            children.push(leaf(name, value));
        }
    };
    add("ETag", told.text(Told::Etag).map(etag::bare));
    add("StorageClass", told.text(Told::StorageClass).or(Some("STANDARD")));
    add("ObjectSize", told.text(Told::ContentLength));
    Ok(Node { name: "GetObjectAttributesResponse".to_owned(), children, ..Node::default() })
}

/// The attribute of an object's parts.
const PARTS: &str = "ObjectParts";
