//! The JSON Schema of the file, for editors. It is made of how the rules read a file that has every key, so that it
//! cannot say another thing than they do; what one key means for another is left to the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::{Known, Sources, read, rules};

/// Every key once. Its comments are what the schema says of each.
const FULL: &str = include_str!("../examples/full.toml");

/// A caller may have a list of keys instead of one of its own, a listener a list of certificates; each may have what the
/// example's does not.
const ONLY_LISTS: &str = "[listen]\nhttps = [{ certificates = [{ }] }]\n[[target]]\n[[caller]]\nkeys = [\
    { access_key = \"K\", secret_key = \"dummy-\", session_token = \"dummy-\" }]\n";

/// The schema of the configuration.
pub fn schema(known: &Known<'_>) -> Value {
    let mut shapes = Shapes::default();
    let elsewhere =
        [FULL, ONLY_LISTS].into_iter().flat_map(|text| ["env", "file"].map(|word| from(word, text)));
    for text in [FULL, ONLY_LISTS].map(str::to_owned).into_iter().chain(elsewhere) {
        let notes = read::Notes::new(&text);
        read::document(&text, &notes, |root| rules::config(root, known, &Pretended));
        shapes.add(notes.shapes());
    }
    let mut schema = shapes.table("");
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Configuration of Blobfish"));
    let about = "For editors. `blobfish check` finds also what one key means for another.";
    schema.insert("description".to_owned(), json!(about));
    Value::Object(schema)
}

/// A text with its secrets, which begin with "dummy-", from elsewhere.
fn from(elsewhere: &str, text: &str) -> String {
    let mut pieces = text.split("\"dummy-");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces
        .filter_map(|piece| piece.split_once('"'))
        .fold(first, |text, (_, rest)| format!("{text}{{ {elsewhere} = \"NAME\" }}{rest}"))
}

/// As what a value is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
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
pub(crate) struct Shape {
    pub kinds: BTreeSet<Kind>,
    /// The words that can be meant, where they are a closed set.
    pub words: BTreeSet<String>,
    /// Whether every table at this place had to have the key.
    pub needed: bool,
    /// Whether the table must have one of its keys, and no other.
    pub takes_one: bool,
    /// Where it stands.
    pub line: Option<usize>,
}

/// How each place is read; indices of lists are left out of the keys.
#[derive(Default)]
pub(crate) struct Shapes(BTreeMap<String, Shape>);

impl Shapes {
    pub(crate) fn at(&mut self, key: &str) -> &mut Shape {
        let usual = || Shape {
            kinds: BTreeSet::new(),
            words: BTreeSet::new(),
            needed: true,
            takes_one: false,
            line: None,
        };
        self.0.entry(without_indices(key)).or_insert_with(usual)
    }

    /// Adds what was seen in a later text, which says nothing of lines.
    fn add(&mut self, later: Self) {
        if self.0.is_empty() {
            *self = later;
            return;
        }
        for (key, shape) in later.0 {
            let own = self.0.entry(key).or_insert(Shape { line: None, ..shape.clone() });
            own.kinds.extend(shape.kinds);
            own.words.extend(shape.words);
            own.needed &= shape.needed;
            own.takes_one |= shape.takes_one;
        }
    }

    fn table(&self, key: &str) -> Map<String, Value> {
        let prefix = if key.is_empty() { String::new() } else { format!("{key}.") };
        let below = |(key, shape)| {
            let name: &str = String::as_str(key).strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains(['.', '['])).then_some((name, shape))
        };
        let keys: Vec<(&str, &Shape)> = self.0.iter().filter_map(below).collect();
        let properties: Map<String, Value> = keys
            .iter()
            .map(|(name, _)| ((*name).to_owned(), self.value(&format!("{prefix}{name}"))))
            .collect();
        let needed: Vec<&str> =
            keys.iter().filter(|(_, shape)| shape.needed).map(|(name, _)| *name).collect();
        let mut table = Map::new();
        table.insert("type".to_owned(), json!("object"));
        table.insert("properties".to_owned(), Value::Object(properties));
        table.insert("additionalProperties".to_owned(), json!(false));
        if !needed.is_empty() {
            table.insert("required".to_owned(), json!(needed));
        }
        if self.0.get(key).is_some_and(|shape| shape.takes_one) {
            table.insert("minProperties".to_owned(), json!(1));
            table.insert("maxProperties".to_owned(), json!(1));
        }
        table
    }

    fn value(&self, key: &str) -> Value {
        let Some(shape) = self.0.get(key) else { return json!({}) };
        let mut ways: Vec<Map<String, Value>> =
            shape.kinds.iter().map(|kind| self.as_kind(key, shape, kind)).collect();
        let mut value = match ways.len() {
            1 => ways.remove(0),
            _ => Map::from_iter([("anyOf".to_owned(), json!(ways))]),
        };
        let alone = |line: &usize| self.0.values().filter(|other| other.line == Some(*line)).count() == 1;
        if let Some(about) = shape.line.filter(alone).and_then(comment) {
            value.insert("description".to_owned(), json!(about));
            if let Some(default) = shape.line.and_then(default) {
                value.insert("default".to_owned(), default);
            }
        }
        Value::Object(value)
    }

    fn as_kind(&self, key: &str, shape: &Shape, kind: &Kind) -> Map<String, Value> {
        let typed = |word: &str| Map::from_iter([("type".to_owned(), json!(word))]);
        let mut value = match kind {
            Kind::Text => typed("string"),
            Kind::Flag => typed("boolean"),
            Kind::Count(..) => typed("integer"),
            Kind::Ratio => typed("number"),
            Kind::List => typed("array"),
            Kind::Table => self.table(key),
        };
        match kind {
            Kind::Text if !shape.words.is_empty() => {
                drop(value.insert("enum".to_owned(), json!(shape.words)))
            }
            Kind::Count(from, to) => {
                value.insert("minimum".to_owned(), json!(from));
                value.insert("maximum".to_owned(), json!(to));
            }
            Kind::Ratio => {
                value.insert("minimum".to_owned(), json!(0));
                value.insert("maximum".to_owned(), json!(1));
            }
            Kind::List => drop(value.insert("items".to_owned(), self.value(&format!("{key}[]")))),
            _ => {}
        }
        value
    }
}

/// `target[0].name` is `target[].name`.
fn without_indices(key: &str) -> String {
    let mut pieces = key.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        format!("{text}[{}", piece.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}

/// What the full example says of the key on a line.
fn comment(line: usize) -> Option<&'static str> {
    let line = FULL.lines().nth(line.checked_sub(1)?)?;
    line.rsplit_once("# ").map(|(_, comment)| comment.trim())
}

/// What the full example has on a line whose comment says that this is the default.
fn default(line: usize) -> Option<Value> {
    let written = FULL.lines().nth(line.checked_sub(1)?)?.rsplit_once("# ")?.0.split_once('=')?.1.trim();
    let value: Value =
        serde_json::from_str(written).or_else(|_| serde_json::from_str(&written.replace('_', ""))).ok()?;
    let is_it = |piece: &str| match piece.trim() {
        "default" | "the default" => true,
        other => other.strip_prefix("default ").and_then(|rest| rest.split(' ').next()).is_some_and(|word| {
            let said: Option<Value> = serde_json::from_str(word).ok();
            said.is_some_and(|said| said == value || (value.is_f64() && said.as_f64() == value.as_f64()))
        }),
    };
    comment(line)?.split([',', ';', '.']).any(is_it).then_some(value)
}

/// Every variable and file is there, and is what it has to be.
struct Pretended;

impl Sources for Pretended {
    fn env(&self, _: &str) -> Option<String> {
        Some("pretended".to_owned())
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Ok("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n".to_owned())
    }

    fn file_is_private(&self, _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}
