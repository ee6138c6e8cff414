//! Who acts, for the history.

use catalog::Actor;

/// The longest name that is kept.
const LONGEST: usize = 64;

/// This process, and the person behind it as far as the environment tells: its word, not a proof.
pub(crate) fn actor(verb: &str, environment: &[(String, String)]) -> Actor {
    let of = |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let login = ["SUDO_USER", "LOGNAME", "USER"].into_iter().find_map(|name| of(name).and_then(name_of));
    let sudo_uid = of("SUDO_UID").and_then(|uid| uid.parse().ok());
    Actor { sudo_uid, login, ..Actor::new(platform::uid(), platform::pid(), verb) }
}

/// A name as names are; anything else is none.
fn name_of(text: &str) -> Option<String> {
    let plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '\\' | '$'));
    (plain && !text.is_empty() && text.chars().count() <= LONGEST).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_person_behind_sudo_is_told_a21() {
        let environment = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let ours = |pairs| {
            let actor = actor("release admit", &environment(pairs));
            (actor.sudo_uid, actor.login)
        };
        assert_eq!(ours(&[]), (None, None));
        assert_eq!(ours(&[("USER", "ada")]), (None, Some("ada".to_owned())));
        let sudo = [("USER", "root"), ("SUDO_UID", "1000"), ("SUDO_USER", "ada")];
        assert_eq!(ours(&sudo), (Some(1000), Some("ada".to_owned())));
        let hostile = [("SUDO_UID", "-1"), ("SUDO_USER", "a\nb"), ("LOGNAME", "$(id) x"), ("USER", "ok")];
        assert_eq!(ours(&hostile), (None, Some("ok".to_owned())));
    }
}
