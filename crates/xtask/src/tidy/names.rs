//! Documents and reason codes name only keys, sections, crates and tests that exist.

use std::collections::BTreeSet;

use anyhow::Result;
use model::Reason;
use serde_json::Value;

use super::house::House;

pub(crate) fn check(house: &House) -> Result<Vec<String>> {
    let known = keys();
    let sections: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    let is_stale = |word: &str| {
        let (section, rest) = word.split_once('.').unwrap_or((word, ""));
        let keylike = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.'));
        let file = ["rs", "md", "toml", "pem", "key", "json"]
            .iter()
            .any(|end| rest == *end || rest.ends_with(&format!(".{end}")));
        keylike && !file && sections.contains(section) && !known.contains(word)
    };
    let mut findings = Vec::new();
    let functions = functions(house);
    for document in house.documents() {
        for (index, line) in document.text.lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2).filter(|word| is_test(word) && !functions.contains(word)) {
                findings.push(format!("{}:{}: there is no test `{name}`", document.path, index + 1));
            }
            // Odd parts of a line cut at backticks are code.
            for word in line.split('`').skip(1).step_by(2).filter(|word| is_stale(word)) {
                findings.push(format!("{}:{}: `{word}` is no key of the configuration", document.path, index + 1));
            }
            for name in crate_names(line).filter(|name| !house.root.join("crates").join(name).exists()) {
                findings.push(format!("{}:{}: crates/{name} does not exist", document.path, index + 1));
            }
        }
    }
    for reason in Reason::ALL {
        let words = reason.remedy().split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '=' | '`'));
        for word in words.map(|word| word.trim_end_matches('.')).filter(|word| is_stale(word)) {
            findings.push(format!("the remedy of {reason} names {word}, which is no key of the configuration"));
        }
    }
    Ok(findings)
}

/// Nothing else has a name of so many words.
fn is_test(word: &str) -> bool {
    let plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain && word.split('_').count() > 7 && !word.starts_with("waystation_")
}

/// The names of all functions in the workspace.
fn functions(house: &House) -> BTreeSet<&str> {
    let lines = house.sources.iter().filter(|source| source.is("rs")).flat_map(|source| source.text.lines());
    let named = lines.filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next());
    named.collect()
}

fn crate_names(line: &str) -> impl Iterator<Item = &str> {
    let names = line
        .split("crates/")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next());
    names.filter(|name| !name.is_empty())
}

/// Every key with its section, and every section, as the schema has them.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    gather("", &config::schema(), &mut keys);
    keys
}

fn gather(above: &str, schema: &Value, keys: &mut BTreeSet<String>) {
    let properties = schema.get("properties").or_else(|| schema.get("items").and_then(|items| items.get("properties")));
    for (name, below) in properties.and_then(Value::as_object).into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        gather(&path, below, keys);
        keys.insert(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_the_schema() {
        let keys = keys();
        for key in ["data_dir", "elastic.schedule", "elastic.retention.days", "serve.tls.key", "ring.name", "limits"] {
            assert!(keys.contains(key), "{key}");
        }
    }

    #[test]
    fn names_of_tests_are_told_from_other_words() {
        assert!(is_test("a_name_of_so_many_words_is_a_test_u01"));
        for other in ["not_found", "waystation_a_b_c_d_e_f_g_h", "A_B_C_D_E_F_G_H_I", "elastic.dated"] {
            assert!(!is_test(other), "{other}");
        }
    }

    #[test]
    fn crates_are_found_in_a_line() {
        assert_eq!(crate_names("see crates/blob-store/src, crates/x.").collect::<Vec<_>>(), ["blob-store", "x"]);
    }
}
