//! Structure: which modules use which. Every crate's modules form a graph without cycles, and each folder uses only the
//! folders that the head of its `mod.rs` names.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;

use super::source::{Module, crates, modules};

type Graph = BTreeMap<Vec<String>, BTreeSet<Vec<String>>>;

#[test]
fn no_module_uses_itself_in_a_circle() {
    for root in crates() {
        let cycle = find_cycle(&graph(&modules(&root)));
        assert!(cycle.is_none(), "{}: import cycle {}", root.display(), describe(&cycle.unwrap_or_default()));
    }
}

#[test]
fn folders_use_only_what_their_heads_name() {
    for root in crates() {
        let modules = modules(&root);
        for module in &modules {
            let Some(allowed) = allowed_folders(module) else { continue };
            let folder = &module.path;
            for inner in modules.iter().filter(|inner| inner.path.starts_with(folder)) {
                for used in used_modules(inner, &modules) {
                    let Some(first) = used.first() else { continue };
                    let is_own = folder.first() == Some(first);
                    let is_folder =
                        modules.iter().any(|other| other.path.first() == Some(first) && other.path.len() > 1);
                    assert!(
                        is_own || !is_folder || allowed.contains(first),
                        "{}: uses {first}, which the head of {}/mod.rs does not name",
                        inner.file.display(),
                        folder.join("/")
                    );
                }
            }
        }
    }
}

#[test]
fn every_folder_says_what_it_may_use() {
    for root in crates() {
        let modules = modules(&root);
        for module in modules.iter().filter(|module| module.path.len() == 1) {
            let is_folder = module.file.ends_with("mod.rs");
            assert!(
                !is_folder || allowed_folders(module).is_some(),
                "{}: its first five lines do not say which folders it may use (\"Uses: a, b.\" or \"Uses: nothing.\")",
                module.file.display()
            );
        }
    }
}

#[test]
fn a_cycle_is_found_where_there_is_one() {
    let edge = |from: &str, to: &[&str]| {
        (vec![from.to_owned()], to.iter().map(|name| vec![(*name).to_owned()]).collect::<BTreeSet<_>>())
    };
    assert!(find_cycle(&Graph::from([edge("a", &["b"]), edge("b", &["c"]), edge("c", &["a"])])).is_some());
    assert!(find_cycle(&Graph::from([edge("a", &["b", "c"]), edge("b", &["c"]), edge("c", &[])])).is_none());
}

/// The folders that the first five lines of a `mod.rs` name after "Uses:".
fn allowed_folders(module: &Module) -> Option<BTreeSet<String>> {
    let head: Vec<&str> = module.text.lines().take(5).filter_map(|line| line.strip_prefix("//!")).collect();
    let head = head.join(" ");
    let (_, list) = head.split_once("Uses:")?;
    let list = list.split('.').next()?;
    Some(list.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect())
}

fn graph(modules: &[Module]) -> Graph {
    modules.iter().map(|module| (module.path.clone(), used_modules(module, modules))).collect()
}

/// The modules of its own crate that a module names in `use` declarations and in paths, its descendants' tests left out.
fn used_modules(module: &Module, modules: &[Module]) -> BTreeSet<Vec<String>> {
    let mut visitor = Paths { found: Vec::new() };
    visitor.visit_file(&module.syntax);
    let known: BTreeSet<&Vec<String>> = modules.iter().map(|module| &module.path).collect();
    let resolve = |path: &Vec<String>| -> Option<Vec<String>> {
        let mut full: Vec<String> = match path.first()?.as_str() {
            "crate" => path.iter().skip(1).cloned().collect(),
            "self" => module.path.iter().chain(path.iter().skip(1)).cloned().collect(),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                let kept = module.path.len().checked_sub(ups)?;
                module.path.iter().take(kept).chain(path.iter().skip(ups)).cloned().collect()
            }
            first => {
                let child: Vec<String> = module.path.iter().cloned().chain([first.to_owned()]).collect();
                if !known.contains(&child) {
                    return None;
                }
                module.path.iter().chain(path).cloned().collect()
            }
        };
        while !known.contains(&full) {
            full.pop()?;
        }
        Some(full)
    };
    let mut used: BTreeSet<Vec<String>> = visitor.found.iter().filter_map(resolve).collect();
    used.remove(&module.path);
    used.remove(&Vec::new());
    used
}

/// Depth-first search; gives the modules of one cycle.
fn find_cycle(graph: &Graph) -> Option<Vec<Vec<String>>> {
    fn visit(
        at: &Vec<String>,
        graph: &Graph,
        done: &mut BTreeSet<Vec<String>>,
        path: &mut Vec<Vec<String>>,
    ) -> bool {
        if let Some(start) = path.iter().position(|seen| seen == at) {
            path.drain(..start);
            return true;
        }
        if !done.insert(at.clone()) {
            return false;
        }
        path.push(at.clone());
        for next in graph.get(at).into_iter().flatten() {
            if visit(next, graph, done, path) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut done = BTreeSet::new();
    for start in graph.keys() {
        let mut path = Vec::new();
        if visit(start, graph, &mut done, &mut path) {
            return Some(path);
        }
    }
    None
}

fn describe(cycle: &[Vec<String>]) -> String {
    let names: Vec<String> = cycle.iter().map(|path| path.join("::")).collect();
    names.join(" -> ")
}

/// Collects the paths of a file.
struct Paths {
    found: Vec<Vec<String>>,
}

impl Paths {
    fn add_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.found.push(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.found.push(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.found.push(prefix.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.found.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // A test module may reach wherever it likes.
        if item.ident != "tests" {
            syn::visit::visit_item_mod(self, item);
        }
    }
}
