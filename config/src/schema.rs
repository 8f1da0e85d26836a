//! The JSON Schema of the configuration file, for editors. It is built by reading an example that has every key, so it
//! cannot differ from the rules. It does not describe how keys depend on each other; only the rules check that.

use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::key_shapes::{KeyShape, KeyShapes, ValueKind};
use crate::known_dialects::KnownDialects;
use crate::secrets::Sources;
use crate::{read, rules};

/// What precedes the default value at the end of a comment.
pub(crate) const DEFAULT_LABEL: &str = "Default: ";

/// Contains every key once. Its comments are the descriptions in the schema.
const FULL_EXAMPLE: &str = include_str!("../examples/full.toml");

/// A caller may have only a list of keys, and a listener only a list of certificates. Reading this text shows which
/// keys are not required then.
const LIST_EXAMPLE: &str = "[listen]\nhttps = [{ certificates = [{ }] }]\n[[target]]\n[[caller]]\nkeys = [\
    { access_key = \"K\", secret_key = \"dummy-\", session_token = \"dummy-\" }]\n";

/// Builds the JSON Schema of the configuration.
pub fn build_schema(known: &KnownDialects) -> Value {
    let mut shapes = KeyShapes::default();
    let moved = [FULL_EXAMPLE, LIST_EXAMPLE]
        .into_iter()
        .flat_map(|text| ["env", "file"].map(|word| replace_secrets(word, text)));
    // Mistakes in the second text are expected, because it omits required keys. Only the recorded shapes matter.
    for text in [FULL_EXAMPLE, LIST_EXAMPLE].map(str::to_owned).into_iter().chain(moved) {
        let diagnostics = read::Diagnostics::new(&text);
        read::read_document(&text, &diagnostics, |root| rules::read_config(root, known, &ExampleSources));
        shapes.merge(diagnostics.into_shapes());
    }
    let mut schema = shapes.build_table("");
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Blobfish configuration"));
    let description = "For editors. `blobfish check` also checks how keys depend on each other.";
    schema.insert("description".to_owned(), json!(description));
    Value::Object(schema)
}

/// Replaces the secrets of a text, which begin with "dummy-", by `{ env = ... }` or `{ file = ... }`.
fn replace_secrets(source: &str, text: &str) -> String {
    let mut pieces = text.split("\"dummy-");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces
        .filter_map(|piece| piece.split_once('"'))
        .fold(first, |text, (_, rest)| format!("{text}{{ {source} = \"NAME\" }}{rest}"))
}

impl KeyShapes {
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
        } else if let Some(description) = shape.line.and_then(|line| find_inline_comment(line, key)) {
            value.insert("description".to_owned(), json!(description));
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

/// The comment of the full example on a line.
fn find_comment(line: usize) -> Option<&'static str> {
    let line = FULL_EXAMPLE.lines().nth(line.checked_sub(1)?)?;
    line.rsplit_once("# ").map(|(_, comment)| comment.trim())
}

/// The part of a comment that describes one key of an inline table. Such a table has several keys on one line, and its
/// comment is a list of `key: description`, separated by semicolons.
fn find_inline_comment(line: usize, key: &str) -> Option<String> {
    let (_, name) = key.rsplit_once('.')?;
    let mut parts = find_comment(line)?.split("; ");
    let description = parts.find_map(|part| part.strip_prefix(name)?.strip_prefix(": "))?;
    Some(format!("{}.", description.trim_end_matches('.')))
}

/// The value of the full example on a line, if the line's comment ends with `Default:` and this value.
fn find_default(line: usize) -> Option<Value> {
    let written =
        FULL_EXAMPLE.lines().nth(line.checked_sub(1)?)?.rsplit_once("# ")?.0.split_once('=')?.1.trim();
    let (_, default) = find_comment(line)?.rsplit_once(DEFAULT_LABEL)?;
    // TOML allows underscores between digits, JSON does not.
    let parse_json = |text: &str| {
        serde_json::from_str::<Value>(text).or_else(|_| serde_json::from_str(&text.replace('_', ""))).ok()
    };
    let value = parse_json(written)?;
    let default = parse_json(default.strip_suffix('.')?)?;
    // A ratio is written as 1.0 in the file and may be 1 in the comment.
    let is_equal = default == value || (value.is_f64() && default.as_f64() == value.as_f64());
    is_equal.then_some(value)
}

/// Sources in which every variable and file exists and is valid, so that the example is read completely.
struct ExampleSources;

impl Sources for ExampleSources {
    fn read_env(&self, _: &str) -> Option<String> {
        Some("example".to_owned())
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Ok("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n".to_owned())
    }

    fn is_file_private(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}
