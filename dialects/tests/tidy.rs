//! The walls of the house: which folder may know what. Plain text is read, comments left out.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::{Path, PathBuf};

/// What vendors are called, as words of code.
const VENDORS: [&str; 11] =
    ["amz", "aws", "s3", "cos", "oss", "jdcloud", "jd", "aliyun", "tencent", "myqcloud", "qcloud"];

/// One file of each name in each dialect's folder.
const NAMES: [&str; 10] = [
    "mod.rs",
    "route.rs",
    "settings.rs",
    "auth.rs",
    "headers.rs",
    "words.rs",
    "copy.rs",
    "xml.rs",
    "errors.rs",
    "defaults.rs",
];

#[test]
fn shared_code_names_no_vendor() {
    for folder in
        ["src/model", "src/encoding", "src/dialect", "src/documents", "src/engine", "src/authentication"]
    {
        for (path, line, text) in list_code_lines(&get_crate_root().join(folder)) {
            if let Some(word) = split_words(&text).into_iter().find(|word| VENDORS.contains(&word.as_str())) {
                panic!("{}:{line} names {word}: {text}", path.display());
            }
        }
    }
}

#[test]
fn the_shell_names_no_vendors_header() {
    let shell = get_crate_root().join("../proxy/src");
    for (path, line, text) in list_code_lines(&shell) {
        for prefix in ["x-amz-", "x-cos-", "x-oss-", "aws4", "q-sign"] {
            let found = text.to_ascii_lowercase().contains(prefix);
            assert!(!found, "{}:{line} names {prefix}: {text}", path.display());
        }
    }
}

#[test]
fn folders_use_only_those_that_they_name() {
    let source = get_crate_root().join("src");
    for folder in
        fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let own = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let description = fs::read_to_string(folder.join("mod.rs")).unwrap();
        let uses = description.lines().take(5).find_map(|line| line.strip_prefix("//! Uses: "));
        let uses = uses.unwrap_or_else(|| panic!("src/{own}/mod.rs does not state what the folder uses"));
        for (path, line, text) in list_code_lines(&folder) {
            for used in text.split("crate::").skip(1).filter_map(|rest| rest.split("::").next()) {
                // lib.rs knows every dialect: a folder that uses it is above all of them.
                let used = if source.join(used).is_dir() { used } else { "lib.rs" };
                let is_allowed = used == own || uses.contains(&format!("`{used}`"));
                assert!(is_allowed, "{}:{line}: {own} uses {used}", path.display());
            }
        }
    }
}

#[test]
fn dialects_do_not_import_each_other() {
    // A profile is another dialect's tables with stated differences.
    let profiles = [("jdcloud", "s3")];
    for own in ["s3", "jdcloud", "cos", "oss"] {
        for (path, line, text) in list_code_lines(&get_crate_root().join("src").join(own)) {
            for other in ["s3", "jdcloud", "cos", "oss"] {
                let allowed = own == other || profiles.contains(&(own, other));
                let imports = text.contains(&format!("crate::{other}"));
                assert!(allowed || !imports, "{}:{line} imports {other}", path.display());
            }
        }
    }
}

#[test]
fn each_dialect_has_the_same_files() {
    for dialect in ["s3", "jdcloud", "cos", "oss"] {
        for name in NAMES {
            assert!(
                get_crate_root().join("src").join(dialect).join(name).exists(),
                "{dialect} has no {name}"
            );
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
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(list_code_lines(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for (at, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                found.push((path.clone(), at + 1, code.to_owned()));
            }
        }
    }
    found
}
