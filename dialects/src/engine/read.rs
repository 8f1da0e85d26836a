//! From a verified head in the caller's dialect to the canonical request.

use std::borrow::Cow;

use crate::engine::auth::{Place, Verified};
use crate::engine::dialect::{Dialect, Level, Name, Route};
use crate::engine::hosts::without_port;
use crate::engine::{body, crc64};
use crate::model::{
    Algorithm, ByteRange, Checksum, Directive, Fault, Field, Fields, Hidden, Kind, Operation, RawHead,
    Refusal, Request, Value,
};
use crate::wire::{date, hash, percent};

/// Reads a request whose signature was verified.
///
/// # Errors
/// An operation that is not translated, a malformed or repeated field, a header of the dialect that has no place
/// in this operation, a key or metadata over the dialect's own limits.
pub fn request(
    dialect: &'static Dialect,
    head: &RawHead,
    place: &Place,
    verified: &Verified,
) -> Result<Request, Refusal> {
    let head = Said::new(dialect, head, verified.credential_parameters)?;
    let signed = verified.key.as_ref().map(|key| Place { key: Some(key.clone()), ..place.clone() });
    let place = signed.as_ref().unwrap_or(place);
    let route = route(dialect, &head, place)?;
    let operation = route.operation;
    check_place(dialect, place)?;
    let endpoint = endpoint(&head, place);
    let source = head.header(dialect.copy.header).map(|value| read_source(dialect, value, endpoint));
    let source = source.transpose()?;
    let mut request = Request {
        bucket: place.bucket.clone(),
        key: place.key.clone(),
        source: if operation.copies() { source } else { None },
        fields: fields(dialect, &head, &route)?,
        metadata: metadata(dialect, &head, operation)?,
        checksums: checksums(dialect, &head, operation)?,
        digests: digests(dialect, &head, operation)?,
        body_length: body_length(&head)?,
        ..Request::new(operation)
    };
    refuse_strangers(dialect, &head, operation)?;
    refuse_conditions(dialect, &head, operation)?;
    refuse_picks(dialect, &head, operation)?;
    (dialect.check)(&request)?;
    settle(dialect, &mut request);
    Ok(request)
}

/// Headers and decoded parameters of one request; parameters that stand for headers are among the headers.
struct Said<'a> {
    method: &'a str,
    headers: Vec<(String, Cow<'a, [u8]>)>,
    hoisted: Vec<(String, String)>,
    parameters: Vec<(String, Option<String>)>,
}

impl<'a> Said<'a> {
    fn new(dialect: &Dialect, head: &'a RawHead, credential: &[&str]) -> Result<Self, Refusal> {
        let mut said = Self {
            method: &head.method,
            headers: head
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_slice().into()))
                .collect(),
            hoisted: Vec::new(),
            parameters: Vec::new(),
        };
        for (name, value) in head.raw_query() {
            let name = percent::decode_form(name).map_err(|_| Fault::InvalidUri)?;
            if credential.iter().any(|own| own.eq_ignore_ascii_case(&name)) {
                continue;
            }
            let value = value.map(percent::decode_form).transpose().map_err(|_| Fault::InvalidUri)?;
            // No document could tell it back.
            if value.as_ref().is_some_and(|value| value.contains('\0')) {
                return Err(bad(&name, "(NUL)"));
            }
            let lower = name.to_ascii_lowercase();
            if (dialect.hoisted)(&lower) {
                said.hoisted.push((lower, value.unwrap_or_default()));
            } else {
                said.parameters.push((name, value));
            }
        }
        said.join_lines(dialect)?;
        Ok(said)
    }

    /// What has meaning stands once, in whatever letter case. The lines of a list are one list.
    fn join_lines(&mut self, dialect: &Dialect) -> Result<(), Refusal> {
        let own = |name: &str| name.starts_with(dialect.header_prefix) || ONCE.contains(&name);
        let free = |name: &str| {
            name.starts_with(dialect.metadata_prefix)
                || (dialect.ignored.iter().any(|row| row.names(name)) && !dialect.has_header(name))
        };
        let mut joined: Vec<(String, Cow<'a, [u8]>)> = Vec::with_capacity(self.headers.len());
        for (name, value) in std::mem::take(&mut self.headers) {
            let first = joined.iter_mut().find(|row| row.0 == name).filter(|_| own(&name) && !free(&name));
            match first {
                None => joined.push((name, value)),
                Some(first) if dialect.is_list(&name) => {
                    let line = first.1.to_mut();
                    line.extend_from_slice(b", ");
                    line.extend_from_slice(&value);
                }
                Some(_) => return Err(repeated(&name)),
            }
        }
        self.headers = joined;
        let mut seen = std::collections::BTreeSet::new();
        let headers = self.headers.iter().map(|row| row.0.as_str()).filter(|name| own(name));
        seen.extend(headers);
        for (name, _) in &self.hoisted {
            if !seen.insert(name) && !free(name) {
                return Err(repeated(name));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        match self.parameters.iter().find(|(name, _)| !seen.insert(name.to_ascii_lowercase())) {
            Some((name, _)) => Err(repeated(name)),
            None => Ok(()),
        }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|row| row.0 == name).map(|row| row.1.as_ref());
        header.or_else(|| self.hoisted.iter().find(|row| row.0 == name).map(|row| row.1.as_bytes()))
    }

    fn parameter(&self, dialect: &Dialect, name: &str) -> Option<&str> {
        let same = |own: &str| own == name || (dialect.parameters_any_case && own.eq_ignore_ascii_case(name));
        self.parameters.iter().find(|row| same(&row.0)).map(|row| row.1.as_deref().unwrap_or_default())
    }

    /// Whether a parameter has this name, or goes on behind it after a slash, as image processing is asked for.
    fn selects(&self, dialect: &Dialect, wanted: &str) -> bool {
        let same =
            |own: &str| own == wanted || (dialect.parameters_any_case && own.eq_ignore_ascii_case(wanted));
        self.parameters.iter().any(|row| row.0.split('/').next().is_some_and(same))
    }

    fn has(&self, dialect: &Dialect, wanted: &str) -> bool {
        match wanted.split_once('=') {
            Some((name, value)) => self.parameter(dialect, name) == Some(value),
            None => self.parameter(dialect, wanted).is_some(),
        }
    }
}

fn repeated(name: &str) -> Refusal {
    Refusal::say(Fault::InvalidArgument, format!("{name} was given more than once."))
}

/// Standard headers that have a meaning here: of those that are no lists, one line is allowed.
const ONCE: &[&str] = &[
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

fn route(dialect: &Dialect, said: &Said<'_>, place: &Place) -> Result<Route, Refusal> {
    let level = match (&place.bucket, &place.key) {
        (None, _) => Level::Service,
        (Some(_), None) => Level::Bucket,
        (Some(_), Some(_)) => Level::Object,
    };
    let named = said.header(dialect.copy.header).is_some();
    let fits = |row: &Route| {
        row.method == said.method
            && row.level == level
            && row.parameters.iter().all(|wanted| said.has(dialect, wanted))
            && row.source.is_none_or(|wanted| wanted == named)
    };
    let row = dialect.all_routes().find(fits);
    let consumed = |name: &str| {
        row.as_ref().is_some_and(|row| {
            row.parameters.iter().any(|own| own.split('=').next() == Some(name))
                || Field::ALL.iter().any(|field| {
                    matches!(dialect.name_in(*field, row.operation), Some(Name::Parameter(own)) if own == name)
                })
        })
    };
    let selector = dialect.sub_resources.iter().find(|name| said.selects(dialect, name) && !consumed(name));
    match (row, selector) {
        (_, Some(name)) => Err(Refusal::say(
            Fault::NotImplemented,
            format!("The sub-resource {name} is not translated between these services."),
        )
        .with("Header", *name)),
        (None, None) => Err(Refusal::new(Fault::MethodNotAllowed).with("Method", said.method)),
        (Some(row), None) if named && !row.operation.copies() => Err(Refusal::say(
            Fault::InvalidArgument,
            "You can only specify a copy source header for copy requests.",
        )
        .with("ArgumentName", dialect.copy.header)),
        (Some(row), None) => Ok(row),
    }
}

fn check_place(dialect: &Dialect, place: &Place) -> Result<(), Refusal> {
    if let Some(bucket) = &place.bucket {
        check_bucket(bucket)?;
    }
    place.key.as_deref().map_or(Ok(()), |key| check_key(dialect, key))
}

/// A bucket name that no vendor could have given is refused before it is looked up anywhere.
///
/// # Errors
/// `InvalidBucketName`.
pub fn check_bucket(bucket: &str) -> Result<(), Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    // It may become labels of a host, none of which is empty.
    let labels = bucket.split('.').all(|label| !label.is_empty());
    if !labels || bucket.len() > 255 || !bucket.bytes().all(plain) {
        return Err(Refusal::new(Fault::InvalidBucketName).with("BucketName", bucket));
    }
    Ok(())
}

/// Whether a dialect can hold this key.
///
/// # Errors
/// `KeyTooLong` or `InvalidObjectName`.
pub fn check_key(dialect: &Dialect, key: &str) -> Result<(), Refusal> {
    let limits = &dialect.limits;
    if key.len() > limits.key_bytes_max {
        return Err(Refusal::new(Fault::KeyTooLong)
            .with("Size", key.len().to_string())
            .with("MaxSizeAllowed", limits.key_bytes_max.to_string()));
    }
    let first = key.bytes().next();
    let mut segments = key.strip_suffix('/').unwrap_or(key).split('/');
    // No document could name it.
    let names_nothing = key.contains('\0');
    if names_nothing
        || first.is_none_or(|byte| limits.key_first_refused.contains(&byte))
        || key.bytes().any(|byte| limits.key_refused.contains(&byte))
        || segments.any(|segment| limits.key_segments_refused.contains(&segment))
    {
        return Err(Refusal::new(Fault::InvalidObjectName).with("ObjectName", key));
    }
    Ok(())
}

/// What stands behind the bucket in the host of a request.
fn endpoint<'a>(head: &'a Said<'_>, place: &Place) -> Option<&'a str> {
    let host = std::str::from_utf8(head.header("host")?).ok()?;
    let bucket = place.bucket.as_deref().filter(|_| place.virtual_host)?;
    without_port(host).get(bucket.len()..)?.strip_prefix('.')
}

fn read_source(
    dialect: &Dialect,
    value: &[u8],
    endpoint: Option<&str>,
) -> Result<crate::model::Source, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| Refusal::new(Fault::InvalidCopySource))?;
    let source = (dialect.copy.read_source)(text, endpoint)?;
    check_bucket(&source.bucket)
        .map_err(|_| Refusal::say(Fault::InvalidCopySource, "Invalid copy source bucket name"))?;
    check_key(dialect, &source.key)?;
    Ok(source)
}

fn fields(dialect: &Dialect, said: &Said<'_>, route: &Route) -> Result<Fields, Refusal> {
    let operation = route.operation;
    let mut fields = Fields::default();
    for field in Field::ALL {
        let Some(name) = dialect.name_in(field, operation) else { continue };
        if let Name::Header(name) = name
            && Field::CONTENT.contains(&field)
            && let Some(value) = said.header(name).filter(|value| std::str::from_utf8(value).is_err())
        {
            fields.set(field, Value::Raw(raw(name, value)?));
            continue;
        }
        let also = dialect.also.iter().find(|row| (row.0, row.1) == (operation, field)).map(|row| row.2);
        let said_as = |name: Name| match name {
            Name::Header(name) => said.header(name).map(|value| text_of(name, value)).transpose(),
            Name::Parameter(name) if field.becomes_a_header() => {
                said.parameter(dialect, name).map(|value| text_of(name, value.as_bytes())).transpose()
            }
            Name::Parameter(name) => Ok(said.parameter(dialect, name).map(str::to_owned)),
        };
        let text = match (said_as(name)?, also) {
            (None, Some(also)) => said_as(also)?,
            (text, _) => text,
        };
        let text = text.map(|text| (dialect.own_text)(field, text));
        let Some(text) = text else { continue };
        if text.is_empty() {
            check_empty(dialect, route, field, name)?;
            continue;
        }
        if let Some(value) = value(dialect, field, name, &text)? {
            check_bounds(dialect, operation, field, name, &value)?;
            fields.set(field, value);
        }
    }
    Ok(fields)
}

/// An empty header or parameter says nothing: SDKs send them for values that were not given. What selects the operation
/// must say something: without it the target would take the request for another.
fn check_empty(dialect: &Dialect, route: &Route, field: Field, name: Name) -> Result<(), Refusal> {
    let selects = matches!(name, Name::Parameter(name) if route.parameters.contains(&name));
    let (fault, message) = match dialect.never_empty.iter().find(|row| row.0 == field) {
        Some((_, fault, message)) => (*fault, Some(*message)),
        None if selects && field == Field::UploadId => (Fault::NoSuchUpload, None),
        None if selects => (Fault::InvalidArgument, None),
        None => return Ok(()),
    };
    let message = message.map_or_else(|| format!("{} must not be empty.", name.as_str()), str::to_owned);
    match fault {
        Fault::InvalidArgument => Err(Refusal::say(fault, message).with("ArgumentName", name.as_str())),
        Fault::NoSuchUpload => Err(fault.into()),
        _ => Err(Refusal::say(fault, message)),
    }
}

/// No vendor has more parts.
const PART_NUMBERS: (u64, u64) = (1, 10_000);

fn check_bounds(
    dialect: &Dialect,
    operation: Operation,
    field: Field,
    name: Name,
    value: &Value,
) -> Result<(), Refusal> {
    let Value::Number(number) = value else { return Ok(()) };
    let own = dialect.bounds.iter().find(|row| (row.0, row.1) == (operation, field));
    let (least, most) = match own {
        Some(row) => (row.2, row.3),
        None if field == Field::PartNumber => PART_NUMBERS,
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
    Err(Refusal::say(Fault::InvalidArgument, message)
        .with("ArgumentName", name.as_str())
        .with("ArgumentValue", number.to_string()))
}

/// What picks a version, an upload or a part must not be passed over: the request would be about another thing.
fn refuse_picks(dialect: &Dialect, said: &Said<'_>, operation: Operation) -> Result<(), Refusal> {
    for field in [Field::VersionId, Field::UploadId, Field::PartNumber] {
        let Some(Name::Parameter(name)) = (dialect.name_of)(field) else { continue };
        let given = said.parameter(dialect, name).is_some_and(|value| !value.is_empty());
        if given && dialect.name_in(field, operation).is_none() {
            return Err(Refusal::say(
                Fault::NotImplemented,
                format!("{} does not take the parameter {name}.", operation.name()),
            )
            .with("Header", name));
        }
    }
    Ok(())
}

fn text_of(name: &str, value: &[u8]) -> Result<String, Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| bad(name, "(not UTF-8)"))?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(bad(name, "(control characters)"));
    }
    Ok(text.to_owned())
}

/// What the vendor stores as it is sent.
fn raw(name: &str, value: &[u8]) -> Result<Vec<u8>, Refusal> {
    let control = |byte: &u8| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f;
    if value.iter().any(control) { Err(bad(name, "(control characters)")) } else { Ok(value.to_vec()) }
}

fn bad(name: &str, value: &str) -> Refusal {
    Refusal::say(Fault::InvalidArgument, format!("The value of {name} is not valid."))
        .with("ArgumentName", name)
        .with("ArgumentValue", value)
}

/// Reads one value. `None`: it says "no", or it is of the kind that a vendor passes over when it is malformed.
fn value(dialect: &Dialect, field: Field, name: Name, text: &str) -> Result<Option<Value>, Refusal> {
    let words = dialect.words;
    let wrong = || bad(name.as_str(), text);
    let or_wrong = |value: Option<Value>| value.map(Some).ok_or_else(wrong);
    match field.kind() {
        Kind::Text if field == Field::EncodingType && !text.eq_ignore_ascii_case(URL) => {
            Err(Refusal::say(Fault::InvalidArgument, "Invalid Encoding Method specified in Request")
                .with("ArgumentName", name.as_str())
                .with("ArgumentValue", text))
        }
        Kind::Text => Ok(Some(Value::Text(text.to_owned()))),
        Kind::Time => or_wrong(date::parse_any(text).map(Value::Time)),
        Kind::Etag => or_wrong(etags(text).map(Value::Etags)),
        Kind::MetadataDirective => or_wrong(words.metadata.value(text).map(Value::Directive)),
        Kind::TaggingDirective => or_wrong(words.tagging.value(text).map(Value::Directive)),
        Kind::Class => words
            .class
            .value(text)
            .map(|class| Some(Value::Class(class)))
            .ok_or_else(|| Refusal::new(Fault::InvalidStorageClass).with("StorageClassRequested", text)),
        Kind::Acl => or_wrong(words.acl.value(text).map(Value::Acl)),
        Kind::Encryption => {
            let way = words.encryption.value(text).ok_or(Refusal::new(Fault::InvalidEncryption))?;
            Ok(Some(Value::Encryption(way)))
        }
        Kind::Flag if text.eq_ignore_ascii_case((words.yes)(field)) => Ok(Some(Value::Flag)),
        Kind::Flag if text.eq_ignore_ascii_case("false") => Ok(None),
        Kind::Flag if field.guards_data() => Err(Refusal::say(
            Fault::NotImplemented,
            format!("This value of {} is not supported.", name.as_str()),
        )
        .with("Header", spelled(name.as_str()))),
        Kind::Flag => Err(wrong()),
        Kind::Number => or_wrong(number(text).map(Value::Number)),
        Kind::Bytes if field == Field::Range => Ok(range(text).map(Value::Bytes)),
        Kind::Bytes => source_range(dialect, text, name),
        Kind::Tags => or_wrong(tags(text).map(Value::Tags)),
        Kind::Secret => Ok(Some(Value::Secret(Hidden::new(text)))),
    }
}

/// The one encoding of keys that there is.
const URL: &str = "url";

fn number(text: &str) -> Option<u64> {
    (text.len() <= 19 && text.bytes().all(|digit| digit.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// One or several tags, quoted or bare, without their quotes.
fn etags(text: &str) -> Option<Vec<String>> {
    let tags: Vec<String> = text
        .split(',')
        .map(|tag| tag.trim())
        .map(|tag| tag.strip_prefix("W/").unwrap_or(tag))
        .map(|tag| tag.trim_matches('"').to_owned())
        .collect();
    let plain = |tag: &String| !tag.is_empty() && !tag.contains('"') && tag.bytes().all(|byte| byte > 0x20);
    tags.iter().all(plain).then_some(tags)
}

/// A single range; `None` for anything else, which HTTP and every vendor here answers with the whole object.
fn range(text: &str) -> Option<ByteRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (first, last) {
        ("", last) => number(last).map(ByteRange::Last),
        (first, "") => number(first).map(ByteRange::From),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::Span(first, last))
        }
    }
}

/// The range of a part copy: both ends, or refused; a lenient dialect copies everything then, or to the end.
fn source_range(dialect: &Dialect, text: &str, name: Name) -> Result<Option<Value>, Refusal> {
    match range(text) {
        Some(span @ ByteRange::Span(..)) => Ok(Some(Value::Bytes(span))),
        Some(from @ ByteRange::From(_)) if !dialect.copy.strict_range => Ok(Some(Value::Bytes(from))),
        _ if !dialect.copy.strict_range => Ok(None),
        _ => Err(Refusal::say(
            Fault::InvalidArgument,
            format!(
                "The {} value must be of the form bytes=first-last where first and last are the zero-based \
                 offsets of the first and last bytes to copy",
                name.as_str()
            ),
        )
        .with("ArgumentName", name.as_str())
        .with("ArgumentValue", text)),
    }
}

fn tags(text: &str) -> Option<Vec<(String, String)>> {
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

fn metadata(
    dialect: &Dialect,
    said: &Said<'_>,
    operation: Operation,
) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
    if !operation.places() {
        return Ok(Vec::new());
    }
    let headers = said.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()));
    let hoisted = said.hoisted.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let mut metadata: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in headers.chain(hoisted) {
        let Some(name) = name.strip_prefix(dialect.metadata_prefix).filter(|name| !name.is_empty()) else {
            continue;
        };
        if value.iter().any(|byte| (*byte < 0x20 && *byte != b'\t') || *byte == 0x7f) {
            return Err(bad(name, "(control characters)"));
        }
        // Parameters and fields of forms may be called anything.
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
            return Err(Refusal::say(
                Fault::InvalidArgument,
                "The name of metadata is not that of a header.",
            )
            .with("ArgumentName", name));
        }
        if name == crc64::RESERVED {
            if crc64::is_kept_value(value) {
                // Another Blobfish in front of this one keeps it for itself; here it would be told to nobody.
                continue;
            }
            return Err(bad(name, "(reserved)"));
        }
        // Repeated names are one value, joined by commas, as HTTP says.
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

/// Whether a dialect can hold this much metadata.
///
/// # Errors
/// `MetadataTooLarge`.
pub fn check_metadata(dialect: &Dialect, metadata: &[(String, Vec<u8>)]) -> Result<(), Refusal> {
    let size: usize = metadata.iter().map(|row| row.0.len().saturating_add(row.1.len())).sum();
    let max = dialect.limits.metadata_bytes_max;
    if size > max {
        return Err(Refusal::new(Fault::MetadataTooLarge)
            .with("Size", size.to_string())
            .with("MaxSizeAllowed", max.to_string()));
    }
    Ok(())
}

fn checksums(dialect: &Dialect, said: &Said<'_>, operation: Operation) -> Result<Vec<Checksum>, Refusal> {
    let mut found = Vec::new();
    if operation.streams() && !operation.uploads() {
        return Ok(found);
    }
    for (name, algorithm) in dialect.checksums {
        if let Some(value) = said.header(name) {
            let value = text_of(name, value)?;
            found.push(Checksum { algorithm: *algorithm, value: Some(value) });
        }
    }
    if let Some(name) = dialect.trailer_header.and_then(|name| said.header(name)) {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let row = dialect.checksums.iter().find(|row| row.0 == name).ok_or_else(|| {
            Refusal::say(Fault::InvalidRequest, "The value specified in the trailer header is not supported")
        })?;
        found.push(Checksum { algorithm: row.1, value: None });
    }
    if found.len() > 1 {
        return Err(Refusal::say(
            Fault::InvalidRequest,
            "Expecting a single checksum header. Multiple checksum Types are not allowed.",
        ));
    }
    if let Some(name) = dialect.checksum_choice
        && let (Some(chosen), Some(sent)) = (said.header(name), found.first())
        && !chosen.eq_ignore_ascii_case(sent.algorithm.name().as_bytes())
    {
        return Err(Refusal::say(Fault::InvalidRequest, format!("Value for {name} header is invalid.")));
    }
    Ok(found)
}

/// The digests of the body that are stated in headers of their own. A read has no body.
fn digests(
    dialect: &Dialect,
    said: &Said<'_>,
    operation: Operation,
) -> Result<Vec<(Algorithm, String, Fault)>, Refusal> {
    let mut found = Vec::new();
    for digest in dialect.digests {
        let Some(value) = said.header(digest.header).filter(|value| !value.is_empty()) else { continue };
        let text = text_of(digest.header, value)?;
        if digest.none == Some(text.as_str()) {
            continue;
        }
        let bytes = hash::bytes_of_hex(&text).filter(|bytes| bytes.len() == digest.algorithm.bytes());
        let value = hash::base64(&bytes.ok_or_else(|| bad(digest.header, &text))?);
        if operation.streams() && !operation.uploads() && value != body::sum(digest.algorithm, b"")? {
            return Err(digest.fault.into());
        }
        found.push((digest.algorithm, value, digest.fault));
    }
    Ok(found)
}

fn body_length(said: &Said<'_>) -> Result<Option<u64>, Refusal> {
    let Some(value) = said.header("content-length") else { return Ok(None) };
    let length = std::str::from_utf8(value).ok().and_then(number);
    length.map(Some).ok_or_else(|| Refusal::say(Fault::InvalidRequest, "Content-Length is not a number."))
}

/// A header of the dialect that was not read has a meaning that would be lost.
fn refuse_strangers(dialect: &Dialect, said: &Said<'_>, operation: Operation) -> Result<(), Refusal> {
    let known = |name: &str| {
        name.starts_with(dialect.metadata_prefix)
            || name == dialect.copy.header
            || dialect.wire.contains(&name)
            || dialect.ignores(operation, name)
            || dialect.checksums.iter().any(|row| row.0 == name)
            || says_header(dialect, operation, name)
    };
    let headers = said.headers.iter().map(|row| row.0.as_str());
    let hoisted = said.hoisted.iter().map(|row| row.0.as_str());
    let own = headers.filter(|name| name.starts_with(dialect.header_prefix)).chain(hoisted);
    for name in own {
        if !known(name) {
            return Err(Refusal::say(
                Fault::NotImplemented,
                format!("A header you provided implies functionality that is not implemented: {name}"),
            )
            .with("Header", name));
        }
    }
    Ok(())
}

fn says_header(dialect: &Dialect, operation: Operation, name: &str) -> bool {
    Field::ALL
        .into_iter()
        .any(|field| matches!(dialect.name_in(field, operation), Some(Name::Header(own)) if own == name))
}

/// The conditions of HTTP, as documents spell them, each beside its counterpart on a copy's source.
const CONDITIONS: [(&str, &str, Field); 4] = [
    ("if-match", "If-Match", Field::SourceIfMatch),
    ("if-none-match", "If-None-Match", Field::SourceIfNoneMatch),
    ("if-modified-since", "If-Modified-Since", Field::SourceIfModifiedSince),
    ("if-unmodified-since", "If-Unmodified-Since", Field::SourceIfUnmodifiedSince),
];

/// A header's name as documents spell it.
fn spelled(name: &str) -> &str {
    CONDITIONS.iter().find(|row| row.0 == name).map_or(name, |row| row.1)
}

/// A condition that a write of this dialect does not know would be passed over, and what it guards overwritten.
fn refuse_conditions(dialect: &Dialect, said: &Said<'_>, operation: Operation) -> Result<(), Refusal> {
    let given = |name: &str| said.header(name).is_some_and(|value| !value.is_empty());
    let repeats = |source: Field| {
        let name = (dialect.name_of)(source).map(|name| name.as_str());
        dialect.copy.conditions_repeated && operation.copies() && name.is_some_and(given)
    };
    let unknown = CONDITIONS.iter().find(|(name, _, source)| {
        operation.writes() && given(name) && !says_header(dialect, operation, name) && !repeats(*source)
    });
    match unknown {
        Some((_, name, _)) => Err(Refusal::new(Fault::ConditionNotImplemented).with("Header", *name)),
        None => Ok(()),
    }
}

/// States what the vendor's rules make of the request: what is ignored by its documents is gone from here on.
fn settle(dialect: &Dialect, request: &mut Request) {
    if request.operation != Operation::CopyObject {
        return;
    }
    let fields = &mut request.fields;
    let onto_itself = request.source.as_ref().is_some_and(|source| {
        source.version.is_none()
            && Some(&source.bucket) == request.bucket.as_ref()
            && Some(&source.key) == request.key.as_ref()
    });
    if onto_itself && dialect.copy.onto_itself == crate::engine::dialect::SelfCopy::TakesRequest {
        fields.set(Field::MetadataDirective, Value::Directive(Directive::Replace));
    }
    if fields.directive(Field::MetadataDirective) != Some(Directive::Replace) {
        request.metadata.clear();
        for field in Field::CONTENT {
            fields.remove(field);
        }
    }
    if fields.directive(Field::TaggingDirective) != Some(Directive::Replace) {
        fields.remove(Field::Tagging);
    }
}
