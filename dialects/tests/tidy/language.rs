//! Language: functions are verbs, a type name means one thing in its crate, identifiers do not fall back to an empty
//! string, and sentences use words that an operator would search for.

use std::collections::BTreeMap;
use std::fs;

use syn::visit::Visit;

use super::source::{crates, list_files, modules, workspace};

/// Participles that do not end in -ed. The same in the imperative (set, put, run, cut) are verbs.
const IRREGULAR: &[&str] = &[
    "told",
    "said",
    "sent",
    "held",
    "kept",
    "given",
    "built",
    "found",
    "made",
    "taken",
    "done",
    "left",
    "lent",
    "known",
    "shown",
    "written",
    "chosen",
    "drawn",
    "bound",
    "meant",
    "gone",
    "come",
    "grown",
    "seen",
    "heard",
    "asked",
    "begun",
    "broken",
    "brought",
    "caught",
    "felt",
    "forgotten",
    "got",
    "hidden",
    "laid",
    "led",
    "lost",
    "met",
    "paid",
    "sold",
    "spoken",
    "spent",
    "stolen",
    "struck",
    "thrown",
    "torn",
    "understood",
    "won",
    "owed",
    "due",
    "unwanted",
    "worn",
    "bought",
    "dealt",
    "driven",
    "fed",
    "fought",
    "lit",
    "ridden",
    "risen",
    "slept",
    "stood",
    "sworn",
    "swept",
    "thought",
    "woken",
    "wound",
];

/// Verbs in -ed.
const VERBS: &[&str] =
    &["need", "feed", "seed", "embed", "speed", "shed", "bleed", "breed", "exceed", "proceed", "succeed"];

/// Words that stand for something in the code's former language, which nobody in the field searches for.
const BANNED: &[&str] = &[
    "told",
    "tells",
    "said",
    "says",
    "believed",
    "carried out",
    "stranger",
    "strangers",
    "given up",
    "left alone",
    "goes on",
    "went on",
    "in the caller's words",
    "no word for",
    "balancer",
    "balancers",
    "at once",
    "whose",
];

/// A document of a target may omit the bucket and the key; `set_document_names` then takes them from the request.
const NAMES_FROM_REQUEST: &str = "child_text(";

/// Where a banned word is part of a term, or of a vendor's sentence.
const EXCEPTIONS: &[&str] = &["load balancer", "load balancers", "load-balancer"];

#[test]
fn functions_are_verbs() {
    for (file, name) in functions() {
        assert!(!is_participle(&name), "{file}: fn {name} is a participle; a function is a verb");
    }
}

#[test]
fn a_type_name_means_one_thing_in_its_crate() {
    for root in crates() {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for module in modules(&root) {
            let mut names = Names::default();
            names.visit_file(&module.syntax);
            for name in names.types {
                let here = module.file.display().to_string();
                if let Some(there) = seen.insert(name.clone(), here.clone()) {
                    panic!("{name} is defined in {there} and in {here}");
                }
            }
        }
    }
}

#[test]
fn identifiers_do_not_fall_back_to_an_empty_string() {
    for root in crates() {
        for module in modules(&root) {
            let code = module.text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
            for (at, statement) in statements(code) {
                let names_one = ["bucket", "key", "source"].iter().any(|word| has_word(&statement, word))
                    && !statement.contains(NAMES_FROM_REQUEST);
                assert!(
                    !(names_one && statement.contains("unwrap_or_default()")),
                    "{}:{at}: a bucket, key or source falls back to \"\": {}",
                    module.file.display(),
                    statement.trim()
                );
            }
        }
    }
}

#[test]
fn sentences_use_the_fields_words() {
    let root = workspace();
    let mut found = Vec::new();
    for file in list_files(&root, "rs") {
        let is_source = file.components().any(|part| part.as_os_str() == "src");
        if !is_source {
            continue;
        }
        for (at, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            for sentence in sentences_of_code(line) {
                found.extend(
                    find_banned_words(&sentence)
                        .map(|word| format!("{}:{}: \"{word}\"", file.display(), at + 1)),
                );
            }
        }
    }
    let documents = list_files(&root, "md").into_iter().filter(|file| {
        let text = file.to_string_lossy().into_owned();
        !text.contains("/tests/")
    });
    for file in documents {
        for (at, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            found.extend(
                find_banned_words(line).map(|word| format!("{}:{}: \"{word}\"", file.display(), at + 1)),
            );
        }
    }
    assert!(found.is_empty(), "banned words:\n{}", found.join("\n"));
}

#[test]
fn the_checks_find_what_they_look_for() {
    for name in ["answered", "told", "kept", "gone"] {
        assert!(is_participle(name), "{name}");
    }
    for name in ["read", "need", "set", "verify_signature", "is_signed", "proceed"] {
        assert!(!is_participle(name), "{name}");
    }
    assert_eq!(find_banned_words("what the caller is told at once").collect::<Vec<_>>(), ["told", "at once"]);
    assert_eq!(find_banned_words("behind a load balancer, untold").count(), 0);
    assert_eq!(sentences_of_code("let a = \"it says\"; // told"), ["it says", " told"]);
}

fn is_participle(name: &str) -> bool {
    let is_regular =
        name.ends_with("ed") && name.bytes().all(|byte| byte.is_ascii_lowercase()) && !VERBS.contains(&name);
    IRREGULAR.contains(&name) || is_regular
}

fn find_banned_words(text: &str) -> impl Iterator<Item = &'static str> {
    let mut text = text.to_lowercase();
    for term in EXCEPTIONS {
        text = text.replace(term, "");
    }
    BANNED.iter().copied().filter(move |word| has_word(&text, word))
}

fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        !is_letter(before) && !is_letter(after)
    })
}

/// The comment and the string literals of a line.
fn sentences_of_code(line: &str) -> Vec<String> {
    let (mut sentences, mut inside, mut text, mut before) = (Vec::new(), false, String::new(), ' ');
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        if !inside && c == '/' && chars.peek() == Some(&'/') {
            sentences.push(chars.skip(1).collect());
            return sentences;
        }
        if c == '"' && before != '\\' && (inside || before != '\'') {
            if inside {
                sentences.push(std::mem::take(&mut text));
            }
            inside = !inside;
        } else if inside {
            text.push(c);
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    sentences
}

/// Statements with the number of their first line.
fn statements(code: &str) -> Vec<(usize, String)> {
    let (mut found, mut text, mut line, mut start) = (Vec::new(), String::new(), 1, 1);
    for c in code.chars() {
        if c == '\n' {
            line += 1;
        }
        if matches!(c, ';' | '{' | '}' | '\n') {
            found.push((start, std::mem::take(&mut text)));
            start = line;
        } else {
            text.push(c);
        }
    }
    found
}

#[derive(Default)]
struct Names {
    functions: Vec<String>,
    types: Vec<String>,
}

/// Every function of the workspace with its file.
fn functions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for root in crates() {
        for module in modules(&root) {
            let mut names = Names::default();
            names.visit_file(&module.syntax);
            all.extend(names.functions.into_iter().map(|name| (module.file.display().to_string(), name)));
        }
    }
    all
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.functions.push(signature.ident.to_string());
        syn::visit::visit_signature(self, signature);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.types.push(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.types.push(item.ident.to_string());
        syn::visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.types.push(item.ident.to_string());
    }
}
