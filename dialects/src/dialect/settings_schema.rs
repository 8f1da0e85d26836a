//! How one dialect writes one settings document: which elements it has, what they are called, how it is removed.

use crate::dialect::operation_route::{OperationRoute, ResourceLevel};
use crate::encoding::xml::Node;
use crate::model::{ErrorKind, Operation, Setting};

/// How one dialect has one setting.
pub struct SettingSchema {
    /// Which.
    pub setting: Setting,
    /// The parameters that select it.
    pub parameters: &'static [&'static str],
    /// The element around it. Empty where the document is not XML.
    pub root: &'static str,
    /// What may stand in it.
    pub children: &'static [ElementSchema],
    /// Whether it can be set.
    pub can_put: bool,
    /// How it is removed.
    pub removal: Removal,
    /// The status of success of a PUT.
    pub put_status: u16,
    /// What a GET tells where nothing was set.
    pub unset: UnsetResponse,
    /// The canonical tree of its own, where elements stand elsewhere.
    pub to_canonical: fn(Node) -> Node,
    /// The reverse.
    pub from_canonical: fn(Node) -> Node,
}

impl SettingSchema {
    /// A setting that can be read, set and removed, in elements of the canonical order.
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

    /// The same without a call to remove it.
    #[must_use]
    pub const fn without_delete(mut self) -> Self {
        self.removal = Removal::None;
        self
    }

    /// The same, which a PUT without a document removes too.
    #[must_use]
    pub const fn with_delete_by_empty_put(mut self) -> Self {
        self.removal = Removal::DeleteOrEmptyPut;
        self
    }

    /// The same, which can only be read.
    #[must_use]
    pub const fn without_put(mut self) -> Self {
        self.can_put = false;
        self.without_delete()
    }

    /// The same, answering 204 when it is set.
    #[must_use]
    pub const fn with_put_status_204(mut self) -> Self {
        self.put_status = 204;
        self
    }

    /// The same with elements that stand elsewhere than in the canonical tree.
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

    /// The calls that it has.
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
    /// It is not.
    None,
    /// By a DELETE.
    Delete,
    /// By a DELETE, or by setting nothing at all.
    DeleteOrEmptyPut,
}

/// What a GET tells where nothing was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsetResponse {
    /// A document without children.
    Empty,
    /// A document with these children.
    Children(&'static [(&'static str, &'static str)]),
    /// This fault.
    Error(ErrorKind),
}

/// One element of a document.
pub struct ElementSchema {
    /// What the dialect calls it.
    pub dialect_name: &'static str,
    /// What the canonical tree calls it.
    pub canonical_name: &'static str,
    /// What stands in it.
    pub content: ElementContent,
}

/// What stands in an element.
pub enum ElementContent {
    /// Elements.
    Group(&'static [ElementSchema]),
    /// Anything.
    Text,
    /// Decimal digits.
    Number,
    /// One of these: the canonical word and the dialect's. Letter case counts.
    Words(&'static [(&'static str, &'static str)]),
    /// A storage class.
    StorageClass,
}

/// An element with the canonical name.
pub const fn text_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Text }
}

/// The same with digits in it.
pub const fn number_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Number }
}

/// The same with a storage class in it.
pub const fn class_element(name: &'static str) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::StorageClass }
}

/// The same with one of some words in it.
pub const fn words_element(
    name: &'static str,
    words: &'static [(&'static str, &'static str)],
) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Words(words) }
}

/// The same with elements in it.
pub const fn group_element(name: &'static str, children: &'static [ElementSchema]) -> ElementSchema {
    ElementSchema { dialect_name: name, canonical_name: name, content: ElementContent::Group(children) }
}

/// Booleans, in the ways that SDKs write them.
pub const BOOLEAN: &[(&str, &str)] = &[
    ("true", "true"),
    ("false", "false"),
    ("true", "TRUE"),
    ("false", "FALSE"),
    ("true", "True"),
    ("false", "False"),
];

/// What stands in a page of a list of configurations.
pub const fn page_elements(element: ElementSchema) -> [ElementSchema; 4] {
    [
        element,
        text_element("IsTruncated"),
        text_element("ContinuationToken"),
        text_element("NextContinuationToken"),
    ]
}

/// An element that the dialect calls otherwise.
pub const fn with_name(dialect_name: &'static str, mut element: ElementSchema) -> ElementSchema {
    element.dialect_name = dialect_name;
    element
}
