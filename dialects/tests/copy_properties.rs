//! Properties that hold for every copy request.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::DIALECTS;
use blobfish_dialects::dialect::{Dialect, FieldName};
use blobfish_dialects::engine::write_request;
use blobfish_dialects::model::{
    ByteRange, CannedAcl, CopySource, Directive, Encryption, Field, Fields, Operation, Request, SecretText,
    StorageClass, Timestamp, Value, ValueKind,
};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target};
use proptest::prelude::*;

fn generate_value(field: Field) -> BoxedStrategy<Value> {
    match field.kind() {
        ValueKind::Text => {
            "[a-zA-Z0-9 ;=/.-]{1,12}".prop_map(|text| Value::Text(text.trim().to_owned() + "x")).boxed()
        }
        ValueKind::Time => (0_i64..4_000_000_000).prop_map(|at| Value::Time(Timestamp(at))).boxed(),
        ValueKind::Etag => "[0-9a-f]{32}".prop_map(|tag| Value::Etags(vec![tag])).boxed(),
        ValueKind::MetadataDirective | ValueKind::TaggingDirective => {
            Just(Value::Directive(Directive::Replace)).boxed()
        }
        ValueKind::StorageClass => prop_oneof![
            Just(StorageClass::Standard),
            Just(StorageClass::OneZoneIa),
            Just(StorageClass::Archive),
            Just(StorageClass::MultiAzStandard),
        ]
        .prop_map(Value::StorageClass)
        .boxed(),
        ValueKind::Acl => prop_oneof![
            Just(CannedAcl::Private),
            Just(CannedAcl::PublicRead),
            Just(CannedAcl::ExecRead),
            Just(CannedAcl::Inherit)
        ]
        .prop_map(Value::Acl)
        .boxed(),
        ValueKind::Encryption => {
            prop_oneof![Just(Encryption::Aes256), Just(Encryption::Kms), Just(Encryption::Sm4)]
                .prop_map(Value::Encryption)
                .boxed()
        }
        ValueKind::Flag => Just(Value::Flag).boxed(),
        ValueKind::Number => (1_u64..10_000).prop_map(Value::Number).boxed(),
        ValueKind::ByteRange => {
            (0_u64..100, 100_u64..200).prop_map(|(a, b)| Value::ByteRange(ByteRange::Span(a, b))).boxed()
        }
        ValueKind::Tags => Just(Value::Tags(vec![("a b".to_owned(), "c&d".to_owned())])).boxed(),
        ValueKind::Secret => {
            Just(Value::Secret(SecretText::new("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="))).boxed()
        }
    }
}

fn generate_fields(operation: Operation) -> BoxedStrategy<Fields> {
    let applicable: Vec<Field> = Field::ALL.into_iter().filter(|field| field.applies_to(operation)).collect();
    prop::sample::subsequence(applicable.clone(), 0..applicable.len())
        .prop_flat_map(|chosen| {
            let values: Vec<_> = chosen
                .into_iter()
                .map(|field| generate_value(field).prop_map(move |value| (field, value)))
                .collect();
            values
        })
        .prop_map(|rows| {
            let mut fields = Fields::default();
            rows.into_iter().for_each(|(field, value)| fields.set(field, value));
            fields
        })
        .boxed()
}

fn generate_copies() -> BoxedStrategy<Request> {
    let key = "[a-zA-Z0-9 +%?&#/._~腾讯-]{1,40}".prop_map(|key| format!("k{key}"));
    (prop_oneof![Just(Operation::CopyObject), Just(Operation::UploadPartCopy)], key.clone(), key)
        .prop_flat_map(|(operation, key, source)| {
            (
                Just((operation, key, source)),
                generate_fields(operation),
                prop::option::of("[A-Za-z0-9.]{1,20}"),
            )
        })
        .prop_map(|((operation, key, source), mut fields, version)| {
            // A request without these is rejected.
            if operation == Operation::UploadPartCopy {
                fields.set(Field::UploadId, Value::Text("u".to_owned()));
                fields.set(Field::PartNumber, Value::Number(7));
            }
            (operation, key, source, fields, version)
        })
        .prop_map(|(operation, key, source, fields, version)| Request {
            source: Some(CopySource { bucket: "src".to_owned(), key: source, version }),
            metadata: if operation.creates_object() {
                vec![("a-b".to_owned(), b"v".to_vec())]
            } else {
                Vec::new()
            },
            ..Request::for_object(operation, "dst".to_owned(), key, fields)
        })
        .boxed()
}

fn is_in_head(target: &Dialect, field: Field, outgoing: &blobfish_dialects::model::OutgoingRequest) -> bool {
    match (target.field_name)(field) {
        Some(FieldName::Header(name)) => outgoing.headers.iter().any(|row| row.0 == name),
        Some(FieldName::Parameter(name)) => outgoing.query.iter().any(|row| row.0 == name),
        None => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each field of the request is either in the head to the target or among the losses.
    #[test]
    fn every_field_is_sent_or_reported_as_lost(request in generate_copies(), caller in 0..DIALECTS.len(), target in 0..DIALECTS.len()) {
        let (caller, dialect) = (DIALECTS[caller], DIALECTS[target]);
        let target = build_sample_target(dialect);
        let route = build_sample_route(caller, &target, &request);
        let (outgoing, losses) = write_request::write_request(&route, &request).unwrap();
        for (field, value) in request.fields.iter() {
            let lost = losses.iter().any(|loss| loss.name() == field.name());
            // A target that always inherits the ACL needs no header for it.
            let by_nature = matches!(value, Value::Acl(CannedAcl::Inherit)) && dialect.words.acl.word(CannedAcl::Inherit).is_none();
            // The model defines which fields a target does not need.
            let compared = field.is_checksum_option() && !dialect.keeps_checksums();
            let spared = compared || field.is_safe_to_omit() && !dialect.supports_field(field);
            let is_sent = is_in_head(dialect, field, &outgoing) || by_nature || spared;
            prop_assert!(is_sent != lost, "{field:?} from {} to {}: is_sent {is_sent}, lost {lost}", caller.name, dialect.name);
        }
        let copy_header = outgoing.headers.iter().find(|row| row.0 == dialect.copy.source_header).unwrap();
        let read = (dialect.copy.parse_source)(std::str::from_utf8(&copy_header.1).unwrap(), None).unwrap();
        prop_assert_eq!(Some(read), request.source);
    }

    /// The parser of untrusted bytes never panics, and a document that it reads can be written and read again.
    #[test]
    fn copy_sources_are_read_or_rejected(text in "[ -~腾]{0,60}", dialect in 0..DIALECTS.len()) {
        let dialect = DIALECTS[dialect];
        if let Ok(source) = (dialect.copy.parse_source)(&text, None) {
            prop_assert!(!source.key.is_empty());
        }
    }
}
