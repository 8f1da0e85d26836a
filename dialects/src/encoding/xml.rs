//! Small XML documents: a parser with limits that returns a tree, and a writer that escapes.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The greatest nesting depth. No document of the vendors is that deep.
const DEPTH_MAX: usize = 16;

/// The greatest number of attributes of one element.
const ATTRIBUTES_MAX: usize = 32;

/// The largest document, bytes. The largest valid ones are CompleteMultipartUpload with 10,000 parts and a page of
/// 1,000 long keys.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The greatest number of elements. The largest valid document has 10,000 parts with a few elements each.
const NODES_MAX: usize = 100_000;

/// The greatest number of comments and processing instructions. Clients send none.
const COMMENTS_MAX: usize = 1000;

/// The document is not well-formed, too deep, too large, or not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an XML document of these vendors")]
pub struct BadXml;

/// The name of an element.
pub type ElementName = Cow<'static, str>;

/// The names that most elements of long documents have: a page of a listing has thousands of elements, and these names
/// need no memory.
const FREQUENT_NAMES: [&str; 20] = [
    "Key",
    "Size",
    "ETag",
    "LastModified",
    "StorageClass",
    "Contents",
    "Type",
    "ID",
    "DisplayName",
    "Owner",
    "Deleted",
    "Object",
    "Part",
    "PartNumber",
    "VersionId",
    "IsLatest",
    "Version",
    "CommonPrefixes",
    "Prefix",
    "DeleteMarker",
];

/// The children of a leaf need no memory; those of another element are usually about as many.
const CHILDREN_CAPACITY: usize = 8;

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Name without namespace prefix.
    pub name: ElementName,
    /// Text directly in the element, unescaped.
    pub text: String,
    /// Child elements.
    pub children: Vec<Node>,
}

impl Node {
    /// The first child with a name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children with a name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child with a name.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// The number of elements after which a document is rejected.
#[derive(Debug, Clone, Copy)]
pub struct ParseLimits {
    /// Elements of any name.
    pub nodes_max: usize,
    /// Elements of one name that are children of the root.
    pub items_max: Option<(&'static str, usize)>,
}

impl ParseLimits {
    /// For a document that is a list of at most `items_max` items, each with a few elements.
    pub const fn for_list(item: &'static str, items_max: usize) -> Self {
        Self {
            nodes_max: items_max.saturating_mul(10).saturating_add(100),
            items_max: Some((item, items_max)),
        }
    }
}

/// Parses a document. White space before it is ignored, because vendors send it to keep connections alive.
///
/// # Errors
/// [`BadXml`], also for any document type declaration.
pub fn parse(bytes: &[u8]) -> Result<Node, BadXml> {
    parse_with_limits(bytes, ParseLimits { nodes_max: NODES_MAX, items_max: None })
}

/// The same with other limits. Parsing stops at the first element above a limit.
///
/// # Errors
/// [`BadXml`].
pub fn parse_with_limits(bytes: &[u8], limits: ParseLimits) -> Result<Node, BadXml> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(BadXml);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BadXml)?;
    // XML cannot contain NUL, but the library does not reject it.
    if text.contains('\0') {
        return Err(BadXml);
    }
    // Clients on Windows write a byte order mark. Vendors send white space to keep connections alive.
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim());
    let mut open: Vec<Node> = Vec::new();
    let mut root = None;
    let mut counter = ElementCounter { limits, nodes: 0, items: 0, comments: 0 };
    loop {
        match reader.read_event().map_err(|_| BadXml)? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX || (open.is_empty() && root.is_some()) {
                    return Err(BadXml);
                }
                let node = parse_element(&start)?;
                counter.count_node(&node, open.len())?;
                open.push(node);
            }
            Event::Empty(start) => {
                let node = parse_element(&start)?;
                counter.count_node(&node, open.len())?;
                close_element(node, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let node = open.pop().ok_or(BadXml)?;
                close_element(node, &mut open, &mut root)?;
            }
            Event::Text(piece) => append_text(&piece.xml10_content(), &mut open)?,
            Event::CData(piece) => append_text(&piece.xml10_content(), &mut open)?,
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref().map_err(|_| BadXml)? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&name).ok_or(BadXml)?.to_owned(),
                };
                match open.last_mut() {
                    Some(node) => node.text.push_str(&character),
                    None => return Err(BadXml),
                }
            }
            // A document type can define entities that expand to gigabytes or refer to files.
            Event::DocType(_) => return Err(BadXml),
            // XML allows the declaration only at the start of a document.
            Event::Decl(declaration) if open.is_empty() && root.is_none() && counter.comments == 0 => {
                check_encoding(&declaration)?;
                counter.count_comment()?;
            }
            Event::Decl(_) => return Err(BadXml),
            Event::PI(_) | Event::Comment(_) => counter.count_comment()?,
            Event::Eof => break,
        }
    }
    if open.is_empty() { root.ok_or(BadXml) } else { Err(BadXml) }
}

/// Counts what has been parsed of a document.
struct ElementCounter {
    limits: ParseLimits,
    nodes: usize,
    items: usize,
    comments: usize,
}

impl ElementCounter {
    fn count_node(&mut self, node: &Node, depth: usize) -> Result<(), BadXml> {
        self.nodes = self.nodes.saturating_add(1);
        let item = self.limits.items_max.filter(|(name, _)| depth == 1 && node.name == *name);
        self.items = self.items.saturating_add(usize::from(item.is_some()));
        let too_many = self.nodes > self.limits.nodes_max || item.is_some_and(|(_, max)| self.items > max);
        if too_many { Err(BadXml) } else { Ok(()) }
    }

    fn count_comment(&mut self) -> Result<(), BadXml> {
        self.comments = self.comments.saturating_add(1);
        if self.comments > COMMENTS_MAX { Err(BadXml) } else { Ok(()) }
    }
}

/// Rejects a document that declares another encoding than UTF-8.
fn check_encoding(declaration: &quick_xml::events::BytesDecl<'_>) -> Result<(), BadXml> {
    // This parser always reads UTF-8. A parser that applies the declaration would read another document.
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(|_| BadXml)?;
    let known = ["utf-8", "utf8", "us-ascii"];
    if known.iter().any(|known| encoding.eq_ignore_ascii_case(known)) { Ok(()) } else { Err(BadXml) }
}

fn parse_element(start: &quick_xml::events::BytesStart<'_>) -> Result<Node, BadXml> {
    let mut attributes = 0;
    for attribute in start.attributes() {
        attribute.map_err(|_| BadXml)?;
        attributes += 1;
        if attributes > ATTRIBUTES_MAX {
            return Err(BadXml);
        }
    }
    Ok(Node { name: parse_element_name(start.local_name().into_inner())?, ..Node::default() })
}

fn parse_element_name(name: &str) -> Result<ElementName, BadXml> {
    if let Some(frequent) = FREQUENT_NAMES.iter().find(|frequent| **frequent == name) {
        return Ok(Cow::Borrowed(frequent));
    }
    // The library accepts any characters up to a space as a name.
    let is_name_character = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_name_character) {
        return Err(BadXml);
    }
    Ok(Cow::Owned(name.to_owned()))
}

fn close_element(node: Node, open: &mut [Node], root: &mut Option<Node>) -> Result<(), BadXml> {
    match open.last_mut() {
        Some(parent) => {
            if parent.children.is_empty() {
                parent.children.reserve(CHILDREN_CAPACITY);
            }
            parent.children.push(node);
        }
        None if root.is_none() => *root = Some(node),
        None => return Err(BadXml),
    }
    Ok(())
}

fn append_text(piece: &str, open: &mut [Node]) -> Result<(), BadXml> {
    match open.last_mut() {
        Some(node) => node.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err(BadXml),
    }
    Ok(())
}

/// The first line of every document that is written.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes a document element by element.
#[derive(Debug)]
pub struct XmlWriter {
    text: String,
    /// Whether characters that XML 1.0 does not have are replaced.
    replaces_controls: bool,
}

impl Default for XmlWriter {
    fn default() -> Self {
        Self { text: DECLARATION.to_owned(), replaces_controls: false }
    }
}

impl XmlWriter {
    /// For documents to clients: characters that XML 1.0 does not allow become U+FFFD, so that every parser can read
    /// the document. Clients that need keys with such characters request `encoding-type=url`.
    pub fn new_lossy() -> Self {
        Self { replaces_controls: true, ..Self::default() }
    }

    /// Writes an element with its exact text, such as a marker.
    pub fn write_unreplaced(&mut self, name: &str, text: &str) {
        // Clients send this text back. With a replaced character it would be another marker, and listings would
        // skip keys.
        self.open(name);
        escape(text, false, &mut self.text);
        self.close(name);
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) {
        self.open_with(name, &[]);
    }

    /// Opens an element with attributes.
    pub fn open_with(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            self.text.push(' ');
            self.text.push_str(attribute);
            self.text.push_str("=\"");
            escape(value, self.replaces_controls, &mut self.text);
            self.text.push('"');
        }
        self.text.push('>');
    }

    /// Opens the root, with a namespace or without one.
    pub fn open_root(&mut self, name: &str, namespace: Option<&str>) {
        let attribute = namespace.map(|namespace| ("xmlns", namespace));
        self.open_with(name, attribute.as_slice());
    }

    /// Closes an element.
    pub fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }

    /// Writes an element with text.
    pub fn write_text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, self.replaces_controls, &mut self.text);
        self.close(name);
    }

    /// Writes an element with its children.
    pub fn write_node(&mut self, node: &Node) {
        if node.children.is_empty() {
            self.write_text(&node.name, &node.text);
            return;
        }
        self.open(&node.name);
        node.children.iter().for_each(|child| self.write_node(child));
        self.close(&node.name);
    }

    /// Writes a whole document from its tree.
    pub fn write_root(&mut self, root: &Node, namespace: Option<&str>) {
        self.open_root(&root.name, namespace);
        root.children.iter().for_each(|child| self.write_node(child));
        self.close(&root.name);
    }

    /// Writes a root element that contains only text.
    pub fn write_root_text(&mut self, name: &str, text: &str, namespace: Option<&str>) {
        self.open_root(name, namespace);
        escape(text, self.replaces_controls, &mut self.text);
        self.close(name);
    }

    /// The complete document.
    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// Escapes text for elements and attributes.
fn escape(text: &str, replaces_controls: bool, out: &mut String) {
    let mut rest = text;
    // Most texts have no character that is escaped, so what lies between them is copied as a whole.
    while let Some(at) = rest.bytes().position(may_need_escape) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = special.chars();
        if let Some(character) = characters.next() {
            escape_character(character, replaces_controls, out);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

/// Whether a byte is the first one of a character that [`escape_character`] may change. U+FFFE and U+FFFF begin with 0xEF.
fn may_need_escape(byte: u8) -> bool {
    matches!(byte, b'&' | b'<' | b'>' | b'"' | 0..=0x1f | 0xef)
}

fn escape_character(character: char, replaces_controls: bool, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        // The COS SDK for Go searches for `&quot;` where it does not parse the document.
        '"' => out.push_str("&quot;"),
        '\n' | '\t' => out.push(character),
        // A parser reads a plain CR as LF (XML 1.0, section 2.11).
        '\r' => out.push_str("&#13;"),
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' if replaces_controls => out.push('\u{fffd}'),
        // As the vendors do, although XML 1.0 does not allow these references.
        control if u32::from(control) < 0x20 => {
            out.push_str(&format!("&#{};", u32::from(control)));
        }
        other => out.push(other),
    }
}

/// Creates an element with text.
pub(crate) fn text_node(name: &str, text: impl Into<String>) -> Node {
    Node { name: name.to_owned().into(), text: text.into(), children: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_document_parses_to_the_same_text() {
        let mut writer = XmlWriter::default();
        writer.open_root("Root", Some("http://example.invalid/"));
        writer.write_text("Key", "a<b>&\"c\"\r\n腾");
        writer.close("Root");
        let root = parse(&writer.finish()).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.child_text("Key"), Some("a<b>&\"c\"\r\n腾"));
    }

    #[test]
    fn white_space_and_prefixes_are_ignored() {
        let root = parse(
            b"  \n <?xml version='1.0' encoding='utf-8' ?>\n<a:Error xmlns:a='x'><Code>X</Code></a:Error>",
        );
        assert_eq!(root.unwrap().child_text("Code"), Some("X"));
    }

    #[test]
    fn lossy_documents_can_be_parsed() {
        for (mut writer, expected) in
            [(XmlWriter::new_lossy(), Ok("a\u{fffd}b\r\tc")), (XmlWriter::default(), Err(BadXml))]
        {
            writer.open("Root");
            writer.write_text("Key", "a\u{1}b\r\tc");
            writer.close("Root");
            let document = String::from_utf8(writer.finish()).unwrap();
            assert!(!document.contains('\u{1}'));
            let valid = !document.contains("&#1;");
            assert_eq!(valid, expected.is_ok(), "{document}");
            if let Ok(expected) = expected {
                assert_eq!(parse(document.as_bytes()).unwrap().child_text("Key"), Some(expected));
            }
        }
        let mut writer = XmlWriter::new_lossy();
        writer.write_unreplaced("NextMarker", "a\u{1}b");
        assert!(String::from_utf8(writer.finish()).unwrap().ends_with("<NextMarker>a&#1;b</NextMarker>"));
    }

    #[test]
    fn parsing_stops_at_the_first_element_above_a_limit() {
        let list =
            |objects: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(objects));
        let bounds = ParseLimits::for_list("Object", 1000);
        assert!(parse_with_limits(list(1000).as_bytes(), bounds).is_ok());
        // Parsing stops there: the rest is not well-formed, and no other error is returned for it.
        let more = format!("{}<<", list(1001).replace("</Delete>", ""));
        assert_eq!(parse_with_limits(more.as_bytes(), bounds), Err(BadXml));
        let small = format!("<Delete><Object>{}</Object></Delete>", "<a/>".repeat(20_000));
        assert_eq!(parse_with_limits(small.as_bytes(), bounds), Err(BadXml));
        // The limit of items applies only to children of the root.
        let nested = format!("<Delete><Object>{}</Object></Delete>", "<Object/>".repeat(1001));
        assert!(parse_with_limits(nested.as_bytes(), bounds).is_ok());
    }

    #[test]
    fn other_encodings_are_rejected() {
        for encoding in ["UTF-8", "utf-8", "US-ASCII"] {
            assert!(parse(format!("<?xml version='1.0' encoding='{encoding}'?><a/>").as_bytes()).is_ok());
        }
        for encoding in ["UTF-7", "utf-7", "UTF-16", "ISO-8859-1", "IBM037", ""] {
            let text = format!("<?xml version='1.0' encoding='{encoding}'?><a>+ADw-</a>");
            assert_eq!(parse(text.as_bytes()), Err(BadXml), "{encoding}");
        }
        let twice = b"<?xml version='1.0'?><a><?xml version='1.0' encoding='UTF-7'?></a>";
        assert_eq!(parse(twice), Err(BadXml));
    }

    #[test]
    fn text_that_is_not_a_document_is_rejected() {
        let deep = "<a>".repeat(17) + &"</a>".repeat(17);
        for text in [
            "",
            " ",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<!DOCTYPE a><a/>",
            "<a>\0</a>",
            "<a</b />",
            "<a><b&c/></a>",
            "<a>&other;</a>",
            "<a/>x",
            deep.as_str(),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(BadXml), "{text}");
        }
        assert_eq!(parse(b"<a>\xff</a>"), Err(BadXml));
    }
}
