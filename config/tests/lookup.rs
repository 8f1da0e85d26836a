//! Lookups in a configuration: routes, callers, grants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use blobfish_config::{Access, Config};
use common::load;

const TARGET: &str = "dialect = \"s3\"\nendpoint = \"https://a.example\"\nregion = \"r\"\naccess_key = \"K\"\nsecret_key = \"S\"\n";

fn load_config() -> Config {
    let mut text = String::new();
    for name in ["one", "two"] {
        text += &format!("[[target]]\nname = \"{name}\"\n{TARGET}");
    }
    // (name that clients use, target, name at the target)
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
fn the_most_specific_rule_matches() {
    let config = load_config();
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
    let mut without_catch_all = config;
    without_catch_all.buckets.remove(0);
    assert!(without_catch_all.route("other").is_none());
}

#[test]
fn finds_the_name_that_clients_use_for_a_bucket() {
    let config = load_config();
    let find_name = |target, bucket| config.find_client_bucket_name(target, bucket);
    assert_eq!(find_name(0, "pictures").as_deref(), Some("photos-1"), "the first of two names, before `*`");
    assert_eq!(find_name(1, "photos-2").as_deref(), Some("photos-2"));
    assert_eq!(find_name(0, "photos-2"), None, "this name is routed to the other target");
    assert_eq!(find_name(0, "photos-1"), None, "this name is routed to another bucket");
    assert_eq!(find_name(0, "taken"), None, "only the other target has it");
    assert_eq!(find_name(0, "other").as_deref(), Some("other"));
    assert_eq!(find_name(1, "other"), None);
    assert_eq!(find_name(7, "other"), None);
}

#[test]
fn allows_only_what_grants_allow() {
    let config = load_config();
    let check_access = |caller: &str, bucket: &str| {
        let caller = config.find_caller(&format!("{caller}-key")).unwrap().0;
        [Access::Read, Access::Write, Access::Admin].map(|access| caller.can_access(bucket, access))
    };
    assert_eq!(check_access("reader", "photos-1"), [true, false, false]);
    assert_eq!(check_access("writer", "photos-1"), [false, true, false]);
    assert_eq!(check_access("both", "logs"), [true, true, false]);
    assert_eq!(check_access("boss", "logs"), [true, true, true]);
    assert_eq!(check_access("boss", "logs2"), [false, false, false]);
    assert_eq!(check_access("nobody", "photos-1"), [false, false, false]);
}

#[test]
fn finds_callers_by_access_key() {
    let config = load_config();
    assert_eq!(config.find_caller("reader-key").unwrap().0.name, "reader");
    assert!(config.find_caller("reader").is_none());
    assert!(config.find_caller("").is_none());
    assert!(config.find_caller("nobody-key").unwrap().0.can_sign_with("cos"));
    assert!(!config.find_caller("nobody-key").unwrap().0.can_sign_with("s3v4"));
    assert!(config.find_caller("reader-key").unwrap().0.can_sign_with("ossv1"));
}
