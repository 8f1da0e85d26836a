//! The vendors' rules for the lines of a request. They come from the tables of the translation, so they cannot differ
//! from it.

use crate::dialect::{ConditionCombination, Dialect, FieldName, SelfCopyRule, Words};
use crate::model::{CannedAcl, Directive, Field, Operation, Request, ValueKind};
use crate::translator::line_subject::LineSubject;

/// Returns the title of the vendor's document for an operation.
pub(crate) fn format_document_title(dialect: &Dialect, operation: Operation) -> String {
    let title = dialect.manual.titles.iter().find(|row| row.0 == operation).map(|row| row.1);
    format!("{}, {}", dialect.manual.name, title.unwrap_or(operation.name()))
}

/// Describes the rule for a subject in a request of this operation; empty if there is none.
pub(crate) fn describe_rule(dialect: &Dialect, operation: Operation, subject: &LineSubject) -> String {
    match subject {
        LineSubject::Operation => describe_operation(dialect, operation),
        LineSubject::CopySource => dialect.copy.source_grammar.to_owned(),
        LineSubject::Metadata(_) => {
            let limits = &dialect.limits;
            let names = if limits.metadata_any_name { "" } else { "Letters, digits and - in names. " };
            format!("{names}At most {} bytes of metadata in all.", limits.metadata_bytes_max)
        }
        LineSubject::Field(field) => describe_field(dialect, *field),
        _ => String::new(),
    }
}

fn describe_operation(dialect: &Dialect, operation: Operation) -> String {
    let format_largest = |bytes: u64| format!("At most {} GiB per request.", bytes >> 30);
    // Each dialect spells the directive in its own manner.
    let replace = dialect.words.metadata.word(Directive::Replace).unwrap_or_default();
    match operation {
        Operation::CopyObject => {
            let onto_itself = match dialect.copy.self_copy {
                SelfCopyRule::NeedsChange => "A copy onto itself needs a change.".to_owned(),
                SelfCopyRule::Replaced => format!("A copy onto itself needs {replace}."),
                SelfCopyRule::AlwaysReplacesMetadata => {
                    "A copy onto itself takes the metadata of the request.".to_owned()
                }
            };
            format!("{} {onto_itself}", format_largest(dialect.copy.bytes_max))
        }
        Operation::UploadPartCopy => {
            format!("{} {}", format_largest(dialect.copy.bytes_max), describe_part_minimum(dialect))
        }
        Operation::UploadPart => {
            format!("{} {}", format_largest(dialect.limits.upload_bytes_max), describe_part_minimum(dialect))
        }
        operation if operation.is_upload() => format_largest(dialect.limits.upload_bytes_max),
        _ => String::new(),
    }
}

fn describe_part_minimum(dialect: &Dialect) -> String {
    format!("At least {} KiB, except for the last part.", dialect.limits.part_bytes_min / 1024)
}

fn describe_field(dialect: &Dialect, field: Field) -> String {
    let words = list_words(dialect, field);
    let format_one_of = |absent: &str| format!("One of {}. {absent}", words.join(", "));
    let format_default =
        |word: Option<&str>| word.map(|word| format!("Default: {word}.")).unwrap_or_default();
    let bucket_default = "Default: that of the bucket.";
    match field.kind() {
        ValueKind::StorageClass => match dialect.defaults.class {
            Some(class) => format_one_of(&format_default(dialect.words.class.word(class))),
            None => format_one_of(bucket_default),
        },
        ValueKind::Acl if field == Field::BucketAcl => {
            format_one_of(&format_default(dialect.words.acl.word(CannedAcl::Private)))
        }
        ValueKind::Acl => match dialect.defaults.acl {
            CannedAcl::Inherit => format_one_of(bucket_default),
            acl => format_one_of(&format_default(dialect.words.acl.word(acl))),
        },
        ValueKind::Encryption => format_one_of(bucket_default),
        ValueKind::MetadataDirective => {
            format_one_of(&format_default(dialect.words.metadata.word(Directive::Copy)))
        }
        ValueKind::TaggingDirective => {
            format_one_of(&format_default(dialect.words.tagging.word(Directive::Copy)))
        }
        ValueKind::Flag => format!("{}, or absent.", words.join(", ")),
        ValueKind::Secret => "Base64 of 32 bytes.".to_owned(),
        _ if Field::SOURCE_CONDITIONS.contains(&field) => describe_condition(dialect, field),
        _ => describe_value(dialect, field),
    }
}

fn describe_condition(dialect: &Dialect, field: Field) -> String {
    let is_negated = matches!(field, Field::SourceIfNoneMatch | Field::SourceIfModifiedSince);
    let status = if is_negated && dialect.copy.uses_not_modified_status { 304 } else { 412 };
    let together = match dialect.copy.combination {
        ConditionCombination::Precedence => {
            "The ETag condition takes precedence over the date condition of its pair."
        }
        ConditionCombination::Pairs => {
            "Only match with unmodified-since, and none-match with modified-since, may be combined."
        }
        ConditionCombination::All => "Each condition must hold.",
    };
    format!("{status} if it does not hold. {together}")
}

fn describe_value(dialect: &Dialect, field: Field) -> String {
    match field {
        Field::SourceRange if dialect.copy.strict_range => {
            "bytes=first-last, both present, within the source.".to_owned()
        }
        Field::SourceRange => {
            "bytes=first-last; a range that does not fit copies the whole source.".to_owned()
        }
        Field::Range if dialect.defaults.lenient_range => {
            "A range that does not fit returns the whole object.".to_owned()
        }
        Field::Range => "416 if it does not fit.".to_owned(),
        Field::ContentType => {
            let kind = dialect.defaults.content_type;
            kind.map_or_else(
                || "Default: chosen by the service.".to_owned(),
                |kind| format!("Default: {kind}."),
            )
        }
        Field::MaxKeys => format!("Default: {}.", dialect.defaults.max_keys),
        Field::PartNumber => "1 to 10000.".to_owned(),
        _ => String::new(),
    }
}

/// The values of a field with a closed set of values.
fn list_words(dialect: &Dialect, field: Field) -> Vec<&'static str> {
    // Alternative spellings of a value are accepted but not suggested.
    fn list_distinct<T: Copy + PartialEq>(words: &Words<T>) -> Vec<&'static str> {
        let mut distinct: Vec<_> = words.0.iter().filter_map(|row| words.word(row.0)).collect();
        distinct.dedup();
        distinct
    }
    let tables = dialect.words;
    match field.kind() {
        ValueKind::StorageClass => list_distinct(&tables.class),
        ValueKind::Acl => list_distinct(&tables.acl),
        ValueKind::Encryption => list_distinct(&tables.encryption),
        ValueKind::MetadataDirective => list_distinct(&tables.metadata),
        ValueKind::TaggingDirective => list_distinct(&tables.tagging),
        ValueKind::Flag => vec![(tables.flag_word)(field)],
        _ => Vec::new(),
    }
}

/// Returns the headers that can be added to a request, each as a complete line; a field with a closed set of values
/// has a line for each.
pub(crate) fn suggest_headers(dialect: &Dialect, request: &Request) -> Vec<String> {
    let unset_fields = Field::ALL.into_iter().filter(|field| !request.fields.has(*field));
    let mut lines: Vec<String> = unset_fields
        .filter_map(|field| match dialect.field_name_in(field, request.operation) {
            Some(FieldName::Header(name)) => Some((field, name)),
            _ => None,
        })
        .flat_map(|(field, name)| {
            suggest_values(dialect, field).into_iter().map(move |value| format!("{name}: {value}"))
        })
        .collect();
    if request.operation.creates_object() {
        lines.push(format!("{}name: value", dialect.metadata_prefix));
    }
    lines
}

/// Returns sample values. Fields with accounts and keys have none.
fn suggest_values(dialect: &Dialect, field: Field) -> Vec<&'static str> {
    match field.kind() {
        ValueKind::Time => vec!["Sat, 21 Nov 2026 08:00:00 GMT"],
        ValueKind::Etag => vec!["\"5b3c1a2e053d763e1b002cc607c5a0fe\""],
        ValueKind::ByteRange => vec!["bytes=0-1023"],
        ValueKind::Tags => vec!["team=web&kind=photo"],
        ValueKind::Text => match field {
            Field::ContentType => vec!["image/jpeg"],
            Field::CacheControl => vec!["max-age=86400"],
            Field::ContentDisposition => vec!["attachment; filename=cat.jpg"],
            Field::ContentEncoding => vec!["gzip"],
            Field::ContentLanguage => vec!["en"],
            Field::Expires => vec!["Fri, 01 Jan 2027 00:00:00 GMT"],
            _ => Vec::new(),
        },
        _ => list_words(dialect, field),
    }
}
