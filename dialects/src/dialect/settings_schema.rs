//! The schema of one settings document in one dialect: its elements, their names, and how the setting is removed.

use crate::dialect::operation_route::{OperationRoute, ResourceLevel};
use crate::encoding::xml::Node;
use crate::model::{ErrorKind, Operation, Setting};

/// One setting in one dialect.
pub struct SettingSchema {
    /// The setting.
    pub setting: Setting,
    /// The query parameters that select it.
    pub parameters: &'static [&'static str],
    /// The root element. Empty if the document is not XML.
    pub root: &'static str,
    /// The elements in the root.
    pub children: &'static [ElementSchema],
    /// Whether the dialect has a PUT for it.
    pub can_put: bool,
    /// How it is removed.
    pub removal: Removal,
    /// The status of a successful PUT.
    pub put_status: u16,
    /// The response to a GET when the setting is not set.
    pub unset: UnsetResponse,
    /// Converts the dialect's tree to the canonical one, where elements are at another position.
    // A function, because a table of names cannot move an element to another parent.
    pub to_canonical: fn(Node) -> Node,
    /// The inverse of `to_canonical`.
    pub from_canonical: fn(Node) -> Node,
}

impl SettingSchema {
    /// A setting that can be read, set and removed, with elements at their canonical positions.
    pub const fn new(
        setting: Setting,
        parameters: &'static [&'static str],
        root: &'static str,
        children: &'static [ElementSchema],
        unset: UnsetResponse,
    ) -> Self {
        let identity = |node: Node| node;
        Self {
            setting,
            parameters,
            root,
            children,
            can_put: true,
            removal: Removal::Delete,
            put_status: 200,
            unset,
            to_canonical: identity,
            from_canonical: identity,
        }
    }

    /// The same without a DELETE.
    #[must_use]
    pub const fn without_delete(mut self) -> Self {
        self.removal = Removal::None;
        self
    }

    /// The same, and an empty PUT removes the setting too.
    #[must_use]
    pub const fn with_delete_by_empty_put(mut self) -> Self {
        self.removal = Removal::DeleteOrEmptyPut;
        self
    }

    /// The same, but the setting can only be read.
    #[must_use]
    pub const fn without_put(mut self) -> Self {
        self.can_put = false;
        self.without_delete()
    }

    /// The same, with status 204 for a successful PUT.
    #[must_use]
    pub const fn with_put_status_204(mut self) -> Self {
        self.put_status = 204;
        self
    }

    /// The same with elements at other positions than in the canonical tree.
    #[must_use]
    pub const fn with_conversion(
        mut self,
        to_canonical: fn(Node) -> Node,
        from_canonical: fn(Node) -> Node,
    ) -> Self {
        self.to_canonical = to_canonical;
        self.from_canonical = from_canonical;
        self
    }

    /// The routes of its operations.
    pub fn operation_routes(&'static self) -> impl Iterator<Item = OperationRoute> {
        let level = if self.setting.is_on_object() { ResourceLevel::Object } else { ResourceLevel::Bucket };
        let calls = [
            (true, "GET", Operation::Get(self.setting)),
            (self.can_put, "PUT", Operation::Put(self.setting)),
            (self.removal != Removal::None, "DELETE", Operation::Delete(self.setting)),
        ];
        let calls = calls.into_iter().filter(|call| call.0);
        calls.map(move |(_, method, operation)| {
            OperationRoute::with_parameters(method, level, self.parameters, operation)
        })
    }
}

/// How a setting is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It cannot be removed.
    None,
    /// By DELETE.
    Delete,
    /// By DELETE, or by a PUT with an empty document.
    DeleteOrEmptyPut,
}

/// The response to a GET when the setting is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsetResponse {
    /// A document without children.
    Empty,
    /// A document with these children.
    Children(&'static [(&'static str, &'static str)]),
    /// This error.
    Error(ErrorKind),
}

/// One element of a document.
pub struct ElementSchema {
    /// Its name in the dialect.
    pub dialect_name: &'static str,
    /// Its name in the canonical tree.
    pub canonical_name: &'static str,
    /// Its content.
    pub content: ElementContent,
}

/// The content of an element.
pub enum ElementContent {
    /// Child elements.
    Group(&'static [ElementSchema]),
    /// Any text.
    Text,
    /// Decimal digits.
    Number,
    /// One of these values: the canonical one and the dialect's. Letter case matters.
    Words(&'static [(&'static str, &'static str)]),
    /// A storage class.
    StorageClass,
}

/// A text element with the canonical name.
pub(crate) const fn text_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Text }
}

/// The same for a number.
pub(crate) const fn number_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Number }
}

/// The same for a storage class.
pub(crate) const fn class_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::StorageClass }
}

/// The same for one of several values.
pub(crate) const fn words_element(
    name: &'static str,
    words: &'static [(&'static str, &'static str)],
) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Words(words) }
}

/// The same for child elements.
pub(crate) const fn group_element(name: &'static str, children: &'static [ElementSchema]) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Group(children) }
}

/// Booleans, in the letter cases that SDKs write.
pub(crate) const BOOLEAN: &[(&str, &str)] = &[
    ("true", "true"),
    ("false", "false"),
    ("true", "TRUE"),
    ("false", "FALSE"),
    ("true", "True"),
    ("false", "False"),
];

/// The elements of one page of a list of configurations.
pub(crate) const fn page_elements(element: ElementSchema) -> [ElementSchema; 4] {
    [
        element,
        text_element("IsTruncated"),
        text_element("ContinuationToken"),
        text_element("NextContinuationToken"),
    ]
}

/// The same element under the dialect's own name.
pub(crate) const fn with_name(dialect_name: &'static str, mut element: ElementSchema) -> ElementSchema {
    element.dialect_name = dialect_name;
    element
}
