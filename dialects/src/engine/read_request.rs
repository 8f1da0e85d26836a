//! Reads a head with a verified signature in the caller's dialect into the canonical request.

use std::borrow::Cow;

use crate::dialect::addressing::strip_port;
use crate::dialect::limits::{check_bucket_name, check_key, check_metadata};
use crate::dialect::signature::{ResourceAddress, VerifiedSignature};
use crate::dialect::{Dialect, FieldName, OperationRoute, ResourceLevel};
use crate::encoding::{date, hash, percent};
use crate::engine::{body_verifier, crc64};
use crate::model::{
    ByteRange, Checksum, ChecksumAlgorithm, Directive, ErrorKind, Field, Fields, Operation, RawHead,
    Rejection, Request, RequestScope, SecretText, Value, ValueKind,
};

/// Reads a request after its signature has been verified.
///
/// # Errors
/// An operation that is not translated, a malformed or repeated field, a header of the dialect that this operation
/// does not have, a key or metadata above the dialect's own limits.
pub fn read_request(
    dialect: &'static Dialect,
    head: &RawHead,
    address: &ResourceAddress,
    verified: &VerifiedSignature,
) -> Result<Request, Rejection> {
    let parsed_head = ParsedHead::new(dialect, head, verified.credential_parameters)?;
    // Some SDKs encode a path differently from what they sign. The signature shows which key is meant.
    let signed_address = verified
        .signed_key
        .as_ref()
        .map(|key| ResourceAddress { scope: address.scope.with_key(key), ..address.clone() });
    let address = signed_address.as_ref().unwrap_or(address);
    let operation_route = match_route(dialect, &parsed_head, address)?;
    let operation = operation_route.operation;
    check_address(dialect, address)?;
    let service_domain = find_service_domain(&parsed_head, address);
    let source = parsed_head
        .header(dialect.copy.source_header)
        .map(|value| parse_copy_source(dialect, value, service_domain));
    let source = source.transpose()?;
    let mut request = Request {
        source: if operation.is_copy() { source } else { None },
        fields: parse_fields(dialect, &parsed_head, &operation_route)?,
        metadata: parse_metadata(dialect, &parsed_head, operation)?,
        checksums: parse_checksums(dialect, &parsed_head, operation)?,
        digests: parse_digests(dialect, &parsed_head, operation)?,
        body_length: parse_body_length(&parsed_head)?,
        ..Request::new(operation, address.scope.clone())
    };
    // After the fields, because an error about the value of a known field is more specific.
    reject_unknown_headers(dialect, &parsed_head, operation)?;
    reject_unknown_conditions(dialect, &parsed_head, operation)?;
    check_unsupported_identifiers(dialect, &parsed_head, operation)?;
    (dialect.check_request)(&request)?;
    apply_copy_directives(dialect, &mut request);
    Ok(request)
}

/// Headers and decoded query parameters of one request. Parameters that replace headers are in a list of their own.
struct ParsedHead<'a> {
    method: &'a str,
    headers: Vec<(String, Cow<'a, [u8]>)>,
    header_parameters: Vec<(String, String)>,
    parameters: Vec<(String, Option<String>)>,
}

impl<'a> ParsedHead<'a> {
    fn new(dialect: &Dialect, head: &'a RawHead, credential_parameters: &[&str]) -> Result<Self, Rejection> {
        let mut parsed_head = Self {
            method: &head.method,
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_slice().into()))
                .collect(),
            header_parameters: Vec::new(),
            parameters: Vec::new(),
        };
        for (name, value) in head.query.parameters().map_err(|_| ErrorKind::InvalidUri)? {
            // The parameters of a presigned URL's signature have been verified and are not part of the operation.
            if credential_parameters.iter().any(|own| own.eq_ignore_ascii_case(name)) {
                continue;
            }
            // XML cannot express NUL, so a listing could not return the value.
            if value.as_ref().is_some_and(|value| value.contains('\0')) {
                return Err(build_value_rejection(name, "(NUL)"));
            }
            let lower = name.to_ascii_lowercase();
            if (dialect.is_header_parameter)(&lower) {
                parsed_head.header_parameters.push((lower, value.clone().unwrap_or_default()));
            } else {
                parsed_head.parameters.push((name.clone(), value.clone()));
            }
        }
        parsed_head.join_header_lines(dialect)?;
        Ok(parsed_head)
    }

    /// Joins the lines of list headers, and rejects any other header or parameter that is repeated.
    fn join_header_lines(&mut self, dialect: &Dialect) -> Result<(), Rejection> {
        let has_meaning =
            |name: &str| name.starts_with(dialect.header_prefix) || SINGLE_LINE_HEADERS.contains(&name);
        let may_repeat = |name: &str| {
            name.starts_with(dialect.metadata_prefix)
                || (dialect.ignored_headers.iter().any(|row| row.may_repeat() && row.matches_header(name))
                    && !dialect.has_header(name))
        };
        let mut headers_joined: Vec<(String, Cow<'a, [u8]>)> = Vec::with_capacity(self.headers.len());
        for (name, value) in std::mem::take(&mut self.headers) {
            // Two different values of one header could be read differently by the proxy and by the target.
            let first = headers_joined
                .iter_mut()
                .find(|row| row.0 == name)
                .filter(|_| has_meaning(&name) && !may_repeat(&name));
            match first {
                None => headers_joined.push((name, value)),
                Some(first) if dialect.is_list_header(&name) => {
                    let line = first.1.to_mut();
                    line.extend_from_slice(b", ");
                    line.extend_from_slice(&value);
                }
                Some(_) => return Err(build_repeated_rejection(&name)),
            }
        }
        self.headers = headers_joined;
        let mut header_names = std::collections::BTreeSet::new();
        let headers = self.headers.iter().map(|row| row.0.as_str()).filter(|name| has_meaning(name));
        header_names.extend(headers);
        for (name, _) in &self.header_parameters {
            if !header_names.insert(name) && !may_repeat(name) {
                return Err(build_repeated_rejection(name));
            }
        }
        let mut parameter_names = std::collections::BTreeSet::new();
        match self.parameters.iter().find(|(name, _)| !parameter_names.insert(name.to_ascii_lowercase())) {
            Some((name, _)) => Err(build_repeated_rejection(name)),
            None => Ok(()),
        }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|row| row.0 == name).map(|row| row.1.as_ref());
        header.or_else(|| self.header_parameters.iter().find(|row| row.0 == name).map(|row| row.1.as_bytes()))
    }

    fn parameter(&self, dialect: &Dialect, name: &str) -> Option<&str> {
        let is_same_name =
            |own: &str| own == name || (dialect.parameters_ignore_case && own.eq_ignore_ascii_case(name));
        self.parameters
            .iter()
            .find(|row| is_same_name(&row.0))
            .map(|row| row.1.as_deref().unwrap_or_default())
    }

    /// Whether a parameter has this name, or this name and a slash: parameters of image processing continue after it.
    fn has_sub_resource(&self, dialect: &Dialect, wanted: &str) -> bool {
        let is_same_name =
            |own: &str| own == wanted || (dialect.parameters_ignore_case && own.eq_ignore_ascii_case(wanted));
        self.parameters.iter().any(|row| row.0.split('/').next().is_some_and(is_same_name))
    }

    fn has_parameter(&self, dialect: &Dialect, wanted: &str) -> bool {
        match wanted.split_once('=') {
            Some((name, value)) => self.parameter(dialect, name) == Some(value),
            None => self.parameter(dialect, wanted).is_some(),
        }
    }
}

fn build_repeated_rejection(name: &str) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidArgument, format!("{name} was given more than once."))
}

/// Standard headers with a meaning in a translated request. One line is allowed for those that are not lists.
const SINGLE_LINE_HEADERS: &[&str] = &[
    "authorization",
    "content-md5",
    "content-type",
    "content-encoding",
    "content-disposition",
    "cache-control",
    "content-language",
    "expires",
    "date",
    "range",
    "if-range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
];

fn match_route(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    address: &ResourceAddress,
) -> Result<OperationRoute, Rejection> {
    let level = match address.scope {
        RequestScope::Service => ResourceLevel::Service,
        RequestScope::Bucket(_) => ResourceLevel::Bucket,
        RequestScope::Object { .. } => ResourceLevel::Object,
    };
    let has_copy_source = parsed_head.header(dialect.copy.source_header).is_some();
    let matches_row = |row: &OperationRoute| {
        row.method == parsed_head.method
            && row.level == level
            // This check guarantees to all later code that an operation on an object has a key, and one on a bucket
            // has a bucket, whatever the tables of a dialect contain.
            && address.scope.is_valid_for(row.operation)
            && row.parameters.iter().all(|wanted| parsed_head.has_parameter(dialect, wanted))
            && row.copy_source.is_none_or(|wanted| wanted == has_copy_source)
    };
    // The first matching row counts: rows with more parameters come before those with fewer.
    let row = dialect.all_routes().find(matches_row);
    let is_consumed = |name: &str| {
        row.as_ref().is_some_and(|row| {
            row.parameters.iter().any(|own| own.split('=').next() == Some(name))
                || Field::ALL.iter().any(|field| {
                    matches!(dialect.field_name_in(*field, row.operation), Some(FieldName::Parameter(own)) if own == name)
                })
        })
    };
    let selector = dialect
        .sub_resources
        .iter()
        .find(|name| parsed_head.has_sub_resource(dialect, name) && !is_consumed(name));
    match (row, selector) {
        (_, Some(name)) => Err(Rejection::with_message(
            ErrorKind::NotImplemented,
            format!("The sub-resource {name} is not translated between these services."),
        )
        .with_detail("Header", *name)),
        (None, None) => {
            Err(Rejection::new(ErrorKind::MethodNotAllowed).with_detail("Method", parsed_head.method))
        }
        (Some(row), None) if has_copy_source && !row.operation.is_copy() => Err(Rejection::with_message(
            ErrorKind::InvalidArgument,
            "You can only specify a copy source header for copy requests.",
        )
        .with_detail("ArgumentName", dialect.copy.source_header)),
        (Some(row), None) => Ok(row),
    }
}

fn check_address(dialect: &Dialect, address: &ResourceAddress) -> Result<(), Rejection> {
    if let Some(bucket) = address.scope.bucket() {
        check_bucket_name(bucket)?;
    }
    address.scope.key().map_or(Ok(()), |key| check_key(dialect, key))
}

/// The domain after the bucket in a virtual-hosted request's host.
fn find_service_domain<'a>(head: &'a ParsedHead<'_>, address: &ResourceAddress) -> Option<&'a str> {
    let host = std::str::from_utf8(head.header("host")?).ok()?;
    let bucket = address.scope.bucket().filter(|_| address.virtual_host)?;
    strip_port(host).get(bucket.len()..)?.strip_prefix('.')
}

fn parse_copy_source(
    dialect: &Dialect,
    value: &[u8],
    service_domain: Option<&str>,
) -> Result<crate::model::CopySource, Rejection> {
    let text = std::str::from_utf8(value).map_err(|_| Rejection::new(ErrorKind::InvalidCopySource))?;
    let source = (dialect.copy.parse_source)(text, service_domain)?;
    check_bucket_name(&source.bucket).map_err(|_| {
        Rejection::with_message(ErrorKind::InvalidCopySource, "Invalid copy source bucket name")
    })?;
    check_key(dialect, &source.key)?;
    Ok(source)
}

fn parse_fields(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation_route: &OperationRoute,
) -> Result<Fields, Rejection> {
    let operation = operation_route.operation;
    let mut fields = Fields::default();
    for field in Field::ALL {
        let Some(name) = dialect.field_name_in(field, operation) else { continue };
        if let FieldName::Header(name) = name
            && Field::CONTENT_HEADERS.contains(&field)
            && let Some(value) = parsed_head.header(name).filter(|value| std::str::from_utf8(value).is_err())
        {
            fields.set(field, Value::Raw(parse_raw_value(name, value)?));
            continue;
        }
        // Some clients send a field in a parameter that the documents describe as a header, or the reverse.
        let alternative_name = dialect
            .additional_field_names
            .iter()
            .find(|row| (row.0, row.1) == (operation, field))
            .map(|row| row.2);
        let read_as = |name: FieldName| match name {
            FieldName::Header(name) => {
                parsed_head.header(name).map(|value| parse_text(name, value)).transpose()
            }
            FieldName::Parameter(name) if field.is_response_header_override() => parsed_head
                .parameter(dialect, name)
                .map(|value| parse_text(name, value.as_bytes()))
                .transpose(),
            FieldName::Parameter(name) => Ok(parsed_head.parameter(dialect, name).map(str::to_owned)),
        };
        let text = match (read_as(name)?, alternative_name) {
            (None, Some(alternative)) => read_as(alternative)?,
            (text, _) => text,
        };
        // Content-Encoding may contain `aws-chunked`, which describes the transfer and not the object.
        let text = text.map(|text| (dialect.strip_transport_text)(field, text));
        let Some(text) = text else { continue };
        if text.is_empty() {
            check_empty(dialect, operation_route, field, name)?;
            continue;
        }
        if let Some(value) = parse_value(dialect, field, name, &text)? {
            check_number_bounds(dialect, operation, field, name, &value)?;
            fields.set(field, value);
        }
    }
    Ok(fields)
}

/// An empty header or parameter counts as absent: SDKs send it for a value that was not set. A parameter that selects
/// the operation must have a value, because without it the target would perform another operation.
fn check_empty(
    dialect: &Dialect,
    operation_route: &OperationRoute,
    field: Field,
    name: FieldName,
) -> Result<(), Rejection> {
    let selects = matches!(name, FieldName::Parameter(name) if operation_route.parameters.contains(&name));
    let (error_kind, message) = match dialect.non_empty_fields.iter().find(|row| row.0 == field) {
        Some((_, error_kind, message)) => (*error_kind, Some(*message)),
        None if selects && field == Field::UploadId => (ErrorKind::NoSuchUpload, None),
        None if selects => (ErrorKind::InvalidArgument, None),
        None => return Ok(()),
    };
    let message = message.map_or_else(|| format!("{} must not be empty.", name.as_str()), str::to_owned);
    match error_kind {
        ErrorKind::InvalidArgument => {
            Err(Rejection::with_message(error_kind, message).with_detail("ArgumentName", name.as_str()))
        }
        ErrorKind::NoSuchUpload => Err(error_kind.into()),
        _ => Err(Rejection::with_message(error_kind, message)),
    }
}

/// No vendor allows more parts.
const PART_NUMBER_BOUNDS: (u64, u64) = (1, 10_000);

fn check_number_bounds(
    dialect: &Dialect,
    operation: Operation,
    field: Field,
    name: FieldName,
    value: &Value,
) -> Result<(), Rejection> {
    let Value::Number(number) = value else { return Ok(()) };
    // Without bounds in the dialect's table, only part numbers are checked.
    let own = dialect.number_bounds.iter().find(|row| (row.0, row.1) == (operation, field));
    let (least, most) = match own {
        Some(row) => (row.2, row.3),
        None if field == Field::PartNumber => PART_NUMBER_BOUNDS,
        None => return Ok(()),
    };
    if (least..=most).contains(number) {
        return Ok(());
    }
    let message = match field {
        Field::PartNumber => {
            format!("Part number must be an integer between {least} and {most}, inclusive")
        }
        _ => format!("Argument {} must be an integer between {least} and {most}", name.as_str()),
    };
    Err(Rejection::with_message(ErrorKind::InvalidArgument, message)
        .with_detail("ArgumentName", name.as_str())
        .with_detail("ArgumentValue", number.to_string()))
}

/// A parameter that selects a version, an upload or a part must not be ignored: the request would address another
/// object.
fn check_unsupported_identifiers(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<(), Rejection> {
    for field in [Field::VersionId, Field::UploadId, Field::PartNumber] {
        let Some(FieldName::Parameter(name)) = (dialect.field_name)(field) else { continue };
        let is_given = parsed_head.parameter(dialect, name).is_some_and(|value| !value.is_empty());
        if is_given && dialect.field_name_in(field, operation).is_none() {
            return Err(Rejection::with_message(
                ErrorKind::NotImplemented,
                format!("{} does not take the parameter {name}.", operation.name()),
            )
            .with_detail("Header", name));
        }
    }
    Ok(())
}

fn parse_text(name: &str, value: &[u8]) -> Result<String, Rejection> {
    let text = std::str::from_utf8(value).map_err(|_| build_value_rejection(name, "(not UTF-8)"))?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(build_value_rejection(name, "(control characters)"));
    }
    Ok(text.to_owned())
}

/// Reads a value that the vendor stores unchanged.
fn parse_raw_value(name: &str, value: &[u8]) -> Result<Vec<u8>, Rejection> {
    let is_control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    if value.iter().any(is_control) {
        Err(build_value_rejection(name, "(control characters)"))
    } else {
        Ok(value.to_vec())
    }
}

fn build_value_rejection(name: &str, value: &str) -> Rejection {
    Rejection::with_message(ErrorKind::InvalidArgument, format!("The value of {name} is not valid."))
        .with_detail("ArgumentName", name)
        .with_detail("ArgumentValue", value)
}

/// Reads one value. `None`: the flag is "false", or the vendor ignores a malformed value of this kind.
fn parse_value(
    dialect: &Dialect,
    field: Field,
    name: FieldName,
    text: &str,
) -> Result<Option<Value>, Rejection> {
    let words = dialect.words;
    let build_rejection = || build_value_rejection(name.as_str(), text);
    let or_reject = |value: Option<Value>| value.map(Some).ok_or_else(build_rejection);
    match field.kind() {
        ValueKind::Text if field == Field::EncodingType && !text.eq_ignore_ascii_case(ENCODING_URL) => {
            Err(Rejection::with_message(
                ErrorKind::InvalidArgument,
                "Invalid Encoding Method specified in Request",
            )
            .with_detail("ArgumentName", name.as_str())
            .with_detail("ArgumentValue", text))
        }
        ValueKind::Text => Ok(Some(Value::Text(text.to_owned()))),
        ValueKind::Time => or_reject(date::parse_any(text).map(Value::Time)),
        ValueKind::Etag => or_reject(parse_etags(text).map(Value::Etags)),
        ValueKind::MetadataDirective => or_reject(words.metadata.value(text).map(Value::Directive)),
        ValueKind::TaggingDirective => or_reject(words.tagging.value(text).map(Value::Directive)),
        ValueKind::StorageClass => {
            words.class.value(text).map(|class| Some(Value::StorageClass(class))).ok_or_else(|| {
                Rejection::new(ErrorKind::InvalidStorageClass).with_detail("StorageClassRequested", text)
            })
        }
        ValueKind::Acl => or_reject(words.acl.value(text).map(Value::Acl)),
        ValueKind::Encryption => {
            let encryption =
                words.encryption.value(text).ok_or(Rejection::new(ErrorKind::InvalidEncryption))?;
            Ok(Some(Value::Encryption(encryption)))
        }
        ValueKind::Flag if text.eq_ignore_ascii_case((words.flag_word)(field)) => Ok(Some(Value::Flag)),
        // SDKs send "false" for a flag that is not set.
        ValueKind::Flag if text.eq_ignore_ascii_case("false") => Ok(None),
        // An unknown value of a flag that protects data must not be read as "not set".
        ValueKind::Flag if field.guards_data() => Err(Rejection::with_message(
            ErrorKind::NotImplemented,
            format!("This value of {} is not supported.", name.as_str()),
        )
        .with_detail("Header", to_header_case(name.as_str()))),
        ValueKind::Flag => Err(build_rejection()),
        ValueKind::Number => or_reject(parse_number(text).map(Value::Number)),
        ValueKind::ByteRange if field == Field::Range => Ok(parse_range(text).map(Value::ByteRange)),
        ValueKind::ByteRange => parse_source_range(dialect, text, name),
        ValueKind::Tags => or_reject(parse_tags(text).map(Value::Tags)),
        ValueKind::Secret => Ok(Some(Value::Secret(SecretText::new(text)))),
    }
}

/// The only encoding type.
const ENCODING_URL: &str = "url";

fn parse_number(text: &str) -> Option<u64> {
    // `parse` alone would accept a sign; 19 digits always fit into 64 bits.
    (text.len() <= 19 && text.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// Reads one or several ETags, quoted or not, and removes their quotes.
fn parse_etags(text: &str) -> Option<Vec<String>> {
    let tags: Vec<String> = text
        .split(',')
        .map(|tag| tag.trim())
        // Intermediate proxies mark an ETag as weak when they compress a response; it still identifies the object.
        .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .map(|tag| tag.trim_matches('"').to_owned())
        .collect();
    let is_plain =
        |tag: &String| !tag.is_empty() && !tag.contains('"') && tag.bytes().all(|byte| byte > 0x20);
    tags.iter().all(is_plain).then_some(tags)
}

/// Reads a single range; `None` for anything else, to which every vendor in the tables responds with the whole object
/// (RFC 9110, section 14.2, allows it).
fn parse_range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (first, last) {
        ("", last) => parse_number(last).map(ByteRange::Last),
        (first, "") => parse_number(first).map(ByteRange::From),
        (first, last) => {
            let (first, last) = (parse_number(first)?, parse_number(last)?);
            (first <= last).then_some(ByteRange::Span(first, last))
        }
    }
}

/// Reads the range of a part copy: both ends are required in a strict dialect. A lenient dialect copies to the end,
/// or everything.
fn parse_source_range(dialect: &Dialect, text: &str, name: FieldName) -> Result<Option<Value>, Rejection> {
    match parse_range(text) {
        Some(span @ ByteRange::Span(..)) => Ok(Some(Value::ByteRange(span))),
        Some(from @ ByteRange::From(_)) if !dialect.copy.strict_range => Ok(Some(Value::ByteRange(from))),
        _ if !dialect.copy.strict_range => Ok(None),
        _ => Err(Rejection::with_message(
            ErrorKind::InvalidArgument,
            format!(
                "The {} value must be of the form bytes=first-last where first and last are the zero-based \
                 offsets of the first and last bytes to copy",
                name.as_str()
            ),
        )
        .with_detail("ArgumentName", name.as_str())
        .with_detail("ArgumentValue", text)),
    }
}

fn parse_tags(text: &str) -> Option<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (percent::decode_form(name).ok()?, percent::decode_form(value).ok()?);
        if name.is_empty() || tags.iter().any(|row| row.0 == name) {
            return None;
        }
        tags.push((name, value));
    }
    Some(tags)
}

fn parse_metadata(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<Vec<(String, Vec<u8>)>, Rejection> {
    // Metadata headers of other operations are ignored, as the vendors do.
    if !operation.creates_object() {
        return Ok(Vec::new());
    }
    let headers = parsed_head.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    let header_parameters =
        parsed_head.header_parameters.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut metadata: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in headers.chain(header_parameters) {
        let Some(name) = name.strip_prefix(dialect.metadata_prefix).filter(|name| !name.is_empty()) else {
            continue;
        };
        if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
            return Err(build_value_rejection(name, "(control characters)"));
        }
        // Unlike a header, a query parameter or a form field can have any name.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
            return Err(Rejection::with_message(
                ErrorKind::InvalidArgument,
                "The name of a metadata entry must be a valid header name.",
            )
            .with_detail("ArgumentName", name));
        }
        if name == crc64::METADATA_NAME {
            if crc64::is_stored_value(value) {
                // Another Blobfish in front of this one stores it for its own clients; the clients of this one never
                // get it.
                continue;
            }
            return Err(build_value_rejection(name, "(reserved)"));
        }
        // Header lines with one name are one value, joined by commas (RFC 9110, section 5.3).
        match metadata.iter_mut().find(|row| row.0 == name) {
            Some(row) => {
                row.1.push(b',');
                row.1.extend_from_slice(value);
            }
            None => metadata.push((name.to_owned(), value.to_vec())),
        }
    }
    check_metadata(dialect, &metadata)?;
    Ok(metadata)
}

fn parse_checksums(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<Vec<Checksum>, Rejection> {
    let mut checksums = Vec::new();
    if operation.is_streamed() && !operation.is_upload() {
        return Ok(checksums);
    }
    for (name, algorithm) in dialect.checksum_headers {
        if let Some(value) = parsed_head.header(name) {
            let value = parse_text(name, value)?;
            checksums.push(Checksum { algorithm: *algorithm, value: Some(value) });
        }
    }
    if let Some(name) = dialect.trailer_header.and_then(|name| parsed_head.header(name)) {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let row = dialect.checksum_headers.iter().find(|row| row.0 == name).ok_or_else(|| {
            Rejection::with_message(
                ErrorKind::InvalidRequest,
                "The value specified in the trailer header is not supported",
            )
        })?;
        checksums.push(Checksum { algorithm: row.1, value: None });
    }
    // S3 accepts one checksum per request (S3, Checking object integrity).
    if checksums.len() > 1 {
        return Err(Rejection::with_message(
            ErrorKind::InvalidRequest,
            "Expecting a single checksum header. Multiple checksum Types are not allowed.",
        ));
    }
    if let Some(name) = dialect.checksum_algorithm_header
        && let (Some(chosen_algorithm), Some(checksum)) = (parsed_head.header(name), checksums.first())
        && !chosen_algorithm.eq_ignore_ascii_case(checksum.algorithm.name().as_bytes())
    {
        return Err(Rejection::with_message(
            ErrorKind::InvalidRequest,
            format!("Value for {name} header is invalid."),
        ));
    }
    Ok(checksums)
}

/// Reads the digests of the body that have headers of their own. A read has no body.
fn parse_digests(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<Vec<(ChecksumAlgorithm, String, ErrorKind)>, Rejection> {
    let mut digests = Vec::new();
    for digest in dialect.digest_headers {
        let Some(value) = parsed_head.header(digest.header).filter(|value| !value.is_empty()) else {
            continue;
        };
        let text = parse_text(digest.header, value)?;
        if digest.absent_value == Some(text.as_str()) {
            continue;
        }
        // These headers are hex; the common form of checksums is Base64.
        let bytes = hash::decode_hex(&text).filter(|bytes| bytes.len() == digest.algorithm.digest_len());
        let value = hash::encode_base64(&bytes.ok_or_else(|| build_value_rejection(digest.header, &text))?);
        if operation.is_streamed()
            && !operation.is_upload()
            && value != body_verifier::compute_checksum(digest.algorithm, b"")?
        {
            return Err(digest.mismatch_error.into());
        }
        digests.push((digest.algorithm, value, digest.mismatch_error));
    }
    Ok(digests)
}

fn parse_body_length(parsed_head: &ParsedHead<'_>) -> Result<Option<u64>, Rejection> {
    let Some(value) = parsed_head.header("content-length") else { return Ok(None) };
    let length = std::str::from_utf8(value).ok().and_then(parse_number);
    length
        .map(Some)
        .ok_or_else(|| Rejection::with_message(ErrorKind::InvalidRequest, "Content-Length is not a number."))
}

/// Rejects headers with the dialect's prefix that have not been read: their effect would be lost without notice.
fn reject_unknown_headers(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<(), Rejection> {
    let is_known = |name: &str| {
        name.starts_with(dialect.metadata_prefix)
            || name == dialect.copy.source_header
            || dialect.ignores_header(operation, name)
            || dialect.checksum_headers.iter().any(|row| row.0 == name)
            || has_field_header(dialect, operation, name)
    };
    let headers = parsed_head.headers.iter().map(|row| row.0.as_str());
    let header_parameters = parsed_head.header_parameters.iter().map(|row| row.0.as_str());
    let dialect_headers =
        headers.filter(|name| name.starts_with(dialect.header_prefix)).chain(header_parameters);
    for name in dialect_headers {
        if !is_known(name) {
            return Err(Rejection::with_message(
                ErrorKind::NotImplemented,
                format!("A header you provided implies functionality that is not implemented: {name}"),
            )
            .with_detail("Header", name));
        }
    }
    Ok(())
}

fn has_field_header(dialect: &Dialect, operation: Operation, name: &str) -> bool {
    Field::ALL
        .into_iter()
        .any(|field| matches!(dialect.field_name_in(field, operation), Some(FieldName::Header(own)) if own == name))
}

/// The conditional headers of HTTP in lower case and in their usual spelling, each with its counterpart for a copy's
/// source.
const CONDITIONS: [(&str, &str, Field); 4] = [
    ("if-match", "If-Match", Field::SourceIfMatch),
    ("if-none-match", "If-None-Match", Field::SourceIfNoneMatch),
    ("if-modified-since", "If-Modified-Since", Field::SourceIfModifiedSince),
    ("if-unmodified-since", "If-Unmodified-Since", Field::SourceIfUnmodifiedSince),
];

/// The usual spelling of a header's name.
fn to_header_case(name: &str) -> &str {
    CONDITIONS.iter().find(|row| row.0 == name).map_or(name, |row| row.1)
}

/// Rejects a condition that this dialect does not have for a write: without it, the write could overwrite what the
/// condition protects.
fn reject_unknown_conditions(
    dialect: &Dialect,
    parsed_head: &ParsedHead<'_>,
    operation: Operation,
) -> Result<(), Rejection> {
    let is_given = |name: &str| parsed_head.header(name).is_some_and(|value| !value.is_empty());
    let repeats_source_condition = |source: Field| {
        let name = (dialect.field_name)(source).map(|name| name.as_str());
        dialect.copy.repeats_conditions && operation.is_copy() && name.is_some_and(is_given)
    };
    let unknown = CONDITIONS.iter().find(|(name, _, source)| {
        operation.is_write()
            && is_given(name)
            && !has_field_header(dialect, operation, name)
            && !repeats_source_condition(*source)
    });
    match unknown {
        Some((_, name, _)) => {
            Err(Rejection::new(ErrorKind::ConditionNotImplemented).with_detail("Header", *name))
        }
        None => Ok(()),
    }
}

/// Applies the vendor's rules for copies: removes the fields that the directives make the vendor ignore.
fn apply_copy_directives(dialect: &Dialect, request: &mut Request) {
    if request.operation != Operation::CopyObject {
        return;
    }
    let fields = &mut request.fields;
    let is_self_copy = request.source.as_ref().is_some_and(|source| {
        source.version.is_none()
            && Some(source.bucket.as_str()) == request.scope.bucket()
            && Some(source.key.as_str()) == request.scope.key()
    });
    if is_self_copy && dialect.copy.self_copy == crate::dialect::SelfCopyRule::AlwaysReplacesMetadata {
        fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
    }
    if fields.directive(Field::MetadataDirective) != Some(Directive::Replace) {
        request.metadata.clear();
        for field in Field::CONTENT_HEADERS {
            fields.remove(field);
        }
    }
    if fields.directive(Field::TaggingDirective) != Some(Directive::Replace) {
        fields.remove(Field::Tagging);
    }
}
