//! The policy of a form upload: its expiration, and the conditions on the form's fields.

use serde_json::Value;

use crate::dialect::Dialect;
use crate::dialect::post_form::{PostForm, decode_policy, invalid_policy_error};
use crate::encoding::date;
use crate::model::{ErrorKind, Rejection, Timestamp};

fn policy_denied_error(why: &str) -> Rejection {
    Rejection::with_message(ErrorKind::AccessDenied, format!("Invalid according to Policy: {why}"))
}

/// Checks a form against its policy. The policy's signature must be verified before. Returns the bounds of the file's
/// size, if the policy has them.
///
/// # Errors
/// `ErrorKind::InvalidPolicyDocument`, `ErrorKind::AccessDenied`.
pub fn check_policy(
    dialect: &Dialect,
    policy: &str,
    form: &PostForm,
    bucket: &str,
    now: Timestamp,
) -> Result<Option<(u64, u64)>, Rejection> {
    let policy: Value =
        serde_json::from_slice(&decode_policy(policy)?).map_err(|_| invalid_policy_error("Invalid JSON."))?;
    let end = policy.get("expiration").and_then(Value::as_str).and_then(date::parse_any);
    let end = end.ok_or_else(|| invalid_policy_error("Invalid 'expiration' value."))?;
    if now.0 > end.0 {
        return Err(policy_denied_error("Policy expired."));
    }
    let conditions = policy.get("conditions").and_then(Value::as_array);
    let conditions = conditions.ok_or_else(|| invalid_policy_error("Invalid 'conditions' value."))?;
    let mut bounds = None;
    let mut covered_names: Vec<String> = Vec::new();
    for condition in conditions {
        match PolicyCondition::parse(condition)? {
            PolicyCondition::ContentLengthRange(least, most) => bounds = Some((least, most)),
            PolicyCondition::Field { name, matcher } => {
                let value = match name.as_str() {
                    "bucket" => Some(bucket),
                    name => {
                        form.get(name).or_else(|| dialect.auth.form_alias(name).and_then(|own| form.get(own)))
                    }
                };
                if !matcher.matches(value.unwrap_or_default()) {
                    // The vendors' messages have a space after each comma.
                    let condition = condition.to_string().replace(",\"", ", \"");
                    return Err(policy_denied_error(&format!("Policy Condition failed: {condition}")));
                }
                covered_names.push(name);
            }
        }
    }
    let names = form.fields.iter().map(|row| row.0.to_ascii_lowercase());
    if let Some(name) =
        names.filter(|name| needs_policy_condition(dialect, name)).find(|name| !covered_names.contains(name))
    {
        return Err(policy_denied_error(&format!("Extra input fields: {name}")));
    }
    Ok(bounds)
}

/// Whether the policy must have a condition for a field. One vendor requires conditions for all fields, the others
/// for their own headers.
fn needs_policy_condition(dialect: &Dialect, name: &str) -> bool {
    // Without this rule, a visitor could add fields to the form of a site, such as an ACL that the site did not sign.
    let is_same_name = |field: &&str| field.eq_ignore_ascii_case(name);
    let is_exempt = ["policy", "file", "submit"].contains(&name)
        || name.starts_with("x-ignore-")
        || dialect.auth.form_fields().iter().any(is_same_name);
    let is_vendor_header =
        name.starts_with(dialect.header_prefix) && !name.starts_with(dialect.metadata_prefix);
    !is_exempt && (dialect.form_policy_covers_all || is_vendor_header || name == "acl")
}

enum PolicyCondition {
    ContentLengthRange(u64, u64),
    Field { name: String, matcher: ValueMatcher },
}

enum ValueMatcher {
    Equal(String),
    StartsWith(String),
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl ValueMatcher {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::StartsWith(wanted) => value.starts_with(wanted.as_str()),
            Self::In(wanted) => wanted.iter().any(|wanted| wanted == value),
            Self::NotIn(wanted) => !wanted.iter().any(|wanted| wanted == value),
        }
    }
}

impl PolicyCondition {
    fn parse(value: &Value) -> Result<Self, Rejection> {
        let invalid_condition = || invalid_policy_error("Invalid Condition.");
        match value {
            Value::Object(object) => {
                let mut pairs = object.iter();
                match (pairs.next(), pairs.next()) {
                    (Some((name, Value::String(wanted))), None) => Ok(Self::Field {
                        name: name.to_ascii_lowercase(),
                        matcher: ValueMatcher::Equal(wanted.clone()),
                    }),
                    _ => Err(invalid_condition()),
                }
            }
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(word), least, most] if word.eq_ignore_ascii_case("content-length-range") => {
                    let number = |value: &Value| {
                        value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
                    };
                    Ok(Self::ContentLengthRange(
                        number(least).ok_or_else(invalid_condition)?,
                        number(most).ok_or_else(invalid_condition)?,
                    ))
                }
                [Value::String(word), Value::String(name), wanted] => {
                    let name = name.strip_prefix('$').ok_or_else(invalid_condition)?.to_ascii_lowercase();
                    let texts = |value: &Value| -> Option<Vec<String>> {
                        let list = value.as_array()?.iter();
                        list.map(|text| text.as_str().map(str::to_owned)).collect()
                    };
                    let text = || wanted.as_str().map(str::to_owned).ok_or_else(invalid_condition);
                    let matcher = match word.to_ascii_lowercase().as_str() {
                        "eq" => ValueMatcher::Equal(text()?),
                        "starts-with" => ValueMatcher::StartsWith(text()?),
                        "in" => ValueMatcher::In(texts(wanted).ok_or_else(invalid_condition)?),
                        "not-in" => ValueMatcher::NotIn(texts(wanted).ok_or_else(invalid_condition)?),
                        _ => return Err(invalid_condition()),
                    };
                    Ok(Self::Field { name, matcher })
                }
                _ => Err(invalid_condition()),
            },
            _ => Err(invalid_condition()),
        }
    }
}
