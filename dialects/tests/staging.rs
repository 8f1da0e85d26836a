//! What becomes of parts that are smaller than a target takes: what is made of which, and what nobody sees.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use blobfish_dialects::engine::dialect::Dialect;
use blobfish_dialects::engine::staging::{self, Folder, Kept, Made, Named, Piece};
use blobfish_dialects::engine::way::Way;
use blobfish_dialects::explain::{sample_target, sample_way};
use blobfish_dialects::model::{
    Document, Fault, Field, Listed, Listing, Operation, Part, PartList, Reply, Request, Value,
};
use blobfish_dialects::{ALL, PROFILES, cos::COS, oss::OSS, s3::S3};
use proptest::prelude::*;

const MIB: u64 = 1024 * 1024;
const LEAST: u64 = 5 * MIB;

fn kept(number: u64, bytes: u64) -> Kept {
    Kept { part: Part::new(number, format!("e{number}")), bytes, modified: None }
}

fn there(number: u64) -> Named {
    Named::There(Part::new(number, format!("e{number}")))
}

/// The bytes of what is made, and of which part of whom they are: number, and first byte, of each.
fn spans(made: &[Made]) -> Vec<(u64, u64, u64)> {
    let pieces = made.iter().flat_map(|made| match made {
        Made::There(_) => Vec::new(),
        Made::Copied(_, piece) => vec![piece.clone()],
        Made::Joined(_, pieces) => pieces.clone(),
    });
    let mut spans: Vec<(u64, u64, u64)> = Vec::new();
    for Piece { number, first, bytes, .. } in pieces {
        match spans.last_mut() {
            Some(last) if last.0 == number && last.1 + last.2 == first => last.2 += bytes,
            _ => spans.push((number, first, bytes)),
        }
    }
    spans
}

fn number_and_bytes(made: &Made) -> (u64, Option<u64>) {
    match made {
        Made::There(part) => (part.number, None),
        Made::Copied(number, piece) => (*number, Some(piece.bytes)),
        Made::Joined(number, pieces) => (*number, Some(pieces.iter().map(|piece| piece.bytes).sum())),
    }
}

/// Every byte once, in order; numbers ascend; all but the last are large enough.
fn check(parts: &[Named], made: &[Made]) {
    let numbers: Vec<u64> = made.iter().map(|made| number_and_bytes(made).0).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let small =
        made.iter().rev().skip(1).filter(|made| number_and_bytes(made).1.is_some_and(|bytes| bytes < LEAST));
    assert_eq!(small.count(), 0, "{made:?}");
    let wanted: Vec<(u64, u64, u64)> = parts
        .iter()
        .filter_map(|part| match part {
            Named::Kept(kept) if kept.bytes > 0 => Some((kept.part.number, 0, kept.bytes)),
            _ => None,
        })
        .collect();
    let spans: Vec<_> = spans(made).into_iter().filter(|span| span.2 > 0).collect();
    assert_eq!(spans, wanted);
    let order = |named: bool| -> Vec<u64> {
        let of_parts = parts.iter().filter_map(|part| match part {
            Named::There(part) => Some(part.number),
            Named::Kept(_) => None,
        });
        let of_made = made.iter().filter_map(|made| match made {
            Made::There(part) => Some(part.number),
            _ => None,
        });
        if named { of_parts.collect() } else { of_made.collect() }
    };
    assert_eq!(order(true), order(false));
}

#[test]
fn parts_of_one_size_become_a_few_large_ones() {
    let parts: Vec<Named> = (1..=64).map(|number| Named::Kept(kept(number, MIB))).collect();
    let made = staging::plan(&parts, LEAST, 4).unwrap();
    let sizes: Vec<_> = made.iter().map(number_and_bytes).collect();
    assert_eq!(
        sizes,
        [(1, Some(16 * MIB)), (17, Some(16 * MIB)), (33, Some(16 * MIB)), (49, Some(16 * MIB))]
    );
    let made = staging::plan(&parts[..1], LEAST, 4).unwrap();
    assert_eq!(made.iter().map(number_and_bytes).collect::<Vec<_>>(), [(1, Some(MIB))]);
}

#[test]
fn what_the_target_can_copy_does_not_pass_through() {
    let parts = [Named::Kept(kept(1, 100)), Named::Kept(kept(2, 1024 * MIB)), Named::Kept(kept(3, 7))];
    let made = staging::plan(&parts, LEAST, 4).unwrap();
    check(&parts, &made);
    let copied: u64 =
        made.iter().map(|made| if let Made::Copied(_, piece) = made { piece.bytes } else { 0 }).sum();
    assert_eq!(copied, 1024 * MIB - (LEAST - 100));
}

#[test]
fn a_small_part_alone_before_one_that_cannot_be_read_is_told() {
    let alone = [there(1), Named::Kept(kept(2, MIB)), there(3)];
    let refused = staging::plan(&alone, LEAST, 4).unwrap_err();
    assert_eq!(refused.fault, Fault::EntityTooSmall);
    assert!(refused.details.contains(&("PartNumber", "2".to_owned())), "{refused:?}");
    for parts in [
        vec![there(1), Named::Kept(kept(2, MIB))],
        vec![Named::Kept(kept(1, 6 * MIB)), Named::Kept(kept(2, MIB)), there(3)],
        vec![Named::Kept(kept(1, 40 * MIB)), Named::Kept(kept(2, MIB)), there(3), there(4)],
        vec![Named::Kept(kept(1, 3 * MIB)), Named::Kept(kept(2, 3 * MIB)), Named::Kept(kept(3, 1)), there(4)],
    ] {
        check(&parts, &staging::plan(&parts, LEAST, 4).unwrap());
    }
}

proptest! {
    #[test]
    fn any_parts_that_are_kept_can_be_completed(
        sizes in prop::collection::vec(prop_oneof![0..MIB, MIB..12 * MIB, Just(LEAST), Just(5 * 1024 * MIB)], 1..60),
        gaps in 1_u64..9,
        at_once in 1_u64..9,
    ) {
        let numbered = sizes.iter().zip((1_u64..).map(|at| at * gaps));
        let parts: Vec<Named> = numbered.map(|(bytes, number)| Named::Kept(kept(number, *bytes))).collect();
        let made = staging::plan(&parts, LEAST, at_once).unwrap();
        check(&parts, &made);
        prop_assert!(made.iter().all(|made| number_and_bytes(made).1.unwrap() <= 5 * 1024 * MIB + 2 * LEAST));
    }

    #[test]
    fn what_is_there_and_safe_can_be_completed(
        sizes in prop::collection::vec(prop_oneof![0..MIB, MIB..12 * MIB, Just(LEAST)], 1..60),
        direct in prop::collection::vec(any::<bool>(), 60),
    ) {
        let mut parts: Vec<Named> = Vec::new();
        for (at, bytes) in sizes.iter().enumerate() {
            let number = at as u64 + 1;
            let before = at.checked_sub(1).map(|before| sizes[before]);
            let may = *bytes >= LEAST && staging::is_safe(LEAST, number, before);
            parts.push(if may && direct[at] { there(number) } else { Named::Kept(kept(number, *bytes)) });
        }
        let made = staging::plan(&parts, LEAST, 4).unwrap();
        check(&parts, &made);
    }
}

fn upload(operation: Operation) -> Request {
    let mut request =
        Request::of_object(operation, "b".to_owned(), "k/\u{e9}".to_owned(), Default::default());
    request.fields.set(Field::UploadId, Value::Text("u".to_owned()));
    request
}

fn with_way(caller: &'static Dialect, target: &'static Dialect, then: impl FnOnce(&Way<'_>, &Request)) {
    let (request, target) = (upload(Operation::UploadPart), sample_target(target));
    then(&sample_way(caller, &target, &request), &request);
}

/// S3 5 MiB, COS 1 MiB, OSS 100 KiB: only who takes less than the target needs anything.
#[test]
fn whom_it_concerns() {
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
        with_way(caller, target, |way, request| {
            assert_eq!(staging::concerns(way, request), concerns, "{} to {}", caller.name, target.name);
            let mut sealed = request.clone();
            sealed.fields.set(Field::CustomerAlgorithm, Value::Text("AES256".to_owned()));
            assert!(!staging::concerns(way, &sealed), "nobody could read it again");
        });
    }
    for dialect in ALL.iter().chain(PROFILES) {
        assert_eq!(staging::is_needed(dialect), minimum(dialect) > 100 * 1024, "{}", dialect.name);
    }
}

#[test]
fn an_upload_is_found_again_by_what_is_kept_of_it() {
    with_way(&OSS, &S3, |way, request| {
        let folder = Folder::of(way, request);
        let put = folder.put(request, 7);
        let key = put.key.clone().unwrap();
        assert!(key.starts_with(".blobfish-parts/") && key.ends_with("/00007"), "{key}");
        assert!(put.metadata.iter().all(|(_, value)| value.is_ascii()));
        let mut head = Reply::status(200);
        head.metadata.clone_from(&put.metadata);
        assert_eq!(Folder::found(way.target, &key, &head), Some(folder.clone()));
        assert_eq!(Folder::found(way.target, &key.replace("00007", "x/1"), &head), Some(folder.clone()));
        assert_eq!(Folder::found(way.target, ".blobfish-parts/of/others", &head), None);
        assert_eq!(Folder::found(way.target, &key, &Reply::status(200)), None);
        let mut other = upload(Operation::UploadPart);
        other.fields.set(Field::UploadId, Value::Text("v".to_owned()));
        assert_ne!(Folder::of(way, &other).prefix, folder.prefix);
    });
}

#[test]
fn pages_of_parts_are_merged_in_order() {
    let part = |number: u64, bytes: u64| (Part::new(number, "t".to_owned()), None, bytes);
    let list = |numbers: &[u64], truncated| PartList {
        parts: numbers.iter().map(|number| part(*number, 9)).collect(),
        truncated,
        ..PartList::default()
    };
    let merged = |mut list: PartList, count_max, numbers: &[u64], more| {
        let all = numbers.iter().map(|number| kept(*number, 1)).collect();
        staging::merge(&mut list, count_max, all, more);
        let rows: Vec<_> = list.parts.iter().map(|row| (row.0.number, row.2)).collect();
        (rows, list.truncated, list.next_marker)
    };
    let both = merged(list(&[2, 4], false), 1000, &[1, 2, 3], false);
    assert_eq!(both, (vec![(1, 1), (2, 1), (3, 1), (4, 9)], false, 4));
    assert_eq!(merged(list(&[2, 4], false), 2, &[1, 3], false), (vec![(1, 1), (2, 9)], true, 2));
    // Behind 3 there may be more that is kept, below 9.
    assert_eq!(merged(list(&[2, 9], false), 1000, &[1, 3], true), (vec![(1, 1), (2, 9), (3, 1)], true, 3));
    assert_eq!(merged(list(&[2], true), 1000, &[1, 3], false), (vec![(1, 1), (2, 9)], true, 2));
    assert_eq!(merged(list(&[2, 2], false), 1000, &[], false), (vec![(2, 9)], false, 2), "shown twice");
}

#[test]
fn what_a_completing_call_names() {
    let part = |number: u64, etag: &str| Part::new(number, etag.to_owned());
    let kept = [kept(1, MIB), kept(2, 10)];
    let there = [(part(1, "old"), None, 6 * MIB), (part(3, "t"), None, 6 * MIB)];
    let named = |parts: &[Part]| staging::named(&OSS, parts, &kept, &there).map_err(|refusal| refusal.fault);
    assert!(named(&[part(1, "e1"), part(3, "T")]).is_ok());
    assert_eq!(named(&[part(1, "old"), part(3, "t")]), Err(Fault::InvalidPart), "what is kept came later");
    assert_eq!(named(&[part(1, "e1"), part(4, "t")]), Err(Fault::InvalidPart));
    assert_eq!(named(&[part(1, "e1"), part(2, "e2"), part(3, "t")]), Err(Fault::EntityTooSmall));
    assert!(named(&[part(1, "e1"), part(2, "e2")]).is_ok(), "the last may be small");
}

#[test]
fn a_page_goes_on_behind_what_is_kept() {
    let row = |key: &str| Listed { key: key.to_owned(), ..Listed::default() };
    let page = |keys: &[&str], truncated| {
        let objects = keys.iter().map(|key| row(key)).collect();
        Document::Objects(Listing { objects, truncated, max_keys: 3, ..Listing::default() })
    };
    let own = ".blobfish-parts/0a/00001";
    with_way(&S3, &S3, |way, _| {
        let asked = Request { bucket: Some("b".to_owned()), ..Request::new(Operation::ListObjectsV2) };
        let hidden = |keys: &[&str], truncated| {
            let mut document = page(keys, truncated);
            let next = staging::hide(way, &asked, &mut document);
            let Document::Objects(page) = document else { panic!() };
            (page.objects.into_iter().map(|row| row.key).collect::<Vec<_>>(), next)
        };
        assert_eq!(hidden(&["!", own, "a"], true), (vec!["!".to_owned(), "a".to_owned()], None));
        assert_eq!(hidden(&["!", "a"], true).1, None);
        let (seen, next) = hidden(&["!", own], true);
        let next = next.unwrap();
        assert_eq!(
            (seen, next.fields.text(Field::StartAfter)),
            (vec!["!".to_owned()], Some(".blobfish-parts/~"))
        );
        assert_eq!(next.fields.number(Field::MaxKeys), Some(2));
        assert_eq!(hidden(&["!", own], false), (vec!["!".to_owned()], None));
    });
    with_way(&S3, &OSS, |way, _| {
        let asked = Request::new(Operation::ListObjectsV2);
        let mut document = page(&[own], false);
        assert_eq!(staging::hide(way, &asked, &mut document), None);
        assert_eq!(document, page(&[own], false), "nothing is kept there");
    });
}
