//! The conditions on the source of a copy: which of them a request may combine, and their result.

use crate::dialect::etag;
use crate::dialect::{ConditionCombination, Dialect};
use crate::model::{ErrorKind, Field, Fields, Rejection, Timestamp};

/// The state of a source against which conditions are evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// Without quotes.
    pub etag: String,
    /// To the second.
    pub modified: Timestamp,
}

/// The result of each condition; `None` if the request does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ConditionResults {
    if_match: Option<bool>,
    if_unmodified_since: Option<bool>,
    if_none_match: Option<bool>,
    if_modified_since: Option<bool>,
}

/// The number of conditions in the request.
pub(crate) fn count_conditions(fields: &Fields) -> usize {
    Field::SOURCE_CONDITIONS.iter().filter(|field| fields.has(**field)).count()
}

/// Rejects combinations that the caller's vendor does not allow.
///
/// # Errors
/// `ConditionConflict`.
pub(crate) fn check_combination(dialect: &Dialect, fields: &Fields) -> Result<(), Rejection> {
    let positive = fields.has(Field::SourceIfMatch) || fields.has(Field::SourceIfUnmodifiedSince);
    let negative = fields.has(Field::SourceIfNoneMatch) || fields.has(Field::SourceIfModifiedSince);
    if dialect.copy.combination == ConditionCombination::Pairs && positive && negative {
        return Err(ErrorKind::ConditionConflict.into());
    }
    Ok(())
}

/// Whether the target evaluates the conditions with the same result as the caller's vendor, so that they can be sent.
pub(crate) fn has_same_rules(caller: &Dialect, target: &Dialect, fields: &Fields) -> bool {
    let conditions = Field::SOURCE_CONDITIONS.iter().filter(|field| fields.has(**field));
    if !conditions.clone().all(|field| target.supports_field(*field)) {
        return false;
    }
    let has_lists = [Field::SourceIfMatch, Field::SourceIfNoneMatch].iter().any(|field| {
        fields.etags(*field).is_some_and(|tags| tags.len() > 1 || tags.iter().any(|tag| tag == "*"))
    });
    // Vendors differ in how they combine conditions and in lists of ETags; one condition with one ETag means the same
    // to all.
    let is_plain = conditions.count() <= 1 && !has_lists;
    is_plain || (caller.copy.combination == target.copy.combination && caller.family == target.family)
}

/// Whether caller and target treat a modified-since date in the future alike: some vendors ignore such a condition.
pub(crate) fn has_same_future_date_rule(
    caller: &Dialect,
    target: &Dialect,
    fields: &Fields,
    now: Timestamp,
) -> bool {
    let is_future = fields.time(Field::SourceIfModifiedSince).is_some_and(|since| since > now);
    !is_future || caller.copy.ignores_future_dates == target.copy.ignores_future_dates
}

/// Evaluates the conditions by the caller's rules.
///
/// # Errors
/// `PreconditionFailed`; `NotModified` for the two negative conditions if the caller's dialect uses status 304.
pub(crate) fn evaluate_conditions(
    dialect: &Dialect,
    fields: &Fields,
    source: &SourceState,
    now: Timestamp,
) -> Result<(), Rejection> {
    let results = evaluate_each(dialect, fields, source, now);
    let is_false = |value: Option<bool>| value == Some(false);
    // Where ETag conditions take precedence, a date does not count if the ETag condition of its pair holds.
    let by_precedence = dialect.copy.combination != ConditionCombination::All;
    let unmodified_counts = !(by_precedence && results.if_match == Some(true));
    let modified_counts = !(by_precedence && results.if_none_match == Some(true));
    let failed_match = is_false(results.if_match).then_some(Field::SourceIfMatch);
    let failed_date = (is_false(results.if_unmodified_since) && unmodified_counts)
        .then_some(Field::SourceIfUnmodifiedSince);
    if let Some(field) = failed_match.or(failed_date) {
        return Err(reject_condition(dialect, field, ErrorKind::PreconditionFailed));
    }
    let failed_none = is_false(results.if_none_match).then_some(Field::SourceIfNoneMatch);
    let failed_since =
        (is_false(results.if_modified_since) && modified_counts).then_some(Field::SourceIfModifiedSince);
    match failed_none.or(failed_since) {
        Some(field) if dialect.copy.uses_not_modified_status => {
            Err(reject_condition(dialect, field, ErrorKind::NotModified))
        }
        Some(field) => Err(reject_condition(dialect, field, ErrorKind::PreconditionFailed)),
        None => Ok(()),
    }
}

/// The error after a target reported a failed condition. It is known from the request alone if all conditions are of
/// one kind; otherwise `None`.
pub(crate) fn identify_failed_condition(dialect: &Dialect, fields: &Fields) -> Option<Rejection> {
    let conditions: Vec<Field> =
        Field::SOURCE_CONDITIONS.into_iter().filter(|field| fields.has(*field)).collect();
    let is_negative =
        |field: &Field| matches!(field, Field::SourceIfNoneMatch | Field::SourceIfModifiedSince);
    let first = *conditions.first()?;
    if conditions.iter().all(is_negative) {
        let kind = if dialect.copy.uses_not_modified_status {
            ErrorKind::NotModified
        } else {
            ErrorKind::PreconditionFailed
        };
        return Some(reject_condition(dialect, first, kind));
    }
    (!conditions.iter().any(is_negative))
        .then(|| reject_condition(dialect, first, ErrorKind::PreconditionFailed))
}

fn evaluate_each(
    dialect: &Dialect,
    fields: &Fields,
    source: &SourceState,
    now: Timestamp,
) -> ConditionResults {
    let matches_any = |field: Field| {
        fields
            .etags(field)
            .map(|tags| tags.iter().any(|tag| tag == "*" || etag::is_same_etag(tag, &source.etag)))
    };
    let since = fields.time(Field::SourceIfModifiedSince);
    // Some vendors ignore a modified-since date in the future, others evaluate it.
    let since = since.filter(|since| !(dialect.copy.ignores_future_dates && *since > now));
    ConditionResults {
        if_match: matches_any(Field::SourceIfMatch),
        if_unmodified_since: fields
            .time(Field::SourceIfUnmodifiedSince)
            .map(|since| source.modified <= since),
        if_none_match: matches_any(Field::SourceIfNoneMatch).map(|equal| !equal),
        if_modified_since: since.map(|since| source.modified > since),
    }
}

fn reject_condition(dialect: &Dialect, field: Field, kind: ErrorKind) -> Rejection {
    let name = (dialect.field_name)(field).map_or("", |name| name.as_str());
    Rejection::new(kind).with_detail("Condition", name)
}
