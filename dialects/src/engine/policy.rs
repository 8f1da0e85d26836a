//! The policy of a form: until when, and which fields with which values.

use serde_json::Value;

use crate::engine::dialect::Dialect;
use crate::engine::form::Form;
use crate::model::{Fault, Refusal, Timestamp};
use crate::wire::date;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What a policy may take, bytes of base64.
const POLICY_BYTES_MAX: usize = 20 * 1024;

fn invalid(why: &str) -> Refusal {
    Refusal::say(Fault::InvalidPolicyDocument, format!("Invalid Policy: {why}"))
}

fn denied(why: &str) -> Refusal {
    Refusal::say(Fault::AccessDenied, format!("Invalid according to Policy: {why}"))
}

/// The text of a policy.
///
/// # Errors
/// [`Fault::InvalidPolicyDocument`].
pub fn decoded(policy: &str) -> Result<Vec<u8>, Refusal> {
    if policy.len() > POLICY_BYTES_MAX {
        return Err(invalid("it is too long."));
    }
    let text: String = policy.split_ascii_whitespace().collect();
    BASE64.decode(text).map_err(|_| invalid("it is not base64."))
}

/// Holds a form to its policy, which was verified. Gives the bounds of the file's size, where it has some.
///
/// # Errors
/// [`Fault::InvalidPolicyDocument`], [`Fault::AccessDenied`].
pub fn check(
    dialect: &Dialect,
    policy: &str,
    form: &Form,
    bucket: &str,
    now: Timestamp,
) -> Result<Option<(u64, u64)>, Refusal> {
    let policy: Value = serde_json::from_slice(&decoded(policy)?).map_err(|_| invalid("Invalid JSON."))?;
    let end = policy.get("expiration").and_then(Value::as_str).and_then(date::parse_any);
    let end = end.ok_or_else(|| invalid("Invalid 'expiration' value."))?;
    if now.0 > end.0 {
        return Err(denied("Policy expired."));
    }
    let conditions = policy.get("conditions").and_then(Value::as_array);
    let conditions = conditions.ok_or_else(|| invalid("Invalid 'conditions' value."))?;
    let mut bounds = None;
    let mut covered: Vec<String> = Vec::new();
    for condition in conditions {
        match Condition::read(condition)? {
            Condition::Size(least, most) => bounds = Some((least, most)),
            Condition::Field { name, fits } => {
                let value = match name.as_str() {
                    "bucket" => Some(bucket),
                    name => {
                        form.get(name).or_else(|| dialect.auth.form_alias(name).and_then(|own| form.get(own)))
                    }
                };
                if !fits.holds(value.unwrap_or_default()) {
                    let condition = condition.to_string().replace(",\"", ", \"");
                    return Err(denied(&format!("Policy Condition failed: {condition}")));
                }
                covered.push(name);
            }
        }
    }
    let names = form.fields.iter().map(|row| row.0.to_ascii_lowercase());
    if let Some(name) = names.filter(|name| counts(dialect, name)).find(|name| !covered.contains(name)) {
        return Err(denied(&format!("Extra input fields: {name}")));
    }
    Ok(bounds)
}

/// Whether a field must be named in the policy: what a visitor could add to a form to make more of it than its site
/// signed for. One vendor wants every field named; for the others this holds for their own headers.
fn counts(dialect: &Dialect, name: &str) -> bool {
    let own = |field: &&str| field.eq_ignore_ascii_case(name);
    let free = ["policy", "file", "submit"].contains(&name)
        || name.starts_with("x-ignore-")
        || dialect.auth.form_fields().iter().any(own);
    let header = name.starts_with(dialect.header_prefix) && !name.starts_with(dialect.metadata_prefix);
    !free && (dialect.form_covers_all || header || name == "acl")
}

enum Condition {
    Size(u64, u64),
    Field { name: String, fits: Fits },
}

enum Fits {
    Equal(String),
    Begins(String),
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Fits {
    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::Begins(wanted) => value.starts_with(wanted.as_str()),
            Self::In(wanted) => wanted.iter().any(|wanted| wanted == value),
            Self::NotIn(wanted) => !wanted.iter().any(|wanted| wanted == value),
        }
    }
}

impl Condition {
    fn read(value: &Value) -> Result<Self, Refusal> {
        let bad = || invalid("Invalid Condition.");
        match value {
            Value::Object(object) => {
                let mut pairs = object.iter();
                match (pairs.next(), pairs.next()) {
                    (Some((name, Value::String(wanted))), None) => {
                        Ok(Self::Field { name: name.to_ascii_lowercase(), fits: Fits::Equal(wanted.clone()) })
                    }
                    _ => Err(bad()),
                }
            }
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(word), least, most] if word.eq_ignore_ascii_case("content-length-range") => {
                    let number = |value: &Value| {
                        value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                    };
                    Ok(Self::Size(number(least).ok_or_else(bad)?, number(most).ok_or_else(bad)?))
                }
                [Value::String(word), Value::String(name), wanted] => {
                    let name = name.strip_prefix('$').ok_or_else(bad)?.to_ascii_lowercase();
                    let texts = |value: &Value| -> Option<Vec<String>> {
                        let list = value.as_array()?.iter();
                        list.map(|text| text.as_str().map(str::to_owned)).collect()
                    };
                    let text = || wanted.as_str().map(str::to_owned).ok_or_else(bad);
                    let fits = match word.to_ascii_lowercase().as_str() {
                        "eq" => Fits::Equal(text()?),
                        "starts-with" => Fits::Begins(text()?),
                        "in" => Fits::In(texts(wanted).ok_or_else(bad)?),
                        "not-in" => Fits::NotIn(texts(wanted).ok_or_else(bad)?),
                        _ => return Err(bad()),
                    };
                    Ok(Self::Field { name, fits })
                }
                _ => Err(bad()),
            },
            _ => Err(bad()),
        }
    }
}
