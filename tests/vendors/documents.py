"""Validates XML documents against a shape, so that a document with an element that the vendor does not have is rejected.

The notation is `Root(One, Maybe?, Some+, Any*, This^, OrThat^)`: exactly one of the children with `^` is present. A text can
be restricted to values (`Status=Enabled|Disabled`), to a number (`Days=#`) or to a boolean (`Quiet=!`)."""

import re
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

_TOKEN = re.compile(r"\s*(?:([A-Za-z0-9-]+)([?*+^]?)(?:=(#|!|[^,()\s]+))?|([(),]))")


class Malformed(Exception):
    """A document does not match its shape; the message has the element."""


@dataclass
class Shape:
    name: str
    mark: str = ""
    words: str = ""
    children: dict = field(default_factory=dict)


def shape(text):
    """Parses the notation above."""
    parents, last, at = [Shape("")], None, 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise ValueError(f"shape: {text[at:]}")
        name, mark, words, sign = match.groups()
        if name:
            last = parents[-1].children[name] = Shape(name, mark, words or "")
        elif sign == "(":
            parents.append(last)
        elif sign == ")":
            parents.pop()
        at = match.end()
    [root] = parents[0].children.values()
    return root


def local(node):
    return node.tag.rpartition("}")[2]


def parse(body):
    try:
        return ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise Malformed(str(error)) from None


def read(body, wanted):
    """Returns the document as a tree: the text of a leaf, otherwise {name: [trees]}."""
    root = parse(body)
    if local(root) != wanted.name:
        raise Malformed(f"{local(root)} is not {wanted.name}")
    return tree(root, wanted)


def tree(node, wanted):
    if not wanted.children:
        if len(node):
            raise Malformed(f"{wanted.name} has children")
        return text_of(node.text or "", wanted)
    if (node.text or "").strip():
        raise Malformed(f"{wanted.name} has text")
    found = {}
    for child in node:
        name = local(child)
        if name not in wanted.children:
            raise Malformed(f"{name} is unknown in {wanted.name}")
        found.setdefault(name, []).append(tree(child, wanted.children[name]))
    for name, one in wanted.children.items():
        count = len(found.get(name, []))
        if count > 1 and one.mark not in ("*", "+") or not count and one.mark in ("", "+"):
            raise Malformed(f"{name} of {wanted.name} is there {count} times")
    choice = [name for name, one in wanted.children.items() if one.mark == "^"]
    if choice and sum(name in found for name in choice) != 1:
        raise Malformed(f"{wanted.name} takes one of {', '.join(choice)}")
    return found


def text_of(text, wanted):
    if wanted.words == "#":
        fits = text.isascii() and text.isdigit()
    elif wanted.words == "!":
        text = text.lower()
        fits = text in ("true", "false")
    else:
        fits = not wanted.words or text in wanted.words.split("|")
    if not fits:
        raise Malformed(f"{wanted.name}: {text}")
    return text


def element(name, text):
    return f"<{name}>{escape(str(text), {chr(34): '&quot;'})}</{name}>"


def write_document(found, wanted):
    """Formats the children of a tree in the order of the shape."""
    return "".join(
        f"<{name}>{write_document(value, one)}</{name}>" if one.children else element(name, value)
        for name, one in wanted.children.items() for value in found.get(name, []))


def only(found, *path):
    """Returns the only value at the end of a path, or None."""
    for name in path:
        found = (found.get(name) or [None])[0]
        if found is None:
            return None
    return found
