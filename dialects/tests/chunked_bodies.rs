//! Chunked bodies of S3: the published examples in every split, and each possible error in one.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::signature::Payload;
use blobfish_dialects::encoding::hash::derive_key;
use blobfish_dialects::engine::body_verifier::{BodyVerifier, DigestsToCompute};
use blobfish_dialects::model::{
    Checksum, ChecksumAlgorithm, ErrorKind, Fields, Operation, Rejection, Request,
};
use blobfish_dialects::s3::S3;
use blobfish_dialects::s3::chunked::{AwsChunkedDecoder, ChunkKey};
use bytes::Bytes;

const SECRET: &[u8] = b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A small body in three formats of S3, Signature Calculations for the Authorization Header: Transferring Payload in
/// Multiple Chunks. 20260102T030405Z, us-west-2, body `hello world`.
const CHUNK: &str = "3b89a34c3b9548ab0d1a66afc27510516bafa7be4f31b54b0d577211d864447d";
const ZERO: &str = "bbf5707241739479188a10bf5f5a6b5c721543f9c5b4c82f613f3c8566508d57";
const SEED: &str = "738f59a448ba2aef4ce2184362fb0a2c75a12857922208609e9d54bb85446690";
const TRAILER_SEED: &str = "5b82c422910099e6e3d163a5780dfec060a07d9baf27c63acc621c3eae11a39d";

fn build_chunk_key(seed: &str) -> ChunkKey {
    let signing = derive_key(SECRET, &["20260102", "us-west-2", "s3", "aws4_request"]);
    ChunkKey {
        key: signing,
        stamp: "20260102T030405Z".to_owned(),
        scope: "20260102/us-west-2/s3/aws4_request".to_owned(),
        previous: seed.to_owned(),
    }
}

fn build_signed_body() -> String {
    format!("b;chunk-signature={CHUNK}\r\nhello world\r\n0;chunk-signature={ZERO}\r\n\r\n")
}

fn build_signed_body_with_trailer() -> String {
    "b;chunk-signature=f142a324b85b80e614350ef3882b74e22ed56df1f2886540f56608617de6dccf\r\nhello world\r\n\
     0;chunk-signature=41dd44db3964d3b30cbc318433e4d7a1d31a4da6be4955374dd599e15bf2e64f\r\n\
     x-amz-checksum-crc32:DUoRhQ==\r\n\
     x-amz-trailer-signature:7ea508b0f4c16af9f2a98ef72535f073dbfca76c76d277f0cb39c5e1aa7bf115\r\n\r\n"
        .to_owned()
}

fn build_unsigned_body_with_trailer() -> String {
    "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n".to_owned()
}

/// Reads a body through the verifier, as in an upload. Returns the bytes that are sent before the end, and all bytes.
fn decode_body(
    seed: Option<&str>,
    trailer: bool,
    announced: u64,
    wire: &[u8],
    step: usize,
) -> Result<Vec<u8>, (Vec<u8>, Rejection)> {
    let named = trailer.then(|| "x-amz-checksum-crc32".to_owned());
    let decoder = AwsChunkedDecoder::new(seed.map(build_chunk_key), named, announced);
    let mut request =
        Request::for_object(Operation::PutObject, "b".to_owned(), "k".to_owned(), Fields::default());
    if trailer {
        request.checksums.push(Checksum { algorithm: ChecksumAlgorithm::Crc32, value: None });
    }
    let mut verifier =
        BodyVerifier::new(&S3, Payload::Chunked(Box::new(decoder)), &request, DigestsToCompute::default())
            .unwrap();
    let mut out = Vec::new();
    for piece in wire.chunks(step) {
        match verifier.push(&Bytes::copy_from_slice(piece)) {
            Ok(bytes) => out.extend(bytes),
            Err(rejection) => return Err((out, rejection)),
        }
    }
    match verifier.finish() {
        Ok((rest, _)) => {
            out.extend(rest);
            Ok(out)
        }
        Err(rejection) => Err((out, rejection)),
    }
}

#[test]
fn a_valid_body_is_accepted_in_every_split() {
    for step in 1..200 {
        assert_eq!(
            decode_body(Some(SEED), false, 11, build_signed_body().as_bytes(), step).unwrap(),
            b"hello world"
        );
        let wire = build_signed_body_with_trailer();
        assert_eq!(decode_body(Some(TRAILER_SEED), true, 11, wire.as_bytes(), step).unwrap(), b"hello world");
        assert_eq!(
            decode_body(None, true, 11, build_unsigned_body_with_trailer().as_bytes(), step).unwrap(),
            b"hello world"
        );
    }
}

/// The example in the S3 document: 65,536 and 1,024 times `a`, signed on 2013-05-24.
#[test]
fn the_published_example_is_accepted() {
    let signing = derive_key(SECRET, &["20130524", "us-east-1", "s3", "aws4_request"]);
    let key = ChunkKey {
        key: signing,
        stamp: "20130524T000000Z".to_owned(),
        scope: "20130524/us-east-1/s3/aws4_request".to_owned(),
        previous: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".to_owned(),
    };
    let wire = format!(
        "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n{}\r\n\
         400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n{}\r\n\
         0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
        "a".repeat(65_536),
        "a".repeat(1_024)
    );
    assert_eq!(wire.len(), 66_824, "the length in the document");
    let request =
        Request::for_object(Operation::PutObject, "b".to_owned(), "k".to_owned(), Fields::default());
    let payload = Payload::Chunked(Box::new(AwsChunkedDecoder::new(Some(key), None, 66_560)));
    let mut verifier = BodyVerifier::new(&S3, payload, &request, DigestsToCompute::default()).unwrap();
    let mut out = verifier.push(&Bytes::from(wire)).unwrap().to_vec();
    let (rest, sums) = verifier.finish().unwrap();
    out.extend(rest);
    assert_eq!((out.len(), sums.bytes), (66_560, 66_560));
}

#[test]
fn each_error_is_found_before_the_last_byte_is_sent() {
    let tampered = build_signed_body().replace("hello", "jello");
    type Row = (&'static str, Option<&'static str>, bool, u64, String, ErrorKind);
    let rows: Vec<Row> = vec![
        ("chunk data", Some(SEED), false, 11, tampered, ErrorKind::SignatureDoesNotMatch),
        (
            "chunk signature",
            Some(SEED),
            false,
            11,
            build_signed_body().replace(CHUNK, ZERO),
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "last signature",
            Some(SEED),
            false,
            11,
            build_signed_body().replace(ZERO, CHUNK),
            ErrorKind::SignatureDoesNotMatch,
        ),
        (
            "no signature",
            Some(SEED),
            false,
            11,
            "b\r\nhello world\r\n0\r\n\r\n".into(),
            ErrorKind::SignatureDoesNotMatch,
        ),
        ("another seed", Some(CHUNK), false, 11, build_signed_body(), ErrorKind::SignatureDoesNotMatch),
        ("announced more", Some(SEED), false, 12, build_signed_body(), ErrorKind::IncompleteBody),
        ("announced less", Some(SEED), false, 10, build_signed_body(), ErrorKind::IncompleteBody),
        ("no last chunk", None, true, 11, "b\r\nhello world\r\n".into(), ErrorKind::IncompleteBody),
        (
            "no end",
            None,
            true,
            11,
            "b\r\nhello world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n".into(),
            ErrorKind::IncompleteBody,
        ),
        ("cut chunk", None, true, 11, "b\r\nhello wor".into(), ErrorKind::IncompleteBody),
        ("no trailer", None, true, 11, "b\r\nhello world\r\n0\r\n\r\n".into(), ErrorKind::MalformedTrailer),
        (
            "another trailer",
            None,
            true,
            11,
            build_unsigned_body_with_trailer().replace("crc32", "crc32c"),
            ErrorKind::MalformedTrailer,
        ),
        (
            "two trailers",
            None,
            true,
            11,
            build_unsigned_body_with_trailer().replace("x-amz", "x-amz-checksum-crc32:DUoRhQ==\r\nx-amz"),
            ErrorKind::MalformedTrailer,
        ),
        (
            "wrong checksum",
            None,
            true,
            11,
            build_unsigned_body_with_trailer().replace("DUoRhQ", "DUoRhA"),
            ErrorKind::BadDigest,
        ),
        (
            "no checksum",
            None,
            true,
            11,
            build_unsigned_body_with_trailer().replace("DUoRhQ==", "!"),
            ErrorKind::InvalidRequest,
        ),
        (
            "trailer signature",
            Some(TRAILER_SEED),
            true,
            11,
            build_signed_body_with_trailer().replace("7ea508b0", "7ea508b1"),
            ErrorKind::SignatureDoesNotMatch,
        ),
        ("no size", None, true, 11, "\r\nhello world\r\n0\r\n\r\n".into(), ErrorKind::IncompleteBody),
        ("bad size", None, true, 11, "0xb\r\nhello world\r\n0\r\n\r\n".into(), ErrorKind::IncompleteBody),
        ("huge size", None, true, 11, "ffffffffffffffff\r\nhello".into(), ErrorKind::IncompleteBody),
        ("no CRLF", None, true, 11, "b\r\nhello worldX\r\n0\r\n\r\n".into(), ErrorKind::IncompleteBody),
        (
            "something behind",
            None,
            true,
            11,
            build_unsigned_body_with_trailer() + "more",
            ErrorKind::IncompleteBody,
        ),
    ];
    for (what, seed, trailer, announced, wire, error_kind) in rows {
        for step in [1, 7, 4096] {
            let (gone, rejection) =
                decode_body(seed, trailer, announced, wire.as_bytes(), step).expect_err(what);
            assert_eq!(rejection.kind, error_kind, "{what} in steps of {step}");
            assert!(
                u64::try_from(gone.len()).unwrap() < announced,
                "{what}: a target could have completed this"
            );
        }
    }
}
