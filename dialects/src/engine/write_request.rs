//! From the canonical request to a head in the target's dialect, with the fields that are lost.

use crate::dialect::route::Route;
use crate::dialect::{Dialect, FieldName, TargetCopySource, etag, limits};
use crate::documents::acl_documents;
use crate::encoding::{date, percent};
use crate::engine::body_verifier::compute_composite_checksum;
use crate::engine::encoded_words;
use crate::engine::loss::{self, Loss};
use crate::model::{
    ByteRange, CannedAcl, ChecksumAlgorithm, Directive, ErrorKind, Field, Fields, Operation, OutgoingRequest,
    PayloadHash, Rejection, Request, RequestScope, Timestamp, Value,
};

/// Writes an unsigned request to the target. The body is the caller's business.
///
/// # Errors
/// A key or metadata that the target cannot hold, an operation that it does not have.
pub fn write_request(
    route: &Route<'_>,
    request: &Request,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let target = route.target.dialect;
    check_limits(target, request)?;
    let fields = express_defaults(route, request);
    let mut outgoing = build_head(route, request.operation, &request.scope)?;
    let mut losses = Vec::new();
    for (field, value) in fields.iter() {
        match write_field(route, request.operation, field, value) {
            Ok((FieldName::Header(name), value)) => outgoing.headers.push((name.to_owned(), value)),
            Ok((FieldName::Parameter(name), value)) => {
                let text = String::from_utf8(value).map_err(|_| ErrorKind::InvalidArgument)?;
                outgoing.query.push((name.to_owned(), Some(text)));
            }
            Err(UnwrittenField::Unnecessary) => {}
            Err(UnwrittenField::Unsupported(reason)) => losses.push(Loss::for_field(field, reason)),
        }
    }
    check_selectors(target, request, &outgoing)?;
    write_metadata(route, request, &mut outgoing, &mut losses);
    if let Some(name) =
        target.part_bytes_min_header.filter(|_| request.operation == Operation::CompleteMultipartUpload)
    {
        let least = route.caller.limits.part_bytes_min.to_string();
        outgoing.headers.push((name.to_owned(), least.into_bytes()));
    }
    outgoing.headers.extend(write_checksum_headers(route, request)?);
    if let Some(source) = &request.source {
        let at = TargetCopySource {
            bucket: route.require_source_bucket()?,
            key: &source.key,
            version: source.version.as_deref(),
            authority: &route.target.authority,
        };
        let value = (target.copy.write_source)(&at);
        outgoing.headers.push((target.copy.source_header.to_owned(), value.into_bytes()));
    }
    Ok((outgoing, losses))
}

fn check_limits(target: &'static Dialect, request: &Request) -> Result<(), Rejection> {
    if let Some(key) = request.scope.key() {
        limits::check_key(target, key)?;
    }
    if let Some(source) = &request.source {
        limits::check_key(target, &source.key)?;
    }
    limits::check_metadata(target, &request.metadata)
}

/// An empty head for an operation: method, host, path and the parameters that select it.
///
/// # Errors
/// `NotImplemented` where the target does not have the operation.
pub fn build_head(
    route: &Route<'_>,
    operation: Operation,
    scope: &RequestScope,
) -> Result<OutgoingRequest, Rejection> {
    let target = route.target;
    let operation_route = target.dialect.find_route(operation).ok_or_else(|| {
        Rejection::with_message(
            ErrorKind::NotImplemented,
            loss::describe_unsupported(target, operation.name()),
        )
    })?;
    let probe = target.dialect.bucket_probe_parameter.filter(|_| operation == Operation::HeadBucket);
    let scope = route.to_target_scope(scope)?;
    let authority = &target.authority;
    let (host, path) = match (&scope, target.path_style) {
        (RequestScope::Service, _) => (authority.clone(), "/".to_owned()),
        (RequestScope::Bucket(bucket), true) => (authority.clone(), format!("/{bucket}")),
        (RequestScope::Bucket(bucket), false) => (format!("{bucket}.{authority}"), "/".to_owned()),
        (RequestScope::Object { bucket, key }, true) => {
            (authority.clone(), format!("/{bucket}/{}", percent::encode_path(key)))
        }
        (RequestScope::Object { bucket, key }, false) => {
            (format!("{bucket}.{authority}"), format!("/{}", percent::encode_path(key)))
        }
    };
    // Parameters whose value is a field are written with the fields.
    let selectors = operation_route.parameters.iter().filter(|name| {
        !Field::ALL
            .iter()
            .any(|field| target.dialect.field_name_in(*field, operation) == Some(FieldName::Parameter(name)))
    });
    let query = probe.iter().chain(selectors).map(|name| match name.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => ((*name).to_owned(), None),
    });
    Ok(OutgoingRequest {
        method: if probe.is_some() { "GET" } else { operation_route.method },
        host,
        scope,
        path,
        query: query.collect(),
        headers: Vec::new(),
        body: Vec::new(),
        payload_hash: PayloadHash::Unsigned,
        is_long_running: operation.is_copy() || operation == Operation::CompleteMultipartUpload,
    })
}

/// Without a parameter that selects the operation the target would take the request for another.
fn check_selectors(target: &Dialect, request: &Request, outgoing: &OutgoingRequest) -> Result<(), Rejection> {
    let Some(operation_route) = target.find_route(request.operation) else { return Ok(()) };
    let is_present = |wanted: &&str| {
        let name = wanted.split('=').next().unwrap_or(wanted);
        outgoing.query.iter().any(|row| row.0 == name)
    };
    if operation_route.parameters.iter().all(is_present) {
        return Ok(());
    }
    Err(Rejection::with_message(
        ErrorKind::InvalidRequest,
        format!("{} is not complete.", request.operation.name()),
    ))
}

/// The signed request that asks whether a bucket of the target exists.
///
/// # Errors
/// As [`build_head`].
pub fn build_signed_bucket_head(
    route: &Route<'_>,
    bucket: &str,
    now: Timestamp,
) -> Result<OutgoingRequest, Rejection> {
    let route = route.to_bucket(bucket);
    let scope = RequestScope::Bucket(bucket.to_owned());
    Ok(sign_request(&route, build_head(&route, Operation::HeadBucket, &scope)?, now))
}

/// Expresses the caller's defaults where the target has other ones.
fn express_defaults(route: &Route<'_>, request: &Request) -> Fields {
    let (caller, target) = (&route.caller.defaults, &route.target.dialect.defaults);
    let mut fields = request.fields.clone();
    // The proxy compares it with the response.
    fields.remove(Field::IfRange);
    if route.caller.family != route.target.dialect.family {
        replace_grants_with_acl(route.caller, request.operation, &mut fields);
    }
    if request.operation.creates_object() {
        let acl_fields = [
            Field::Acl,
            Field::GrantRead,
            Field::GrantReadAcp,
            Field::GrantWriteAcp,
            Field::GrantFullControl,
        ];
        let has_acl = acl_fields.into_iter().any(|field| fields.has(field));
        if !has_acl && caller.acl == CannedAcl::Private && target.acl != CannedAcl::Private {
            fields.set(Field::Acl, Value::Acl(CannedAcl::Private));
        }
        // Without a class the target may take the bucket's; a target without classes of buckets gets its own default.
        let class_to_express = caller.class.filter(|class| target.class != Some(*class));
        let class =
            if target.class_always_explicit { caller.class.or(target.class) } else { class_to_express };
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

/// The checksums of a body or of a completed object in the caller's head, for a target that verifies them.
///
/// # Errors
/// `BadDigest`: that of a completed object, where it is not that of the parts that the call names. `NotImplemented`: one
/// that only the target could compare.
fn write_checksum_headers(route: &Route<'_>, request: &Request) -> Result<Vec<(String, Vec<u8>)>, Rejection> {
    let target = route.target.dialect;
    let is_completion = request.operation == Operation::CompleteMultipartUpload;
    let mut headers = Vec::new();
    if !request.operation.is_upload() && !is_completion {
        return Ok(headers);
    }
    for checksum in &request.checksums {
        let Some(value) = &checksum.value else { continue };
        let header = target.checksum_header(checksum.algorithm).filter(|_| target.keeps_checksums());
        match header {
            // Each write has one.
            Some(name) if headers.is_empty() => headers.push((name.to_owned(), value.clone().into_bytes())),
            None if is_completion && is_composite_of_parts(request, checksum.algorithm, value)? => {}
            None if is_completion => {
                let name = route.caller.checksum_header(checksum.algorithm).unwrap_or_default();
                return Err(Rejection::with_message(
                    ErrorKind::NotImplemented,
                    format!("{} does not verify {name}.", loss::describe_target(route.target)),
                )
                .with_detail("Header", name));
            }
            _ => {}
        }
    }
    Ok(headers)
}

/// Whether a completed object's checksum is the one of its parts' checksums, which the call names beside their ETags; each
/// was compared with its bytes when it came.
///
/// # Errors
/// `BadDigest`: it claims to be one, and differs.
fn is_composite_of_parts(
    request: &Request,
    algorithm: ChecksumAlgorithm,
    value: &str,
) -> Result<bool, Rejection> {
    let Some(composite) = compute_composite_checksum(algorithm, &request.parts)? else { return Ok(false) };
    let (bare, count) = value.rsplit_once('-').map_or((value, None), |(bare, count)| (bare, Some(count)));
    let is_part_count = count.is_none_or(|count| count.parse() == Ok(request.parts.len()));
    match (composite == bare && is_part_count, count) {
        (true, _) => Ok(true),
        (false, Some(_)) => Err(ErrorKind::BadDigest.into()),
        (false, None) => Ok(false),
    }
}

/// Accounts differ between vendors, everybody does not: grants that mean a canned ACL are written as one.
fn replace_grants_with_acl(caller: &Dialect, operation: Operation, fields: &mut Fields) {
    let Some(acl) = acl_documents::canned_from_grant_fields(caller, fields) else { return };
    let field = if Field::Acl.applies_to(operation) { Field::Acl } else { Field::BucketAcl };
    if fields.has(field) {
        return;
    }
    acl_documents::GRANT_FIELDS.iter().for_each(|row| drop(fields.remove(row.0)));
    fields.set(field, Value::Acl(acl));
}

/// Why a field is not written.
enum UnwrittenField {
    /// The target does by itself what the field asks for.
    Unnecessary,
    /// The target does not support it, or this value: a sentence.
    Unsupported(String),
}

fn write_field(
    route: &Route<'_>,
    operation: Operation,
    field: Field,
    value: &Value,
) -> Result<(FieldName, Vec<u8>), UnwrittenField> {
    let target = route.target.dialect;
    let reject = |reason: String| UnwrittenField::Unsupported(reason);
    if matches!(value, Value::Acl(CannedAcl::Inherit)) && target.words.acl.word(CannedAcl::Inherit).is_none()
    {
        // There the bucket decides if the header is absent.
        return Err(UnwrittenField::Unnecessary);
    }
    if field.is_checksum_option() && !target.keeps_checksums() {
        // The proxy verifies the checksums of the caller.
        return Err(UnwrittenField::Unnecessary);
    }
    let name = target.target_field_name(field, operation);
    if name.is_none() && (field.is_safe_to_omit() || field.is_repeated_in(operation)) {
        return Err(UnwrittenField::Unnecessary);
    }
    let caller_name = || {
        route
            .caller
            .field_name_in(field, operation)
            .map_or_else(|| field.name(), |name| name.as_str().to_owned())
    };
    let name = name.ok_or_else(|| reject(loss::describe_unsupported(route.target, &caller_name())))?;
    if field.has_account_ids() && route.caller.family != target.family {
        return Err(reject(format!(
            "{} names accounts of {}, which {} does not have.",
            caller_name(),
            loss::display_name(route.caller),
            loss::describe_target(route.target)
        )));
    }
    let words = target.words;
    let require_word = |word: Option<&'static str>| {
        word.map(str::to_owned)
            .ok_or_else(|| reject(describe_missing_word(route.caller, target, value, &caller_name())))
    };
    let text = match value {
        Value::Text(text) if field == Field::EncryptionKeyId && !route.target.kms_keys.contains(text) => {
            return Err(reject(format!(
                "{} is not configured with the key {text}.",
                loss::describe_target(route.target)
            )));
        }
        Value::Text(text) => text.clone(),
        Value::Raw(bytes) => return Ok((name, bytes.clone())),
        Value::Time(at) => date::format_http(*at),
        Value::Etags(tags) => format_etags(target, tags),
        Value::Directive(directive) if field == Field::TaggingDirective => {
            require_word(words.tagging.word(*directive))?
        }
        Value::Directive(directive) => require_word(words.metadata.word(*directive))?,
        Value::StorageClass(class) => require_word(words.class.word(*class))?,
        Value::Acl(acl) => require_word(words.acl.word(*acl))?,
        Value::Encryption(encryption) => require_word(words.encryption.word(*encryption))?,
        Value::Flag => (words.flag_word)(field).to_owned(),
        Value::Number(number) => number.to_string(),
        Value::ByteRange(range) => format_range(*range),
        Value::Tags(tags) => format_tags(tags),
        Value::Secret(key) => key.expose().to_owned(),
    };
    Ok((name, text.into_bytes()))
}

/// The sentence for a value of a closed set that the target does not have.
fn describe_missing_word(caller: &Dialect, target: &Dialect, value: &Value, field_name: &str) -> String {
    let words = caller.words;
    let (kind, word) = match value {
        Value::StorageClass(class) => ("storage class", words.class.word(*class)),
        Value::Acl(acl) => ("canned ACL", words.acl.word(*acl)),
        Value::Encryption(encryption) => ("encryption", words.encryption.word(*encryption)),
        _ => ("value", None),
    };
    format!(
        "{} has no {kind} that corresponds to {}.",
        loss::display_name(target),
        word.unwrap_or(field_name)
    )
}

fn format_etags(target: &Dialect, tags: &[String]) -> String {
    let format_etag = |tag: &String| if tag == "*" { tag.clone() } else { etag::quote(target, tag) };
    tags.iter().map(format_etag).collect::<Vec<_>>().join(", ")
}

fn format_range(range: ByteRange) -> String {
    match range {
        ByteRange::Span(first, last) => format!("bytes={first}-{last}"),
        ByteRange::From(first) => format!("bytes={first}-"),
        ByteRange::Last(count) => format!("bytes=-{count}"),
    }
}

fn format_tags(tags: &[(String, String)]) -> String {
    let format_pair =
        |(name, value): &(String, String)| format!("{}={}", percent::encode(name), percent::encode(value));
    tags.iter().map(format_pair).collect::<Vec<_>>().join("&")
}

fn write_metadata(
    route: &Route<'_>,
    request: &Request,
    outgoing: &mut OutgoingRequest,
    losses: &mut Vec<Loss>,
) {
    let target = route.target.dialect;
    for (name, value) in &request.metadata {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_plain || target.limits.metadata_any_name {
            let value = encoded_words::convert_for_target(route.caller, target, value);
            outgoing.headers.push((format!("{}{name}", target.metadata_prefix), value));
        } else {
            losses.push(Loss {
                item: crate::engine::loss::LostItem::Metadata(name.clone()),
                reason: format!(
                    "{} allows only letters, digits and - in metadata names, not {name}.",
                    loss::describe_target(route.target)
                ),
            });
        }
    }
}

/// Describes the document of a request in its head.
pub fn add_document_headers(outgoing: &mut OutgoingRequest) {
    let body = &outgoing.body;
    if body.is_empty() {
        return;
    }
    let kind: &[u8] = if body.starts_with(b"<") { b"application/xml" } else { b"application/json" };
    let digest = crate::encoding::hash::md5_base64(body).into_bytes();
    outgoing.headers.push(("content-type".to_owned(), kind.to_vec()));
    outgoing.headers.push(("content-md5".to_owned(), digest));
}

/// Signs a request that has its whole body.
pub fn sign_request(route: &Route<'_>, mut outgoing: OutgoingRequest, now: Timestamp) -> OutgoingRequest {
    if !outgoing.body.is_empty() || matches!(outgoing.method, "PUT" | "POST") {
        outgoing.headers.push(("content-length".to_owned(), outgoing.body.len().to_string().into_bytes()));
    }
    add_document_headers(&mut outgoing);
    outgoing.payload_hash = PayloadHash::Sha256(crate::encoding::hash::sha256_hex(&outgoing.body));
    let now = route.target.clock.to_target_time(now);
    route.target.auth.sign(&mut outgoing, &route.target.credentials.current(), &route.target.region, now);
    outgoing
}
