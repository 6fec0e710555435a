//! The house: arrows between folders point one way, and no circle of files is longer than two.
//!
//! A file's imports are read from its text: `use` lines and paths that start with `crate::` or `super::`, resolved
//! through re-exports to the file that defines the name. Tests and comments do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files at the top of `src`, from the ground up: each may use those before it.
const FLOORS: [&str; 10] = ["data", "metrics", "error", "spec", "compute", "model", "prune", "evaluate", "io", "train"];
/// The modules that only re-export parts of the library.
const FACADES: [&str; 3] = ["", "prelude", "modules"];

/// Modules by path, such as `compute::cpu`, with their text.
type Modules = BTreeMap<String, String>;

#[test]
fn arrows_between_folders_point_one_way() {
    let modules = read("src");
    assert!(modules.len() > 60, "{} modules", modules.len());
    let top: BTreeSet<&str> = modules.keys().map(|path| floor(path)).filter(|top| !FACADES.contains(top)).collect();
    assert_eq!(top, BTreeSet::from(FLOORS), "FLOORS names every folder");
    assert_eq!(upward(&modules), Vec::<String>::new());
}

#[test]
fn no_circle_of_files_is_longer_than_two() {
    for of in ["src", "priors/src", "crates/infer/src", "crates/report/src", "crates/lab/src"] {
        let circles: Vec<_> = circles(&read(of)).into_iter().filter(|circle| circle.len() > 2).collect();
        assert!(circles.is_empty(), "{of}: {circles:#?}");
    }
}

/// No engine in the crates that must not know one.
#[test]
fn what_needs_no_engine_knows_none() {
    for of in ["priors", "crates/infer", "crates/report"] {
        let manifest = fs::read_to_string(root().join(of).join("Cargo.toml")).unwrap();
        assert!(!manifest.contains("dfdx") && !manifest.contains("\nsparsevd."), "{of}");
    }
}

#[test]
fn wrong_arrows_are_found() {
    let of = |files: &[(&str, &str)]| -> Modules {
        files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
    };
    let floors = [
        ("", "pub use model::Network;"),
        ("model", "mod network;\npub use network::{Network, Other as Another};"),
        ("model::network", "use crate::spec::Map;\npub struct Network;"),
        ("spec", "mod map;\npub use map::Map;"),
        ("spec::map", "pub trait Map {}"),
    ];
    assert!(upward(&of(&floors)).is_empty());
    let told = "spec::map uses model::network";
    for upward_import in [
        "use crate::model::{\n    Network,\n};",
        "use crate::model::Another;",
        "use crate::Network;",
        "use super::super::model::network::Network;",
        "fn f(n: &crate::model::Network) {}",
    ] {
        let mut modules = of(&floors);
        modules.insert("spec::map".into(), upward_import.into());
        assert_eq!(upward(&modules), [told], "{upward_import}");
    }
    let mut modules = of(&floors);
    modules.insert(
        "spec::map".into(),
        "/// [`crate::model::Network`]\n#[cfg(test)]\nmod tests { use crate::model::Network; }".into(),
    );
    assert!(upward(&modules).is_empty(), "comments and tests");
    let circle = of(&[
        ("a", "use crate::b::B;"),
        ("b", "use super::c::C;"),
        ("c", "use crate::a::A;"),
        ("d", "use crate::a::A;"),
    ]);
    assert_eq!(circles(&circle), [["a", "b", "c"]]);
}

/// Imports from a floor above.
fn upward(modules: &Modules) -> Vec<String> {
    let height = |path: &str| FLOORS.iter().position(|top| *top == floor(path));
    let mut found = Vec::new();
    for (from, to) in arrows(modules) {
        if let (Some(here), Some(there)) = (height(&from), height(&to))
            && there > here
        {
            found.push(format!("{from} uses {to}"));
        }
    }
    found
}

/// Modules that use each other, directly or not.
fn circles(modules: &Modules) -> Vec<Vec<String>> {
    let arrows = arrows(modules);
    let reaches = |from: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.to_string()]);
        while let Some(here) = next.pop() {
            let more = arrows.iter().filter(|(from, _)| *from == here).map(|(_, to)| to.clone());
            next.extend(more.filter(|to| seen.insert(to.clone())));
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<String>> = modules.keys().map(|path| (path.as_str(), reaches(path))).collect();
    let circle = |path: &&str| -> Vec<String> {
        reached[*path].iter().filter(|other| reached[other.as_str()].contains(*path)).cloned().collect()
    };
    let circles: BTreeSet<Vec<String>> = reached.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    circles.into_iter().collect()
}

/// Which module uses which; facades are no part of it.
fn arrows(modules: &Modules) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (here, text) in modules.iter().filter(|(here, _)| !FACADES.contains(&here.as_str())) {
        for path in paths(&code(text)) {
            if let Some(to) = absolute(here, &path).and_then(|path| definition(modules, &path, 0))
                && to != *here
                && !FACADES.contains(&to.as_str())
                && !(reexports(text).iter().any(|(_, from)| *from == path))
            {
                found.insert((here.clone(), to));
            }
        }
    }
    found
}

/// The module that defines what a path from the root leads to.
fn definition(modules: &Modules, path: &[String], depth: usize) -> Option<String> {
    let known = (0..=path.len()).rev().find(|n| modules.contains_key(&path[..*n].join("::")))?;
    let module = path[..known].join("::");
    let Some(name) = path.get(known).filter(|_| depth < 8) else { return Some(module) };
    let reexports = reexports(&modules[&module]);
    let Some((_, from)) = reexports.iter().find(|(exported, _)| exported == name) else { return Some(module) };
    let inside = || [path[..known].to_vec(), from.clone()].concat();
    let from = absolute(&module, from).unwrap_or_else(inside);
    definition(modules, &from, depth + 1).or(Some(module))
}

/// `crate::` and `super::` paths from the root; `None` for others.
fn absolute(here: &str, path: &[String]) -> Option<Vec<String>> {
    let mut base: Vec<String> = here.split("::").filter(|part| !part.is_empty()).map(String::from).collect();
    match path.first().map(String::as_str) {
        Some("crate") => Some(path[1..].to_vec()),
        Some("super") => {
            let up = path.iter().take_while(|part| *part == "super").count();
            base.truncate(base.len().saturating_sub(up));
            Some([base, path[up..].to_vec()].concat())
        }
        _ => None,
    }
}

/// `pub use` lines: a name, and the path that it stands for.
fn reexports(text: &str) -> Vec<(String, Vec<String>)> {
    let code = code(text);
    let statements = code.split(';').filter_map(|statement| {
        let statement = statement.trim_start();
        let at = statement.find("pub use ").or_else(|| statement.find("pub(crate) use "))?;
        let path = statement[at..].split_once("use ")?.1;
        Some(expand(path))
    });
    let named = statements.flatten().filter_map(|path| {
        let (path, name) = match path.split_once(" as ") {
            Some((path, name)) => (path.to_string(), name.trim().to_string()),
            None => (path.clone(), path.rsplit("::").next()?.to_string()),
        };
        Some((name, path.split("::").map(|part| part.trim().to_string()).collect()))
    });
    named.collect()
}

/// All paths that start with `crate::` or `super::`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == ':' {
                continue;
            }
            let line = code[..at].rfind(';').map_or(0, |end| end + 1);
            let in_use = code[line..at].trim_start().contains("use ") && !code[line..at].contains('{');
            let end = if in_use {
                code[at..].find(';')
            } else {
                code[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            };
            let text = &code[at..at + end.unwrap_or(code.len() - at)];
            let plain = |path: String| path.split(" as ").next().unwrap_or_default().to_string();
            found.extend(expand(text).into_iter().map(plain).map(|path| {
                path.split("::").map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect()
            }));
        }
    }
    found
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(path: &str) -> Vec<String> {
    let path = path.trim();
    let Some(open) = path.find('{') else { return vec![path.to_string()] };
    let (head, inner) = (&path[..open], path[open + 1..].trim_end().trim_end_matches('}'));
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    let whole = |part: &str| {
        if part.trim() == "self" { head.trim_end_matches("::").to_string() } else { format!("{head}{}", part.trim()) }
    };
    parts.into_iter().filter(|part| !part.trim().is_empty()).flat_map(|part| expand(&whole(part))).collect()
}

/// Without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn floor(path: &str) -> &str {
    path.split("::").next().unwrap_or_default()
}

/// All modules below a folder; files of tests beside the code are none.
fn read(of: &str) -> Modules {
    fn walk(folder: &Path, path: &[String], found: &mut Modules) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (file, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if file.is_dir() {
                walk(&file, &[path, &[name]].concat(), found);
            } else if let Some(stem) = name.strip_suffix(".rs").filter(|stem| !stem.ends_with("tests")) {
                let own = if ["lib", "mod"].contains(&stem) { Vec::new() } else { vec![stem.to_string()] };
                found.insert([path, &own].concat().join("::"), fs::read_to_string(&file).unwrap());
            }
        }
    }
    let mut found = Modules::new();
    walk(&root().join(of), &[], &mut found);
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
