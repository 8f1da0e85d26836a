//! How the rules read each key: its types, its allowed words, whether it is required. The reader records this while it
//! reads, and the schema is built from it.

use std::collections::{BTreeMap, BTreeSet};

/// The type that a value is read as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ValueKind {
    Text,
    Flag,
    /// A whole number between two bounds, both included.
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
    /// The allowed words, if they are a closed set.
    pub words: BTreeSet<String>,
    /// Whether every table at this place requires the key.
    pub is_required: bool,
    /// Whether the table must have exactly one of its keys.
    pub has_exactly_one: bool,
    /// The line of the key in the text.
    pub line: Option<usize>,
}

/// How each place is read, by key. Keys have no list indices.
#[derive(Default)]
pub(crate) struct KeyShapes(pub BTreeMap<String, KeyShape>);

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

    /// Adds the shapes of another text. Its lines are dropped, because they belong to a different file.
    pub(crate) fn merge(&mut self, later: Self) {
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
}

/// `target[0].name` becomes `target[].name`.
fn strip_indices(key: &str) -> String {
    let mut pieces = key.split('[');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        format!("{text}[{}", piece.trim_start_matches(|c: char| c.is_ascii_digit()))
    })
}
