//! The group whose members this process shares its files with, where the operator declared one.

use std::io::{self, BufRead, BufReader};
use std::sync::OnceLock;

/// A group of users, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(u32);

/// Declared once in the life of a process, as its user is.
static SHARED: OnceLock<Group> = OnceLock::new();

impl Group {
    /// The group of this number.
    pub const fn new(gid: u32) -> Self {
        Self(gid)
    }

    /// Its number.
    pub const fn gid(self) -> u32 {
        self.0
    }

    /// The group that a text names: a number, or a name that stands in `/etc/group`. A name that another service
    /// answers for is not found; its number always is.
    ///
    /// # Errors
    /// The system's answer when the list of groups cannot be read.
    pub fn find(text: &str) -> io::Result<Option<Self>> {
        if let Ok(gid) = text.parse() {
            return Ok(Some(Self(gid)));
        }
        let list = BufReader::new(std::fs::File::open("/etc/group")?);
        Self::find_in(text, list)
    }

    fn find_in(name: &str, list: impl BufRead) -> io::Result<Option<Self>> {
        for line in list.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            let mut fields = line.split(':');
            let (known, _, gid) = (fields.next(), fields.next(), fields.next());
            if known == Some(name) {
                return Ok(gid.and_then(|gid| gid.parse().ok()).map(Self));
            }
        }
        Ok(None)
    }
}

/// Shares all that this process makes from now on with the members of a group, and believes what belongs to it. Once
/// only: a process that shares already keeps its group; what is given back holds.
pub fn share_with(group: Group) -> Group {
    *SHARED.get_or_init(|| group)
}

/// The group that this process shares its files with, if any.
pub fn shared_group() -> Option<Group> {
    SHARED.get().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_and_a_number_is_itself() {
        let list = "root:x:0:\nway station:x:7:\nbad\nodd:x:nine:\nwaystation:x:998:alice,bob\n\u{e4}:x:3:\n";
        let find = |name| Group::find_in(name, list.as_bytes()).unwrap();
        assert_eq!(find("waystation"), Some(Group::new(998)));
        assert_eq!(find("root"), Some(Group::new(0)));
        for absent in ["way", "", "bad", "odd", "alice", "998"] {
            assert_eq!(find(absent), None, "{absent}");
        }
        assert_eq!(Group::find("2000").unwrap(), Some(Group::new(2000)));
    }
}
