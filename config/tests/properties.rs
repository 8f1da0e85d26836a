//! Loading any text returns a configuration or mistakes that can be printed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use common::load;
use proptest::collection::vec;
use proptest::prelude::*;

const FULL: &str = include_str!("../examples/full.toml");

/// Loads a text and prints its mistakes, which must not panic.
fn load_and_render(text: &str) {
    if let Err(mistakes) = load(text) {
        assert!(!mistakes.is_empty());
        for mistake in mistakes {
            let shown = format!("{mistake}\n{}", mistake.render("f.toml", text));
            assert!(!shown.contains("dummy"), "{shown}");
        }
    }
}

fn arbitrary_target() -> impl Strategy<Value = String> {
    let endpoints =
        prop_oneof!["https://[a-z]{1,9}\\.example", "http://[a-z]{1,9}\\.localhost:[1-9][0-9]{0,3}"];
    (endpoints, "[a-z0-9-]{1,9}", "[A-Z0-9]{1,20}", "[!-~&&[^\"\\\\]]{1,40}", any::<bool>(), 1..=3600u32)
        .prop_map(|(endpoint, region, key, secret, path, seconds)| {
            let addressing = if path { "path" } else { "virtual" };
            format!(
                "endpoint = {endpoint:?}\nregion = {region:?}\naccess_key = {key:?}\nsecret_key = '''{}'''\n\
                 addressing = {addressing:?}\nconnect_timeout_seconds = {seconds}\n",
                secret.replace(['\'', '$'], "_")
            )
        })
}

/// A valid file, the number of its targets and the names of its buckets.
fn arbitrary_config() -> impl Strategy<Value = (String, usize, Vec<String>)> {
    let dialects = prop::sample::select(vec!["s3", "cos", "oss"]);
    let access = prop::sample::select(vec!["read", "write", "read-write", "admin"]);
    let buckets = prop::collection::btree_set("[a-z0-9][a-z0-9-]{0,8}\\*?|\\*[a-z-]{0,4}", 0..6);
    (vec((arbitrary_target(), dialects), 1..4), buckets, vec(access, 0..4)).prop_map(
        |(targets, buckets, callers)| {
            let mut text = String::new();
            for (i, (target, dialect)) in targets.iter().enumerate() {
                text += &format!("[[target]]\nname = \"t{i}\"\ndialect = {dialect:?}\n{target}");
            }
            for (i, bucket) in buckets.iter().enumerate() {
                text += &format!("[[bucket]]\nname = {bucket:?}\ntarget = \"t{}\"\n", i % targets.len());
                if !bucket.contains('*') && i % 2 == 0 {
                    text += &format!("target_bucket = \"there-{}\"\n", i / 2);
                }
            }
            for (i, access) in callers.iter().enumerate() {
                text += &format!(
                    "[[caller]]\nname = \"c{i}\"\naccess_key = \"K{i}\"\nsecret_key = {{ env = \"GOOD\" }}\n"
                );
                text += &format!("grants = [{{ buckets = [\"*\"], access = {access:?} }}]\n");
            }
            (text, targets.len(), buckets.into_iter().collect())
        },
    )
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        load_and_render(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn toml_like_text_never_panics(
        words in vec(prop::sample::select(vec![
            "[[target]]", "[listen]", "[", "]", "{", "}", "=", ",", ".", "\n", "\"", "\"\"\"", "'", "'''", "\\u00e9", "\u{e9}", "\u{20ac}",
            "name", "secret_key", "http", "https", "target", "grants", "caller", "\"a\"", "5", "-1", "1e9", "true",
            "1979-05-27", "0x", "#", "\r\n", "\t", "env", "file", "\"*\"", "\u{0}", "endpoint",
        ]), 0..80),
    ) {
        load_and_render(&words.concat());
    }

    #[test]
    fn a_damaged_example_never_panics_and_never_prints_a_secret(
        cuts in vec((any::<prop::sample::Index>(), 0..20usize, "[ -~\\n]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, length, with) in cuts {
            // A cut through a secret is harmless: the check looks for "dummy", with which every secret begins.
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, with.chars());
        }
        load_and_render(&text.into_iter().collect::<String>());
    }

    #[test]
    fn a_generated_file_always_loads((text, targets, buckets) in arbitrary_config(), other in "[a-z0-9-]{1,6}") {
        let config = load(&text).map_err(|mistakes| TestCaseError::fail(format!("{mistakes:?}\n{text}")))?;
        prop_assert_eq!(config.targets.len(), targets);
        prop_assert_eq!(config.buckets.iter().map(|b| b.name.to_string()).collect::<Vec<_>>(), buckets.clone());

        // A name is routed to a bucket, and the name found for that bucket is routed to the same one.
        for name in buckets.iter().map(|name| name.replace('*', "x")).chain([other]) {
            if let Some(route) = config.route(&name) {
                let back = config.find_client_bucket_name(route.target_index, &route.target_bucket).expect("a name leads there");
                let again = config.route(&back).expect("it is routed");
                prop_assert_eq!(again.target_index, route.target_index);
                prop_assert_eq!(again.target_bucket, route.target_bucket);
            }
        }
    }
}
