//! Relative links of documents lead somewhere.

use std::path::Path;

use anyhow::Result;

use super::house::House;

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for document in house.documents() {
        let folder = house.root.join(&document.path);
        let folder = folder.parent().unwrap_or(Path::new(""));
        for (line, target) in targets(&document.text) {
            if !folder.join(&target).exists() {
                findings.push(format!("{}:{line}: the link to {target} leads nowhere", document.path));
            }
        }
    }
    Ok(findings)
}

/// The relative targets of a document's links, without fragments, each with its line.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        for link in links {
            let path = link.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:") {
                targets.push((index + 1, path.to_owned()));
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_links_are_looked_for() {
        let text = "[a](docs/a.md#x) [b](https://x.example/y) [c](#here)\n```\n[d](no)\n```\n![e](e.png \"title\")\n";
        assert_eq!(targets(text), [(1, "docs/a.md".to_owned()), (5, "e.png".to_owned())]);
    }
}
