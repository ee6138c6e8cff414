//! What may stand in which source, and how long sources are.

use anyhow::Result;

use super::house::{House, Source};

/// Calls that only some crates may make, tests aside, and why.
const CONFINED: [(&str, &[&str], &str); 3] = [
    ("Held::attest(", &["blob-store"], "only the store has hashed what it says is held"),
    ("env::vars", &["config"], "the environment is read once, in config"),
    ("env::var_os", &["config"], "the environment is read once, in config"),
];

/// The longest that most files should be.
const LONG: usize = 350;

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let root = house.root.to_string_lossy();
    for source in &house.sources {
        if source.is("rs") {
            findings.extend(confined(source));
        }
        findings.extend(machine_paths(source, &root));
    }
    Ok(findings)
}

fn confined(source: &Source) -> Vec<String> {
    // This table names the calls, and makes none.
    if is_test(&source.path) || source.owner() == "xtask" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (index, line) in product_lines(&source.text) {
        for (call, owners, why) in CONFINED {
            if line.contains(call) && !owners.contains(&source.owner()) {
                findings.push(format!(
                    "{}:{}: {call} stands outside {}: {why}",
                    source.path,
                    index + 1,
                    owners.join(", ")
                ));
            }
        }
    }
    findings
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches" | "examples" | "conformance.rs"))
        || path.starts_with("crates/e2e/")
}

/// The lines before a file's tests, comments aside.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Paths of the machine that something was written on.
fn machine_paths(source: &Source, root: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if line.contains(root) || home_of_somebody(line) {
            findings.push(format!("{}:{}: a path of one machine", source.path, index + 1));
        }
    }
    findings
}

fn home_of_somebody(line: &str) -> bool {
    ["/home/", "/root/", "/Users/", "C:\\Users\\"].iter().any(|start| {
        line.match_indices(start).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let after = line.get(at + start.len()..).and_then(|text| text.chars().next());
            // `a/home/b` is somewhere below a folder, and `"/home/"` alone is nobody's.
            !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '}' | '_' | '-' | '/'))
                && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
        })
    })
}

/// How long the sources are, in one line, and which are longer than most should be.
pub(crate) fn lengths(house: &House) -> String {
    let mut files: Vec<(usize, &str)> = house
        .sources
        .iter()
        .filter(|source| source.is("rs"))
        .map(|source| (source.text.lines().count(), source.path.as_str()))
        .collect();
    files.sort_unstable();
    let at = |share: usize| files.get(files.len() * share / 100).map_or(0, |(lines, _)| *lines);
    let mut text = format!(
        "{} sources, {} lines; median {}, nine in ten under {}",
        files.len(),
        files.iter().map(|(lines, _)| lines).sum::<usize>(),
        at(50),
        at(90),
    );
    for (lines, path) in files.iter().rev().take_while(|(lines, _)| *lines > LONG) {
        text.push_str(&format!("\n       {lines} lines: {path}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_people_are_found() {
        let home = ["/home", "/me/x"].concat();
        for (line, found) in [
            (home.as_str(), true),
            (&format!("see \"{home}\""), true),
            (&format!("https://host.example{home}"), false),
            ("\"/home/\"", false),
            ("plain", false),
        ] {
            assert_eq!(home_of_somebody(line), found, "{line}");
        }
    }

    #[test]
    fn calls_in_tests_and_comments_do_not_count() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let call = "let x = Held::attest(d, 1);\n";
        assert_eq!(confined(&source("crates/mirror/src/a.rs", call)).len(), 1);
        assert!(confined(&source("crates/blob-store/src/a.rs", call)).is_empty());
        assert!(confined(&source("crates/mirror/tests/a.rs", call)).is_empty());
        assert!(confined(&source("crates/mirror/src/a.rs", &format!("// {call}"))).is_empty());
        assert!(
            confined(&source("crates/mirror/src/a.rs", &format!("#[cfg(test)]\nmod tests {{}}\n{call}"))).is_empty()
        );
    }
}
