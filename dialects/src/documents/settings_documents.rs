//! Settings documents. Each dialect has a schema that maps its elements to those of one canonical tree. An element
//! that a schema does not have cannot be expressed in the dialect.

use crate::dialect::Dialect;
use crate::dialect::settings_schema::{ElementContent, ElementSchema, SettingSchema, UnsetResponse};
use crate::documents::elements::{parse_canonical_class, to_canonical_class_name};
use crate::encoding::xml::{Node, text_node};
use crate::model::{ErrorKind, Rejection};

/// Reads a caller's document.
///
/// # Errors
/// `MalformedXml` for an element that is not in the dialect's schema.
pub(crate) fn parse_setting(
    dialect: &Dialect,
    schema: &SettingSchema,
    node: Node,
) -> Result<Node, Rejection> {
    if node.name != schema.root {
        return Err(ErrorKind::MalformedXml.into());
    }
    let mut unknown = Vec::new();
    let tree = Node {
        children: convert_to_canonical(dialect, schema.children, &node, &mut unknown),
        ..Node::default()
    };
    // An ignored element could be a filter, without which a lifecycle rule deletes all objects.
    match unknown.first() {
        None => Ok((schema.to_canonical)(tree)),
        Some(name) => Err(Rejection::with_message(
            ErrorKind::MalformedXml,
            format!("{name} is not part of {}, or its value is not valid.", schema.root),
        )),
    }
}

/// Reads a target's document. Elements that are not in the schema are ignored, because vendors add elements to
/// responses. `None` if it is another document.
pub(crate) fn parse_target_setting(dialect: &Dialect, schema: &SettingSchema, node: &Node) -> Option<Node> {
    (node.name == schema.root).then(|| {
        let tree = Node {
            children: convert_to_canonical(dialect, schema.children, node, &mut Vec::new()),
            ..Node::default()
        };
        (schema.to_canonical)(tree)
    })
}

fn convert_to_canonical(
    dialect: &Dialect,
    elements: &[ElementSchema],
    node: &Node,
    unknown: &mut Vec<String>,
) -> Vec<Node> {
    let mut nodes = Vec::new();
    for child in &node.children {
        let Some(element) = elements.iter().find(|element| element.dialect_name == child.name) else {
            unknown.push(child.name.to_string());
            continue;
        };
        let value = child.text.trim();
        let text = match &element.content {
            ElementContent::Group(elements) => {
                let children = convert_to_canonical(dialect, elements, child, unknown);
                nodes.push(Node {
                    name: element.canonical_name.to_owned().into(),
                    children,
                    ..Node::default()
                });
                continue;
            }
            ElementContent::Text => Some(child.text.clone()),
            ElementContent::Number => {
                value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.to_owned())
            }
            ElementContent::Words(words) => {
                words.iter().find(|row| row.1 == value).map(|row| row.0.to_owned())
            }
            ElementContent::StorageClass => {
                dialect.words.class.value(value).map(|_| to_canonical_class_name(dialect, value))
            }
        };
        match text {
            Some(text) => nodes.push(text_node(element.canonical_name, text)),
            None => unknown.push(child.name.to_string()),
        }
    }
    nodes
}

/// Writes a canonical tree in a dialect. Also returns the names of elements that the dialect cannot express.
pub(crate) fn write_setting(dialect: &Dialect, schema: &SettingSchema, tree: &Node) -> (Node, Vec<String>) {
    let mut lost = Vec::new();
    let converted = (schema.from_canonical)(tree.clone());
    let children = convert_from_canonical(dialect, schema.children, &converted, &mut lost);
    (Node { name: schema.root.to_owned().into(), children, ..Node::default() }, lost)
}

fn convert_from_canonical(
    dialect: &Dialect,
    elements: &[ElementSchema],
    node: &Node,
    lost: &mut Vec<String>,
) -> Vec<Node> {
    let is_known = |child: &&Node| elements.iter().any(|element| element.canonical_name == child.name);
    lost.extend(node.children.iter().filter(|child| !is_known(child)).map(|child| child.name.to_string()));
    let mut nodes = Vec::new();
    // In the order of the table, which is that of the vendor's schema: vendors may reject another order. If a
    // canonical element has several names, the first is written.
    for (at, element) in elements.iter().enumerate() {
        if elements.iter().take(at).any(|other| other.canonical_name == element.canonical_name) {
            continue;
        }
        for child in node.children_named(element.canonical_name) {
            let text = match &element.content {
                ElementContent::Group(elements) => {
                    let children = convert_from_canonical(dialect, elements, child, lost);
                    nodes.push(Node {
                        name: element.dialect_name.to_owned().into(),
                        children,
                        ..Node::default()
                    });
                    continue;
                }
                ElementContent::Text | ElementContent::Number => Some(child.text.clone()),
                ElementContent::Words(words) => {
                    words.iter().find(|row| row.0 == child.text).map(|row| row.1.to_owned())
                }
                ElementContent::StorageClass => parse_canonical_class(&child.text)
                    .and_then(|class| dialect.words.class.word(class))
                    .map(str::to_owned),
            };
            match text {
                Some(text) => nodes.push(text_node(element.dialect_name, text)),
                None => lost.push(format!("{} {}", element.dialect_name, child.text)),
            }
        }
    }
    nodes
}

/// The canonical document of a setting that is not set.
///
/// # Errors
/// The error that the dialect responds with instead, where it has no document for that.
pub(crate) fn build_unset_setting(schema: &SettingSchema) -> Result<Node, ErrorKind> {
    match schema.unset {
        UnsetResponse::Empty => Ok(Node::default()),
        UnsetResponse::Children(rows) => {
            Ok(Node { children: rows.iter().map(|row| text_node(row.0, row.1)).collect(), ..Node::default() })
        }
        UnsetResponse::Error(kind) => Err(kind),
    }
}

/// Whether a document contains no value.
pub(crate) fn is_unset(tree: &Node) -> bool {
    tree.text.is_empty() && tree.children.iter().all(is_unset)
}

/// The errors which mean that a setting is not set.
const NOT_SET_ERRORS: [ErrorKind; 13] = [
    ErrorKind::NoSuchConfiguration,
    ErrorKind::NoSuchAcceleration,
    ErrorKind::NoSuchOwnership,
    ErrorKind::NoSuchTagSet,
    ErrorKind::NoSuchCors,
    ErrorKind::NoSuchLifecycle,
    ErrorKind::NoSuchBucketPolicy,
    ErrorKind::NoSuchWebsite,
    ErrorKind::NoSuchEncryption,
    ErrorKind::NoSuchPublicAccessBlock,
    ErrorKind::NoSuchReferer,
    ErrorKind::NoSuchObjectLock,
    ErrorKind::NoSuchRetention,
];

/// Whether an error means that a setting is not set.
pub(crate) fn is_not_set_error(kind: ErrorKind) -> bool {
    NOT_SET_ERRORS.contains(&kind)
}

/// Builds a document for each leaf of a schema, with the path of the leaf. The list of losses is made from them, one
/// line for each element.
pub(crate) fn build_samples(dialect: &Dialect, schema: &SettingSchema) -> Vec<(String, Node)> {
    let mut samples = Vec::new();
    let root = Node { name: schema.root.to_owned().into(), ..Node::default() };
    for (path, node) in build_leaf_samples(dialect, schema.children) {
        samples.push((path, Node { children: vec![node], ..root.clone() }));
    }
    samples
}

fn build_leaf_samples(dialect: &Dialect, elements: &[ElementSchema]) -> Vec<(String, Node)> {
    let mut samples = Vec::new();
    for element in elements {
        let value = match &element.content {
            ElementContent::Group(inside) => {
                for (path, node) in build_leaf_samples(dialect, inside) {
                    let parent = Node { children: vec![node], ..text_node(element.dialect_name, "") };
                    samples.push((format!("{}/{path}", element.dialect_name), parent));
                }
                continue;
            }
            ElementContent::Text => Some("x"),
            ElementContent::Number => Some("1"),
            ElementContent::Words(words) => words.first().map(|row| row.1),
            ElementContent::StorageClass => dialect.words.class.0.first().map(|row| row.1),
        };
        samples.push((
            element.dialect_name.to_owned(),
            text_node(element.dialect_name, value.unwrap_or_default()),
        ));
    }
    samples
}

/// Renames the buckets in a document. `None` if one of them has no other name.
pub(crate) fn rename_buckets(mut tree: Node, rename: &dyn Fn(&str) -> Option<String>) -> Option<Node> {
    for child in std::mem::take(&mut tree.children) {
        let child = match &*child.name {
            "TargetBucket" => text_node("TargetBucket", rename(child.text.trim())?),
            // In replication rules the name follows the vendor's resource prefix, as in `arn:aws:s3:::bucket`.
            "Bucket" => match child.text.trim().rsplit_once(':') {
                Some((kind, bucket)) => text_node("Bucket", format!("{kind}:{}", rename(bucket)?)),
                None => text_node("Bucket", rename(child.text.trim())?),
            },
            _ => rename_buckets(child, rename)?,
        };
        tree.children.push(child);
    }
    Some(tree)
}

/// The elements of a lifecycle rule that select objects. Some dialects have them directly in the rule. Others have
/// them in a `Filter`, and within it in an `And` if there is more than one.
const FILTER_ELEMENTS: [&str; 5] =
    ["Prefix", "PrefixNotEquals", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan"];

/// Where a rule has its filter, for dialects with several positions. The canonical tree has this as the text of the
/// rule, because no element records it.
const FILTER_IN_RULE: &str = "in the rule";
/// See [`FILTER_IN_RULE`].
const FILTER_IN_AND: &str = "in a group";
/// See [`FILTER_IN_RULE`].
const FILTER_EMPTY: &str = "nowhere";

/// Moves the filter elements of lifecycle rules from `Filter` to the rule.
pub(crate) fn flatten_filters(mut tree: Node) -> Node {
    for rule in tree.children.iter_mut().filter(|rule| rule.name == "Rule") {
        let filter = rule.child("Filter");
        rule.text = match filter {
            None if rule.child("Prefix").is_some() => FILTER_IN_RULE,
            Some(filter) if filter.child("And").is_some() => FILTER_IN_AND,
            Some(filter) if filter.children.is_empty() => FILTER_EMPTY,
            _ => "",
        }
        .to_owned();
        let mut children = Vec::new();
        for child in std::mem::take(&mut rule.children) {
            match &*child.name {
                "Filter" => {
                    let inside = child.children.into_iter();
                    children.extend(inside.flat_map(|node| match &*node.name {
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

/// Moves the filter elements of lifecycle rules from the rule to `Filter`.
pub(crate) fn nest_filters(mut tree: Node) -> Node {
    for rule in tree.children.iter_mut().filter(|rule| rule.name == "Rule") {
        rule.text = String::new();
    }
    restore_filters(tree)
}

/// The same for a dialect with several positions: back to the position that [`flatten_filters`] recorded.
pub(crate) fn restore_filters(mut tree: Node) -> Node {
    for rule in tree.children.iter_mut().filter(|rule| rule.name == "Rule") {
        let (mut criteria, others): (Vec<Node>, Vec<Node>) = std::mem::take(&mut rule.children)
            .into_iter()
            .partition(|node| FILTER_ELEMENTS.contains(&&*node.name));
        if rule.text == FILTER_IN_RULE && criteria.iter().all(|node| node.name == "Prefix") {
            rule.children = criteria.into_iter().chain(others).collect();
            continue;
        }
        if criteria.len() > 1 || (rule.text == FILTER_IN_AND && !criteria.is_empty()) {
            criteria = vec![Node { name: "And".to_owned().into(), children: criteria, ..Node::default() }];
        }
        // A rule for all objects. Vendors reject a rule that has neither a filter nor a prefix.
        if criteria.is_empty() && rule.text != FILTER_EMPTY {
            criteria.push(text_node("Prefix", ""));
        }
        let filter = Node { name: "Filter".to_owned().into(), children: criteria, ..Node::default() };
        rule.children = others.into_iter().chain(std::iter::once(filter)).collect();
    }
    tree
}

/// Elements of responses that are omitted without a loss in a dialect that does not have them.
pub(crate) const IGNORABLE_ELEMENTS: &[&str] = &["ID", "BucketKeyEnabled", "MfaDelete", "ResponseVary"];
