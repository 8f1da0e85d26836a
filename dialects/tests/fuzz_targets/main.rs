//! Runs the fuzz targets for a short time: with known inputs, with the golden cases, and with mutations of both.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::DIALECTS;
use blobfish_dialects::translator::examples::parse_examples;
use proptest::prelude::*;
use proptest::sample::Index;
use targets::{BETWEEN, TARGETS, encode_choice};

fn get_test_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(name)
}

/// The first inputs: the files in `tests/corpus`, and the golden cases.
fn load_seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(get_test_dir("corpus").join(target)).unwrap().map(|file| file.unwrap().path());
    let mut seeds: Vec<Vec<u8>> = files.map(|path| fs::read(path).unwrap()).collect();
    for case in fs::read_dir(get_test_dir("cases")).unwrap().map(|case| case.unwrap().path()) {
        let text = |name: &str| fs::read_to_string(case.join(name)).unwrap();
        let caller =
            DIALECTS.iter().position(|dialect| text("request.http").contains(dialect.sample_endpoint));
        let choice = encode_choice(caller.unwrap_or_default(), 0);
        match target {
            "translation" => seeds.push([&[choice], text("request.http").as_bytes()].concat()),
            "authentication" => seeds.push(text("request.http").into_bytes()),
            "exchange" => {
                let target_response = text("answer.http").replacen("HTTP/1.1 ", "", 1);
                let whole = [text("request.http"), String::new(), target_response].join(BETWEEN);
                seeds.push([&[choice], whole.as_bytes()].concat());
            }
            _ => {}
        }
    }
    match target {
        // Signed requests of every dialect. They are parsed although their access keys are unknown.
        "authentication" => seeds.extend(load_vector_requests()),
        "translation" => {
            for example in parse_examples() {
                let caller = DIALECTS.iter().position(|dialect| dialect.name == example.dialect).unwrap();
                seeds.push([&[encode_choice(caller, 0)], example.request.as_bytes()].concat());
            }
        }
        _ => {}
    }
    assert!(!seeds.is_empty(), "no inputs for {target}");
    seeds
}

/// One request of each signature vector.
fn load_vector_requests() -> Vec<Vec<u8>> {
    let list = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let families = list(get_test_dir("vectors"));
    families.flat_map(list).map(|vector| fs::read(vector.join("request.http")).unwrap()).collect()
}

#[test]
fn the_invariants_hold_for_known_inputs() {
    for (name, target) in TARGETS {
        load_seeds(name).iter().for_each(|seed| target(seed));
    }
}

/// The first byte selects the pair of dialects.
#[test]
fn the_invariants_hold_for_every_pair_of_dialects() {
    for (name, target) in TARGETS.iter().filter(|row| ["translation", "exchange"].contains(&row.0)) {
        for mut seed in load_seeds(name) {
            for pair in 0..=255 {
                seed[0] = pair;
                target(&seed);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_invariants_hold_for_mutated_inputs(
        chosen in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), 0_u8..4), 1..8),
    ) {
        for (name, target) in TARGETS {
            let seeds = load_seeds(name);
            let mut bytes = seeds[chosen.index(seeds.len())].clone();
            for (at, byte, how) in &changes {
                let at = at.index(bytes.len() + 1);
                match how {
                    0 => bytes.insert(at, *byte),
                    1 if at < bytes.len() => bytes[at] = *byte,
                    2 if at < bytes.len() => drop(bytes.remove(at)),
                    _ => bytes.extend_from_within(at..),
                }
                bytes.truncate(8192);
            }
            target(&bytes);
        }
    }
}
