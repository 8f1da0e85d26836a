//! Small XML documents: a bounded reader into a tree, and a writer that escapes.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Nesting that no document of these vendors reaches.
const DEPTH_MAX: usize = 16;

/// Attributes of one element.
const ATTRIBUTES_MAX: usize = 32;

/// The largest document is a completing call of 10,000 parts or a page of 1,000 long keys.
pub const DOCUMENT_BYTES_MAX: usize = 8 * 1024 * 1024;

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
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }
}

/// Reads a whole document. White space before it is passed over: vendors send it to keep connections alive.
///
/// # Errors
/// [`BadXml`]; a document type declaration is one, whatever it says.
pub fn read(bytes: &[u8]) -> Result<Node, BadXml> {
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
    loop {
        match reader.read_event().map_err(|_| BadXml)? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX || (open.is_empty() && root.is_some()) {
                    return Err(BadXml);
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                let node = element(&start)?;
                close(node, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let node = open.pop().ok_or(BadXml)?;
                close(node, &mut open, &mut root)?;
            }
            Event::Text(piece) => add(&piece.xml10_content(), &mut open)?,
            Event::CData(piece) => add(&piece.xml10_content(), &mut open)?,
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
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if open.is_empty() { root.ok_or(BadXml) } else { Err(BadXml) }
}

fn element(start: &quick_xml::events::BytesStart<'_>) -> Result<Node, BadXml> {
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

fn close(node: Node, open: &mut [Node], root: &mut Option<Node>) -> Result<(), BadXml> {
    match open.last_mut() {
        Some(parent) => parent.children.push(node),
        None if root.is_none() => *root = Some(node),
        None => return Err(BadXml),
    }
    Ok(())
}

fn add(piece: &str, open: &mut [Node]) -> Result<(), BadXml> {
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
pub struct Writer(String);

impl Default for Writer {
    fn default() -> Self {
        Self(DECLARATION.to_owned())
    }
}

impl Writer {
    /// Opens an element.
    pub fn open(&mut self, name: &str) {
        self.0.push('<');
        self.0.push_str(name);
        self.0.push('>');
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
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// Writes an element with text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape(text, &mut self.0);
        self.close(name);
    }

    /// Writes an element with all that is in it.
    pub fn node(&mut self, node: &Node) {
        if node.children.is_empty() {
            self.text(&node.name, &node.text);
            return;
        }
        self.open(&node.name);
        node.children.iter().for_each(|child| self.node(child));
        self.close(&node.name);
    }

    /// Writes a whole document from its tree.
    pub fn root(&mut self, root: &Node, namespace: Option<&str>) {
        self.open_root(&root.name, namespace);
        root.children.iter().for_each(|child| self.node(child));
        self.close(&root.name);
    }

    /// Writes a document that is a text.
    pub fn root_text(&mut self, name: &str, text: &str, namespace: Option<&str>) {
        self.open_root(name, namespace);
        escape(text, &mut self.0);
        self.close(name);
    }

    /// The document.
    pub fn finish(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// `"` becomes `&quot;`: a fallback of the COS Go SDK looks for it. CR would be read as LF, and other control
/// characters are told as references although XML 1.0 has none: that is what the vendors do.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            control if u32::from(control) < 0x20 => {
                out.push_str(&format!("&#{};", u32::from(control)));
            }
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut writer = Writer::default();
        writer.open_root("Root", Some("http://example.invalid/"));
        writer.text("Key", "a<b>&\"c\"\r\n腾");
        writer.close("Root");
        let root = read(&writer.finish()).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.text_of("Key"), Some("a<b>&\"c\"\r\n腾"));
    }

    #[test]
    fn white_space_and_prefixes_are_passed_over() {
        let root = read(
            b"  \n <?xml version='1.0' encoding='utf-8' ?>\n<a:Error xmlns:a='x'><Code>X</Code></a:Error>",
        );
        assert_eq!(root.unwrap().text_of("Code"), Some("X"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
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
            assert_eq!(read(text.as_bytes()), Err(BadXml), "{text}");
        }
        assert_eq!(read(b"<a>\xff</a>"), Err(BadXml));
    }
}
