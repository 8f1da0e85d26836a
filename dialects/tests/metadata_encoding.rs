//! Metadata values arrive as they were sent, in the encodings of all dialects.

use blobfish_dialects::engine::encoded_words::{convert_for_caller, convert_for_target, decode_words};
use blobfish_dialects::{cos::COS, oss::OSS, s3::S3};

#[test]
fn encoded_words_of_other_programs_are_decoded() {
    // RFC 2047, section 8, and output of Python's email package and JavaMail.
    for (value, wanted) in [
        ("=?UTF-8?B?5YC8IMOp?=", "值 é"),
        ("=?utf-8?b?5YC8?=", "值"),
        ("=?UTF-8?Q?=E5=80=BC_x?=", "值 x"),
        ("=?UTF-8?Q?a?= =?UTF-8?Q?b?=", "ab"),
        ("(=?UTF-8?Q?a?= b)", "(a b)"),
        ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    ] {
        assert_eq!(String::from_utf8(decode_words(value.as_bytes())).unwrap(), wanted);
    }
    assert_eq!(decode_words(b"=?ISO-8859-1?Q?=E9?="), [0xe9]);
    for value in ["=?UTF-8?B?!?=", "=?KOI8-R?B?5YC8?=", "a =? b", "=?UTF-8?B?", "=?UTF-8?Q?=0D=0A?="] {
        assert_eq!(decode_words(value.as_bytes()), value.as_bytes(), "{value}");
    }
}

#[test]
fn a_value_is_returned_unchanged_through_every_dialect() {
    let long = "值é".repeat(60);
    let values: [&[u8]; 5] = ["值 é".as_bytes(), b"plain", b"=?UTF-8?B?5YC8?=", b"caf\xe9", long.as_bytes()];
    for value in values {
        // A target may return the value as it was sent, or as encoded words.
        let sent = convert_for_target(&COS, &S3, value);
        assert_eq!(convert_for_caller(&S3, &COS, &sent), value);
        assert_eq!(convert_for_caller(&S3, &OSS, &convert_for_caller(&S3, &S3, &sent)), value);
        assert_eq!(convert_for_target(&S3, &OSS, &convert_for_caller(&COS, &S3, value)), value);
        assert!(convert_for_caller(&S3, &S3, value).is_ascii());
    }
    // Between equal dialects, values are passed unchanged.
    assert_eq!(convert_for_caller(&S3, &S3, b"=?utf-8?q?=E5=80=BC?="), b"=?utf-8?q?=E5=80=BC?=");
    assert_eq!(convert_for_target(&S3, &S3, "值".as_bytes()), "值".as_bytes());
    assert_eq!(convert_for_caller(&COS, &OSS, b"=?UTF-8?B?5YC8?="), b"=?UTF-8?B?5YC8?=");
    let words = convert_for_caller(&COS, &S3, long.as_bytes());
    assert!(words.split(|byte| *byte == b' ').all(|word| word.len() <= 75));
}
