//! The conditions on the source of a copy: which may be given together, and what they come to.

use crate::engine::dialect::{Combination, Dialect};
use crate::engine::etag;
use crate::model::{Fault, Field, Fields, Refusal, Timestamp};

/// What is known of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Without quotes.
    pub etag: String,
    /// To the second.
    pub modified: Timestamp,
}

/// What each condition comes to: `None` where it was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Held {
    matches: Option<bool>,
    unmodified: Option<bool>,
    none_match: Option<bool>,
    modified: Option<bool>,
}

/// How many conditions are given.
pub fn count(fields: &Fields) -> usize {
    Field::SOURCE_CONDITIONS.iter().filter(|field| fields.has(**field)).count()
}

/// Refuses what the caller's vendor does not allow together.
///
/// # Errors
/// `ConditionConflict`.
pub fn check_pairs(dialect: &Dialect, fields: &Fields) -> Result<(), Refusal> {
    let positive = fields.has(Field::SourceIfMatch) || fields.has(Field::SourceIfUnmodifiedSince);
    let negative = fields.has(Field::SourceIfNoneMatch) || fields.has(Field::SourceIfModifiedSince);
    if dialect.copy.combination == Combination::Pairs && positive && negative {
        return Err(Fault::ConditionConflict.into());
    }
    Ok(())
}

/// Whether the target's own evaluation comes to what the caller's rules say, so that the conditions can be sent.
pub fn same_rules(caller: &Dialect, target: &Dialect, fields: &Fields) -> bool {
    let given = Field::SOURCE_CONDITIONS.iter().filter(|field| fields.has(**field));
    if !given.clone().all(|field| target.can_say(*field)) {
        return false;
    }
    let lists = [Field::SourceIfMatch, Field::SourceIfNoneMatch].iter().any(|field| {
        fields.etags(*field).is_some_and(|tags| tags.len() > 1 || tags.iter().any(|tag| tag == "*"))
    });
    let plain = given.count() <= 1 && !lists;
    plain || (caller.copy.combination == target.copy.combination && caller.family == target.family)
}

/// Whether a modified-since that lies in the future means the same to both: to some it counts as not said.
pub fn same_future(caller: &Dialect, target: &Dialect, fields: &Fields, now: Timestamp) -> bool {
    let future = fields.time(Field::SourceIfModifiedSince).is_some_and(|since| since > now);
    !future || caller.copy.future_ignored == target.copy.future_ignored
}

/// Evaluates the conditions by the caller's rules.
///
/// # Errors
/// `PreconditionFailed`, or `NotModified` where the caller's dialect says so for the two "not" forms.
pub fn evaluate(
    dialect: &Dialect,
    fields: &Fields,
    source: &SourceState,
    now: Timestamp,
) -> Result<(), Refusal> {
    let held = held(dialect, fields, source, now);
    let no = |value: Option<bool>| value == Some(false);
    let by_precedence = dialect.copy.combination != Combination::All;
    let unmodified_counts = !(by_precedence && held.matches == Some(true));
    let modified_counts = !(by_precedence && held.none_match == Some(true));
    let failed_match = no(held.matches).then_some(Field::SourceIfMatch);
    let failed_date = (no(held.unmodified) && unmodified_counts).then_some(Field::SourceIfUnmodifiedSince);
    if let Some(field) = failed_match.or(failed_date) {
        return Err(failed(dialect, field, Fault::PreconditionFailed));
    }
    let failed_none = no(held.none_match).then_some(Field::SourceIfNoneMatch);
    let failed_since = (no(held.modified) && modified_counts).then_some(Field::SourceIfModifiedSince);
    match failed_none.or(failed_since) {
        Some(field) if dialect.copy.not_modified => Err(failed(dialect, field, Fault::NotModified)),
        Some(field) => Err(failed(dialect, field, Fault::PreconditionFailed)),
        None => Ok(()),
    }
}

/// The fault when a target that was sent the conditions says that one failed: known from what was given, where
/// only one kind was given.
pub fn told_failed(dialect: &Dialect, fields: &Fields) -> Option<Refusal> {
    let given: Vec<Field> = Field::SOURCE_CONDITIONS.into_iter().filter(|field| fields.has(*field)).collect();
    let negative = |field: &Field| matches!(field, Field::SourceIfNoneMatch | Field::SourceIfModifiedSince);
    let first = *given.first()?;
    if given.iter().all(negative) {
        let fault = if dialect.copy.not_modified { Fault::NotModified } else { Fault::PreconditionFailed };
        return Some(failed(dialect, first, fault));
    }
    (!given.iter().any(negative)).then(|| failed(dialect, first, Fault::PreconditionFailed))
}

fn held(dialect: &Dialect, fields: &Fields, source: &SourceState, now: Timestamp) -> Held {
    let any = |field: Field| {
        fields.etags(field).map(|tags| tags.iter().any(|tag| tag == "*" || etag::same(tag, &source.etag)))
    };
    let since = fields.time(Field::SourceIfModifiedSince);
    let since = since.filter(|since| !(dialect.copy.future_ignored && *since > now));
    Held {
        matches: any(Field::SourceIfMatch),
        unmodified: fields.time(Field::SourceIfUnmodifiedSince).map(|since| source.modified <= since),
        none_match: any(Field::SourceIfNoneMatch).map(|equal| !equal),
        modified: since.map(|since| source.modified > since),
    }
}

fn failed(dialect: &Dialect, field: Field, fault: Fault) -> Refusal {
    let name = (dialect.name_of)(field).map_or("", |name| name.as_str());
    Refusal::new(fault).with("Condition", name)
}
