//! Small parts: how they are combined, and how they are hidden from clients.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use blobfish_dialects::dialect::Dialect;
use blobfish_dialects::dialect::route::Route;
use blobfish_dialects::engine::small_parts::{
    self, NamedPart, PartSlice, PartsFolder, PlannedPart, StoredSmallPart,
};
use blobfish_dialects::model::{
    Document, ErrorKind, Field, ListedObject, ObjectListing, Operation, Part, PartListing, Request, Response,
    Value,
};
use blobfish_dialects::translator::explain::{build_sample_route, build_sample_target};
use blobfish_dialects::{DIALECTS, PROFILES, cos::COS, oss::OSS, s3::S3};
use proptest::prelude::*;

const MIB: u64 = 1024 * 1024;
const PART_BYTES_MIN: u64 = 5 * MIB;

fn build_staged_part(number: u64, bytes: u64) -> StoredSmallPart {
    StoredSmallPart { part: Part::new(number, format!("e{number}")), bytes, modified: None }
}

fn build_target_part(number: u64) -> NamedPart {
    NamedPart::Uploaded(Part::new(number, format!("e{number}")))
}

/// The sizes of the planned parts, and the slices in each: part number and first byte.
fn collect_spans(made: &[PlannedPart]) -> Vec<(u64, u64, u64)> {
    let pieces = made.iter().flat_map(|made| match made {
        PlannedPart::Uploaded(_) => Vec::new(),
        PlannedPart::Copied(_, piece) => vec![piece.clone()],
        PlannedPart::Combined(_, pieces) => pieces.clone(),
    });
    let mut spans: Vec<(u64, u64, u64)> = Vec::new();
    for PartSlice { number, offset: first, bytes, .. } in pieces {
        match spans.last_mut() {
            Some(last) if last.0 == number && last.1 + last.2 == first => last.2 += bytes,
            _ => spans.push((number, first, bytes)),
        }
    }
    spans
}

fn get_number_and_bytes(made: &PlannedPart) -> (u64, Option<u64>) {
    match made {
        PlannedPart::Uploaded(part) => (part.number, None),
        PlannedPart::Copied(number, piece) => (*number, Some(piece.bytes)),
        PlannedPart::Combined(number, pieces) => {
            (*number, Some(pieces.iter().map(|piece| piece.bytes).sum()))
        }
    }
}

/// Checks that every byte occurs once and in order, that part numbers ascend, and that all parts except the last are
/// large enough.
fn check_parts(parts: &[NamedPart], made: &[PlannedPart]) {
    let numbers: Vec<u64> = made.iter().map(|made| get_number_and_bytes(made).0).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let small = made
        .iter()
        .rev()
        .skip(1)
        .filter(|made| get_number_and_bytes(made).1.is_some_and(|bytes| bytes < PART_BYTES_MIN));
    assert_eq!(small.count(), 0, "{made:?}");
    let wanted: Vec<(u64, u64, u64)> = parts
        .iter()
        .filter_map(|part| match part {
            NamedPart::Staged(stored) if stored.bytes > 0 => Some((stored.part.number, 0, stored.bytes)),
            _ => None,
        })
        .collect();
    let spans: Vec<_> = collect_spans(made).into_iter().filter(|span| span.2 > 0).collect();
    assert_eq!(spans, wanted);
    let order = |named: bool| -> Vec<u64> {
        let of_parts = parts.iter().filter_map(|part| match part {
            NamedPart::Uploaded(part) => Some(part.number),
            NamedPart::Staged(_) => None,
        });
        let of_made = made.iter().filter_map(|made| match made {
            PlannedPart::Uploaded(part) => Some(part.number),
            _ => None,
        });
        if named { of_parts.collect() } else { of_made.collect() }
    };
    assert_eq!(order(true), order(false));
}

#[test]
fn parts_of_one_size_are_combined_into_few_large_ones() {
    let parts: Vec<NamedPart> =
        (1..=64).map(|number| NamedPart::Staged(build_staged_part(number, MIB))).collect();
    let made = small_parts::plan_combination(&parts, PART_BYTES_MIN, 4).unwrap();
    let sizes: Vec<_> = made.iter().map(get_number_and_bytes).collect();
    assert_eq!(
        sizes,
        [(1, Some(16 * MIB)), (17, Some(16 * MIB)), (33, Some(16 * MIB)), (49, Some(16 * MIB))]
    );
    let made = small_parts::plan_combination(&parts[..1], PART_BYTES_MIN, 4).unwrap();
    assert_eq!(made.iter().map(get_number_and_bytes).collect::<Vec<_>>(), [(1, Some(MIB))]);
}

#[test]
fn large_stored_parts_are_copied_by_the_target() {
    let parts = [
        NamedPart::Staged(build_staged_part(1, 100)),
        NamedPart::Staged(build_staged_part(2, 1024 * MIB)),
        NamedPart::Staged(build_staged_part(3, 7)),
    ];
    let made = small_parts::plan_combination(&parts, PART_BYTES_MIN, 4).unwrap();
    check_parts(&parts, &made);
    let copied: u64 =
        made.iter().map(|made| if let PlannedPart::Copied(_, piece) = made { piece.bytes } else { 0 }).sum();
    assert_eq!(copied, 1024 * MIB - (PART_BYTES_MIN - 100));
}

#[test]
fn a_small_part_before_one_that_cannot_be_read_is_rejected() {
    let alone = [build_target_part(1), NamedPart::Staged(build_staged_part(2, MIB)), build_target_part(3)];
    let rejected = small_parts::plan_combination(&alone, PART_BYTES_MIN, 4).unwrap_err();
    assert_eq!(rejected.kind, ErrorKind::EntityTooSmall);
    assert!(rejected.details.contains(&("PartNumber", "2".to_owned())), "{rejected:?}");
    for parts in [
        vec![build_target_part(1), NamedPart::Staged(build_staged_part(2, MIB))],
        vec![
            NamedPart::Staged(build_staged_part(1, 6 * MIB)),
            NamedPart::Staged(build_staged_part(2, MIB)),
            build_target_part(3),
        ],
        vec![
            NamedPart::Staged(build_staged_part(1, 40 * MIB)),
            NamedPart::Staged(build_staged_part(2, MIB)),
            build_target_part(3),
            build_target_part(4),
        ],
        vec![
            NamedPart::Staged(build_staged_part(1, 3 * MIB)),
            NamedPart::Staged(build_staged_part(2, 3 * MIB)),
            NamedPart::Staged(build_staged_part(3, 1)),
            build_target_part(4),
        ],
    ] {
        check_parts(&parts, &small_parts::plan_combination(&parts, PART_BYTES_MIN, 4).unwrap());
    }
}

proptest! {
    #[test]
    fn any_stored_parts_can_be_completed(
        sizes in prop::collection::vec(prop_oneof![0..MIB, MIB..12 * MIB, Just(PART_BYTES_MIN), Just(5 * 1024 * MIB)], 1..60),
        gaps in 1_u64..9,
        at_once in 1_u64..9,
    ) {
        let numbered = sizes.iter().zip((1_u64..).map(|at| at * gaps));
        let parts: Vec<NamedPart> = numbered.map(|(bytes, number)| NamedPart::Staged(build_staged_part(number, *bytes))).collect();
        let made = small_parts::plan_combination(&parts, PART_BYTES_MIN, at_once).unwrap();
        check_parts(&parts, &made);
        prop_assert!(made.iter().all(|made| get_number_and_bytes(made).1.unwrap() <= 5 * 1024 * MIB + 2 * PART_BYTES_MIN));
    }

    #[test]
    fn stored_and_uploaded_parts_can_be_completed(
        sizes in prop::collection::vec(prop_oneof![0..MIB, MIB..12 * MIB, Just(PART_BYTES_MIN)], 1..60),
        direct in prop::collection::vec(any::<bool>(), 60),
    ) {
        let mut parts: Vec<NamedPart> = Vec::new();
        for (at, bytes) in sizes.iter().enumerate() {
            let number = at as u64 + 1;
            let before = at.checked_sub(1).map(|before| sizes[before]);
            let may = *bytes >= PART_BYTES_MIN && small_parts::can_upload_directly(PART_BYTES_MIN, number, before);
            parts.push(if may && direct[at] { build_target_part(number) } else { NamedPart::Staged(build_staged_part(number, *bytes)) });
        }
        let made = small_parts::plan_combination(&parts, PART_BYTES_MIN, 4).unwrap();
        check_parts(&parts, &made);
    }
}

fn build_upload_request(operation: Operation) -> Request {
    let mut request =
        Request::for_object(operation, "b".to_owned(), "k/\u{e9}".to_owned(), Default::default());
    request.fields.set(Field::UploadId, Value::Text("u".to_owned()));
    request
}

fn with_route(caller: &'static Dialect, target: &'static Dialect, then: impl FnOnce(&Route<'_>, &Request)) {
    let (request, target) = (build_upload_request(Operation::UploadPart), build_sample_target(target));
    then(&build_sample_route(caller, &target, &request), &request);
}

/// S3 5 MiB, COS 1 MiB, OSS 100 KiB: only dialects with a smaller minimum than the target are concerned.
#[test]
fn small_parts_concern_callers_with_a_smaller_minimum() {
    let minimum = |dialect: &Dialect| dialect.limits.part_bytes_min;
    assert_eq!((minimum(&S3), minimum(&COS), minimum(&OSS)), (5 * MIB, MIB, 100 * 1024));
    for (caller, target, concerns) in [
        (&S3, &S3, false),
        (&COS, &S3, true),
        (&OSS, &S3, true),
        (&OSS, &COS, true),
        (&COS, &OSS, false),
        (&S3, &OSS, false),
    ] {
        with_route(caller, target, |route, request| {
            assert_eq!(
                small_parts::involves_small_parts(route, request),
                concerns,
                "{} to {}",
                caller.name,
                target.name
            );
            let mut sealed = request.clone();
            sealed.fields.set(Field::CustomerAlgorithm, Value::Text("AES256".to_owned()));
            assert!(!small_parts::involves_small_parts(route, &sealed), "it could not be read again");
        });
    }
    for dialect in DIALECTS.iter().chain(PROFILES.iter()) {
        let is_needed = small_parts::needs_small_parts(&build_sample_target(dialect));
        assert_eq!(is_needed, minimum(dialect) > 100 * 1024, "{}", dialect.name);
    }
}

#[test]
fn the_upload_is_found_by_the_metadata_of_its_small_parts() {
    with_route(&OSS, &S3, |route, request| {
        let folder = PartsFolder::from_request(route, request).unwrap();
        let put = folder.build_put_request(request, 7);
        let key = put.scope.key().unwrap();
        assert!(key.starts_with(".blobfish-parts/") && key.ends_with("/00007"), "{key}");
        assert!(put.metadata.iter().all(|(_, value)| value.is_ascii()));
        let mut head = Response::with_status(200);
        head.metadata.clone_from(&put.metadata);
        assert_eq!(PartsFolder::from_object_head(route.target, key, &head), Some(folder.clone()));
        assert_eq!(
            PartsFolder::from_object_head(route.target, &key.replace("00007", "x/1"), &head),
            Some(folder.clone())
        );
        assert_eq!(PartsFolder::from_object_head(route.target, ".blobfish-parts/of/others", &head), None);
        assert_eq!(PartsFolder::from_object_head(route.target, key, &Response::with_status(200)), None);
        let mut other = build_upload_request(Operation::UploadPart);
        other.fields.set(Field::UploadId, Value::Text("v".to_owned()));
        assert_ne!(PartsFolder::from_request(route, &other).unwrap().prefix, folder.prefix);
    });
}

#[test]
fn pages_of_parts_are_merged_in_order() {
    let part = |number: u64, bytes: u64| (Part::new(number, "t".to_owned()), None, bytes);
    let list = |numbers: &[u64], truncated| PartListing {
        parts: numbers.iter().map(|number| part(*number, 9)).collect(),
        truncated,
        ..PartListing::default()
    };
    let merge_lists = |mut list: PartListing, count_max, numbers: &[u64], more| {
        let all = numbers.iter().map(|number| build_staged_part(*number, 1)).collect();
        small_parts::merge_staged_parts(&mut list, count_max, all, more);
        let rows: Vec<_> = list.parts.iter().map(|row| (row.0.number, row.2)).collect();
        (rows, list.truncated, list.next_marker)
    };
    let both = merge_lists(list(&[2, 4], false), 1000, &[1, 2, 3], false);
    assert_eq!(both, (vec![(1, 1), (2, 1), (3, 1), (4, 9)], false, 4));
    assert_eq!(merge_lists(list(&[2, 4], false), 2, &[1, 3], false), (vec![(1, 1), (2, 9)], true, 2));
    // After 3 there may be more stored parts, before 9.
    assert_eq!(
        merge_lists(list(&[2, 9], false), 1000, &[1, 3], true),
        (vec![(1, 1), (2, 9), (3, 1)], true, 3)
    );
    assert_eq!(merge_lists(list(&[2], true), 1000, &[1, 3], false), (vec![(1, 1), (2, 9)], true, 2));
    assert_eq!(merge_lists(list(&[2, 2], false), 1000, &[], false), (vec![(2, 9)], false, 2), "listed twice");
}

#[test]
fn named_parts_are_found_among_stored_and_uploaded_ones() {
    let part = |number: u64, etag: &str| Part::new(number, etag.to_owned());
    let stored = [build_staged_part(1, MIB), build_staged_part(2, 10)];
    let there = [(part(1, "old"), None, 6 * MIB), (part(3, "t"), None, 6 * MIB)];
    let resolve_parts = |parts: &[Part]| {
        small_parts::match_named_parts(&OSS, parts, &stored, &there).map_err(|rejection| rejection.kind)
    };
    assert!(resolve_parts(&[part(1, "e1"), part(3, "T")]).is_ok());
    assert_eq!(
        resolve_parts(&[part(1, "old"), part(3, "t")]),
        Err(ErrorKind::InvalidPart),
        "the stored part is newer"
    );
    assert_eq!(resolve_parts(&[part(1, "e1"), part(4, "t")]), Err(ErrorKind::InvalidPart));
    assert_eq!(resolve_parts(&[part(1, "e1"), part(2, "e2"), part(3, "t")]), Err(ErrorKind::EntityTooSmall));
    assert!(resolve_parts(&[part(1, "e1"), part(2, "e2")]).is_ok(), "the last may be small");
}

#[test]
fn a_page_continues_after_the_keys_of_small_parts() {
    let row = |key: &str| ListedObject { key: key.to_owned(), ..ListedObject::default() };
    let page = |keys: &[&str], truncated| {
        let objects = keys.iter().map(|key| row(key)).collect();
        Document::Objects(ObjectListing { objects, truncated, max_keys: 3, ..ObjectListing::default() })
    };
    let own = ".blobfish-parts/0a/00001";
    with_route(&S3, &S3, |route, _| {
        let client_request = Request::for_bucket(Operation::ListObjectsV2, "b");
        let hide_staged_keys = |keys: &[&str], truncated| {
            let mut document = page(keys, truncated);
            let next = small_parts::hide_reserved_keys(route, &client_request, &mut document);
            let Document::Objects(page) = document else { panic!() };
            (page.objects.into_iter().map(|row| row.key).collect::<Vec<_>>(), next)
        };
        assert_eq!(hide_staged_keys(&["!", own, "a"], true), (vec!["!".to_owned(), "a".to_owned()], None));
        assert_eq!(hide_staged_keys(&["!", "a"], true).1, None);
        let (seen, next) = hide_staged_keys(&["!", own], true);
        let next = next.unwrap();
        assert_eq!(
            (seen, next.fields.text(Field::StartAfter)),
            (vec!["!".to_owned()], Some(".blobfish-parts/~"))
        );
        assert_eq!(next.fields.number(Field::MaxKeys), Some(2));
        assert_eq!(hide_staged_keys(&["!", own], false), (vec!["!".to_owned()], None));
    });
    with_route(&S3, &OSS, |route, _| {
        let client_request = Request::for_bucket(Operation::ListObjectsV2, "b");
        let mut document = page(&[own], false);
        assert_eq!(small_parts::hide_reserved_keys(route, &client_request, &mut document), None);
        assert_eq!(document, page(&[own], false), "no parts are stored in this bucket");
    });
}
