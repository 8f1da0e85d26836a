//! Which line of a request became which line of the translated one, for people who want to see it.

use crate::engine::dialect::{Dialect, Name};
use crate::explain::{Fate, operation_fate};
use crate::model::{Field, Kind, Operation, Outgoing, RawHead, Request};
use crate::rules::rule;
use crate::wire::percent;

/// One line of a request as documents print it; the parameters of a query stand in lines of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which part of the request it is.
    pub part: Part,
    /// What it says. Credentials and customers' keys are hidden.
    pub text: String,
    /// Lines of one pair have one meaning. `None`: it has no counterpart by its nature.
    pub pair: Option<String>,
    /// What becomes of it; `None` for a line whose meaning ends here, and for the counterpart of another.
    pub fate: Option<Fate>,
    /// Why, where that is not plain.
    pub why: String,
    /// What the vendor's document says of it, where that is more than its name.
    pub rule: String,
}

/// The parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first line, without its query.
    First,
    /// A parameter of the query.
    Parameter,
    /// A header.
    Header,
}

impl Part {
    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Parameter => "parameter",
            Self::Header => "header",
        }
    }
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// The operation and what it is done to.
    Target,
    /// Where the request is sent.
    Host,
    /// The source of a copy.
    Source,
    /// A field.
    Field(Field),
    /// An entry of user metadata, by name.
    Metadata(String),
    /// A checksum of the body.
    Checksum,
    /// Who asks, and the proof.
    Credential,
    /// Nothing that the dialect gives a meaning.
    Nothing,
}

impl Thing {
    fn pair(&self) -> Option<String> {
        match self {
            Self::Target => Some("target".to_owned()),
            Self::Host => Some("host".to_owned()),
            Self::Source => Some("source".to_owned()),
            Self::Field(field) => Some(field.name()),
            Self::Metadata(name) => Some(format!("metadata {name}")),
            Self::Checksum | Self::Credential | Self::Nothing => None,
        }
    }

    fn is_secret(&self) -> bool {
        match self {
            Self::Credential => true,
            Self::Field(field) => field.kind() == Kind::Secret,
            _ => false,
        }
    }
}

pub(crate) const HIDDEN: &str = "(hidden)";

/// Whether a header or parameter of this name may hold a signature, a token or a customer's key, in any dialect: what is
/// shown may be of another one than was asked for.
pub(crate) fn is_secret(name: &str) -> bool {
    const MARKS: [&str; 8] =
        ["signature", "token", "authorization", "credential", "customer-key", "secret", "password", "cookie"];
    let lower = name.to_ascii_lowercase();
    // A digest of a key opens nothing, and tells one key from another; a page's token is no credential.
    let harmless = lower.ends_with("customer-key-md5") || lower == "continuation-token";
    !harmless && MARKS.iter().any(|mark| lower.contains(mark))
}

/// Whether a parameter of this name belongs to a credential of any dialect.
fn is_credential_of_any(name: &str) -> bool {
    crate::ALL.iter().any(|dialect| is_credential(dialect, name))
}

/// The lines of both requests. `request` is what was asked and, of that, what the target is asked; `fates` has what becomes
/// of each field and each entry of metadata.
pub fn lines(
    caller: &Dialect,
    head: &RawHead,
    target: &Dialect,
    (asked, sent): (&Request, &Request),
    outgoing: &Outgoing,
    fates: &[(Thing, String, Fate, String)],
) -> (Vec<Line>, Vec<Line>) {
    let mut written = written(target, asked, sent.operation, outgoing);
    let said = said(caller, asked.operation, head).into_iter();
    let said: Vec<Line> = said
        .map(|(part, text, thing)| {
            let pair = thing.pair();
            let arrives = written.iter().any(|line| line.pair == pair);
            let (fate, why) = fate(&thing, asked.operation, caller, target, fates, arrives);
            Line { part, text, pair, fate, why, rule: rule(caller, asked.operation, &thing) }
        })
        .collect();
    for line in &mut written {
        if line.pair.is_none() || !said.iter().any(|origin| origin.pair == line.pair) {
            line.fate = Some(Fate::Emulated);
            line.why = format!("What {} means without a word, {} has to be told.", caller.name, target.name);
        }
    }
    (said, written)
}

fn fate(
    thing: &Thing,
    operation: Operation,
    caller: &Dialect,
    target: &Dialect,
    fates: &[(Thing, String, Fate, String)],
    arrives: bool,
) -> (Option<Fate>, String) {
    let (fate, why) = match thing {
        Thing::Target => {
            let (fate, note) = operation_fate(operation, caller, target);
            return (Some(fate), note.to_owned());
        }
        Thing::Host => (Some(Fate::Native), "The end point of the bucket's target."),
        Thing::Source => (Some(Fate::Native), ""),
        Thing::Checksum => (Some(Fate::Emulated), "Compared here, before the target has the last byte."),
        Thing::Credential => (None, "Verified here. What is sent is signed anew, with the target's key."),
        Thing::Nothing => (None, "For this connection only, or without a meaning in this request."),
        Thing::Field(_) | Thing::Metadata(_) => {
            return match fates.iter().find(|row| row.0 == *thing) {
                Some((.., fate @ Fate::Native, why)) if why.is_empty() && !arrives => {
                    (Some(*fate), format!("What {} does without a word.", target.name))
                }
                Some((.., fate, why)) => (Some(*fate), why.clone()),
                None => (None, format!("Without effect in this request, by the rules of {}.", caller.name)),
            };
        }
    };
    (fate, why.to_owned())
}

fn said(caller: &Dialect, operation: Operation, head: &RawHead) -> Vec<(Part, String, Thing)> {
    let mut lines = vec![(Part::First, format!("{} {}", head.method, head.path), Thing::Target)];
    for (name, value) in head.raw_query() {
        let decoded = percent::decode_form(name).unwrap_or_default();
        let thing = of_parameter(caller, operation, &decoded);
        let hides = thing.is_secret() || is_secret(&decoded) || is_credential_of_any(&decoded);
        let value = value.map(|value| if hides { HIDDEN } else { value });
        lines.push((Part::Parameter, parameter(lines.len() == 1, name, value), thing));
    }
    for (name, value) in &head.headers {
        let thing = of_header(caller, operation, name);
        let hides = thing.is_secret() || is_secret(name);
        let value = if hides { HIDDEN.into() } else { String::from_utf8_lossy(value) };
        lines.push((Part::Header, format!("{name}: {value}"), thing));
    }
    lines
}

fn of_parameter(caller: &Dialect, operation: Operation, name: &str) -> Thing {
    let same = |own: &str| own == name || (caller.parameters_any_case && own.eq_ignore_ascii_case(name));
    let lower = name.to_ascii_lowercase();
    if is_credential(caller, name) {
        return Thing::Credential;
    }
    if (caller.hoisted)(&lower) {
        return of_header(caller, operation, &lower);
    }
    let field = Field::ALL
        .into_iter()
        .find(|field| matches!(caller.name_in(*field, operation), Some(Name::Parameter(own)) if same(own)));
    field.map_or_else(
        || if selects(caller, operation, same) { Thing::Target } else { Thing::Nothing },
        Thing::Field,
    )
}

fn selects(dialect: &Dialect, operation: Operation, same: impl Fn(&str) -> bool) -> bool {
    let mut routes = dialect.all_routes().filter(|row| row.operation == operation);
    routes.any(|row| row.parameters.iter().any(|own| own.split('=').next().is_some_and(&same)))
}

fn is_credential(caller: &Dialect, name: &str) -> bool {
    caller.auth.credential_parameters().iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn of_header(caller: &Dialect, operation: Operation, name: &str) -> Thing {
    let wire = caller.wire.contains(&name);
    match name {
        "host" => Thing::Host,
        "authorization" | "date" => Thing::Credential,
        _ if wire && is_credential(caller, name) => Thing::Credential,
        _ if caller.checksums.iter().any(|row| row.0 == name) => Thing::Checksum,
        _ => of_meaning(caller, operation, name),
    }
}

/// What a header with a meaning is about, in either request.
fn of_meaning(dialect: &Dialect, operation: Operation, name: &str) -> Thing {
    if name == dialect.copy.header {
        return Thing::Source;
    }
    if let Some(name) = name.strip_prefix(dialect.metadata_prefix) {
        return Thing::Metadata(name.to_owned());
    }
    let field = Field::ALL
        .into_iter()
        .find(|field| matches!(dialect.name_in(*field, operation), Some(Name::Header(own)) if own == name));
    field.map_or(Thing::Nothing, Thing::Field)
}

/// The lines of what is sent. Each is taken for the counterpart of another until it is known to have none.
fn written(target: &Dialect, asked: &Request, operation: Operation, outgoing: &Outgoing) -> Vec<Line> {
    let line = |part, text, thing: Thing| {
        let rule = rule(target, operation, &thing);
        Line { part, text, pair: thing.pair(), fate: None, why: String::new(), rule }
    };
    let mut lines = vec![line(Part::First, format!("{} {}", outgoing.method, outgoing.path), Thing::Target)];
    for (name, value) in &outgoing.query {
        let field = Field::ALL.into_iter().find(
            |field| matches!(target.name_in(*field, operation), Some(Name::Parameter(own)) if own == name),
        );
        let thing = match field {
            Some(field) => Thing::Field(origin(field, asked)),
            None if selects(target, operation, |own| own == name) => Thing::Target,
            None => Thing::Nothing,
        };
        let value = value.as_deref().map(percent::encode);
        let text = parameter(lines.len() == 1, &percent::encode(name), value.as_deref());
        lines.push(line(Part::Parameter, text, thing));
    }
    lines.push(line(Part::Header, format!("host: {}", outgoing.host), Thing::Host));
    for (name, value) in &outgoing.headers {
        let text = format!("{name}: {}", String::from_utf8_lossy(value));
        lines.push(line(Part::Header, text, of_meaning(target, operation, name)));
    }
    lines
}

/// Towards the first version of listings, a marker stands for what the second one has.
fn origin(field: Field, asked: &Request) -> Field {
    let stands_for = [Field::ContinuationToken, Field::StartAfter];
    let said = stands_for.into_iter().find(|other| asked.fields.has(*other));
    match (field, said) {
        (Field::Marker, Some(other)) if !asked.fields.has(Field::Marker) => other,
        _ => field,
    }
}

fn parameter(first: bool, name: &str, value: Option<&str>) -> String {
    let mark = if first { '?' } else { '&' };
    value.map_or_else(|| format!("{mark}{name}"), |value| format!("{mark}{name}={value}"))
}
