//! The same settings for other tools: an Ansible task, the names in Intune and in the Defender portal.

use serde_json::{Map, Value};

use super::keys::{by_name, key};
use super::{MANAGED_FILE, MANAGED_FOLDER, Wanted};

/// What is in the file, without the byte order mark that JSON readers stumble over; in one expression, because older
/// versions of Ansible make an object of a variable that looks like one.
const TEXT: &str = r"mdatp_managed.content | b64decode | regex_replace('^\ufeff', '')";

/// Ansible tasks that merge the settings into what an endpoint has. Only for Linux: on macOS a profile is managed.
pub fn ansible(wanted: &Wanted) -> String {
    let mut sections: Map<String, Value> = Map::new();
    for (section, name, value) in wanted.keys() {
        let members = sections.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = members {
            members.insert(name.to_owned(), value);
        }
    }
    // A JSON object is a YAML mapping; what Jinja would read in it cannot stand in a URL.
    let settings = Value::Object(sections);
    format!(
        r#"# Points Microsoft Defender at the mirror; everything else in the file stays.
- name: Look for the managed settings of Defender
  ansible.builtin.stat:
    path: {MANAGED_FILE}
  register: mdatp_managed_there

- name: Read the managed settings of Defender
  ansible.builtin.slurp:
    src: {MANAGED_FILE}
  register: mdatp_managed
  when: mdatp_managed_there.stat.exists

- name: See that the managed settings of Defender are JSON, and that no key stands twice in them
  ansible.builtin.assert:
    that: mdatp_keys | length == mdatp_kept | length
    fail_msg: "A key stands twice in one object of {MANAGED_FILE}, and one of the two would be lost: keep the one that is meant, then run this again."
    quiet: true
  when: mdatp_managed_there.stat.exists
  vars:
    # Every string with the colon behind it, if there is one: those with one are the keys.
    mdatp_string: '"(?:[^"\\]|\\.)*"\s*:?'
    mdatp_keys: >-
      {{{{ {TEXT}
      | regex_findall(mdatp_string) | select('search', ':$') | list }}}}
    mdatp_kept: >-
      {{{{ {TEXT}
      | from_json | to_json | regex_findall(mdatp_string) | select('search', ':$') | list }}}}

- name: Have the folder of the managed settings
  ansible.builtin.file:
    path: {MANAGED_FOLDER}
    state: directory
    owner: root
    group: root
    mode: "0755"

- name: Let Defender take its definitions from the mirror
  ansible.builtin.copy:
    dest: {MANAGED_FILE}
    owner: root
    group: root
    mode: "0644"
    backup: true
    content: >-
      {{{{ ({TEXT} | from_json
      if mdatp_managed_there.stat.exists else {{}})
      | combine(mdatp_mirror, recursive=True) | to_nice_json(indent=2, sort_keys=False) }}}}
  # A rehearsal (--check) makes no folder, and there is nothing to write into.
  when: not ansible_check_mode or mdatp_managed_there.stat.exists
  vars:
    mdatp_mirror: {settings}
"#
    )
}

/// Each setting by its name in Intune and in the Defender portal, with the name in Graph and DSC: key, portal, Graph,
/// value. Where no name is published, the managed file is the only way. The names are those of the template for Linux:
/// none are published for macOS.
pub fn portal(wanted: &Wanted) -> Vec<[String; 4]> {
    let row = |(section, name, value): (&str, &str, Value)| {
        let known = key(section, name).or_else(|| by_name(name));
        let or_none = |text: Option<&str>| match text {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => "no published name: managed file".to_owned(),
        };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        [format!("{section}.{name}"), or_none(known.map(|key| key.portal)), or_none(known.map(|key| key.graph)), value]
    };
    wanted.keys().into_iter().map(row).collect()
}
