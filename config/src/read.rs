//! A walk over the written document that notes mistakes and goes on. [`Fields`] is a table, [`Item`] a value in it;
//! both know where they stand. What nobody asked a table for is an unknown key. What was asked for, and how, is noted
//! too: the schema is made of it.

use std::cell::{Cell, RefCell};
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::mistake::{SECRET_KEYS, SECRET_VALUE};
use crate::schema::{Kind, Shapes};
use crate::{Config, Mistake, Rejected};

/// The longest value shown in a mistake, characters.
const VALUE_CHARS_MAX: usize = 80;

/// The mistakes found so far in one text.
pub(crate) struct Notes<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
    secret_at: Cell<Option<usize>>,
    shapes: RefCell<Shapes>,
}

impl<'t> Notes<'t> {
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

    /// How each place was read.
    pub(crate) fn shapes(self) -> Shapes {
        self.shapes.into_inner()
    }

    /// The configuration if there was no mistake, else all of them by line.
    pub(crate) fn verdict(self, config: Option<Config>) -> Result<Config, Vec<Mistake>> {
        let secret_line = self.secret_at.get().map(|at| self.line(at));
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.span.start);
        match config {
            Some(config) if mistakes.is_empty() => Ok(Config { secret_line, ..config }),
            _ => Err(mistakes),
        }
    }

    fn add(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|&start| start <= at)
    }

    fn syntax(&self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let line = self.line(span.start);
        if self.mistakes.borrow().last().is_some_and(|last| last.line == line) {
            return; // What follows from the first one tells nothing new.
        }
        let is_duplicate = is_duplicate(error);
        let key = if is_duplicate { self.text.get(span.clone()).unwrap_or_default() } else { "" };
        let what =
            if is_duplicate { "written twice".to_owned() } else { format!("not TOML: {}", error.message()) };
        let (key, value) = (key.to_owned(), String::new());
        self.add(Mistake { line, key, value, what, hint: None, subject: None, span });
    }
}

/// Hands the document to `rules`. A text that is not TOML is not walked: what is read of it may mean anything.
pub(crate) fn document(
    text: &str,
    notes: &Notes<'_>,
    rules: impl FnOnce(Fields<'_>) -> Option<Config>,
) -> Option<Config> {
    let (root, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| notes.syntax(error));
    if !errors.iter().all(is_duplicate) {
        return None;
    }
    let place = Place { notes, key: String::new(), subject: None, span: 0..0, written: Written::Whole };
    rules(Fields::new(root.get_ref(), place))
}

/// A string of a text's table, if it is there.
pub(crate) fn text_at(text: &str, table: &str, key: &str) -> Option<String> {
    let (root, _) = DeTable::parse_recoverable(text);
    let table = root.get_ref().get(table)?.get_ref().as_table()?;
    table.get(key)?.get_ref().as_str().map(str::to_owned)
}

fn is_duplicate(error: &toml::de::Error) -> bool {
    error.message() == "duplicate key"
}

/// What stands at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Nothing: a key is missing here.
    Nothing,
    /// A key, a list or a table, which are too long to show.
    Whole,
    /// A value that can be shown.
    Value,
}

impl Written {
    fn of(value: &DeValue<'_>) -> Self {
        if matches!(value, DeValue::Table(_) | DeValue::Array(_)) { Self::Whole } else { Self::Value }
    }
}

/// Where something stands in the file.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    notes: &'a Notes<'a>,
    key: String,
    subject: Option<String>,
    span: Range<usize>,
    written: Written,
}

impl<'a> Place<'a> {
    /// Notes that a secret stands here.
    pub(crate) fn holds_secret(&self) {
        let first = self.notes.secret_at.get().map_or(self.span.start, |at| at.min(self.span.start));
        self.notes.secret_at.set(Some(first));
    }

    pub(crate) fn wrong(&self, rejected: Rejected) {
        let segments = self.key.split('.');
        let is_secret = segments.clone().any(|segment| SECRET_KEYS.contains(&segment));
        let key = if is_secret { up_to_secret(&self.key) } else { self.key.clone() };
        let value = match self.written {
            Written::Nothing => String::new(),
            _ if is_secret || rejected.secret => SECRET_VALUE.to_owned(),
            Written::Whole => String::new(),
            Written::Value => {
                let written = self.notes.text.get(self.span.clone()).unwrap_or_default();
                written.lines().next().unwrap_or_default().chars().take(VALUE_CHARS_MAX).collect()
            }
        };
        let (span, subject) = (self.span.clone(), self.subject.clone());
        let Rejected { what, hint, .. } = rejected;
        self.notes.add(Mistake { line: self.line(), key, value, what, hint, subject, span });
    }

    pub(crate) fn line(&self) -> usize {
        self.notes.line(self.span.start)
    }

    fn read_as(&self, kind: Kind) {
        self.notes.shapes.borrow_mut().at(&self.key).kinds.insert(kind);
    }

    /// The place of a key of this table that was not written.
    pub(crate) fn absent(&self, key: &str) -> Self {
        self.below(key, self.span.clone(), Written::Nothing)
    }

    fn below(&self, segment: &str, span: Range<usize>, written: Written) -> Self {
        let dot = if self.key.is_empty() { "" } else { "." };
        Self { key: format!("{}{dot}{segment}", self.key), span, written, ..self.clone() }
    }

    fn element(&self, index: usize, span: Range<usize>, written: Written) -> Self {
        Self { key: format!("{}[{index}]", self.key), span, written, ..self.clone() }
    }
}

/// The key without what stands below a secret's: that may be a piece of it.
fn up_to_secret(key: &str) -> String {
    let mut segments: Vec<&str> = key.split('.').collect();
    let secret = segments.iter().position(|segment| SECRET_KEYS.contains(segment));
    segments.truncate(secret.map_or(segments.len(), |at| at + 1));
    segments.join(".")
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct At<'a, T> {
    pub value: T,
    pub place: Place<'a>,
}

/// A written value.
pub(crate) struct Item<'a> {
    value: &'a DeValue<'a>,
    pub place: Place<'a>,
}

impl<'a> Item<'a> {
    fn new(value: &'a Spanned<DeValue<'a>>, place: impl FnOnce(Range<usize>, Written) -> Place<'a>) -> Self {
        Self { value: value.get_ref(), place: place(value.span(), Written::of(value.get_ref())) }
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

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.place.read_as(Kind::Text);
        self.value.as_str().or_else(|| self.wrong_type("a string"))
    }

    /// The value that `parse` makes of the text.
    pub(crate) fn parsed<T>(&self, parse: impl FnOnce(&'a str) -> Result<T, Rejected>) -> Option<T> {
        parse(self.text()?).map_err(|rejected| self.place.wrong(rejected)).ok()
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&self, noun: &str, words: &[(&str, T)]) -> Option<T> {
        self.known(words.iter().map(|row| row.0));
        self.parsed(|word| one_of(noun, word, words))
    }

    /// Notes which words can be meant here.
    pub(crate) fn known<'w>(&self, words: impl IntoIterator<Item = &'w str>) {
        let mut shapes = self.place.notes.shapes.borrow_mut();
        shapes.at(&self.place.key).words.extend(words.into_iter().map(str::to_owned));
    }

    pub(crate) fn table(&self) -> Option<Fields<'a>> {
        self.place.read_as(Kind::Table);
        let table = self.value.as_table().or_else(|| self.wrong_type("a table"))?;
        Some(Fields::new(table, self.place.clone()))
    }

    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        self.place.read_as(Kind::List);
        let list = self.value.as_array().or_else(|| self.wrong_type("a list"))?;
        let element = |(i, value)| Self::new(value, |span, written| self.place.element(i, span, written));
        Some(list.iter().enumerate().map(element).collect())
    }

    pub(crate) fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.place.wrong(Rejected::new(format!("must be {wanted}, not {found}")));
        None
    }
}

/// A written table.
pub(crate) struct Fields<'a> {
    table: &'a DeTable<'a>,
    pub place: Place<'a>,
    asked: Vec<&'static str>,
    needed: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn new(table: &'a DeTable<'a>, place: Place<'a>) -> Self {
        Self { table, place, asked: Vec::new(), needed: Vec::new() }
    }

    /// Notes that a key must be there, whoever tells where it is not.
    pub(crate) fn needs(&mut self, key: &'static str) {
        self.needed.push(key);
    }

    /// Notes that of all keys one must be there, and no other.
    pub(crate) fn takes_one(&self) {
        self.place.notes.shapes.borrow_mut().at(&self.place.key).takes_one = true;
    }

    /// The value of a key, if it was written.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Item<'a>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        let value = self.table.get(key)?;
        Some(Item::new(value, |span, written| self.place.below(key, span, written)))
    }

    /// The value of a key that must be there. `example` is shown where it is not.
    pub(crate) fn need(&mut self, key: &'static str, example: &str) -> Option<Item<'a>> {
        self.needs(key);
        let item = self.get(key);
        if item.is_none() {
            self.place.absent(key).wrong(Rejected::new("missing").hint(format!("add {key} = {example}")));
        }
        item
    }

    /// One of a closed set of words, or `absent` where none was written.
    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], absent: T) -> Option<T> {
        match self.get(key) {
            None => Some(absent),
            Some(item) => item.word("word", words),
        }
    }

    /// `true` or `false`; absent means false.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.get(key) {
            None => Some(false),
            Some(item) => {
                item.place.read_as(Kind::Flag);
                item.value.as_bool().or_else(|| item.wrong_type("true or false"))
            }
        }
    }

    /// A whole number within bounds, or `absent` where none was written.
    pub(crate) fn count<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u64>,
        absent: T,
    ) -> Option<T> {
        let Some(item) = self.get(key) else { return Some(absent) };
        item.place.read_as(Kind::Count(*bounds.start(), *bounds.end()));
        let DeValue::Integer(integer) = item.value else { return item.wrong_type("a whole number") };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let count =
            number.filter(|number| bounds.contains(number)).and_then(|number| T::try_from(number).ok());
        if count.is_none() {
            let what = format!("must be from {} to {}", bounds.start(), bounds.end());
            item.place.wrong(Rejected::new(what));
        }
        count
    }

    /// A number from 0 to 1, or `absent` where none was written.
    pub(crate) fn ratio(&mut self, key: &'static str, absent: f64) -> Option<f64> {
        let Some(item) = self.get(key) else { return Some(absent) };
        item.place.read_as(Kind::Ratio);
        let text = match item.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) => integer.as_str(),
            _ => return item.wrong_type("a number"),
        };
        let ratio = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
        if ratio.is_none() {
            item.place.wrong(Rejected::new("must be from 0 to 1"));
        }
        ratio
    }

    /// The elements of a list that were understood; absent means none.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        element: impl FnMut(Item<'a>) -> Option<T>,
    ) -> Vec<T> {
        let items = self.get(key).and_then(|item| item.list()).unwrap_or_default();
        items.into_iter().filter_map(element).collect()
    }

    /// The tables of a list, such as all `[[target]]`. Each is called by its own `name` in mistakes.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<Fields<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        if item.is_table() && self.place.key.is_empty() {
            let what =
                Rejected::new("must be a list of tables").hint(format!("write [[{key}]] instead of [{key}]"));
            item.place.wrong(what);
            return Vec::new();
        }
        let tables = item.list().unwrap_or_default().into_iter().filter_map(|item| item.table());
        tables.map(|fields| fields.named(key)).collect()
    }

    fn named(mut self, key: &str) -> Self {
        if let Some(name) = self.table.get("name").and_then(|name| name.get_ref().as_str()) {
            let name: String = name.chars().take(VALUE_CHARS_MAX).collect();
            self.place.subject = Some(format!("{key} {name:?}"));
        }
        self
    }

    /// Notes every key that was not asked for.
    pub(crate) fn finish(self) {
        let mut shapes = self.place.notes.shapes.borrow_mut();
        for key in &self.asked {
            let line = self.table.get(*key).map(|value| self.place.notes.line(value.span().start));
            let shape = shapes.at(&self.place.below(key, 0..0, Written::Nothing).key);
            shape.needed &= self.needed.contains(key);
            shape.line = shape.line.or(line);
        }
        drop(shapes);
        for key in self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref())) {
            let word = key.get_ref().as_ref();
            let segment: String = word.chars().take(VALUE_CHARS_MAX).collect();
            self.place.below(&segment, key.span(), Written::Whole).wrong(Rejected::unknown(
                "key",
                word,
                &self.asked,
            ));
        }
    }
}

/// The meaning of a word out of a closed set.
fn one_of<T: Copy>(noun: &str, word: &str, words: &[(&str, T)]) -> Result<T, Rejected> {
    let known = || words.iter().map(|row| row.0).collect::<Vec<_>>();
    let row = words.iter().find(|row| row.0 == word);
    row.map(|row| row.1).ok_or_else(|| Rejected::unknown(noun, word, &known()))
}
