//! The rules of the code base that no compiler checks: what a folder may name and use, and which language names and
//! sentences are written in.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod language;
mod source;
mod structure;

use std::fs;
use std::path::{Path, PathBuf};

use blobfish_dialects::{DIALECTS, PROFILES};

/// What vendors are called, as words of code: the names of dialects and profiles, and the words of their headers and domains.
fn list_vendor_words() -> Vec<String> {
    let dialects = DIALECTS.iter().chain(PROFILES.iter());
    let mut words: Vec<String> = dialects
        .flat_map(|dialect| {
            let domains = dialect.hosts.iter().flat_map(|form| form.domain.iter().copied());
            let names = [dialect.name, dialect.header_prefix].into_iter().chain(dialect.vendor_profile);
            names.chain(domains).flat_map(split_words).collect::<Vec<_>>()
        })
        .filter(|word| !is_anybodys_word(word))
        .collect();
    words.sort();
    words.dedup();
    words
}

/// Words that vendors use and that mean nothing of theirs: the `x` of headers, top-level domains.
fn is_anybodys_word(word: &str) -> bool {
    matches!(word, "x" | "com" | "cn" | "eu")
}

#[test]
fn shared_code_names_no_vendor() {
    let vendors = list_vendor_words();
    for known in ["amz", "s3", "cos", "oss", "jdcloud", "aliyun", "tencent", "myqcloud"] {
        assert!(vendors.iter().any(|word| word == known), "{known} in {vendors:?}");
    }
    for folder in
        ["src/model", "src/encoding", "src/dialect", "src/documents", "src/engine", "src/authentication"]
    {
        for (path, line, text) in list_code_lines(&get_crate_root().join(folder)) {
            if let Some(word) = split_words(&text).into_iter().find(|word| vendors.contains(word)) {
                panic!("{}:{line} names {word}: {text}", path.display());
            }
        }
    }
}

#[test]
fn the_shell_names_no_vendors_header() {
    let shell = get_crate_root().join("../proxy/src");
    for (path, line, text) in list_code_lines(&shell) {
        let prefixes = DIALECTS.iter().map(|dialect| dialect.header_prefix).chain(["aws4", "q-sign"]);
        for prefix in prefixes {
            let found = text.to_ascii_lowercase().contains(prefix);
            assert!(!found, "{}:{line} names {prefix}: {text}", path.display());
        }
    }
}

#[test]
fn dialects_do_not_import_each_other() {
    for own in DIALECTS {
        for (path, line, text) in list_code_lines(&get_crate_root().join("src").join(own.name)) {
            for other in DIALECTS {
                // A dialect of a family may be another's tables with stated differences.
                let allowed = own.family == other.family;
                let imports = text.contains(&format!("crate::{}", other.name));
                assert!(allowed || !imports, "{}:{line} imports {}", path.display(), other.name);
            }
        }
    }
}

#[test]
fn the_pure_crate_stays_pure() {
    let manifest = fs::read_to_string(get_crate_root().join("Cargo.toml")).unwrap();
    for runtime in ["tokio", "pingora", "hyper", "reqwest"] {
        assert!(!manifest.contains(runtime), "blobfish-dialects depends on {runtime}");
    }
    for (path, line, text) in list_code_lines(&get_crate_root().join("src")) {
        for call in ["SystemTime::now", "Instant::now", "std::env", "std::fs", "std::thread", "TcpStream"] {
            assert!(!text.contains(call), "{}:{line} uses {call}", path.display());
        }
    }
}

/// A check that never fails is none: the words are found where they are.
#[test]
fn words_are_split_at_what_is_no_letter() {
    assert_eq!(split_words("\"x-amz-acl\", S3_NAME, cost"), ["x", "amz", "acl", "s3", "name", "cost"]);
}

fn split_words(text: &str) -> Vec<String> {
    let pieces = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty());
    pieces.map(str::to_ascii_lowercase).collect()
}

fn get_crate_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Lines of code below a folder, without comments.
fn list_code_lines(folder: &Path) -> Vec<(PathBuf, usize, String)> {
    let mut found = Vec::new();
    for path in source::list_files(folder, "rs") {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            found.push((path.clone(), at + 1, code.to_owned()));
        }
    }
    found
}
