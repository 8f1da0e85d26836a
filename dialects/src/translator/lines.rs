//! Pairs the lines of a request with those of its translation.

use crate::dialect::{Dialect, FieldName, IgnoreReason};
use crate::encoding::percent;
use crate::engine::loss::display_name;
use crate::engine::write_request::DEFAULT_FIELDS;
use crate::model::{Field, Operation, OutgoingRequest, RawHead, Request};
use crate::translator::handling::{Handling, classify_operation};
use crate::translator::line_subject::LineSubject;
use crate::translator::rules::describe_rule;

/// One line of a request as in a document; each query parameter has a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which part of the request it is.
    pub part: LinePart,
    /// Its text. Credentials and customer keys are hidden.
    pub text: String,
    /// Lines with the same key have the same meaning. `None` if a line cannot have a counterpart.
    pub pair_key: Option<String>,
    /// How it is translated; `None` for a line that is not translated, and for the counterpart of another.
    pub handling: Option<Handling>,
    /// The reason, if the tables do not show it.
    pub reason: String,
    /// The rule in the vendor's document; empty if there is none.
    pub rule: String,
}

/// The parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinePart {
    /// The first line, without its query.
    RequestLine,
    /// A parameter of the query.
    Parameter,
    /// A header.
    Header,
}

impl LinePart {
    /// The value in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestLine => "first",
            Self::Parameter => "parameter",
            Self::Header => "header",
        }
    }
}

pub(crate) const HIDDEN: &str = "(hidden)";

/// Whether a header or parameter with this name may contain a signature, a token or a customer key, in any dialect:
/// the reader may have selected another dialect than that of the request.
pub(crate) fn is_secret(name: &str) -> bool {
    const MARKS: [&str; 8] =
        ["signature", "token", "authorization", "credential", "customer-key", "secret", "password", "cookie"];
    let lower = name.to_ascii_lowercase();
    // The digest of a key is not secret and identifies the key; a continuation token is not a credential.
    let harmless = lower.ends_with("customer-key-md5") || lower == "continuation-token";
    !harmless && MARKS.iter().any(|mark| lower.contains(mark))
}

/// Whether a parameter of this name belongs to a credential of any dialect.
fn is_credential_in_any_dialect(name: &str) -> bool {
    crate::DIALECTS.iter().any(|dialect| is_credential(dialect, name))
}

/// Returns the lines of both requests. The tuple has the client's request and the translated one; `handlings` has
/// each field and each metadata entry.
pub(crate) fn pair_lines(
    caller: &Dialect,
    head: &RawHead,
    target: &Dialect,
    (request, target_request): (&Request, &Request),
    outgoing: &OutgoingRequest,
    handlings: &[(LineSubject, String, Handling, String)],
) -> (Vec<Line>, Vec<Line>) {
    let mut target_lines = list_target_lines(target, request, target_request.operation, outgoing);
    let parsed_lines = list_caller_lines(caller, request.operation, head).into_iter();
    let caller_lines: Vec<Line> = parsed_lines
        .map(|(part, text, subject)| {
            let pair_key = subject.pair_key();
            let is_sent = target_lines.iter().any(|line| line.pair_key == pair_key);
            let (handling, reason) =
                classify_line(&subject, request.operation, caller, target, handlings, is_sent);
            Line {
                part,
                text,
                pair_key,
                handling,
                reason,
                rule: describe_rule(caller, request.operation, &subject),
            }
        })
        .collect();
    // A translated line without a counterpart was added by the proxy.
    for line in &mut target_lines {
        if line.pair_key.is_none() || !caller_lines.iter().any(|origin| origin.pair_key == line.pair_key) {
            line.handling = Some(Handling::Emulated);
            let is_default =
                DEFAULT_FIELDS.iter().any(|field| line.pair_key == LineSubject::Field(*field).pair_key());
            line.reason = match is_default {
                true => {
                    format!(
                        "A default of {} that {} does not have.",
                        display_name(caller),
                        display_name(target)
                    )
                }
                // A digest or a content type of the document, or metadata of a small part.
                false => "Added by the proxy.".to_owned(),
            };
        }
    }
    (caller_lines, target_lines)
}

fn classify_line(
    subject: &LineSubject,
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
    handlings: &[(LineSubject, String, Handling, String)],
    is_sent: bool,
) -> (Option<Handling>, String) {
    let (handling, reason) = match subject {
        LineSubject::Operation => {
            let (handling, note) = classify_operation(operation, caller, target);
            return (Some(handling), note.to_owned());
        }
        LineSubject::Host => (Some(Handling::Native), "The endpoint of the bucket's target."),
        LineSubject::CopySource if is_sent => (Some(Handling::Native), ""),
        LineSubject::CopySource => (Some(Handling::Emulated), "Read by the proxy from its own target."),
        LineSubject::Checksum => {
            (Some(Handling::Emulated), "Verified by the proxy before the target has the last byte.")
        }
        LineSubject::Credential => {
            (None, "Verified by the proxy. The translated request is signed with the target's key.")
        }
        LineSubject::Other => (None, "Belongs to this connection, or has no meaning in this request."),
        LineSubject::Field(_) | LineSubject::Metadata(_) => {
            return match handlings.iter().find(|row| row.0 == *subject) {
                Some((.., handling @ Handling::Native, reason)) if reason.is_empty() && !is_sent => {
                    (Some(*handling), format!("The default of {}.", display_name(target)))
                }
                Some((.., handling, reason)) => (Some(*handling), reason.clone()),
                None => (
                    None,
                    format!("Without effect in this request, by the rules of {}.", display_name(caller)),
                ),
            };
        }
    };
    (handling, reason.to_owned())
}

fn list_caller_lines(
    caller: &Dialect,
    operation: Operation,
    head: &RawHead,
) -> Vec<(LinePart, String, LineSubject)> {
    let mut lines =
        vec![(LinePart::RequestLine, format!("{} {}", head.method, head.path), LineSubject::Operation)];
    for (name, value) in head.query.raw_parameters() {
        let decoded = percent::decode_form(name).unwrap_or_default();
        let subject = find_parameter_subject(caller, operation, &decoded);
        // The pasted request may have been written for another dialect, so all dialects' names are checked.
        let is_hidden = subject.is_secret() || is_secret(&decoded) || is_credential_in_any_dialect(&decoded);
        let value = value.map(|value| if is_hidden { HIDDEN } else { value });
        lines.push((LinePart::Parameter, format_parameter(lines.len() == 1, name, value), subject));
    }
    for (name, value) in &head.headers {
        let subject = find_caller_header_subject(caller, operation, name);
        let is_hidden = subject.is_secret() || is_secret(name);
        let value = if is_hidden { HIDDEN.into() } else { String::from_utf8_lossy(value) };
        lines.push((LinePart::Header, format!("{name}: {value}"), subject));
    }
    lines
}

fn find_parameter_subject(caller: &Dialect, operation: Operation, name: &str) -> LineSubject {
    let is_same =
        |own: &str| own == name || (caller.parameters_ignore_case && own.eq_ignore_ascii_case(name));
    let lower = name.to_ascii_lowercase();
    if is_credential(caller, name) {
        return LineSubject::Credential;
    }
    if (caller.is_header_parameter)(&lower) {
        return find_caller_header_subject(caller, operation, &lower);
    }
    let field = Field::ALL
        .into_iter()
        .find(|field| matches!(caller.field_name_in(*field, operation), Some(FieldName::Parameter(own)) if is_same(own)));
    field.map_or_else(
        || {
            if is_operation_selector(caller, operation, is_same) {
                LineSubject::Operation
            } else {
                LineSubject::Other
            }
        },
        LineSubject::Field,
    )
}

fn is_operation_selector(dialect: &Dialect, operation: Operation, is_same: impl Fn(&str) -> bool) -> bool {
    let mut routes = dialect.all_routes().filter(|row| row.operation == operation);
    routes.any(|row| row.parameters.iter().any(|own| own.split('=').next().is_some_and(&is_same)))
}

fn is_credential(caller: &Dialect, name: &str) -> bool {
    caller.auth.credential_parameters().iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn find_caller_header_subject(caller: &Dialect, operation: Operation, name: &str) -> LineSubject {
    let is_verified_header = caller.ignored_headers.iter().any(|row| {
        row.matches_header(name) && matches!(row.reason, IgnoreReason::Transport | IgnoreReason::Signature)
    });
    match name {
        "host" => LineSubject::Host,
        "authorization" | "date" => LineSubject::Credential,
        _ if is_verified_header && is_credential(caller, name) => LineSubject::Credential,
        _ if caller.checksum_headers.iter().any(|row| row.0 == name) => LineSubject::Checksum,
        _ => find_header_subject(caller, operation, name),
    }
}

/// Finds the subject of a header, in either request.
fn find_header_subject(dialect: &Dialect, operation: Operation, name: &str) -> LineSubject {
    if name == dialect.copy.source_header {
        return LineSubject::CopySource;
    }
    if let Some(name) = name.strip_prefix(dialect.metadata_prefix) {
        return LineSubject::Metadata(name.to_owned());
    }
    let field = Field::ALL
        .into_iter()
        .find(|field| matches!(dialect.field_name_in(*field, operation), Some(FieldName::Header(own)) if own == name));
    field.map_or(LineSubject::Other, LineSubject::Field)
}

/// Returns the lines of the translated request. Each counts as the counterpart of another line until it turns out to
/// have none.
fn list_target_lines(
    target: &Dialect,
    request: &Request,
    operation: Operation,
    outgoing: &OutgoingRequest,
) -> Vec<Line> {
    let build_line = |part, text, subject: LineSubject| {
        let rule = describe_rule(target, operation, &subject);
        Line { part, text, pair_key: subject.pair_key(), handling: None, reason: String::new(), rule }
    };
    let mut lines = vec![build_line(
        LinePart::RequestLine,
        format!("{} {}", outgoing.method, outgoing.path),
        LineSubject::Operation,
    )];
    for (name, value) in &outgoing.query {
        let field = Field::ALL.into_iter().find(
            |field| matches!(target.field_name_in(*field, operation), Some(FieldName::Parameter(own)) if own == name),
        );
        let subject = match field {
            Some(field) => LineSubject::Field(find_original_field(field, request)),
            None if is_operation_selector(target, operation, |own| own == name) => LineSubject::Operation,
            None => LineSubject::Other,
        };
        // The lines have the form in which the request is sent.
        let value = value.as_deref().map(percent::encode);
        let text = format_parameter(lines.len() == 1, &percent::encode(name), value.as_deref());
        lines.push(build_line(LinePart::Parameter, text, subject));
    }
    lines.push(build_line(LinePart::Header, format!("host: {}", outgoing.host), LineSubject::Host));
    for (name, value) in &outgoing.headers {
        let text = format!("{name}: {}", String::from_utf8_lossy(value));
        lines.push(build_line(LinePart::Header, text, find_header_subject(target, operation, name)));
    }
    lines
}

/// Finds the field that a marker replaces: ListObjects has a marker for the token and the start key of ListObjectsV2.
fn find_original_field(field: Field, request: &Request) -> Field {
    let replaced_fields = [Field::ContinuationToken, Field::StartAfter];
    let replaced = replaced_fields.into_iter().find(|other| request.fields.has(*other));
    match (field, replaced) {
        (Field::Marker, Some(other)) if !request.fields.has(Field::Marker) => other,
        _ => field,
    }
}

fn format_parameter(first: bool, name: &str, value: Option<&str>) -> String {
    let mark = if first { '?' } else { '&' };
    value.map_or_else(|| format!("{mark}{name}"), |value| format!("{mark}{name}={value}"))
}
