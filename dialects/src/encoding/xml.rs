//! Small XML documents: a bounded reader into a tree, and a writer that escapes.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Nesting that no document of these vendors reaches.
const DEPTH_MAX: usize = 16;

/// Attributes of one element.
const ATTRIBUTES_MAX: usize = 32;

/// The largest document is a completing call of 10,000 parts or a page of 1,000 long keys.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Elements of a document: the largest has 10,000 parts with what stands in each.
const NODES_MAX: usize = 100_000;

/// Comments and processing instructions, which nobody sends.
const COMMENTS_MAX: usize = 1000;

/// Not well-formed, too deep, too large, or not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an XML document of these vendors")]
pub struct BadXml;

/// An element: its name without namespace prefix, its text, its children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Local name.
    pub name: String,
    /// Text directly inside, unescaped.
    pub text: String,
    /// Elements inside.
    pub children: Vec<Node>,
}

impl Node {
    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of a name.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name.
    pub fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// How much of a document is read before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct ParseLimits {
    /// Elements, whatever they are.
    pub nodes_max: usize,
    /// Elements of one name directly in the root.
    pub items_max: Option<(&'static str, usize)>,
}

impl ParseLimits {
    /// Of a document that is a list of so many lines, each with a few elements in it.
    pub const fn for_list(item: &'static str, items_max: usize) -> Self {
        Self {
            nodes_max: items_max.saturating_mul(10).saturating_add(100),
            items_max: Some((item, items_max)),
        }
    }
}

/// Reads a whole document. White space before it is passed over: vendors send it to keep connections alive.
///
/// # Errors
/// [`BadXml`]; a document type declaration is one, whatever it says.
pub fn parse(bytes: &[u8]) -> Result<Node, BadXml> {
    parse_with_limits(bytes, ParseLimits { nodes_max: NODES_MAX, items_max: None })
}

/// The same of a caller's document, which may have so many elements: the first one too many ends the reading.
///
/// # Errors
/// [`BadXml`].
pub fn parse_with_limits(bytes: &[u8], limits: ParseLimits) -> Result<Node, BadXml> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(BadXml);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| BadXml)?;
    if text.contains('\0') {
        return Err(BadXml);
    }
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
            Event::DocType(_) => return Err(BadXml),
            // It stands at the beginning only, where the reader takes nothing else for one.
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

/// What was read of a document so far.
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

/// The bytes are read as UTF-8: a document that says otherwise would be read as another by who believes it.
fn check_encoding(declaration: &quick_xml::events::BytesDecl<'_>) -> Result<(), BadXml> {
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
    let name = start.local_name().into_inner().to_owned();
    // The reader takes anything up to a space for a name.
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)) {
        return Err(BadXml);
    }
    Ok(Node { name, ..Node::default() })
}

fn close_element(node: Node, open: &mut [Node], root: &mut Option<Node>) -> Result<(), BadXml> {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
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

/// What every document begins with.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Writes a document from the top.
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
    /// Of a document that is shown: characters that XML 1.0 does not have become U+FFFD, so that it can be read whatever
    /// is in it. Who needs such a key asks for `encoding-type=url`.
    pub fn new_lossy() -> Self {
        Self { replaces_controls: true, ..Self::default() }
    }

    /// An element whose text is handed back, such as a marker: it is never another text than it was.
    pub fn write_exact(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, false, &mut self.text);
        self.close(name);
    }

    /// Opens an element.
    pub fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }

    /// Opens the root, in a namespace or in none.
    pub fn open_root(&mut self, name: &str, namespace: Option<&str>) {
        match namespace {
            Some(namespace) => self.open(&format!("{name} xmlns=\"{namespace}\"")),
            None => self.open(name),
        }
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

    /// Writes an element with all that is in it.
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

    /// Writes a document that is a text.
    pub fn write_root_text(&mut self, name: &str, text: &str, namespace: Option<&str>) {
        self.open_root(name, namespace);
        escape(text, self.replaces_controls, &mut self.text);
        self.close(name);
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.text.into_bytes()
    }
}

/// `"` becomes `&quot;`: a fallback of the COS Go SDK looks for it. CR would be read as LF, and other control
/// characters are told as references although XML 1.0 has none: that is what the vendors do.
fn escape(text: &str, replaces_controls: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\r' => out.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' if replaces_controls => out.push('\u{fffd}'),
            control if u32::from(control) < 0x20 => {
                out.push_str(&format!("&#{};", u32::from(control)));
            }
            other => out.push(other),
        }
    }
}

/// An element with text.
pub fn text_node(name: &str, text: impl Into<String>) -> Node {
    Node { name: name.to_owned(), text: text.into(), children: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut writer = XmlWriter::default();
        writer.open_root("Root", Some("http://example.invalid/"));
        writer.write_text("Key", "a<b>&\"c\"\r\n腾");
        writer.close("Root");
        let root = parse(&writer.finish()).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.child_text("Key"), Some("a<b>&\"c\"\r\n腾"));
    }

    #[test]
    fn white_space_and_prefixes_are_passed_over() {
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
        writer.write_exact("NextMarker", "a\u{1}b");
        assert!(String::from_utf8(writer.finish()).unwrap().ends_with("<NextMarker>a&#1;b</NextMarker>"));
    }

    #[test]
    fn the_first_element_too_many_ends_the_reading() {
        let list =
            |objects: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(objects));
        let bounds = ParseLimits::for_list("Object", 1000);
        assert!(parse_with_limits(list(1000).as_bytes(), bounds).is_ok());
        // What follows is not looked at, however wrong or long it is.
        let more = format!("{}<<", list(1001).replace("</Delete>", ""));
        assert_eq!(parse_with_limits(more.as_bytes(), bounds), Err(BadXml));
        let small = format!("<Delete><Object>{}</Object></Delete>", "<a/>".repeat(20_000));
        assert_eq!(parse_with_limits(small.as_bytes(), bounds), Err(BadXml));
        // Elsewhere in the document the name is any other.
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
    fn what_is_no_document_is_rejected() {
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
