//! What is asked of a configuration while requests run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use blobfish_config::{Access, Config};
use common::load;

const TARGET: &str = "dialect = \"s3\"\nendpoint = \"https://a.example\"\nregion = \"r\"\naccess_key = \"K\"\nsecret_key = \"S\"\n";

fn config() -> Config {
    let mut text = String::new();
    for name in ["one", "two"] {
        text += &format!("[[target]]\nname = \"{name}\"\n{TARGET}");
    }
    // (name as callers say it, target, name there)
    for (name, target, target_bucket) in [
        ("*", "one", None),
        ("photos-*", "two", None),
        ("photos-2026-*", "one", None),
        ("photos-*-raw", "one", None),
        ("photos-1", "one", Some("pictures")),
        ("alias", "one", Some("pictures")),
        ("taken", "two", None),
    ] {
        text += &format!("[[bucket]]\nname = \"{name}\"\ntarget = \"{target}\"\n");
        text += &target_bucket.map_or_else(String::new, |name| format!("target_bucket = \"{name}\"\n"));
    }
    for (name, access) in [("reader", "read"), ("writer", "write"), ("both", "read-write"), ("boss", "admin")]
    {
        text += &format!("[[caller]]\nname = \"{name}\"\naccess_key = \"{name}-key\"\nsecret_key = \"S\"\n");
        text += &format!("grants = [{{ buckets = [\"photos-*\", \"logs\"], access = \"{access}\" }}]\n");
    }
    text += "[[caller]]\nname = \"nobody\"\naccess_key = \"nobody-key\"\nsecret_key = \"S\"\nsignatures = [\"cos\"]\n";
    load(&text).unwrap()
}

#[test]
fn the_closest_rule_decides() {
    let config = config();
    for (bucket, rule, target, target_bucket) in [
        ("photos-1", "photos-1", "one", "pictures"),
        ("photos-2", "photos-*", "two", "photos-2"),
        ("photos-2026-05", "photos-2026-*", "one", "photos-2026-05"),
        ("photos-2026-raw", "photos-2026-*", "one", "photos-2026-raw"),
        ("photos-2-raw", "photos-*-raw", "one", "photos-2-raw"),
        ("other", "*", "one", "other"),
    ] {
        let route = config.route(bucket).unwrap();
        assert_eq!(route.rule.name.to_string(), rule, "{bucket}");
        assert_eq!(
            (route.target.name.as_str(), route.target_bucket.as_ref()),
            (target, target_bucket),
            "{bucket}"
        );
        assert_eq!(config.targets[route.target_index].name, target);
    }
    let mut closed = config;
    closed.buckets.remove(0);
    assert!(closed.route("other").is_none());
}

#[test]
fn a_bucket_of_a_target_has_the_name_that_leads_to_it() {
    let config = config();
    let reverse = |target, bucket| config.reverse(target, bucket);
    assert_eq!(reverse(0, "pictures").as_deref(), Some("photos-1"), "the first of two names, before `*`");
    assert_eq!(reverse(1, "photos-2").as_deref(), Some("photos-2"));
    assert_eq!(reverse(0, "photos-2"), None, "callers reach the other target by this name");
    assert_eq!(reverse(0, "photos-1"), None, "callers reach another bucket by this name");
    assert_eq!(reverse(0, "taken"), None, "only the other target has it");
    assert_eq!(reverse(0, "other").as_deref(), Some("other"));
    assert_eq!(reverse(1, "other"), None);
    assert_eq!(reverse(7, "other"), None);
}

#[test]
fn grants_are_all_that_is_allowed() {
    let config = config();
    let may = |caller: &str, bucket: &str| {
        let caller = config.caller(&format!("{caller}-key")).unwrap().0;
        [Access::Read, Access::Write, Access::Admin].map(|access| caller.may(bucket, access))
    };
    assert_eq!(may("reader", "photos-1"), [true, false, false]);
    assert_eq!(may("writer", "photos-1"), [false, true, false]);
    assert_eq!(may("both", "logs"), [true, true, false]);
    assert_eq!(may("boss", "logs"), [true, true, true]);
    assert_eq!(may("boss", "logs2"), [false, false, false]);
    assert_eq!(may("nobody", "photos-1"), [false, false, false]);
}

#[test]
fn callers_are_found_by_access_key() {
    let config = config();
    assert_eq!(config.caller("reader-key").unwrap().0.name, "reader");
    assert!(config.caller("reader").is_none());
    assert!(config.caller("").is_none());
    assert!(config.caller("nobody-key").unwrap().0.may_sign("cos"));
    assert!(!config.caller("nobody-key").unwrap().0.may_sign("s3v4"));
    assert!(config.caller("reader-key").unwrap().0.may_sign("ossv1"));
}
