//! Documents of settings between dialects. One canonical tree stands between them; each dialect has a table of what
//! its elements are called there. What a table does not have cannot be said.

use crate::engine::dialect::{Dialect, Level, Route};
use crate::engine::documents::{canonical_class, class_name};
use crate::model::{Fault, Operation, Refusal, Setting};
use crate::wire::xml::Node;

/// How one dialect has one setting.
pub struct Form {
    /// Which.
    pub setting: Setting,
    /// The parameters that select it.
    pub parameters: &'static [&'static str],
    /// The element around it. Empty where the document is not XML.
    pub root: &'static str,
    /// What may stand in it.
    pub children: &'static [Element],
    /// Whether it can be set.
    pub puts: bool,
    /// How it is removed.
    pub removal: Removal,
    /// The status of success of a PUT.
    pub put_status: u16,
    /// What a GET tells where nothing was set.
    pub unset: Unset,
    /// The canonical tree of its own, where elements stand elsewhere.
    pub read: fn(Node) -> Node,
    /// The reverse.
    pub write: fn(Node) -> Node,
}

impl Form {
    /// A setting that can be read, set and removed, in elements of the canonical order.
    pub const fn new(
        setting: Setting,
        parameters: &'static [&'static str],
        root: &'static str,
        children: &'static [Element],
        unset: Unset,
    ) -> Self {
        let same = |node: Node| node;
        Self {
            setting,
            parameters,
            root,
            children,
            puts: true,
            removal: Removal::Call,
            put_status: 200,
            unset,
            read: same,
            write: same,
        }
    }

    /// The same without a call to remove it.
    #[must_use]
    pub const fn kept(mut self) -> Self {
        self.removal = Removal::None;
        self
    }

    /// The same, which a PUT without a document removes too.
    #[must_use]
    pub const fn emptied(mut self) -> Self {
        self.removal = Removal::CallOrNothing;
        self
    }

    /// The same, which can only be read.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.puts = false;
        self.kept()
    }

    /// The same, answering 204 when it is set.
    #[must_use]
    pub const fn bare_put(mut self) -> Self {
        self.put_status = 204;
        self
    }

    /// The same with elements that stand elsewhere than in the canonical tree.
    #[must_use]
    pub const fn shaped(mut self, read: fn(Node) -> Node, write: fn(Node) -> Node) -> Self {
        self.read = read;
        self.write = write;
        self
    }

    /// The calls that it has.
    pub fn routes(&'static self) -> impl Iterator<Item = Route> {
        let level = if self.setting.on_object() { Level::Object } else { Level::Bucket };
        let calls = [
            (true, "GET", Operation::Get(self.setting)),
            (self.puts, "PUT", Operation::Put(self.setting)),
            (self.removal != Removal::None, "DELETE", Operation::Delete(self.setting)),
        ];
        let calls = calls.into_iter().filter(|call| call.0);
        calls.map(move |(_, method, operation)| Route::with(method, level, self.parameters, operation))
    }
}

/// How a setting is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is not.
    None,
    /// By a DELETE.
    Call,
    /// By a DELETE, or by setting nothing at all.
    CallOrNothing,
}

/// What a GET tells where nothing was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// A document without children.
    Empty,
    /// A document with these children.
    Children(&'static [(&'static str, &'static str)]),
    /// This fault.
    Fault(Fault),
}

/// One element of a document.
pub struct Element {
    /// What the dialect calls it.
    pub own: &'static str,
    /// What the canonical tree calls it.
    pub name: &'static str,
    /// What stands in it.
    pub content: Content,
}

/// What stands in an element.
pub enum Content {
    /// Elements.
    Group(&'static [Element]),
    /// Anything.
    Text,
    /// Decimal digits.
    Number,
    /// One of these: the canonical word and the dialect's. Letter case counts.
    Words(&'static [(&'static str, &'static str)]),
    /// A storage class.
    Class,
}

/// An element with the canonical name.
pub const fn text(name: &'static str) -> Element {
    Element { own: name, name, content: Content::Text }
}

/// The same with digits in it.
pub const fn number(name: &'static str) -> Element {
    Element { own: name, name, content: Content::Number }
}

/// The same with a storage class in it.
pub const fn class(name: &'static str) -> Element {
    Element { own: name, name, content: Content::Class }
}

/// The same with one of some words in it.
pub const fn words(name: &'static str, words: &'static [(&'static str, &'static str)]) -> Element {
    Element { own: name, name, content: Content::Words(words) }
}

/// The same with elements in it.
pub const fn group(name: &'static str, children: &'static [Element]) -> Element {
    Element { own: name, name, content: Content::Group(children) }
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
pub const fn page(of: Element) -> [Element; 4] {
    [of, text("IsTruncated"), text("ContinuationToken"), text("NextContinuationToken")]
}

/// An element that the dialect calls otherwise.
pub const fn called(own: &'static str, mut element: Element) -> Element {
    element.own = own;
    element
}

/// Reads a caller's document.
///
/// # Errors
/// `MalformedXml` for what is not in the dialect's own schema.
pub fn read(dialect: &Dialect, form: &Form, node: Node) -> Result<Node, Refusal> {
    if node.name != form.root {
        return Err(Fault::MalformedXml.into());
    }
    let mut unknown = Vec::new();
    let tree = Node { children: canonical(dialect, form.children, &node, &mut unknown), ..Node::default() };
    match unknown.first() {
        None => Ok((form.read)(tree)),
        Some(name) => Err(Refusal::say(
            Fault::MalformedXml,
            format!("{name} is not part of {}, or its value is not valid.", form.root),
        )),
    }
}

/// Reads a target's document. What is not in its schema is passed over: vendors add elements to answers.
///
/// # Errors
/// `None` where it is another document.
pub fn read_told(dialect: &Dialect, form: &Form, node: &Node) -> Option<Node> {
    (node.name == form.root).then(|| {
        let tree =
            Node { children: canonical(dialect, form.children, node, &mut Vec::new()), ..Node::default() };
        (form.read)(tree)
    })
}

fn canonical(dialect: &Dialect, elements: &[Element], node: &Node, unknown: &mut Vec<String>) -> Vec<Node> {
    let mut found = Vec::new();
    for child in &node.children {
        let Some(element) = elements.iter().find(|element| element.own == child.name) else {
            unknown.push(child.name.clone());
            continue;
        };
        let value = child.text.trim();
        let text = match &element.content {
            Content::Group(elements) => {
                let children = canonical(dialect, elements, child, unknown);
                found.push(Node { name: element.name.to_owned(), children, ..Node::default() });
                continue;
            }
            Content::Text => Some(child.text.clone()),
            Content::Number => value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.to_owned()),
            Content::Words(words) => words.iter().find(|row| row.1 == value).map(|row| row.0.to_owned()),
            Content::Class => dialect.words.class.value(value).map(|_| class_name(dialect, value)),
        };
        match text {
            Some(text) => found.push(leaf(element.name, text)),
            None => unknown.push(child.name.clone()),
        }
    }
    found
}

/// An element with text.
pub fn leaf(name: &str, text: impl Into<String>) -> Node {
    Node { name: name.to_owned(), text: text.into(), children: Vec::new() }
}

/// Writes a canonical tree in a dialect's words, and names what it cannot say.
pub fn write(dialect: &Dialect, form: &Form, tree: &Node) -> (Node, Vec<String>) {
    let mut lost = Vec::new();
    let shaped = (form.write)(tree.clone());
    let children = own(dialect, form.children, &shaped, &mut lost);
    (Node { name: form.root.to_owned(), children, ..Node::default() }, lost)
}

fn own(dialect: &Dialect, elements: &[Element], node: &Node, lost: &mut Vec<String>) -> Vec<Node> {
    let known = |child: &&Node| elements.iter().any(|element| element.name == child.name);
    lost.extend(node.children.iter().filter(|child| !known(child)).map(|child| child.name.clone()));
    let mut written = Vec::new();
    // In the order of the table, which is that of the vendor's schema. Of several names the first is written.
    for (at, element) in elements.iter().enumerate() {
        if elements.iter().take(at).any(|other| other.name == element.name) {
            continue;
        }
        for child in node.all(element.name) {
            let text = match &element.content {
                Content::Group(elements) => {
                    let children = own(dialect, elements, child, lost);
                    written.push(Node { name: element.own.to_owned(), children, ..Node::default() });
                    continue;
                }
                Content::Text | Content::Number => Some(child.text.clone()),
                Content::Words(words) => {
                    words.iter().find(|row| row.0 == child.text).map(|row| row.1.to_owned())
                }
                Content::Class => canonical_class(&child.text)
                    .and_then(|class| dialect.words.class.word(class))
                    .map(str::to_owned),
            };
            match text {
                Some(text) => written.push(leaf(element.own, text)),
                None => lost.push(format!("{} {}", element.own, child.text)),
            }
        }
    }
    written
}

/// The document of a setting that is not set. `None`: a fault is told instead.
pub fn unset(form: &Form) -> Result<Node, Fault> {
    match form.unset {
        Unset::Empty => Ok(Node::default()),
        Unset::Children(rows) => {
            Ok(Node { children: rows.iter().map(|row| leaf(row.0, row.1)).collect(), ..Node::default() })
        }
        Unset::Fault(fault) => Err(fault),
    }
}

/// Whether a document sets nothing.
pub fn is_unset(tree: &Node) -> bool {
    tree.text.is_empty() && tree.children.iter().all(is_unset)
}

/// The faults that say that a setting is not set.
const UNSET: [Fault; 13] = [
    Fault::NoSuchConfiguration,
    Fault::NoSuchAcceleration,
    Fault::NoSuchOwnership,
    Fault::NoSuchTagSet,
    Fault::NoSuchCors,
    Fault::NoSuchLifecycle,
    Fault::NoSuchBucketPolicy,
    Fault::NoSuchWebsite,
    Fault::NoSuchEncryption,
    Fault::NoSuchPublicAccessBlock,
    Fault::NoSuchReferer,
    Fault::NoSuchObjectLock,
    Fault::NoSuchRetention,
];

/// Whether a fault says that a setting is not set.
pub fn says_unset(fault: Fault) -> bool {
    UNSET.contains(&fault)
}

/// A document for each leaf of a form's schema, with its path: what an operator wants to know of one by one.
pub fn samples(dialect: &Dialect, form: &Form) -> Vec<(String, Node)> {
    let mut found = Vec::new();
    let root = Node { name: form.root.to_owned(), ..Node::default() };
    for (path, node) in leaves(dialect, form.children) {
        found.push((path, Node { children: vec![node], ..root.clone() }));
    }
    found
}

fn leaves(dialect: &Dialect, elements: &[Element]) -> Vec<(String, Node)> {
    let mut found = Vec::new();
    for element in elements {
        let value = match &element.content {
            Content::Group(inside) => {
                for (path, node) in leaves(dialect, inside) {
                    let around = Node { children: vec![node], ..leaf(element.own, "") };
                    found.push((format!("{}/{path}", element.own), around));
                }
                continue;
            }
            Content::Text => Some("x"),
            Content::Number => Some("1"),
            Content::Words(words) => words.first().map(|row| row.1),
            Content::Class => dialect.words.class.0.first().map(|row| row.1),
        };
        found.push((element.own.to_owned(), leaf(element.own, value.unwrap_or_default())));
    }
    found
}

/// Gives the buckets that a document names other names. `None`: one of them has none.
pub fn with_buckets(mut tree: Node, name: &dyn Fn(&str) -> Option<String>) -> Option<Node> {
    for child in std::mem::take(&mut tree.children) {
        let child = match child.name.as_str() {
            "TargetBucket" => leaf("TargetBucket", name(child.text.trim())?),
            // Behind a vendor's own way of naming resources.
            "Bucket" => match child.text.trim().rsplit_once(':') {
                Some((kind, bucket)) => leaf("Bucket", format!("{kind}:{}", name(bucket)?)),
                None => leaf("Bucket", name(child.text.trim())?),
            },
            _ => with_buckets(child, name)?,
        };
        tree.children.push(child);
    }
    Some(tree)
}

/// What of a lifecycle rule chooses objects. Some dialects have it in the rule, some in a filter within it, and in a
/// group within that where there is more than one.
const CHOOSING: [&str; 5] =
    ["Prefix", "PrefixNotEquals", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"];

/// Takes what chooses objects out of the filters of rules.
pub fn without_filters(mut tree: Node) -> Node {
    for rule in tree.children.iter_mut().filter(|rule| rule.name == "Rule") {
        let mut children = Vec::new();
        for child in std::mem::take(&mut rule.children) {
            match child.name.as_str() {
                "Filter" => {
                    let inside = child.children.into_iter();
                    children.extend(inside.flat_map(|node| match node.name.as_str() {
                        "And" => node.children,
                        _ => vec![node],
                    }));
                }
                _ => children.push(child),
            }
        }
        rule.children = children;
    }
    tree
}

/// Puts what chooses objects into the filters of rules.
pub fn with_filters(mut tree: Node) -> Node {
    for rule in tree.children.iter_mut().filter(|rule| rule.name == "Rule") {
        let (mut choosing, others): (Vec<Node>, Vec<Node>) = std::mem::take(&mut rule.children)
            .into_iter()
            .partition(|node| CHOOSING.contains(&node.name.as_str()));
        if choosing.len() > 1 {
            choosing = vec![Node { name: "And".to_owned(), children: choosing, ..Node::default() }];
        }
        if choosing.is_empty() {
            choosing.push(leaf("Prefix", ""));
        }
        let filter = Node { name: "Filter".to_owned(), children: choosing, ..Node::default() };
        rule.children = others.into_iter().chain(std::iter::once(filter)).collect();
    }
    tree
}

/// Elements of answers that say nothing to a caller whose dialect does not have them.
pub const SAY_NOTHING: &[&str] = &["ID", "BucketKeyEnabled", "MfaDelete", "ResponseVary"];
