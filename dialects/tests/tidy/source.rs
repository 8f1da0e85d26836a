//! The workspace's source files, parsed.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of a crate.
pub(crate) struct Module {
    /// The module's path within its crate; empty for `lib.rs` and `main.rs`.
    pub path: Vec<String>,
    pub file: PathBuf,
    pub text: String,
    pub syntax: syn::File,
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The `src` folders of the workspace's crates.
pub(crate) fn crates() -> Vec<PathBuf> {
    ["config", "credentials", "dialects", "proxy", "proxy/store"]
        .map(|name| workspace().join(name).join("src"))
        .to_vec()
}

/// Every file of a crate.
pub(crate) fn modules(src: &Path) -> Vec<Module> {
    list_files(src, "rs").into_iter().map(|file| module(src, file)).collect()
}

fn module(src: &Path, file: PathBuf) -> Module {
    let text = fs::read_to_string(&file).unwrap();
    let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let mut path: Vec<String> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        path.pop();
    }
    Module { path, file, text, syntax }
}

/// Files below a folder by their extension; what is installed or built there is left out.
pub(crate) fn list_files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if ["target", "node_modules", ".venv", ".git", ".tools"].contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(list_files(&path, extension));
        } else if path.extension().is_some_and(|kind| kind == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
