//! The JSON Schema of the file, for editors. It is made of how the rules read a file that has every key, so that it
//! cannot say another thing than they do; what one key means for another is left to the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{KnownDialects, Sources, read, rules};

/// Every key once. Its comments are what the schema says of each.
const FULL_EXAMPLE: &str = include_str!("../examples/full.toml");

/// A caller may have a list of keys instead of one of its own, a listener a list of certificates; each may have what the
/// example's does not.
const LIST_EXAMPLE: &str = "[listen]\nhttps = [{ certificates = [{ }] }]\n[[target]]\n[[caller]]\nkeys = [\
    { access_key = \"K\", secret_key = \"dummy-\", session_token = \"dummy-\" }]\n";

/// The schema of the configuration.
pub fn build_schema(known: &KnownDialects) -> Value {
    let mut shapes = KeyShapes::default();
    let moved = [FULL_EXAMPLE, LIST_EXAMPLE]
        .into_iter()
        .flat_map(|text| ["env", "file"].map(|word| move_secrets(word, text)));
    for text in [FULL_EXAMPLE, LIST_EXAMPLE].map(str::to_owned).into_iter().chain(moved) {
        let diagnostics = read::Diagnostics::new(&text);
        read::read_document(&text, &diagnostics, |root| rules::read_config(root, known, &ExampleSources));
        shapes.merge(diagnostics.into_shapes());
    }
    let mut schema = shapes.build_table("");
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Configuration of Blobfish"));
    let description = "For editors. `blobfish check` finds also what one key means for another.";
    schema.insert("description".to_owned(), json!(description));
    Value::Object(schema)
}

/// A text with its secrets, which begin with "dummy-", from elsewhere.
fn move_secrets(source: &str, text: &str) -> String {
    let mut pieces = text.split("\"dummy-");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces
        .filter_map(|piece| piece.split_once('"'))
        .fold(first, |text, (_, rest)| format!("{text}{{ {source} = \"NAME\" }}{rest}"))
}

/// As what a value is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueKind {
    Text,
    Flag,
    /// A whole number, from and to.
    Count(u64, u64),
    /// A number from 0 to 1.
    Ratio,
    List,
    Table,
}

/// How one place is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyShape {
    pub kinds: BTreeSet<ValueKind>,
    /// The words that can be meant, where they are a closed set.
    pub words: BTreeSet<String>,
    /// Whether every table at this place had to have the key.
    pub is_required: bool,
    /// Whether the table must have one of its keys, and no other.
    pub has_exactly_one: bool,
    /// Where it stands.
    pub line: Option<usize>,
}

/// How each place is read; indices of lists are left out of the keys.
#[derive(Default)]
pub(crate) struct KeyShapes(BTreeMap<String, KeyShape>);

impl KeyShapes {
    pub(crate) fn entry(&mut self, key: &str) -> &mut KeyShape {
        let new_shape = || KeyShape {
            kinds: BTreeSet::new(),
            words: BTreeSet::new(),
            is_required: true,
            has_exactly_one: false,
            line: None,
        };
        self.0.entry(strip_indices(key)).or_insert_with(new_shape)
    }

    /// Adds what was seen in a later text, which says nothing of lines.
    fn merge(&mut self, later: Self) {
        if self.0.is_empty() {
            *self = later;
            return;
        }
        for (key, shape) in later.0 {
            let merged = self.0.entry(key).or_insert(KeyShape { line: None, ..shape.clone() });
            merged.kinds.extend(shape.kinds);
            merged.words.extend(shape.words);
            merged.is_required &= shape.is_required;
            merged.has_exactly_one |= shape.has_exactly_one;
        }
    }

    fn build_table(&self, key: &str) -> Map<String, Value> {
        let prefix = if key.is_empty() { String::new() } else { format!("{key}.") };
        let find_child = |(key, shape)| {
            let name: &str = String::as_str(key).strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains(['.', '['])).then_some((name, shape))
        };
        let keys: Vec<(&str, &KeyShape)> = self.0.iter().filter_map(find_child).collect();
        let properties: Map<String, Value> = keys
            .iter()
            .map(|(name, _)| ((*name).to_owned(), self.build_value(&format!("{prefix}{name}"))))
            .collect();
        let required: Vec<&str> =
            keys.iter().filter(|(_, shape)| shape.is_required).map(|(name, _)| *name).collect();
        let mut table = Map::new();
        table.insert("type".to_owned(), json!("object"));
        table.insert("properties".to_owned(), Value::Object(properties));
        table.insert("additionalProperties".to_owned(), json!(false));
        if !required.is_empty() {
            table.insert("required".to_owned(), json!(required));
        }
        if self.0.get(key).is_some_and(|shape| shape.has_exactly_one) {
            table.insert("minProperties".to_owned(), json!(1));
            table.insert("maxProperties".to_owned(), json!(1));
        }
        table
    }

    fn build_value(&self, key: &str) -> Value {
        let Some(shape) = self.0.get(key) else { return json!({}) };
        let mut variants: Vec<Map<String, Value>> =
            shape.kinds.iter().map(|kind| self.build_kind(key, shape, kind)).collect();
        let mut value = match variants.len() {
            1 => variants.remove(0),
            _ => Map::from_iter([("anyOf".to_owned(), json!(variants))]),
        };
        let is_alone = |line: &usize| self.0.values().filter(|other| other.line == Some(*line)).count() == 1;
        if let Some(description) = shape.line.filter(is_alone).and_then(find_comment) {
            value.insert("description".to_owned(), json!(description));
            if let Some(default) = shape.line.and_then(find_default) {
                value.insert("default".to_owned(), default);
            }
        }
        Value::Object(value)
    }

    fn build_kind(&self, key: &str, shape: &KeyShape, kind: &ValueKind) -> Map<String, Value> {
        let new_typed = |word: &str| Map::from_iter([("type".to_owned(), json!(word))]);
        let mut value = match kind {
            ValueKind::Text => new_typed("string"),
            ValueKind::Flag => new_typed("boolean"),
            ValueKind::Count(..) => new_typed("integer"),
            ValueKind::Ratio => new_typed("number"),
            ValueKind::List => new_typed("array"),
            ValueKind::Table => self.build_table(key),
        };
        match kind {
            ValueKind::Text if !shape.words.is_empty() => {
                drop(value.insert("enum".to_owned(), json!(shape.words)))
            }
            ValueKind::Count(from, to) => {
                value.insert("minimum".to_owned(), json!(from));
                value.insert("maximum".to_owned(), json!(to));
            }
            ValueKind::Ratio => {
                value.insert("minimum".to_owned(), json!(0));
                value.insert("maximum".to_owned(), json!(1));
            }
            ValueKind::List => drop(value.insert("items".to_owned(), self.build_value(&format!("{key}[]")))),
            _ => {}
        }
        value
    }
}

/// `target[0].name` is `target[].name`.
fn strip_indices(key: &str) -> String {
    let mut pieces = key.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        format!("{text}[{}", piece.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}

/// What the full example says of the key on a line.
fn find_comment(line: usize) -> Option<&'static str> {
    let line = FULL_EXAMPLE.lines().nth(line.checked_sub(1)?)?;
    line.rsplit_once("# ").map(|(_, comment)| comment.trim())
}

/// What the full example has on a line whose comment says that this is the default.
fn find_default(line: usize) -> Option<Value> {
    let written =
        FULL_EXAMPLE.lines().nth(line.checked_sub(1)?)?.rsplit_once("# ")?.0.split_once('=')?.1.trim();
    let value: Value =
        serde_json::from_str(written).or_else(|_| serde_json::from_str(&written.replace('_', ""))).ok()?;
    let states_default = |piece: &str| match piece.trim() {
        "default" | "the default" => true,
        other => other.strip_prefix("default ").and_then(|rest| rest.split(' ').next()).is_some_and(|word| {
            let parsed: Option<Value> = serde_json::from_str(word).ok();
            parsed.is_some_and(|parsed_value| {
                parsed_value == value || (value.is_f64() && parsed_value.as_f64() == value.as_f64())
            })
        }),
    };
    find_comment(line)?.split([',', ';', '.']).any(states_default).then_some(value)
}

/// Every variable and file is there, and is what it has to be.
struct ExampleSources;

impl Sources for ExampleSources {
    fn read_env(&self, _: &str) -> Option<String> {
        Some("pretended".to_owned())
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Ok("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n".to_owned())
    }

    fn is_file_private(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}
