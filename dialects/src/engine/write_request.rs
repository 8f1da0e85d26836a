//! Writes the canonical request as a head in the target's dialect, and returns the fields that are lost.

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

/// Writes an unsigned request to the target, without its body.
///
/// # Errors
/// A key or metadata above the target's limits; an operation that the target does not have.
pub fn write_request(
    route: &Route<'_>,
    request: &Request,
) -> Result<(OutgoingRequest, Vec<Loss>), Rejection> {
    let target = route.target.dialect;
    check_limits(target, request)?;
    let fields = add_explicit_defaults(route, request);
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
    check_operation_parameters(target, request, &outgoing)?;
    write_metadata(route, request, &mut outgoing, &mut losses);
    if let Some(name) =
        // The embedded store checks the minimum of the caller's vendor, which only the proxy knows.
        target
            .part_bytes_min_header
            .filter(|_| request.operation == Operation::CompleteMultipartUpload)
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

/// Builds the head of an operation: method, host, path and the parameters that select it.
///
/// # Errors
/// `NotImplemented` if the target does not have the operation.
pub(crate) fn build_head(
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
    let probe = target.dialect.bucket_head_parameter.filter(|_| operation == Operation::HeadBucket);
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
    // A parameter with the value of a field is written with the fields.
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

/// Checks that all parameters that select the operation are present. Without one, the target would perform another
/// operation.
fn check_operation_parameters(
    target: &Dialect,
    request: &Request,
    outgoing: &OutgoingRequest,
) -> Result<(), Rejection> {
    let Some(operation_route) = target.find_route(request.operation) else { return Ok(()) };
    let mut names = operation_route.parameters.iter().filter_map(|wanted| wanted.split('=').next());
    match names.find(|name| !outgoing.query.iter().any(|row| row.0 == *name)) {
        None => Ok(()),
        Some(name) => Err(Rejection::with_message(
            ErrorKind::InvalidRequest,
            format!("{} needs the parameter {name}.", request.operation.name()),
        )),
    }
}

/// Builds the signed request that shows whether a bucket exists at the target.
///
/// # Errors
/// As [`build_head`].
pub(crate) fn build_signed_bucket_head(
    route: &Route<'_>,
    bucket: &str,
    now: Timestamp,
) -> Result<OutgoingRequest, Rejection> {
    let route = route.to_bucket(bucket);
    let scope = RequestScope::Bucket(bucket.to_owned());
    Ok(sign_request(&route, build_head(&route, Operation::HeadBucket, &scope)?, now))
}

/// The fields that [`add_explicit_defaults`] sets: each has a default that differs between vendors.
pub(crate) const DEFAULT_FIELDS: [Field; 4] =
    [Field::Acl, Field::StorageClass, Field::ContentType, Field::StandardRange];

/// Sets the fields for those defaults of the caller's dialect that differ from the target's.
fn add_explicit_defaults(route: &Route<'_>, request: &Request) -> Fields {
    let (caller, target) = (&route.caller.defaults, &route.target.dialect.defaults);
    let mut fields = request.fields.clone();
    // The proxy itself compares If-Range with the response.
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
        // Without a storage class, the target may use that of the bucket. A target without storage classes of buckets
        // gets its own default.
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

/// The checksum headers of a body or of a completed object, for a target that verifies them.
///
/// # Errors
/// `BadDigest`: the checksum of a completed object does not result from those of its parts. `NotImplemented`: only
/// the target could verify it, and it does not.
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
            // The target accepts one checksum per request.
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

/// Whether the checksum of a completed object is the composite of its parts' checksums in the request. Those were
/// compared with the bytes when the parts were uploaded.
///
/// # Errors
/// `BadDigest`: it has the form of a composite checksum and differs.
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

/// Replaces grants by the canned ACL with the same meaning. Grants to everybody have such an ACL; accounts differ
/// between vendors.
fn replace_grants_with_acl(caller: &Dialect, operation: Operation, fields: &mut Fields) {
    let Some(acl) = acl_documents::canned_from_grant_fields(caller, fields) else { return };
    let field = if Field::Acl.applies_to(operation) { Field::Acl } else { Field::BucketAcl };
    // The vendors reject a request with a canned ACL and grants, so it must not become a valid one here.
    if fields.has(field) {
        return;
    }
    acl_documents::GRANT_FIELDS.iter().for_each(|row| drop(fields.remove(row.0)));
    fields.set(field, Value::Acl(acl));
}

/// Why a field is not written.
enum UnwrittenField {
    /// The target has the effect of the field without it.
    Unnecessary,
    /// The target does not support the field or this value; the reason is a sentence.
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
        // At such a target, the ACL of the bucket applies if the header is absent.
        return Err(UnwrittenField::Unnecessary);
    }
    if field.is_checksum_option() && !target.keeps_checksums() {
        // The proxy verifies the client's checksums itself.
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
    // Even if the target has such a field, the ID would belong to another account there, or to none.
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
            return Err(reject(loss::describe_unlisted_key(text)));
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

/// Describes a value of a closed set that the target does not have.
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
        // Vendors restrict names differently; letters, digits and hyphens are valid at all of them.
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

/// Adds the headers that describe the request's document.
pub(crate) fn add_document_headers(outgoing: &mut OutgoingRequest) {
    let body = &outgoing.body;
    if body.is_empty() {
        return;
    }
    let kind: &[u8] = if body.starts_with(b"<") { b"application/xml" } else { b"application/json" };
    let digest = crate::encoding::hash::md5_base64(body).into_bytes();
    outgoing.headers.push(("content-type".to_owned(), kind.to_vec()));
    // Some vendors require Content-MD5 for documents, and all of them accept it.
    outgoing.headers.push(("content-md5".to_owned(), digest));
}

/// Signs a request with a complete body.
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
