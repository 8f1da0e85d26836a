//! What holds for every copy there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::ALL;
use blobfish_dialects::engine::dialect::{Dialect, Name};
use blobfish_dialects::engine::write;
use blobfish_dialects::explain::{sample_target, sample_way};
use blobfish_dialects::model::{
    Acl, ByteRange, Directive, Encryption, Field, Fields, Hidden, Kind, Operation, Request, Source,
    StorageClass, Timestamp, Value,
};
use proptest::prelude::*;

fn value(field: Field) -> BoxedStrategy<Value> {
    match field.kind() {
        Kind::Text => {
            "[a-zA-Z0-9 ;=/.-]{1,12}".prop_map(|text| Value::Text(text.trim().to_owned() + "x")).boxed()
        }
        Kind::Time => (0_i64..4_000_000_000).prop_map(|at| Value::Time(Timestamp(at))).boxed(),
        Kind::Etag => "[0-9a-f]{32}".prop_map(|tag| Value::Etags(vec![tag])).boxed(),
        Kind::MetadataDirective | Kind::TaggingDirective => {
            Just(Value::Directive(Directive::Replace)).boxed()
        }
        Kind::Class => prop_oneof![
            Just(StorageClass::Standard),
            Just(StorageClass::OneZoneIa),
            Just(StorageClass::Archive),
            Just(StorageClass::MultiAzStandard),
        ]
        .prop_map(Value::Class)
        .boxed(),
        Kind::Acl => {
            prop_oneof![Just(Acl::Private), Just(Acl::PublicRead), Just(Acl::ExecRead), Just(Acl::Inherit)]
                .prop_map(Value::Acl)
                .boxed()
        }
        Kind::Encryption => {
            prop_oneof![Just(Encryption::Aes256), Just(Encryption::Kms), Just(Encryption::Sm4)]
                .prop_map(Value::Encryption)
                .boxed()
        }
        Kind::Flag => Just(Value::Flag).boxed(),
        Kind::Number => (1_u64..10_000).prop_map(Value::Number).boxed(),
        Kind::Bytes => {
            (0_u64..100, 100_u64..200).prop_map(|(a, b)| Value::Bytes(ByteRange::Span(a, b))).boxed()
        }
        Kind::Tags => Just(Value::Tags(vec![("a b".to_owned(), "c&d".to_owned())])).boxed(),
        Kind::Secret => {
            Just(Value::Secret(Hidden::new("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))).boxed()
        }
    }
}

fn fields(operation: Operation) -> BoxedStrategy<Fields> {
    let said: Vec<Field> = Field::ALL.into_iter().filter(|field| field.applies(operation)).collect();
    prop::sample::subsequence(said.clone(), 0..said.len())
        .prop_flat_map(|chosen| {
            let values: Vec<_> =
                chosen.into_iter().map(|field| value(field).prop_map(move |value| (field, value))).collect();
            values
        })
        .prop_map(|rows| {
            let mut fields = Fields::default();
            rows.into_iter().for_each(|(field, value)| fields.set(field, value));
            fields
        })
        .boxed()
}

fn copies() -> BoxedStrategy<Request> {
    let key = "[a-zA-Z0-9 +%?&#/._~腾讯-]{1,40}".prop_map(|key| format!("k{key}"));
    (prop_oneof![Just(Operation::CopyObject), Just(Operation::UploadPartCopy)], key.clone(), key)
        .prop_flat_map(|(operation, key, source)| {
            (Just((operation, key, source)), fields(operation), prop::option::of("[A-Za-z0-9.]{1,20}"))
        })
        .prop_map(|((operation, key, source), mut fields, version)| {
            // Without these the request is none, and is refused.
            if operation == Operation::UploadPartCopy {
                fields.set(Field::UploadId, Value::Text("u".to_owned()));
                fields.set(Field::PartNumber, Value::Number(7));
            }
            (operation, key, source, fields, version)
        })
        .prop_map(|(operation, key, source, fields, version)| Request {
            source: Some(Source { bucket: "src".to_owned(), key: source, version }),
            metadata: if operation.places() { vec![("a-b".to_owned(), b"v".to_vec())] } else { Vec::new() },
            ..Request::of_object(operation, "dst".to_owned(), key, fields)
        })
        .boxed()
}

fn in_head(target: &Dialect, field: Field, outgoing: &blobfish_dialects::model::Outgoing) -> bool {
    match (target.name_of)(field) {
        Some(Name::Header(name)) => outgoing.headers.iter().any(|row| row.0 == name),
        Some(Name::Parameter(name)) => outgoing.query.iter().any(|row| row.0 == name),
        None => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each field that is set is in the head that is written, or among the losses; never nowhere, never both.
    #[test]
    fn nothing_is_dropped_silently(request in copies(), caller in 0..ALL.len(), target in 0..ALL.len()) {
        let (caller, dialect) = (ALL[caller], ALL[target]);
        let target = sample_target(dialect);
        let way = sample_way(caller, &target, &request);
        let (outgoing, losses) = write::request(&way, &request).unwrap();
        for (field, value) in request.fields.iter() {
            let lost = losses.iter().any(|loss| loss.name() == field.name());
            // To inherit is to say nothing where nothing else can be meant.
            let by_nature = matches!(value, Value::Acl(Acl::Inherit)) && dialect.words.acl.word(Acl::Inherit).is_none();
            // What a target need not be told: the model says which, and why.
            let compared = field.is_of_checksums() && !dialect.keeps_checksums();
            let spared = compared || field.is_spared() && !dialect.can_say(field);
            let told = in_head(dialect, field, &outgoing) || by_nature || spared;
            prop_assert!(told != lost, "{field:?} from {} to {}: told {told}, lost {lost}", caller.name, dialect.name);
        }
        let copy_header = outgoing.headers.iter().find(|row| row.0 == dialect.copy.header).unwrap();
        let read = (dialect.copy.read_source)(std::str::from_utf8(&copy_header.1).unwrap(), None).unwrap();
        prop_assert_eq!(Some(read), request.source);
    }

    /// A parser of strangers' bytes never panics, and what it reads it writes and reads again.
    #[test]
    fn copy_sources_are_read_or_refused(text in "[ -~腾]{0,60}", dialect in 0..ALL.len()) {
        let dialect = ALL[dialect];
        if let Ok(source) = (dialect.copy.read_source)(&text, None) {
            prop_assert!(!source.key.is_empty());
        }
    }
}
