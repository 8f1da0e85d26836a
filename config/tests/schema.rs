//! The schema knows the keys that the reader knows, no more and no fewer, and how each is written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{KNOWN, load};
use serde_json::Value;

/// No key is near to it.
const ODD: &str = "qqqqqqqqqqqqqqqqqqqqqqqq";

/// A way to a table (keys, and `[]` for an element), and the table's keys.
type Table = (Vec<String>, BTreeSet<String>);

/// Every table of the schema.
fn tables(schema: &Value, way: &mut Vec<String>, found: &mut Vec<Table>) {
    for other in schema["anyOf"].as_array().into_iter().flatten() {
        tables(other, way, found);
    }
    if let Some(items) = schema.get("items") {
        way.push("[]".to_owned());
        tables(items, way, found);
        way.pop();
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    found.push((way.clone(), properties.keys().cloned().collect()));
    for (name, below) in properties {
        way.push(name.clone());
        tables(below, way, found);
        way.pop();
    }
}

/// A file with the odd key in the table at the end of a way.
fn odd(way: &[String]) -> String {
    let inner = way.iter().rev().fold(format!("{{ {ODD} = 1 }}"), |text, word| match word.as_str() {
        "[]" => format!("[{text}]"),
        word => format!("{{ {word} = {text} }}"),
    });
    // The outermost braces are the file.
    inner[1..inner.len() - 1].trim().to_owned()
}

#[test]
fn the_reader_and_the_schema_know_the_same_keys() {
    let mut found = Vec::new();
    tables(&blobfish_config::schema(&KNOWN), &mut Vec::new(), &mut found);
    assert!(found.len() > 10, "{found:?}");
    for (way, keys) in found {
        let text = odd(&way);
        let mistakes = load(&text).unwrap_err();
        let mistake = mistakes.iter().find(|mistake| mistake.what == "unknown key");
        let hint = mistake.unwrap_or_else(|| panic!("{text}: {mistakes:?}")).hint.clone().unwrap();
        let known: BTreeSet<String> =
            hint.strip_prefix("known: ").unwrap().split(", ").map(str::to_owned).collect();
        assert_eq!(known, keys, "{text}");
    }
}

#[test]
fn every_value_has_a_type() {
    fn walk(schema: &Value, at: &str, count: &mut usize) {
        let ways = schema["anyOf"].as_array();
        assert!(schema["type"].is_string() || ways.is_some_and(|ways| !ways.is_empty()), "{at}: {schema}");
        *count += 1;
        let below = schema["properties"].as_object().into_iter().flatten();
        below.for_each(|(name, below)| walk(below, &format!("{at}.{name}"), count));
        ways.into_iter().flatten().for_each(|below| walk(below, at, count));
        if schema["type"] == "array" {
            walk(&schema["items"], &format!("{at}[]"), count);
        }
    }
    let mut count = 0;
    walk(&blobfish_config::schema(&KNOWN), "", &mut count);
    assert!(count > 60, "{count}");
}

#[test]
fn secrets_come_from_three_places_and_words_are_those_of_the_rules() {
    let schema = blobfish_config::schema(&KNOWN);
    let target = &schema["properties"]["target"]["items"];
    let caller = &schema["properties"]["caller"]["items"];
    let key = &caller["properties"]["keys"]["items"];
    for table in [target, caller, key] {
        for name in ["secret_key", "session_token"] {
            let ways = table["properties"][name]["anyOf"].as_array().unwrap();
            assert_eq!(ways[0]["type"], "string");
            assert_eq!(
                ways[1]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(),
                ["env", "file"]
            );
            assert_eq!(ways[1]["maxProperties"], 1);
        }
    }
    assert_eq!(target["properties"]["dialect"]["enum"], serde_json::json!(["cos", "oss", "s3"]));
    assert_eq!(target["properties"]["addressing"]["enum"], serde_json::json!(["path", "virtual"]));
    // Keys may be issued instead.
    assert!(target["required"].as_array().unwrap().contains(&"region".into()));
    assert!(!target["required"].as_array().unwrap().contains(&"secret_key".into()));
    assert_eq!(caller["required"], serde_json::json!(["name"]), "its key may be in the list");
    assert_eq!(schema["properties"]["limits"]["properties"]["headers_max"]["minimum"], 8);
}
