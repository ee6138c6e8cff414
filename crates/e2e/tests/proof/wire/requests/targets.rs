//! Targets in other spellings.

use super::{Dice, Draft};

/// A target that is not the file's plain path.
pub(super) fn odd(dice: &mut Dice, draft: &mut Draft) {
    let path = String::from_utf8(draft.target.clone()).unwrap();
    let inner = path.get(1..).unwrap().find('/').unwrap() + 1;
    let (start, end) = path.split_at(inner);
    let last = path.rfind('/').unwrap() + 1;
    let (folder, name) = path.split_at(last);
    let (first, others) = name.split_at(1);
    let escaped = format!("{folder}%{:02x}{others}", first.as_bytes()[0]);
    let forms: [(&'static str, Vec<u8>); 40] = [
        ("target:absolute", format!("http://h{path}").into()),
        ("target:absolute", format!("HTTP://other.example:8080{path}").into()),
        ("target:absolute", format!("https://h{path}").into()),
        ("target:absolute-root", "http://h".into()),
        ("target:absolute-query", "http://h?a=b".into()),
        ("target:absolute-user", format!("http://user@h{path}").into()),
        ("target:absolute-empty-host", format!("http://{path}").into()),
        ("target:other-scheme", format!("ftp://h{path}").into()),
        ("target:slashes-first", format!("/{path}").into()),
        ("target:slashes-first-3", format!("//{path}").into()),
        ("target:slashes-inside", format!("{start}/{end}").into()),
        ("target:dot", format!("/.{path}").into()),
        ("target:dot", format!("{start}/.{end}").into()),
        ("target:dots-inside", format!("{start}/..{start}{end}").into()),
        ("target:dots-above", format!("/..{path}").into()),
        ("target:dots-above", "/../../../../etc/passwd".into()),
        ("target:percent", escaped.clone().into()),
        ("target:percent", escaped.to_uppercase().replace("/DOWNLOADS/", "/downloads/").into()),
        ("target:percent-slash", format!("{start}%2f{}", &end[1..]).into()),
        ("target:percent-dots", format!("/%2e%2e{path}").into()),
        ("target:percent-nul", format!("{path}%00").into()),
        ("target:percent-cut", format!("{path}%4").into()),
        ("target:percent-no-digits", format!("{path}%zz").into()),
        ("target:percent-other", format!("{path}%20").into()),
        ("target:query", format!("{path}?a=b&c").into()),
        ("target:query", format!("{path}?").into()),
        ("target:fragment", format!("{path}#part").into()),
        ("target:slash-behind", format!("{path}/").into()),
        ("target:absent", format!("{path}.bak").into()),
        ("target:absent", "/.git/config".into()),
        ("target:absent", "/no/such/path".into()),
        ("target:upper-case", path.to_uppercase().into()),
        ("target:backslash", path.replacen('/', "\\", 2).into()),
        ("target:no-slash", path[1..].to_owned().into()),
        ("target:base", "/".into()),
        ("target:base", "/linux/production/".into()),
        ("target:base-no-slash", "/linux/production".into()),
        ("target:asterisk", "*".into()),
        ("target:long", format!("/{}", "a".repeat(6000)).into()),
        ("target:very-long", format!("/{}", "a".repeat(40_000)).into()),
    ];
    let more: [(&'static str, Vec<u8>); 5] = [
        ("target:space", format!("{folder} {name}").into()),
        ("target:tab", format!("{folder}\t{name}").into()),
        ("target:raw-utf8", format!("{folder}ä{name}").into()),
        ("target:raw-control", format!("{folder}\u{1}{name}").into()),
        ("target:empty", Vec::new()),
    ];
    let which = dice.below(forms.len() + more.len());
    let (mark, target) = forms.into_iter().chain(more).nth(which).unwrap();
    draft.mark(mark);
    draft.target = target;
}
