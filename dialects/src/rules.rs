//! What a vendor's document says of a line of a request, for people who look at a translation: told from the tables that the
//! translation itself runs on, so that the two cannot differ. Nothing is decided here.

use crate::engine::dialect::{Combination, Dialect, Name, SelfCopy, Words};
use crate::lines::Thing;
use crate::model::{Acl, Directive, Field, Kind, Operation, Request};

/// The vendor's document that describes an operation.
pub fn document(dialect: &Dialect, operation: Operation) -> String {
    let title = dialect.manual.titles.iter().find(|row| row.0 == operation).map(|row| row.1);
    format!("{}, {}", dialect.manual.name, title.unwrap_or(operation.name()))
}

/// The rule for a thing in a request of this kind; empty where there is none beyond its name.
pub(crate) fn rule(dialect: &Dialect, operation: Operation, thing: &Thing) -> String {
    match thing {
        Thing::Target => of_operation(dialect, operation),
        Thing::Source => dialect.copy.grammar.to_owned(),
        Thing::Metadata(_) => {
            let limits = &dialect.limits;
            let names = if limits.metadata_any_name { "" } else { "Letters, digits and - in names. " };
            format!("{names}At most {} bytes of metadata in all.", limits.metadata_bytes_max)
        }
        Thing::Field(field) => of_field(dialect, *field),
        _ => String::new(),
    }
}

fn of_operation(dialect: &Dialect, operation: Operation) -> String {
    let largest = |bytes: u64| format!("At most {} GiB at once.", bytes >> 30);
    let replace = dialect.words.metadata.word(Directive::Replace).unwrap_or_default();
    match operation {
        Operation::CopyObject => {
            let onto_itself = match dialect.copy.onto_itself {
                SelfCopy::AnyChange => "Onto itself only with a change.".to_owned(),
                SelfCopy::Replaced => format!("Onto itself only with {replace}."),
                SelfCopy::TakesRequest => "Onto itself it takes the request's metadata.".to_owned(),
            };
            format!("{} {onto_itself}", largest(dialect.copy.bytes_max))
        }
        Operation::UploadPartCopy => format!("{} {}", largest(dialect.copy.bytes_max), smallest(dialect)),
        Operation::UploadPart => {
            format!("{} {}", largest(dialect.limits.upload_bytes_max), smallest(dialect))
        }
        operation if operation.uploads() => largest(dialect.limits.upload_bytes_max),
        _ => String::new(),
    }
}

fn smallest(dialect: &Dialect) -> String {
    format!("At least {} KiB, but for the last part.", dialect.limits.part_bytes_min / 1024)
}

fn of_field(dialect: &Dialect, field: Field) -> String {
    let words = words(dialect, field);
    let one_of = |absent: &str| format!("One of {}. {absent}", words.join(", "));
    let without = |word: Option<&str>| word.map(|word| format!("Without it {word}.")).unwrap_or_default();
    let bucket_says = "Without it as the bucket says.";
    match field.kind() {
        Kind::Class => match dialect.absent.class {
            Some(class) => one_of(&without(dialect.words.class.word(class))),
            None => one_of(bucket_says),
        },
        Kind::Acl if field == Field::BucketAcl => one_of(&without(dialect.words.acl.word(Acl::Private))),
        Kind::Acl => match dialect.absent.acl {
            Acl::Inherit => one_of(bucket_says),
            acl => one_of(&without(dialect.words.acl.word(acl))),
        },
        Kind::Encryption => one_of(bucket_says),
        Kind::MetadataDirective => one_of(&without(dialect.words.metadata.word(Directive::Copy))),
        Kind::TaggingDirective => one_of(&without(dialect.words.tagging.word(Directive::Copy))),
        Kind::Flag => format!("{}, or not said.", words.join(", ")),
        Kind::Secret => "Base64 of 32 bytes.".to_owned(),
        _ if Field::SOURCE_CONDITIONS.contains(&field) => of_condition(dialect, field),
        _ => of_value(dialect, field),
    }
}

fn of_condition(dialect: &Dialect, field: Field) -> String {
    let not = matches!(field, Field::SourceIfNoneMatch | Field::SourceIfModifiedSince);
    let status = if not && dialect.copy.not_modified { 304 } else { 412 };
    let together = match dialect.copy.combination {
        Combination::Precedence => "An ETag outweighs the date of its pair.",
        Combination::Pairs => {
            "Together only match with unmodified-since, and none-match with modified-since."
        }
        Combination::All => "Each that is said must hold.",
    };
    format!("{status} where it does not hold. {together}")
}

fn of_value(dialect: &Dialect, field: Field) -> String {
    match field {
        Field::SourceRange if dialect.copy.strict_range => {
            "bytes=first-last, both said, within the source.".to_owned()
        }
        Field::SourceRange => "bytes=first-last; one that does not fit copies the whole source.".to_owned(),
        Field::Range if dialect.absent.lenient_range => {
            "One that does not fit is answered with the whole object.".to_owned()
        }
        Field::Range => "416 where it does not fit.".to_owned(),
        Field::ContentType => {
            let kind = dialect.absent.content_type;
            kind.map_or_else(
                || "Without it the service chooses.".to_owned(),
                |kind| format!("Without it {kind}."),
            )
        }
        Field::MaxKeys => format!("Without it {}.", dialect.absent.max_keys),
        Field::PartNumber => "1 to 10000.".to_owned(),
        _ => String::new(),
    }
}

/// The words that a field may have; none where it is not one of a closed set.
fn words(dialect: &Dialect, field: Field) -> Vec<&'static str> {
    // Further spellings of one meaning are read, and told to nobody.
    fn all<T: Copy + PartialEq>(words: &Words<T>) -> Vec<&'static str> {
        let mut all: Vec<_> = words.0.iter().filter_map(|row| words.word(row.0)).collect();
        all.dedup();
        all
    }
    let tables = dialect.words;
    match field.kind() {
        Kind::Class => all(&tables.class),
        Kind::Acl => all(&tables.acl),
        Kind::Encryption => all(&tables.encryption),
        Kind::MetadataDirective => all(&tables.metadata),
        Kind::TaggingDirective => all(&tables.tagging),
        Kind::Flag => vec![(tables.yes)(field)],
        _ => Vec::new(),
    }
}

/// Headers that could still be said in a request, each as a line: one for every word where there are words.
pub(crate) fn more(dialect: &Dialect, request: &Request) -> Vec<String> {
    let open = Field::ALL.into_iter().filter(|field| !request.fields.has(*field));
    let mut lines: Vec<String> = open
        .filter_map(|field| match dialect.name_in(field, request.operation) {
            Some(Name::Header(name)) => Some((field, name)),
            _ => None,
        })
        .flat_map(|(field, name)| {
            values(dialect, field).into_iter().map(move |value| format!("{name}: {value}"))
        })
        .collect();
    if request.operation.places() {
        lines.push(format!("{}name: value", dialect.metadata_prefix));
    }
    lines
}

/// Values to begin with. What names accounts and keys has none that would mean something.
fn values(dialect: &Dialect, field: Field) -> Vec<&'static str> {
    match field.kind() {
        Kind::Time => vec!["Sat, 21 Nov 2026 08:00:00 GMT"],
        Kind::Etag => vec!["\"5b3c1a2e053d763e1b002cc607c5a0fe\""],
        Kind::Bytes => vec!["bytes=0-1023"],
        Kind::Tags => vec!["team=web&kind=photo"],
        Kind::Text => match field {
            Field::ContentType => vec!["image/jpeg"],
            Field::CacheControl => vec!["max-age=86400"],
            Field::ContentDisposition => vec!["attachment; filename=cat.jpg"],
            Field::ContentEncoding => vec!["gzip"],
            Field::ContentLanguage => vec!["en"],
            Field::Expires => vec!["Fri, 01 Jan 2027 00:00:00 GMT"],
            _ => Vec::new(),
        },
        _ => words(dialect, field),
    }
}
