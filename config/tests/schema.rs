//! The schema contains exactly the keys that the reader accepts, with their types.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{KNOWN, load};
use serde_json::Value;

/// No key is similar to it, so the mistake lists all known keys.
const UNKNOWN_KEY: &str = "qqqqqqqqqqqqqqqqqqqqqqqq";

/// The path of a table (keys, and `[]` for an element), and the table's keys.
type Table = (Vec<String>, BTreeSet<String>);

/// Collects every table of the schema.
fn collect_tables(schema: &Value, path: &mut Vec<String>, tables_found: &mut Vec<Table>) {
    for other in schema["anyOf"].as_array().into_iter().flatten() {
        collect_tables(other, path, tables_found);
    }
    if let Some(items) = schema.get("items") {
        path.push("[]".to_owned());
        collect_tables(items, path, tables_found);
        path.pop();
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    tables_found.push((path.clone(), properties.keys().cloned().collect()));
    for (name, below) in properties {
        path.push(name.clone());
        collect_tables(below, path, tables_found);
        path.pop();
    }
}

/// Builds a file with the unknown key in the table at the end of a path.
fn build_file_with_unknown_key(path: &[String]) -> String {
    let inner =
        path.iter().rev().fold(format!("{{ {UNKNOWN_KEY} = 1 }}"), |text, word| match word.as_str() {
            "[]" => format!("[{text}]"),
            word => format!("{{ {word} = {text} }}"),
        });
    // The outermost braces stand for the file itself.
    inner[1..inner.len() - 1].trim().to_owned()
}

#[test]
fn the_schema_contains_the_keys_of_the_reader() {
    let mut tables_found = Vec::new();
    collect_tables(&blobfish_config::build_schema(&KNOWN), &mut Vec::new(), &mut tables_found);
    assert!(tables_found.len() > 10, "{tables_found:?}");
    for (path, keys) in tables_found {
        let text = build_file_with_unknown_key(&path);
        let mistakes = load(&text).unwrap_err();
        let mistake = mistakes.iter().find(|mistake| mistake.message == "unknown key");
        let hint = mistake.unwrap_or_else(|| panic!("{text}: {mistakes:?}")).hint.clone().unwrap();
        let known: BTreeSet<String> =
            hint.strip_prefix("known: ").unwrap().split(", ").map(str::to_owned).collect();
        assert_eq!(known, keys, "{text}");
    }
}

#[test]
fn every_value_has_a_type() {
    fn check_types(schema: &Value, at: &str, count: &mut usize) {
        let variants = schema["anyOf"].as_array();
        assert!(
            schema["type"].is_string() || variants.is_some_and(|variants| !variants.is_empty()),
            "{at}: {schema}"
        );
        *count += 1;
        let below = schema["properties"].as_object().into_iter().flatten();
        below.for_each(|(name, below)| check_types(below, &format!("{at}.{name}"), count));
        variants.into_iter().flatten().for_each(|below| check_types(below, at, count));
        if schema["type"] == "array" {
            check_types(&schema["items"], &format!("{at}[]"), count);
        }
    }
    let mut count = 0;
    check_types(&blobfish_config::build_schema(&KNOWN), "", &mut count);
    assert!(count > 60, "{count}");
}

#[test]
fn the_schema_has_the_forms_of_secrets_and_the_words_of_the_rules() {
    let schema = blobfish_config::build_schema(&KNOWN);
    let target = &schema["properties"]["target"]["items"];
    let caller = &schema["properties"]["caller"]["items"];
    let key = &caller["properties"]["keys"]["items"];
    for table in [target, caller, key] {
        for name in ["secret_key", "session_token"] {
            let variants = table["properties"][name]["anyOf"].as_array().unwrap();
            assert_eq!(variants[0]["type"], "string");
            assert_eq!(
                variants[1]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(),
                ["env", "file"]
            );
            assert_eq!(variants[1]["maxProperties"], 1);
        }
    }
    assert_eq!(target["properties"]["dialect"]["enum"], serde_json::json!(["cos", "oss", "s3"]));
    assert_eq!(target["properties"]["addressing"]["enum"], serde_json::json!(["path", "virtual"]));
    // A credential provider can replace the keys.
    assert!(target["required"].as_array().unwrap().contains(&"region".into()));
    assert!(!target["required"].as_array().unwrap().contains(&"secret_key".into()));
    assert_eq!(caller["required"], serde_json::json!(["name"]), "its access key may be in the list");
    assert_eq!(schema["properties"]["limits"]["properties"]["headers_max"]["minimum"], 8);
}
