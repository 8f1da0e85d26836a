//! Small XML documents as trees: a bounded reader, and a writer that reproduces the same tree.

// This is not the tree of blobfish_dialects::encoding::xml: settings documents are stored and returned unchanged, so
// the tree keeps `xsi:type`, mixed text, and empty elements, and the limits are those of S3's own documents.

use crate::errors::malformed_xml_error;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use s3s::S3Result;
use std::fmt::Write as _;

/// The maximum depth. No document of S3 is that deep.
const DEPTH_MAX: usize = 16;
/// The maximum number of attributes of one element.
const ATTRIBUTES_MAX: usize = 32;
const S3_NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
const XSI_NAMESPACE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An element: its name without namespace prefix, and its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    /// `xsi:type`, the only attribute with a meaning in S3.
    pub(crate) xsi_type: Option<String>,
    /// Text directly inside, unescaped.
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn with_children(name: &str, children: Vec<Element>) -> Self {
        Self { name: name.to_owned(), children, ..Self::default() }
    }

    pub(crate) fn with_text(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned(), ..Self::default() }
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub(crate) fn has_child(&self, name: &str) -> bool {
        self.child(name).is_some()
    }

    pub(crate) fn children_with_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str())
    }

    /// The texts of every child of a name.
    pub(crate) fn child_texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.children_with_name(name).map(|child| child.text.as_str())
    }

    /// Reads a whole document. Namespaces, comments and white space between elements are ignored.
    ///
    /// # Errors
    /// 400 `MalformedXML`, also for a document type declaration.
    pub(crate) fn parse(bytes: &[u8]) -> S3Result<Self> {
        parse_document(bytes).ok_or_else(malformed_xml_error)
    }

    /// The document with this element as its root.
    pub(crate) fn to_document(&self) -> String {
        let mut out =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{} xmlns=\"{S3_NAMESPACE}\"", self.name);
        self.write_content(&mut out);
        out
    }

    fn write_element(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        if let Some(kind) = &self.xsi_type {
            let _ = write!(out, " xmlns:xsi=\"{XSI_NAMESPACE}\" xsi:type=\"{}\"", escape_text(kind));
        }
        self.write_content(out);
    }

    fn write_content(&self, out: &mut String) {
        if self.children.is_empty() && self.text.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&escape_text(&self.text));
        self.children.iter().for_each(|child| child.write_element(out));
        let _ = write!(out, "</{}>", self.name);
    }
}

fn escape_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A reader would convert it to LF.
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
    out
}

fn parse_document(bytes: &[u8]) -> Option<Element> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim());
    let (mut open, mut root): (Vec<Element>, Option<Element>) = (Vec::new(), None);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if open.len() >= DEPTH_MAX || (open.is_empty() && root.is_some()) {
                    return None;
                }
                open.push(parse_start_tag(&start)?);
            }
            Event::Empty(start) => close_element(parse_start_tag(&start)?, &mut open, &mut root)?,
            Event::End(_) => close_element(open.pop()?, &mut open, &mut root)?,
            Event::Text(piece) => append_text(&piece.xml10_content(), &mut open)?,
            Event::CData(piece) => append_text(&piece.xml10_content(), &mut open)?,
            Event::GeneralRef(name) => {
                let character = match name.resolve_char_ref().ok()? {
                    Some(character) => character.to_string(),
                    None => quick_xml::escape::resolve_predefined_entity(&name)?.to_owned(),
                };
                open.last_mut()?.text.push_str(&character);
            }
            Event::DocType(_) => return None,
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    root.filter(|_| open.is_empty())
}

fn parse_start_tag(start: &BytesStart<'_>) -> Option<Element> {
    let mut kind = None;
    for (index, attribute) in start.attributes().enumerate() {
        let attribute = attribute.ok()?;
        if index >= ATTRIBUTES_MAX {
            return None;
        }
        let name = attribute.key.into_inner();
        if name.ends_with(":type") {
            kind = Some(attribute.value.into_owned());
        }
    }
    Some(Element { name: start.local_name().into_inner().to_owned(), xsi_type: kind, ..Element::default() })
}

fn close_element(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Option<()> {
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return None,
    }
    Some(())
}

fn append_text(piece: &str, open: &mut [Element]) -> Option<()> {
    match open.last_mut() {
        Some(element) => element.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_documents_that_can_be_parsed() {
        let mut grantee =
            Element::with_children("Grantee", vec![Element::with_text("ID", " a<b>&\"c\"\r\n\u{817e} ")]);
        grantee.xsi_type = Some("CanonicalUser".to_owned());
        let root = Element::with_children("Root", vec![grantee, Element::with_text("Empty", "")]);
        assert_eq!(Element::parse(root.to_document().as_bytes()).unwrap(), root);
    }

    #[test]
    fn rejects_invalid_documents() {
        for bad in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<a>&e;</a>",
        ] {
            assert!(Element::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Element::parse(&[b'<', b'a', b'>', 0xff, b'<', b'/', b'a', b'>']).is_err());
        assert!(Element::parse("<a>".repeat(17).as_bytes()).is_err());
        assert!(Element::parse(b" <!-- c --><x:a xmlns:x='u'>&lt;<![CDATA[<]]></x:a> ").is_ok());
    }
}
