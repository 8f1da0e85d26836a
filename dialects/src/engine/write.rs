//! From the canonical request to a head in the target's dialect, with what could not be said.

use crate::engine::body::compute_composite_checksum;
use crate::engine::dialect::{Dialect, FieldName, TargetCopySource};
use crate::engine::loss::Loss;
use crate::engine::way::Route;
use crate::engine::{access, etag, read, words};
use crate::model::{
    ByteRange, CannedAcl, ChecksumAlgorithm, Directive, ErrorKind, Field, Fields, Operation, OutgoingRequest,
    PayloadHash, Rejection, Request, Timestamp, Value,
};
use crate::wire::{date, percent};

/// Writes an unsigned request to the target. The body is the caller's business.
///
/// # Errors
/// A key or metadata that the target cannot hold, an operation that it does not have.
pub fn write_request(way: &Route<'_>, request: &Request) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let target = way.target.dialect;
    check(target, request)?;
    let said = with_absent_said(way, request);
    let mut outgoing = head(way, request.operation, request.key.as_deref())?;
    let mut losses = Vec::new();
    for (field, value) in said.iter() {
        match write_field(way, request.operation, field, value) {
            Ok((FieldName::Header(name), value)) => outgoing.headers.push((name.to_owned(), value)),
            Ok((FieldName::Parameter(name), value)) => {
                let text = String::from_utf8(value).map_err(|_| ErrorKind::InvalidArgument)?;
                outgoing.query.push((name.to_owned(), Some(text)));
            }
            Err(UnwrittenField::NotNeeded) => {}
            Err(UnwrittenField::CannotSay(why)) => losses.push(Loss::for_field(field, why)),
        }
    }
    check_selected(target, request, &outgoing)?;
    write_metadata(way, request, &mut outgoing, &mut losses);
    if let Some(name) =
        target.part_bytes_min_header.filter(|_| request.operation == Operation::CompleteMultipartUpload)
    {
        let least = way.caller.limits.part_bytes_min.to_string();
        outgoing.headers.push((name.to_owned(), least.into_bytes()));
    }
    outgoing.headers.extend(checksums(way, request)?);
    if let Some(source) = &request.source {
        let at = TargetCopySource {
            bucket: way.source_bucket.as_deref().unwrap_or_default(),
            key: &source.key,
            version: source.version.as_deref(),
            authority: &way.target.authority,
        };
        let value = (target.copy.write_source)(&at);
        outgoing.headers.push((target.copy.source_header.to_owned(), value.into_bytes()));
    }
    Ok((outgoing, losses))
}

fn check(target: &'static Dialect, request: &Request) -> Result<(), Rejection> {
    if let Some(key) = &request.key {
        read::check_key(target, key)?;
    }
    if let Some(source) = &request.source {
        read::check_key(target, &source.key)?;
    }
    read::check_metadata(target, &request.metadata)
}

/// An empty head for an operation: method, host, path and the parameters that select it.
///
/// # Errors
/// `NotImplemented` where the target does not have the operation.
pub fn head(way: &Route<'_>, operation: Operation, key: Option<&str>) -> Result<OutgoingRequest, Rejection> {
    head_at(way, operation, (operation != Operation::ListBuckets).then_some(way.bucket.as_str()), key)
}

/// As [`head`], for a bucket of the target other than the request's: the source of a copy.
///
/// # Errors
/// As [`head`].
pub fn head_at(
    way: &Route<'_>,
    operation: Operation,
    bucket: Option<&str>,
    key: Option<&str>,
) -> Result<OutgoingRequest, Rejection> {
    let target = way.target;
    let route = target.dialect.find_route(operation).ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::NotImplemented,
            format!("{} cannot be carried out here.", operation.name()),
        )
    })?;
    let probe = target.dialect.bucket_probe_parameter.filter(|_| operation == Operation::HeadBucket);
    let key_path = key.map(percent::encode_path).unwrap_or_default();
    let (host, path) = match bucket {
        Some(bucket) if target.path_style => (target.authority.clone(), format!("/{bucket}/{key_path}")),
        Some(bucket) => (format!("{bucket}.{}", target.authority), format!("/{key_path}")),
        None => (target.authority.clone(), "/".to_owned()),
    };
    // Parameters whose value is a field are written with the fields.
    let selectors = route.parameters.iter().filter(|name| {
        !Field::ALL
            .iter()
            .any(|field| target.dialect.field_name_in(*field, operation) == Some(FieldName::Parameter(name)))
    });
    let query = probe.iter().chain(selectors).map(|name| match name.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => ((*name).to_owned(), None),
    });
    Ok(OutgoingRequest {
        method: if probe.is_some() { "GET" } else { route.method },
        host,
        bucket: bucket.map(str::to_owned),
        key: key.map(str::to_owned),
        path: if path.ends_with('/') && key.is_none() && target.path_style && bucket.is_some() {
            path.trim_end_matches('/').to_owned()
        } else {
            path
        },
        query: query.collect(),
        headers: Vec::new(),
        body: Vec::new(),
        payload_hash: PayloadHash::Unsigned,
        is_long_running: operation.is_copy() || operation == Operation::CompleteMultipartUpload,
    })
}

/// Without a parameter that selects the operation the target would take the request for another.
fn check_selected(target: &Dialect, request: &Request, outgoing: &OutgoingRequest) -> Result<(), Rejection> {
    let Some(route) = target.find_route(request.operation) else { return Ok(()) };
    let said = |wanted: &&str| {
        let name = wanted.split('=').next().unwrap_or(wanted);
        outgoing.query.iter().any(|row| row.0 == name)
    };
    if route.parameters.iter().all(said) {
        return Ok(());
    }
    Err(Rejection::with_message(
        ErrorKind::InvalidRequest,
        format!("{} is not complete.", request.operation.name()),
    ))
}

/// The signed request that tells whether a bucket of the target is there.
///
/// # Errors
/// As [`head`].
pub fn bucket_head(way: &Route<'_>, bucket: String, now: Timestamp) -> Result<OutgoingRequest, Rejection> {
    let way = Route { bucket, ..way.clone() };
    Ok(sign_request(&way, head(&way, Operation::HeadBucket, None)?, now))
}

/// What absence means to the caller is said where it means something else to the target.
fn with_absent_said(way: &Route<'_>, request: &Request) -> Fields {
    let (caller, target) = (&way.caller.defaults, &way.target.dialect.defaults);
    let mut fields = request.fields.clone();
    // Compared here, with what the answer says.
    fields.remove(Field::IfRange);
    if way.caller.family != way.target.dialect.family {
        say_grants(way.caller, request.operation, &mut fields);
    }
    if request.operation.creates_object() {
        let access = [
            Field::Acl,
            Field::GrantRead,
            Field::GrantReadAcp,
            Field::GrantWriteAcp,
            Field::GrantFullControl,
        ];
        let access_said = access.into_iter().any(|field| fields.has(field));
        if !access_said && caller.acl == CannedAcl::Private && target.acl != CannedAcl::Private {
            fields.set(Field::Acl, Value::Acl(CannedAcl::Private));
        }
        // To say nothing may mean the bucket's class; a target whose buckets have none is told its own default.
        let meant = caller.class.filter(|class| target.class != Some(*class));
        let class = if target.class_always_explicit { caller.class.or(target.class) } else { meant };
        let class = class.filter(|_| !fields.has(Field::StorageClass));
        if let Some(class) = class {
            fields.set(Field::StorageClass, Value::StorageClass(class));
        }
        let own_content = request.operation != Operation::CopyObject
            || fields.directive(Field::MetadataDirective) == Some(Directive::Replace);
        let kind = caller.content_type.filter(|kind| target.content_type != Some(kind));
        if let Some(kind) = kind.filter(|_| own_content && !fields.has(Field::ContentType)) {
            fields.set(Field::ContentType, Value::Text(kind.to_owned()));
        }
    }
    if matches!(request.operation, Operation::GetObject | Operation::HeadObject)
        && fields.has(Field::Range)
        && target.lenient_range
        && !caller.lenient_range
    {
        fields.set(Field::StandardRange, Value::Flag);
    }
    if !target.lenient_range {
        fields.remove(Field::StandardRange);
    }
    fields
}

/// The checksums of a body or of a completed object that the caller says in the head, for a target that compares them.
///
/// # Errors
/// `BadDigest`: that of a completed object, where it is not that of the parts that the call names. `NotImplemented`: one
/// that only the target could compare.
fn checksums(way: &Route<'_>, request: &Request) -> Result<Vec<(String, Vec<u8>)>, Rejection> {
    let target = way.target.dialect;
    let completes = request.operation == Operation::CompleteMultipartUpload;
    let mut written = Vec::new();
    if !request.operation.is_upload() && !completes {
        return Ok(written);
    }
    for checksum in &request.checksums {
        let Some(value) = &checksum.value else { continue };
        let header = target.checksum_header(checksum.algorithm).filter(|_| target.keeps_checksums());
        match header {
            // Each write has one.
            Some(name) if written.is_empty() => written.push((name.to_owned(), value.clone().into_bytes())),
            None if completes && is_of_parts(request, checksum.algorithm, value)? => {}
            None if completes => {
                let name = way.caller.checksum_header(checksum.algorithm).unwrap_or_default();
                return Err(Rejection::with_message(
                    ErrorKind::NotImplemented,
                    format!("{name} cannot be carried out here: {} does not compare it", target.name),
                )
                .with_detail("Header", name));
            }
            _ => {}
        }
    }
    Ok(written)
}

/// Whether a completed object's checksum is the one of its parts' checksums, which the call names beside their ETags; each
/// was compared with its bytes when it came.
///
/// # Errors
/// `BadDigest`: it says to be, and is another.
fn is_of_parts(request: &Request, algorithm: ChecksumAlgorithm, value: &str) -> Result<bool, Rejection> {
    let Some(found) = compute_composite_checksum(algorithm, &request.parts)? else { return Ok(false) };
    let (bare, count) = value.rsplit_once('-').map_or((value, None), |(bare, count)| (bare, Some(count)));
    let counted = count.is_none_or(|count| count.parse() == Ok(request.parts.len()));
    match (found == bare && counted, count) {
        (true, _) => Ok(true),
        (false, Some(_)) => Err(ErrorKind::BadDigest.into()),
        (false, None) => Ok(false),
    }
}

/// Accounts are a vendor's own, but everybody is everybody: grants that mean a canned list are said by its word.
fn say_grants(caller: &Dialect, operation: Operation, fields: &mut Fields) {
    let Some(acl) = access::canned_from_grant_fields(caller, fields) else { return };
    let field = if Field::Acl.applies_to(operation) { Field::Acl } else { Field::BucketAcl };
    if fields.has(field) {
        return;
    }
    access::GRANT_FIELDS.iter().for_each(|row| drop(fields.remove(row.0)));
    fields.set(field, Value::Acl(acl));
}

/// Why a field is not written.
enum UnwrittenField {
    /// The target does by itself what the field asks for.
    NotNeeded,
    /// It cannot be said.
    CannotSay(String),
}

fn write_field(
    way: &Route<'_>,
    operation: Operation,
    field: Field,
    value: &Value,
) -> Result<(FieldName, Vec<u8>), UnwrittenField> {
    let target = way.target.dialect;
    let cannot = |why: &str| UnwrittenField::CannotSay(format!("{} {why}", target.name));
    if matches!(value, Value::Acl(CannedAcl::Inherit)) && target.words.acl.word(CannedAcl::Inherit).is_none()
    {
        // There the bucket decides when nothing is said.
        return Err(UnwrittenField::NotNeeded);
    }
    if field.is_checksum_option() && !target.keeps_checksums() {
        // What the caller says of the bytes is compared here.
        return Err(UnwrittenField::NotNeeded);
    }
    let name = target.target_field_name(field, operation);
    if name.is_none() && (field.is_safe_to_omit() || field.is_repeated_in(operation)) {
        return Err(UnwrittenField::NotNeeded);
    }
    let name = name.ok_or_else(|| cannot("has no such field"))?;
    if field.has_account_ids() && way.caller.family != target.family {
        return Err(cannot("has other accounts"));
    }
    let words = target.words;
    let word = |word: Option<&'static str>| {
        word.map(str::to_owned).ok_or_else(|| cannot("has no word for this value"))
    };
    let text = match value {
        Value::Text(text) if field == Field::EncryptionKeyId && !way.target.kms_keys.contains(text) => {
            return Err(cannot(&format!("is not configured with the key {text}")));
        }
        Value::Text(text) => text.clone(),
        Value::Raw(bytes) => return Ok((name, bytes.clone())),
        Value::Time(at) => date::format_http(*at),
        Value::Etags(tags) => written_etags(target, tags),
        Value::Directive(directive) if field == Field::TaggingDirective => {
            word(words.tagging.word(*directive))?
        }
        Value::Directive(directive) => word(words.metadata.word(*directive))?,
        Value::StorageClass(class) => word(words.class.word(*class))?,
        Value::Acl(acl) => word(words.acl.word(*acl))?,
        Value::Encryption(way) => word(words.encryption.word(*way))?,
        Value::Flag => (words.flag_word)(field).to_owned(),
        Value::Number(number) => number.to_string(),
        Value::ByteRange(range) => format_range(*range),
        Value::Tags(tags) => written_tags(tags),
        Value::Secret(key) => key.expose().to_owned(),
    };
    Ok((name, text.into_bytes()))
}

fn written_etags(target: &Dialect, tags: &[String]) -> String {
    let one = |tag: &String| if tag == "*" { tag.clone() } else { etag::quote(target, tag) };
    tags.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn format_range(range: ByteRange) -> String {
    match range {
        ByteRange::Span(first, last) => format!("bytes={first}-{last}"),
        ByteRange::From(first) => format!("bytes={first}-"),
        ByteRange::Last(count) => format!("bytes=-{count}"),
    }
}

fn written_tags(tags: &[(String, String)]) -> String {
    let pair =
        |(name, value): &(String, String)| format!("{}={}", percent::encode(name), percent::encode(value));
    tags.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn write_metadata(
    way: &Route<'_>,
    request: &Request,
    outgoing: &mut OutgoingRequest,
    losses: &mut Vec<Loss>,
) {
    let target = way.target.dialect;
    for (name, value) in &request.metadata {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if plain || target.limits.metadata_any_name {
            let value = words::encode_for_target(way.caller, target, value);
            outgoing.headers.push((format!("{}{name}", target.metadata_prefix), value));
        } else {
            losses.push(Loss {
                item: crate::engine::loss::LostItem::Metadata(name.clone()),
                reason: format!("{} allows only letters, digits and - in names of metadata", target.name),
            });
        }
    }
}

/// Signs a request whose body is at hand.
pub fn sign_request(way: &Route<'_>, mut outgoing: OutgoingRequest, now: Timestamp) -> OutgoingRequest {
    let body = &outgoing.body;
    if !body.is_empty() || matches!(outgoing.method, "PUT" | "POST") {
        outgoing.headers.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    if !body.is_empty() {
        let kind: &[u8] = if body.starts_with(b"<") { b"application/xml" } else { b"application/json" };
        outgoing.headers.push(("content-type".to_owned(), kind.to_vec()));
        outgoing.headers.push(("content-md5".to_owned(), crate::wire::hash::md5_base64(body).into_bytes()));
    }
    outgoing.payload_hash = PayloadHash::Sha256(crate::wire::hash::sha256_hex(&outgoing.body));
    let now = way.target.clock.to_target_time(now);
    way.target.auth.sign(&mut outgoing, &way.target.credentials.current(), &way.target.region, now);
    outgoing
}
