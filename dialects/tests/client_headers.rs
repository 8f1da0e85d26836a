//! Headers that clients send in each operation (`client_headers/*.txt`): each is read as a field, ignored because it
//! has no effect at the vendor, or rejected by name. The same is checked for every row of the dialects' tables in
//! every operation.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::{Dialect, FieldName, ResourceLevel};
use blobfish_dialects::model::{ErrorKind, Field, Operation, Rejection, Request};
use blobfish_dialects::translator::explain::explain;
use blobfish_dialects::{DIALECTS, cos::COS, oss::OSS, s3::S3};

/// Reads a minimal request of an operation, with additional headers.
fn read_operation(dialect: &'static Dialect, operation: Operation, more: &str) -> Result<Request, Rejection> {
    let route = dialect.all_routes().find(|row| row.operation == operation).unwrap();
    let parameters = route.parameters.iter().map(|name| match *name {
        "partNumber" | "position" => format!("{name}=1"),
        name if name.contains('=') => name.to_owned(),
        name => format!("{name}=x"),
    });
    let query = parameters.collect::<Vec<_>>().join("&");
    let (host, path) = match route.level {
        ResourceLevel::Service => (dialect.sample_endpoint.to_owned(), "/"),
        ResourceLevel::Bucket => (format!("box.{}", dialect.sample_endpoint), "/"),
        ResourceLevel::Object => (format!("box.{}", dialect.sample_endpoint), "/k"),
    };
    let source = match (operation.is_copy(), dialect.family) {
        (false, _) => String::new(),
        (true, "cos") => format!("{}: box.{}/s\n", dialect.copy.source_header, dialect.sample_endpoint),
        (true, _) => format!("{}: /box/s\n", dialect.copy.source_header),
    };
    // Headers that the operation requires.
    let attributes = match dialect.field_name_in(Field::Attributes, operation) {
        Some(FieldName::Header(name)) if !more.contains(name) => format!("{name}: ETag\n"),
        _ if operation == Operation::CreateMultipartUpload && more.contains("checksum-type") => {
            "x-amz-checksum-algorithm: CRC32\n".to_owned()
        }
        _ => String::new(),
    };
    let text = format!("{} {path}?{query} HTTP/1.1\nHost: {host}\n{source}{attributes}{more}", route.method);
    // Profiles lack operations only as targets, so the target is the first dialect of the family.
    let target = DIALECTS.iter().copied().find(|other| other.family == dialect.family).unwrap();
    explain(&text, dialect, target).map(|explained| explained.request)
}

/// A valid value of a header.
fn get_sample_value(name: &str) -> &'static str {
    let rows = [
        ("object-attributes", "ETag,ObjectSize"),
        ("mp-object-size", "5"),
        ("metadata-directive", "REPLACE"),
        ("tagging-directive", "REPLACE"),
        ("modified-since", "Mon, 06 May 2024 07:08:09 GMT"),
        ("copy-source-range", "bytes=0-9"),
        ("storage-class", "STANDARD"),
        ("acl", "private"),
        ("customer-algorithm", "AES256"),
        ("forbid-overwrite", "true"),
        ("complete-all", "yes"),
        ("range-behavior", "standard"),
        ("object-lock-enabled", "true"),
        ("tagging", "a=b"),
        ("server-side-encryption", "AES256"),
        ("traffic-limit", "819200"),
        ("x-oss-callback", "e30="),
        ("checksum-type", "FULL_OBJECT"),
        ("checksum-crc32", "DUoRhQ=="),
        ("checksum-crc32c", "DUoRhQ=="),
    ];
    rows.iter().find(|row| name.ends_with(row.0)).map_or("5b3c1a2e053d763e1b002cc607c5a0fe", |row| row.1)
}

#[test]
fn headers_of_clients_are_accepted_ignored_or_rejected() {
    for (dialect, table) in [
        (&S3, include_str!("client_headers/s3.txt")),
        (&COS, include_str!("client_headers/cos.txt")),
        (&OSS, include_str!("client_headers/oss.txt")),
    ] {
        let mut rows = 0;
        let mut wrong = Vec::new();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [operation, header, expected] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let is_named = |found: &Operation| operation == "*" || found.name() == operation;
            let operations: Vec<_> =
                Operation::all().filter(|found| is_named(found) && dialect.has_operation(*found)).collect();
            assert!(!operations.is_empty(), "{}: {line}", dialect.name);
            for operation in operations {
                rows += 1;
                let text = get_sample_value(header);
                let plain = read_operation(dialect, operation, "").unwrap();
                let became = match read_operation(dialect, operation, &format!("{header}: {text}\n")) {
                    Ok(request) if request == plain => "ignored",
                    Ok(_) => "field",
                    Err(rejection) if rejection.kind == ErrorKind::NotImplemented => "rejected",
                    Err(rejection) => panic!("{}: {line}: {rejection:?}", dialect.name),
                };
                let fits = became == expected || (expected == "accepted" && became != "rejected");
                if !fits {
                    wrong.push(format!("{} {line}: {became} in {}", dialect.name, operation.name()));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(rows > 150, "{rows} rows of {}", dialect.name);
    }
}

#[test]
fn a_header_is_ignored_only_in_the_operations_of_its_row() {
    for dialect in DIALECTS {
        // The other headers are compared with the body or the signature, so no sample value is valid.
        for row in dialect.ignored_headers.iter().filter(|row| row.may_repeat()) {
            let ends = ["if-match", "customer-algorithm", "log-debug", "content-type", "mode"];
            let names: Vec<String> = match row.name.strip_suffix('*') {
                None => vec![row.name.to_owned()],
                Some(prefix) => ends
                    .iter()
                    .map(|end| {
                        format!(
                            "{prefix}{}",
                            end.strip_prefix("if-").filter(|_| prefix.ends_with("if-")).unwrap_or(end)
                        )
                    })
                    .collect(),
            };
            for operation in Operation::all().filter(|operation| dialect.has_operation(*operation)) {
                for name in &names {
                    let is_field = Field::ALL.iter().any(|field| {
                        matches!(dialect.field_name_in(*field, operation), Some(FieldName::Header(own)) if own == name)
                    });
                    if is_field {
                        continue;
                    }
                    let plain = read_operation(dialect, operation, "").unwrap();
                    let outcome =
                        read_operation(dialect, operation, &format!("{name}: {}\n", get_sample_value(name)));
                    let at = format!("{} {} {name}", dialect.name, operation.name());
                    match dialect.ignores_header(operation, name) {
                        true => assert_eq!(outcome.unwrap(), plain, "{at}"),
                        false => assert_eq!(outcome.expect_err(&at).kind, ErrorKind::NotImplemented, "{at}"),
                    }
                }
            }
        }
    }
}

/// RFC 9110, section 5.3: the lines of a list header are one list; other headers may have one line.
#[test]
fn lines_of_a_list_header_are_joined_and_others_must_not_repeat() {
    let attributes = |lines: &str| read_operation(&S3, Operation::GetObjectAttributes, lines).unwrap();
    assert_eq!(
        attributes("x-amz-object-attributes: ETag\nx-amz-object-attributes: ObjectSize\n"),
        attributes("x-amz-object-attributes: ETag, ObjectSize\n"),
    );
    for (dialect, operation, header, one, other) in [
        (&S3, Operation::GetObject, "if-none-match", "\"a\"", "\"b\""),
        (&S3, Operation::PutObject, "cache-control", "no-cache", "max-age=1"),
        (&S3, Operation::PutObject, "content-encoding", "deflate", "gzip"),
        (&S3, Operation::PutObject, "x-amz-grant-read", "id=\"a\"", "id=\"b\""),
        (&COS, Operation::PutObject, "x-cos-grant-read", "id=\"a\"", "id=\"b\""),
        (&OSS, Operation::PutObject, "content-language", "de", "en"),
    ] {
        let two =
            read_operation(dialect, operation, &format!("{header}: {one}\n{header}: {other}\n")).unwrap();
        assert_eq!(
            two,
            read_operation(dialect, operation, &format!("{header}: {one}, {other}\n")).unwrap(),
            "{header}"
        );
        assert_ne!(
            two,
            read_operation(dialect, operation, &format!("{header}: {one}\n")).unwrap(),
            "{header}"
        );
    }
    for (dialect, operation, header) in [
        (&S3, Operation::PutObject, "content-type"),
        (&S3, Operation::PutObject, "x-amz-storage-class"),
        (&S3, Operation::PutObject, "x-amz-date"),
        (&S3, Operation::PutObject, "x-amz-content-sha256"),
        (&S3, Operation::GetObject, "range"),
        (&S3, Operation::CopyObject, "x-amz-metadata-directive"),
        (&COS, Operation::PutObject, "x-cos-forbid-overwrite"),
        (&OSS, Operation::PutObject, "x-oss-tagging"),
    ] {
        let twice = read_operation(
            dialect,
            operation,
            &format!("{header}: {0}\n{header}: {0}\n", get_sample_value(header)),
        );
        assert_eq!(twice.unwrap_err().kind, ErrorKind::InvalidArgument, "{header}");
    }
    assert!(read_operation(&S3, Operation::GetObject, "x-amz-request-id: a\nx-amz-request-id: b\n").is_ok());
}

/// The OSS SDK ali-oss sends a condition on the source also under the name of HTTP.
#[test]
fn a_repeated_source_condition_counts_for_the_source() {
    let conditions = [
        ("If-Match", "\"5B3C1A2E053D763E1B002CC607C5A0FE\""),
        ("If-None-Match", "\"5B3C1A2E053D763E1B002CC607C5A0FE\""),
        ("If-Modified-Since", "Mon, 06 May 2024 07:08:09 GMT"),
        ("If-Unmodified-Since", "Mon, 06 May 2024 07:08:09 GMT"),
    ];
    for operation in [Operation::CopyObject, Operation::UploadPartCopy] {
        for (name, text) in conditions {
            let of_source = format!("x-oss-copy-source-{}: {text}\n", name.to_lowercase());
            let both = read_operation(&OSS, operation, &format!("{of_source}{name}: {text}\n")).unwrap();
            assert_eq!(both, read_operation(&OSS, operation, &of_source).unwrap(), "{name}");
            let alone = read_operation(&OSS, operation, &format!("{name}: {text}\n")).unwrap_err();
            assert_eq!(
                alone.kind,
                ErrorKind::ConditionNotImplemented,
                "{name} without the source's condition"
            );
        }
    }
    // At S3, the headers of HTTP are conditions on the destination.
    let both = "x-amz-copy-source-if-match: \"a\"\nif-match: \"b\"\n";
    let request = read_operation(&S3, Operation::CopyObject, both).unwrap();
    assert!(request.fields.has(Field::OverwriteIfMatch) && request.fields.has(Field::SourceIfMatch));
    let cos = "x-cos-copy-source-if-match: \"a\"\nif-match: \"a\"\n";
    assert_eq!(
        read_operation(&COS, Operation::CopyObject, cos).unwrap_err().kind,
        ErrorKind::ConditionNotImplemented
    );
}
