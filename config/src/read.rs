//! Reads the TOML document and collects mistakes instead of stopping at the first. [`TableReader`] is a table,
//! [`Item`] a value in it; both know their place in the file. A key that the rules do not read is an unknown key.
//! Which keys are read, and as what, is recorded too: the schema is built from it.

use std::cell::{Cell, RefCell};
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::Config;
use crate::key_shapes::{KeyShapes, ValueKind};
use crate::mistake::{Mistake, SECRET_KEYS, SECRET_VALUE, ValueError};

/// The maximum length of a value in a mistake, in characters.
const VALUE_CHARS_MAX: usize = 80;

/// The mistakes found so far in one text.
pub(crate) struct Diagnostics<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
    secret_at: Cell<Option<usize>>,
    shapes: RefCell<KeyShapes>,
}

impl<'t> Diagnostics<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            text,
            line_starts,
            mistakes: RefCell::default(),
            secret_at: Cell::default(),
            shapes: RefCell::default(),
        }
    }

    /// The recorded shapes of the keys.
    pub(crate) fn into_shapes(self) -> KeyShapes {
        self.shapes.into_inner()
    }

    /// The configuration if there is no mistake, else all mistakes in the order of the lines.
    pub(crate) fn into_result(self, config: Option<Config>) -> Result<Config, Vec<Mistake>> {
        let literal_secret_line = self.secret_at.get().map(|at| self.line_at(at));
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.span.start);
        match config {
            Some(config) if mistakes.is_empty() => Ok(Config { literal_secret_line, ..config }),
            _ => Err(mistakes),
        }
    }

    // A `RefCell`, because all readers of the document share the list and none of them outlives it.
    fn add_mistake(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    pub(crate) fn line_at(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    fn add_syntax_error(&self, error: &toml::de::Error) {
        // An error without a place, such as one of the whole text, is reported on the first line.
        let span = error.span().unwrap_or_default();
        let line = self.line_at(span.start);
        if self.mistakes.borrow().last().is_some_and(|last| last.line == line) {
            return; // The first error of a line usually causes the others.
        }
        let is_duplicate = is_duplicate(error);
        let key = self.text.get(span.clone()).filter(|_| is_duplicate).unwrap_or("");
        let message = if is_duplicate {
            "duplicate key".to_owned()
        } else {
            format!("invalid TOML: {}", error.message())
        };
        let (key, value) = (key.to_owned(), String::new());
        self.add_mistake(Mistake { line, key, value, message, hint: None, section: None, span });
    }
}

/// Parses the text and passes the document to `read_rules`. A text with syntax errors is not read further, because the
/// recovered document may have another meaning than the author intended.
pub(crate) fn read_document(
    text: &str,
    diagnostics: &Diagnostics<'_>,
    read_rules: impl FnOnce(TableReader<'_>) -> Option<Config>,
) -> Option<Config> {
    let (root, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| diagnostics.add_syntax_error(error));
    // With a duplicate key the document is still complete, so that all other mistakes can be reported too.
    if !errors.iter().all(is_duplicate) {
        return None;
    }
    let place = Place { diagnostics, key: String::new(), section: None, span: 0..0, form: ValueForm::Opaque };
    read_rules(TableReader::new(root.get_ref(), place))
}

/// A string in a table of the text, if it exists.
pub(crate) fn find_text(text: &str, table: &str, key: &str) -> Option<String> {
    let (root, _) = DeTable::parse_recoverable(text);
    let table = root.get_ref().get(table)?.get_ref().as_table()?;
    table.get(key)?.get_ref().as_str().map(str::to_owned)
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    // The crate has no error code. Tests notice if a later version changes this text.
    error.message() == "duplicate key"
}

/// What the file contains at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValueForm {
    /// Nothing: the key is missing.
    Missing,
    /// A key, a list or a table, which is too long to print.
    Opaque,
    /// A value that can be printed.
    Printable,
}

impl ValueForm {
    fn from_value(value: &DeValue<'_>) -> Self {
        if matches!(value, DeValue::Table(_) | DeValue::Array(_)) { Self::Opaque } else { Self::Printable }
    }
}

/// A place in the file.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    diagnostics: &'a Diagnostics<'a>,
    key: String,
    section: Option<String>,
    span: Range<usize>,
    form: ValueForm,
}

impl<'a> Place<'a> {
    /// Records that the file contains a secret at this place.
    pub(crate) fn mark_secret(&self) {
        let first = self.diagnostics.secret_at.get().map_or(self.span.start, |at| at.min(self.span.start));
        self.diagnostics.secret_at.set(Some(first));
    }

    pub(crate) fn reject(&self, error: ValueError) {
        let segments = self.key.split('.');
        let is_secret = segments.clone().any(|segment| SECRET_KEYS.contains(&segment));
        let key = if is_secret { truncate_at_secret(&self.key) } else { self.key.clone() };
        let value = match self.form {
            ValueForm::Missing => String::new(),
            _ if is_secret || error.is_secret => SECRET_VALUE.to_owned(),
            ValueForm::Opaque => String::new(),
            ValueForm::Printable => {
                let text = self.diagnostics.text.get(self.span.clone()).unwrap_or_default();
                text.lines().next().unwrap_or_default().chars().take(VALUE_CHARS_MAX).collect()
            }
        };
        let (span, subject) = (self.span.clone(), self.section.clone());
        let ValueError { message: what, hint, .. } = error;
        self.diagnostics.add_mistake(Mistake {
            line: self.line(),
            key,
            value,
            message: what,
            hint,
            section: subject,
            span,
        });
    }

    pub(crate) fn line(&self) -> usize {
        self.diagnostics.line_at(self.span.start)
    }

    fn record_kind(&self, kind: ValueKind) {
        self.diagnostics.shapes.borrow_mut().entry(&self.key).kinds.insert(kind);
    }

    /// The place of a key that is missing in this table.
    pub(crate) fn missing_key(&self, key: &str) -> Self {
        self.child(key, self.span.clone(), ValueForm::Missing)
    }

    fn child(&self, segment: &str, span: Range<usize>, form: ValueForm) -> Self {
        let dot = if self.key.is_empty() { "" } else { "." };
        Self { key: format!("{}{dot}{segment}", self.key), span, form, ..self.clone() }
    }

    fn element(&self, index: usize, span: Range<usize>, form: ValueForm) -> Self {
        Self { key: format!("{}[{index}]", self.key), span, form, ..self.clone() }
    }
}

/// The key, cut after the name of a secret: what follows may be a part of the secret.
fn truncate_at_secret(key: &str) -> String {
    let mut segments: Vec<&str> = key.split('.').collect();
    let secret = segments.iter().position(|segment| SECRET_KEYS.contains(segment));
    segments.truncate(secret.map_or(segments.len(), |at| at + 1));
    segments.join(".")
}

/// A value and its place.
#[derive(Clone)]
pub(crate) struct Located<'a, T> {
    pub value: T,
    pub place: Place<'a>,
}

/// A value in the document.
pub(crate) struct Item<'a> {
    value: &'a DeValue<'a>,
    pub place: Place<'a>,
}

impl<'a> Item<'a> {
    fn new(
        value: &'a Spanned<DeValue<'a>>,
        place: impl FnOnce(Range<usize>, ValueForm) -> Place<'a>,
    ) -> Self {
        Self { value: value.get_ref(), place: place(value.span(), ValueForm::from_value(value.get_ref())) }
    }

    pub(crate) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    pub(crate) fn is_empty_list(&self) -> bool {
        self.value.as_array().is_some_and(|list| list.is_empty())
    }

    pub(crate) fn as_text(&self) -> Option<&'a str> {
        self.place.record_kind(ValueKind::Text);
        self.value.as_str().or_else(|| self.reject_type("a string"))
    }

    /// The text, converted by `parse`.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&'a str) -> Result<T, ValueError>) -> Option<T> {
        parse(self.as_text()?).map_err(|error| self.place.reject(error)).ok()
    }

    /// The meaning of a word from a closed set.
    pub(crate) fn parse_word<T: Copy>(&self, noun: &str, words: &[(&str, T)]) -> Option<T> {
        self.record_known_words(words.iter().map(|row| row.0));
        self.parse(|word| find_word(noun, word, words))
    }

    /// Records the words that are allowed here.
    pub(crate) fn record_known_words<'w>(&self, words: impl IntoIterator<Item = &'w str>) {
        let mut shapes = self.place.diagnostics.shapes.borrow_mut();
        shapes.entry(&self.place.key).words.extend(words.into_iter().map(str::to_owned));
    }

    pub(crate) fn as_table(&self) -> Option<TableReader<'a>> {
        self.place.record_kind(ValueKind::Table);
        let table = self.value.as_table().or_else(|| self.reject_type("a table"))?;
        Some(TableReader::new(table, self.place.clone()))
    }

    pub(crate) fn as_list(&self) -> Option<Vec<Self>> {
        self.place.record_kind(ValueKind::List);
        let list = self.value.as_array().or_else(|| self.reject_type("a list"))?;
        let element = |(i, value)| Self::new(value, |span, form| self.place.element(i, span, form));
        Some(list.iter().enumerate().map(element).collect())
    }

    pub(crate) fn reject_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.place.reject(ValueError::new(format!("must be {expected}, not {found}")));
        None
    }
}

/// A table in the document.
pub(crate) struct TableReader<'a> {
    table: &'a DeTable<'a>,
    pub place: Place<'a>,
    known_keys: Vec<&'static str>,
    required_keys: Vec<&'static str>,
}

impl<'a> TableReader<'a> {
    fn new(table: &'a DeTable<'a>, place: Place<'a>) -> Self {
        Self { table, place, known_keys: Vec::new(), required_keys: Vec::new() }
    }

    /// Records that a key is required. The rules report it themselves if it is missing.
    pub(crate) fn require(&mut self, key: &'static str) {
        self.required_keys.push(key);
    }

    /// Records that exactly one of the table's keys is required.
    pub(crate) fn require_exactly_one(&self) {
        self.place.diagnostics.shapes.borrow_mut().entry(&self.place.key).has_exactly_one = true;
    }

    /// The value of a key, if it is set.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Item<'a>> {
        if !self.known_keys.contains(&key) {
            self.known_keys.push(key);
        }
        let value = self.table.get(key)?;
        Some(Item::new(value, |span, form| self.place.child(key, span, form)))
    }

    /// The value of a required key. If it is missing, the mistake suggests `example`.
    pub(crate) fn get_required(&mut self, key: &'static str, example: &str) -> Option<Item<'a>> {
        self.require(key);
        let item = self.get(key);
        if item.is_none() {
            self.place
                .missing_key(key)
                .reject(ValueError::new("missing").with_hint(format!("add {key} = {example}")));
        }
        item
    }

    /// The meaning of a word from a closed set, or `default` if the key is not set.
    pub(crate) fn read_word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> Option<T> {
        match self.get(key) {
            None => Some(default),
            Some(item) => item.parse_word("value", words),
        }
    }

    /// `true` or `false`; the default is false.
    pub(crate) fn read_flag(&mut self, key: &'static str) -> Option<bool> {
        match self.get(key) {
            None => Some(false),
            Some(item) => {
                item.place.record_kind(ValueKind::Flag);
                item.value.as_bool().or_else(|| item.reject_type("true or false"))
            }
        }
    }

    /// A whole number within bounds, or `default` if the key is not set.
    pub(crate) fn read_count<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        default: T,
    ) -> Option<T> {
        let Some(item) = self.get(key) else { return Some(default) };
        item.place.record_kind(ValueKind::Count(*bounds.start(), *bounds.end()));
        let DeValue::Integer(integer) = item.value else { return item.reject_type("a whole number") };
        // The reader keeps integers as text, with the radix of 0x, 0o and 0b.
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let count =
            number.filter(|number| bounds.contains(number)).and_then(|number| T::try_from(number).ok());
        if count.is_none() {
            let what = format!("must be from {} to {}", bounds.start(), bounds.end());
            item.place.reject(ValueError::new(what));
        }
        count
    }

    /// A number from 0 to 1, or `default` if the key is not set.
    pub(crate) fn read_ratio(&mut self, key: &'static str, default: f64) -> Option<f64> {
        let Some(item) = self.get(key) else { return Some(default) };
        item.place.record_kind(ValueKind::Ratio);
        let text = match item.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            _ => return item.reject_type("a number"),
        };
        let ratio = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        if ratio.is_none() {
            item.place.reject(ValueError::new("must be from 0 to 1"));
        }
        ratio
    }

    /// The valid elements of a list; empty if the key is not set.
    pub(crate) fn read_list<T>(
        &mut self,
        key: &'static str,
        element: impl FnMut(Item<'a>) -> Option<T>,
    ) -> Vec<T> {
        let Some(items) = self.get(key).and_then(|item| item.as_list()) else { return Vec::new() };
        items.into_iter().filter_map(element).collect()
    }

    /// The tables of a list, such as all `[[target]]`. Mistakes in a table mention its `name`.
    pub(crate) fn read_tables(&mut self, key: &'static str) -> Vec<TableReader<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        // [target] instead of [[target]] is a frequent mistake, and its type error alone would not explain it.
        if item.is_table() && self.place.key.is_empty() {
            let error = ValueError::new("must be a list of tables")
                .with_hint(format!("write [[{key}]] instead of [{key}]"));
            item.place.reject(error);
            return Vec::new();
        }
        let tables = item.as_list().unwrap_or_default().into_iter().filter_map(|item| item.as_table());
        tables.map(|reader| reader.with_section(key)).collect()
    }

    fn with_section(mut self, key: &str) -> Self {
        if let Some(name) = self.table.get("name").and_then(|name| name.get_ref().as_str()) {
            let name: String = name.chars().take(VALUE_CHARS_MAX).collect();
            self.place.section = Some(format!("{key} {name:?}"));
        }
        self
    }

    /// Reports every key that was not read.
    pub(crate) fn finish(self) {
        let mut shapes = self.place.diagnostics.shapes.borrow_mut();
        for key in &self.known_keys {
            let line = self.table.get(*key).map(|value| self.place.diagnostics.line_at(value.span().start));
            let shape = shapes.entry(&self.place.child(key, 0..0, ValueForm::Missing).key);
            // A key is required only if every table at this place requires it: `secret_key` is not, because a target
            // with a credential provider has none.
            shape.is_required &= self.required_keys.contains(key);
            shape.line = shape.line.or(line);
        }
        drop(shapes);
        // An unknown key is an error, not a warning: a misspelt limit or condition would silently have no effect.
        for key in self.table.keys().filter(|key| !self.known_keys.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref().as_ref();
            let segment: String = word.chars().take(VALUE_CHARS_MAX).collect();
            self.place.child(&segment, key.span(), ValueForm::Opaque).reject(ValueError::unknown(
                "key",
                word,
                &self.known_keys,
            ));
        }
    }
}

/// The meaning of a word from a closed set.
fn find_word<T: Copy>(noun: &str, word: &str, words: &[(&str, T)]) -> Result<T, ValueError> {
    let known = || words.iter().map(|row| row.0).collect::<Vec<_>>();
    let row = words.iter().find(|row| row.0 == word);
    row.map(|row| row.1).ok_or_else(|| ValueError::unknown(noun, word, &known()))
}
