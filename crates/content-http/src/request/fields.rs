//! The headers that mean something here.

use super::{BAD, Refused};
use crate::conditional::{Conditions, Values};

/// What the headers say.
#[derive(Default)]
pub(super) struct Fields<'b> {
    pub(super) hosts: usize,
    lengths: usize,
    /// Whether a body follows.
    pub(super) body: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) conditions: Conditions<'b>,
    pub(super) range: Option<&'b [u8]>,
    pub(super) if_range: Option<&'b [u8]>,
    pub(super) forwarded_for: Values<'b>,
    pub(super) forwarded: Values<'b>,
    pub(super) authorization: Option<&'b [u8]>,
    pub(super) user_agent: &'b [u8],
}

impl<'b> Fields<'b> {
    /// Takes the next header.
    pub(super) fn take(&mut self, name: &'b [u8], value: &'b [u8]) -> Result<(), Refused> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // By length first: most headers of most requests are none of these.
        match name.len() {
            4 if is("host") => {
                self.hosts += 1;
                return if is_host(value) { Ok(()) } else { Err(BAD) };
            }
            5 if is("range") => once(&mut self.range, value),
            6 if is("expect") => return if is_continue(value) { Ok(()) } else { Err(Refused(417)) },
            8 if is("if-match") => return enough(self.conditions.if_match.push(value)),
            8 if is("if-range") => once(&mut self.if_range, value),
            9 if is("forwarded") => return enough(self.forwarded.push(value)),
            10 if is("connection") => self.connection(value),
            10 if is("user-agent") => self.user_agent = value,
            13 if is("authorization") => once(&mut self.authorization, value),
            13 if is("if-none-match") => return enough(self.conditions.if_none_match.push(value)),
            14 if is("content-length") => {
                self.lengths += 1;
                self.body = value != b"0";
                return if self.lengths == 1 && is_length(value) { Ok(()) } else { Err(BAD) };
            }
            15 if is("x-forwarded-for") => return enough(self.forwarded_for.push(value)),
            17 if is("transfer-encoding") => return Err(BAD),
            17 if is("if-modified-since") => once(&mut self.conditions.if_modified_since, value),
            19 if is("if-unmodified-since") => once(&mut self.conditions.if_unmodified_since, value),
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// Takes the value of a header that stands once; standing twice makes it say nothing.
fn once<'b>(slot: &mut Option<&'b [u8]>, value: &'b [u8]) {
    *slot = Some(if slot.is_some() { b"" } else { value });
}

fn enough(fits: bool) -> Result<(), Refused> {
    if fits { Ok(()) } else { Err(Refused(431)) }
}

/// Whether a text is one number that every parser reads alike: digits alone, no zero before them, not too large.
fn is_length(text: &[u8]) -> bool {
    let plain = text == b"0" || !text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit);
    plain && std::str::from_utf8(text).is_ok_and(|digits| digits.parse::<u64>().is_ok())
}

/// Whether every member of the list is what may be expected (RFC 9110, 10.1.1), and be it that there is none.
fn is_continue(value: &[u8]) -> bool {
    let mut members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    members.all(|member| member.is_empty() || member.eq_ignore_ascii_case(b"100-continue"))
}

/// Whether a text is `uri-host [":" port]` (RFC 9110, 7.2), or nothing at all. It is never used, but a strange one is a
/// sign of a proxy and us reading a request differently.
pub(super) fn is_host(text: &[u8]) -> bool {
    let (host, port) = match text {
        [] => return true,
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b']');
            let Some((literal, after)) = end.and_then(|end| rest.split_at_checked(end)) else { return false };
            if !is_literal(literal) {
                return false;
            }
            (&b"literal"[..], after.get(1..).unwrap_or_default())
        }
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    !host.is_empty() && is_name(host) && is_port(port)
}

/// What may stand in brackets: an address of version 6, or of one to come (RFC 3986, 3.2.2).
fn is_literal(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let later = || {
        let (version, address) = text.strip_prefix(['v', 'V'])?.split_once('.')?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:".contains(&byte);
        let hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        (hex && !address.is_empty() && address.bytes().all(allowed)).then_some(())
    };
    text.parse::<std::net::Ipv6Addr>().is_ok() || later().is_some()
}

fn is_name(text: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte);
    text.iter().all(plain) || {
        let mut parts = text.split(|byte| *byte == b'%');
        let coded = |part: &[u8]| part.iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
        parts.next().is_some_and(|first| first.iter().all(plain))
            && parts.all(|part| coded(part) && part.iter().all(plain))
    }
}

/// Nothing, or a colon and a port, whose digits may be left out.
fn is_port(text: &[u8]) -> bool {
    let Some((colon, digits)) = text.split_first() else { return true };
    let number = || std::str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok());
    *colon == b':' && (digits.is_empty() || digits.iter().all(u8::is_ascii_digit) && number())
}
