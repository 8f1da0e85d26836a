//! Form uploads: vectors from the vendors' documents, policies, and bodies split at any byte.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blobfish_dialects::authentication::authenticate::{CallerCredentials, CredentialStore};
use blobfish_dialects::authentication::form_upload::{
    AuthenticatedForm, FormProgress, FormReader, SuccessResponse, authenticate_form,
};
use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::post_form::PostForm;
use blobfish_dialects::dialect::signature::{BodyDecoder as _, ResourceAddress};
use blobfish_dialects::model::{ErrorKind, Field, Rejection, RequestScope, Timestamp};
use blobfish_dialects::{cos::COS, oss::OSS, s3::S3};
use proptest::prelude::*;
use secrecy::SecretString;

struct TestKeys(SecretString, &'static str);

impl CredentialStore for TestKeys {
    fn find_credentials(&self, access_key: &str) -> Option<CallerCredentials<'_>> {
        let key = CallerCredentials {
            secret_key: &self.0,
            session_token: None,
            strict_dialects: &[],
            schemes: &[],
        };
        (access_key == self.1).then_some(key)
    }

    fn is_anonymous_read(&self, _bucket: &str) -> bool {
        true
    }
}

fn build_form(fields: &[(&str, &str)]) -> PostForm {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    PostForm {
        fields: fields.collect(),
        file_name: "C:\\x\\a b.txt".to_owned(),
        file_type: Some("text/css".to_owned()),
    }
}

fn authenticate_test_form(
    dialect: &'static Dialect,
    key: (&'static str, &str),
    bucket: &str,
    now: i64,
    fields: &[(&str, &str)],
) -> Result<AuthenticatedForm, Rejection> {
    let place = ResourceAddress { scope: RequestScope::Bucket(bucket.to_owned()), virtual_host: true };
    authenticate_form(
        dialect,
        &build_form(fields),
        &place,
        &TestKeys(SecretString::from(key.1), key.0),
        Timestamp(now),
    )
}

fn expect_error(posted: Result<AuthenticatedForm, Rejection>) -> ErrorKind {
    posted.err().expect("the form is authenticated").kind
}

const S3_KEY: (&str, &str) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
const S3_V2: &str =
    r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b1"},["starts-with","$key","u/"]]}"#;
const S3_V4: &str = r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b1"},["starts-with","$key","u/"],{"x-amz-algorithm":"AWS4-HMAC-SHA256"},{"x-amz-credential":"AKIAIOSFODNN7EXAMPLE/20260102/us-east-1/s3/aws4_request"},{"x-amz-date":"20260102T030405Z"}]}"#;
/// 2026-01-02T03:04:05Z
const S3_NOW: i64 = 1_767_323_045;

#[test]
fn the_vectors_of_s3_are_authenticated() {
    let policy = BASE64.encode(S3_V2);
    let authenticate_v2 = |signature: &str, key: &str| {
        authenticate_test_form(
            &S3,
            S3_KEY,
            "b1",
            S3_NOW,
            &[("AWSAccessKeyId", S3_KEY.0), ("policy", &policy), ("signature", signature), ("key", key)],
        )
    };
    let authenticated = authenticate_v2("EmZr4l6ISFC3Xqz9EMBwvtGGa3o=", "u/${filename}").unwrap();
    assert_eq!(authenticated.request.scope.key(), Some("u/a b.txt"));
    assert_eq!(authenticated.success_response, SuccessResponse::StatusOnly(204));
    assert_eq!(
        expect_error(authenticate_v2("EmZr4l6ISFC3Xqz9EMBwvtGGa3p=", "u/k")),
        ErrorKind::SignatureDoesNotMatch
    );
    assert_eq!(expect_error(authenticate_v2("EmZr4l6ISFC3Xqz9EMBwvtGGa3o=", "v/k")), ErrorKind::AccessDenied);
    let policy = BASE64.encode(S3_V4);
    let authenticate_v4 = |more: (&str, &str), now: i64| {
        authenticate_test_form(
            &S3,
            S3_KEY,
            "b1",
            now,
            &[
                ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
                ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20260102/us-east-1/s3/aws4_request"),
                ("X-Amz-Date", "20260102T030405Z"),
                ("Policy", &policy),
                ("X-Amz-Signature", "34918b7a7a49a4be1b21dc7150ab5ff93080c7125a64b42a89e660b0f6e71700"),
                ("key", "u/k"),
                more,
            ],
        )
    };
    assert!(authenticate_v4(("x-ignore-me", "1"), S3_NOW).is_ok());
    // S3, Creating a POST policy: the policy must have a condition for every field.
    assert_eq!(expect_error(authenticate_v4(("acl", "public-read"), S3_NOW)), ErrorKind::AccessDenied);
    assert_eq!(expect_error(authenticate_v4(("x-amz-meta-a", "1"), S3_NOW)), ErrorKind::AccessDenied);
    assert_eq!(
        expect_error(authenticate_v4(("x-ignore-me", "1"), S3_NOW + 605_000)),
        ErrorKind::RequestExpired
    );
    assert_eq!(expect_error(authenticate_v4(("AWSAccessKeyId", "x"), S3_NOW)), ErrorKind::SeveralCredentials);
}

#[test]
fn the_forms_of_oss_are_authenticated() {
    const KEY: (&str, &str) = ("LTAIBLOBFISHTEST", "blobfish-test-secret-0123456789");
    const NOW: i64 = 1_714_979_289;
    let first = "eyJleHBpcmF0aW9uIjoiMjAyNC0wNS0wNlQwODowODowOS4wMDBaIiwiY29uZGl0aW9ucyI6W3siYnVja2V0IjoiZXhhbXBsZWJ1Y2tldCJ9LFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLDAsMTA0ODU3Nl0sWyJzdGFydHMtd2l0aCIsIiRrZXkiLCJ1c2VyLyJdXX0=";
    let v1 = |signature: &str, bucket: &str, now: i64| {
        authenticate_test_form(
            &OSS,
            KEY,
            bucket,
            now,
            &[
                ("OSSAccessKeyId", KEY.0),
                ("policy", first),
                ("Signature", signature),
                ("key", "user/k"),
                ("Cache-Control", "no-store"),
                ("submit", "go"),
            ],
        )
    };
    let authenticated = v1("jkr9L7Sd0xguTAavW0MD32R7/8Y=", "examplebucket", NOW).unwrap();
    assert_eq!(authenticated.bounds, (0, 1_048_576));
    assert_eq!(authenticated.request.fields.text(Field::CacheControl), Some("no-store"));
    // OSS, PostObject: the content type of the file's form part is that of the object.
    assert_eq!(authenticated.request.fields.text(Field::ContentType), Some("text/css"));
    assert_eq!(
        expect_error(v1("jkr9L7Sd0xguTAavW0MD32R7/8X=", "examplebucket", NOW)),
        ErrorKind::SignatureDoesNotMatch
    );
    assert_eq!(expect_error(v1("jkr9L7Sd0xguTAavW0MD32R7/8Y=", "other", NOW)), ErrorKind::AccessDenied);
    assert_eq!(
        expect_error(v1("jkr9L7Sd0xguTAavW0MD32R7/8Y=", "examplebucket", NOW + 4000)),
        ErrorKind::AccessDenied
    );
    let policy = BASE64.encode(r#"{"expiration":"2024-05-06T08:08:09.000Z","conditions":[{"bucket":"examplebucket"},{"x-oss-signature-version":"OSS4-HMAC-SHA256"},{"x-oss-credential":"LTAIBLOBFISHTEST/20240506/cn-hangzhou/oss/aliyun_v4_request"},{"x-oss-date":"20240506T070809Z"},["content-length-range",0,1048576],["starts-with","$key","user/"]]}"#);
    let authenticate_v4 = |signature: &str| {
        authenticate_test_form(
            &OSS,
            KEY,
            "examplebucket",
            NOW,
            &[
                ("x-oss-signature-version", "OSS4-HMAC-SHA256"),
                ("x-oss-credential", "LTAIBLOBFISHTEST/20240506/cn-hangzhou/oss/aliyun_v4_request"),
                ("x-oss-date", "20240506T070809Z"),
                ("policy", &policy),
                ("x-oss-signature", signature),
                ("key", "user/k"),
            ],
        )
    };
    assert!(authenticate_v4("89a7b69b291f6433cab0e3ac9969ce1a76d0099e01c512738e8af60610a3e78a").is_ok());
    assert_eq!(
        expect_error(authenticate_v4("89a7b69b291f6433cab0e3ac9969ce1a76d0099e01c512738e8af60610a3e78b")),
        ErrorKind::SignatureDoesNotMatch
    );
}

#[test]
fn the_form_of_cos_is_authenticated() {
    const KEY: (&str, &str) = ("AKIDEXAMPLE0001", "example-secret-key-0001");
    let policy = BASE64.encode(r#"{"expiration":"2023-11-15T00:00:00.000Z","conditions":[{"bucket":"dstbucket-1250000000"},["starts-with","$key","upload/"],{"q-sign-algorithm":"sha1"},{"q-ak":"AKIDEXAMPLE0001"},{"q-sign-time":"1700000000;1700003600"}]}"#);
    let cos = |signature: &str, now: i64, status: &str| {
        authenticate_test_form(
            &COS,
            KEY,
            "dstbucket-1250000000",
            now,
            &[
                ("policy", &policy),
                ("q-sign-algorithm", "sha1"),
                ("q-ak", KEY.0),
                ("q-key-time", "1700000000;1700003600"),
                ("q-signature", signature),
                ("key", "upload/k"),
                ("success_action_status", status),
            ],
        )
    };
    let signature = "e4d751913f9663bc2b63c50774a6612e2267d38e";
    let authenticated = cos(signature, 1_700_000_060, "201").unwrap();
    assert_eq!(authenticated.success_response, SuccessResponse::Document);
    assert_eq!(
        authenticated.request.fields.text(Field::ContentType),
        None,
        "COS, POST Object: the content type of the file's form part is ignored"
    );
    assert_eq!(
        expect_error(cos(&signature.replace('e', "f"), 1_700_000_060, "200")),
        ErrorKind::SignatureDoesNotMatch
    );
    assert_eq!(expect_error(cos(signature, 1_700_003_700, "200")), ErrorKind::RequestExpired);
}

#[test]
fn a_field_that_the_policy_does_not_allow_is_rejected() {
    let policy = |more: &str| {
        BASE64.encode(format!(
            r#"{{"expiration":"2030-01-01T00:00:00Z","conditions":[{{"bucket":"b"}}{more}]}}"#
        ))
    };
    let check = |dialect: &Dialect, more: &str, name: &str, value: &str| {
        let policy = policy(more);
        let given = build_form(&[("policy", &policy), ("key", "k"), (name, value)]);
        blobfish_dialects::authentication::policy::check_policy(
            dialect,
            &policy,
            &given,
            "b",
            Timestamp(S3_NOW),
        )
    };
    for (dialect, name) in [
        (&COS, "acl"),
        (&COS, "x-cos-storage-class"),
        (&OSS, "x-oss-object-acl"),
        (&OSS, "X-OSS-Forbid-Overwrite"),
    ] {
        assert_eq!(check(dialect, "", name, "v").unwrap_err().kind, ErrorKind::AccessDenied, "{name}");
        let named = format!(r#",["starts-with","${name}",""]"#);
        assert!(check(dialect, &named, name, "v").is_ok(), "{name}");
    }
    // Fields that only describe the object need no condition.
    for (dialect, name) in
        [(&COS, "Content-Type"), (&COS, "x-cos-meta-a"), (&OSS, "x-oss-meta-a"), (&OSS, "x:own")]
    {
        assert!(check(dialect, "", name, "v").is_ok(), "{name}");
    }
    assert!(check(&S3, r#",["eq","$key","k"]"#, "x-amz-meta-a", "v").is_err());
}

#[test]
fn malformed_policies_are_rejected() {
    for (policy, wanted) in [
        ("{", ErrorKind::InvalidPolicyDocument),
        (r#"{"conditions":[]}"#, ErrorKind::InvalidPolicyDocument),
        (r#"{"expiration":"2030-01-01T00:00:00Z"}"#, ErrorKind::InvalidPolicyDocument),
        (
            r#"{"expiration":"2030-01-01T00:00:00Z","conditions":[["like","$key","x"]]}"#,
            ErrorKind::InvalidPolicyDocument,
        ),
        (r#"{"expiration":"2020-01-01T00:00:00Z","conditions":[]}"#, ErrorKind::AccessDenied),
    ] {
        let policy = BASE64.encode(policy);
        let given = build_form(&[("policy", &policy), ("key", "k")]);
        let found = blobfish_dialects::authentication::policy::check_policy(
            &OSS,
            &policy,
            &given,
            "b",
            Timestamp(S3_NOW),
        );
        assert_eq!(found.unwrap_err().kind, wanted);
    }
    assert_eq!(
        expect_error(authenticate_test_form(&S3, S3_KEY, "b1", S3_NOW, &[("key", "k")])),
        ErrorKind::AnonymousDenied
    );
}

const KIND: &str = "multipart/form-data; boundary=\"edge\"";

fn encode_form(body: &[u8], after: &str) -> Vec<u8> {
    let mut wire = b"--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\nb\r\n--edge\r\ncontent-disposition: form-data; name=File; filename=\"q\\\"\xe4\xb8\xad.txt\"\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    wire.extend_from_slice(body);
    wire.extend_from_slice(format!("\r\n--edge{after}--\r\n").as_bytes());
    wire
}

/// Reads a form that is split into these pieces.
fn decode_form(wire: &[u8], pieces: &[usize], ahead: usize) -> Result<(PostForm, Vec<u8>), Rejection> {
    let mut reader = FormReader::new(KIND)?;
    let mut cut = Vec::new();
    let (mut rest, mut sizes) = (wire, pieces.iter().cycle());
    while !rest.is_empty() {
        let size = (*sizes.next().unwrap()).clamp(1, rest.len());
        cut.push(&rest[..size]);
        rest = &rest[size..];
    }
    let mut cut = cut.into_iter();
    let mut progress = FormProgress::Fields;
    while progress == FormProgress::Fields || reader.buffered_len() < ahead {
        match cut.next() {
            Some(piece) => progress = reader.push(piece)?,
            None => break,
        }
    }
    if progress == FormProgress::Fields {
        return Err(ErrorKind::MalformedForm.into());
    }
    let form = reader.form().clone();
    let ended = cut.len() == 0;
    let mut file = reader.into_file_decoder(Some(wire.len() as u64), ended, (0, 1_000_000))?;
    let length = file.decoded_length();
    let mut out = Vec::new();
    file.push(b"", &mut out)?;
    for piece in cut {
        file.push(piece, &mut out)?;
    }
    file.finish()?;
    assert_eq!(length, out.len() as u64, "the length that was announced to the target");
    Ok((form, out))
}

proptest! {
    #[test]
    fn a_form_is_read_alike_in_every_split(
        body in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'e'), any::<u8>()], 0..400),
        pieces in prop::collection::vec(1_usize..120, 1..8),
        ahead in 0_usize..600,
    ) {
        prop_assume!(!body.windows(8).any(|window| window == b"\r\n--edge"));
        let (form, out) = decode_form(&encode_form(&body, ""), &pieces, ahead).unwrap();
        prop_assert_eq!(out, body);
        prop_assert_eq!(form.get("key"), Some("a\r\nb"));
        prop_assert_eq!(form.file_name.as_str(), "q\"中.txt");
        prop_assert_eq!(form.file_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn arbitrary_bytes_are_read_or_rejected(body in prop::collection::vec(any::<u8>(), 0..300), pieces in prop::collection::vec(1_usize..50, 1..4)) {
        let _ = decode_form(&body, &pieces, 100);
        let mut wire = b"--edge\r\n".to_vec();
        wire.extend(body);
        let _ = decode_form(&wire, &pieces, 100);
    }
}

#[test]
fn malformed_forms_are_rejected() {
    let whole = |bytes: &[u8]| {
        decode_form(bytes, &[bytes.len()], 1000).map(|row| row.1).map_err(|rejection| rejection.kind)
    };
    assert_eq!(
        whole(&encode_form(b"x", "\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\ngo\r\n--edge")),
        Ok(b"x".to_vec())
    );
    let good = encode_form(b"hello", "");
    assert_eq!(whole(&good), Ok(b"hello".to_vec()));
    assert_eq!(whole(&good[..good.len() - 12]), Err(ErrorKind::IncompleteBody));
    assert_eq!(
        whole(b"--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--edge--\r\n"),
        Err(ErrorKind::NotOneFile)
    );
    assert_eq!(whole(b"--other\r\n\r\n"), Err(ErrorKind::MalformedForm));
    let twice = b"--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na\r\n--edge\r\nContent-Disposition: form-data; name=\"KEY\"\r\n\r\nb\r\n--edge--";
    assert_eq!(whole(twice), Err(ErrorKind::MalformedForm));
    let large =
        format!("--edge\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n{}", "x".repeat(70_000));
    assert_eq!(whole(large.as_bytes()), Err(ErrorKind::FormTooLarge));
    assert!(FormReader::new("multipart/form-data").is_err());
    let mut reader = FormReader::new(KIND).unwrap();
    assert_eq!(reader.push(&good).unwrap(), FormProgress::File);
    assert_eq!(reader.into_file_decoder(None, true, (6, 10)).err().unwrap().kind, ErrorKind::EntityTooSmall);
    let mut reader = FormReader::new(KIND).unwrap();
    reader.push(&good).unwrap();
    assert_eq!(reader.into_file_decoder(None, true, (0, 4)).err().unwrap().kind, ErrorKind::EntityTooLarge);
}
