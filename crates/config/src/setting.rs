//! Values, each read as its own type.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Window, Zone};
use url::Url;

use crate::keys::Kind;
use crate::problem::quoted;
use crate::raw::Raw;
use crate::{Cidr, Secret, Strictness, units};

/// A type that a key's value is read as.
pub(crate) trait Setting: Sized {
    /// The value, or what is wrong with it.
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String>;
    /// Its one spelling, without secrets.
    fn show(&self) -> String;
}

fn text<'a>(raw: &'a Raw, what: &str) -> Result<&'a str, String> {
    match raw {
        Raw::Text(text) => Ok(text),
        other => Err(format!("is {}, not {what}", name_of(other))),
    }
}

pub(crate) fn name_of(raw: &Raw) -> &'static str {
    match raw {
        Raw::Text(_) => "a text",
        Raw::Integer(_) => "a number",
        Raw::Flag(_) => "true or false",
        Raw::List(_) => "a list",
        Raw::Table(_) => "a table",
        Raw::Other(name) => name,
    }
}

impl Setting for String {
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String> {
        let text = text(raw, "a text")?;
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        match kind {
            Kind::Word(words) | Kind::Words(words) if !words.contains(&text) => {
                Err(format!("{} is none of {}", quoted(text), words.join(", ")))
            }
            _ => Ok(text.to_owned()),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        match text(raw, "a path")? {
            "" => Err("is empty".to_owned()),
            path if path.contains('\0') => Err(format!("{} is not a path", quoted(path))),
            path => Ok(Self::from(path)),
        }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for Secret {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        match text(raw, "a text")? {
            "" => Err("is empty".to_owned()),
            secret => Ok(Self::new(secret)),
        }
    }

    fn show(&self) -> String {
        "(secret)".to_owned()
    }
}

impl Setting for Url {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        let text = text(raw, "a URL")?;
        // The text itself is not shown: it may hold a password.
        let url = Self::parse(text).map_err(|error| format!("is not a URL ({error})"))?;
        match url.scheme() {
            "http" | "https" if url.host_str().is_none_or(str::is_empty) => Err("names no host".to_owned()),
            "http" | "https" => Ok(url),
            other => Err(format!("is a URL of scheme {}, not http or https", quoted(other))),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for SocketAddr {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        let text = text(raw, "an address and port")?;
        text.parse().map_err(|_| format!("{} is not an IP address and a port", quoted(text)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for bool {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        match raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Text(text) => Err(format!("{} is not true or false, which stand without quotes", quoted(text))),
            other => Err(format!("is {}, not true or false", name_of(other))),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String> {
        match kind {
            Kind::Size => sized(raw, "a size", units::size),
            Kind::Rate => sized(raw, "a rate", units::rate),
            _ => match raw {
                Raw::Integer(number) => Self::try_from(*number).map_err(|_| format!("{number} is below 0")),
                Raw::Text(text) => Err(format!("{} is not a number, which stands without quotes", quoted(text))),
                other => Err(format!("is {}, not a whole number", name_of(other))),
            },
        }
        .and_then(|number| match kind {
            Kind::Number(least, most) if number < least || number > most => {
                Err(format!("{number} is not between {least} and {most}"))
            }
            _ => Ok(number),
        })
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn sized(raw: &Raw, what: &str, parse: fn(&str) -> Option<u64>) -> Result<u64, String> {
    match raw {
        Raw::Integer(number) => Err(format!("{number} has no unit")),
        raw => {
            let text = text(raw, what)?;
            parse(text).ok_or_else(|| {
                format!(
                    "{} is not {what}: a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB{}",
                    quoted(text),
                    if what == "a rate" { ", then /s" } else { "" }
                )
            })
        }
    }
}

impl Setting for Duration {
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String> {
        if let Raw::Integer(number) = raw {
            return Err(format!("{number} has no unit"));
        }
        let text = text(raw, "a duration")?;
        let duration = units::duration(text).ok_or_else(|| {
            format!("{} is not a duration: whole numbers, each with w, d, h, m, s or ms, largest first", quoted(text))
        })?;
        let longest = Self::from_secs(3650 * 86_400);
        match kind {
            Kind::Duration(least) if duration < Self::from_millis(least) => {
                Err(format!("{} is below {}", quoted(text), units::show_duration(Self::from_millis(least))))
            }
            _ if duration > longest => Err(format!("{} is above 3650d", quoted(text))),
            _ => Ok(duration),
        }
    }

    fn show(&self) -> String {
        units::show_duration(*self)
    }
}

impl Setting for Strictness {
    fn read(raw: &Raw, kind: Kind) -> Result<Self, String> {
        String::read(raw, kind).map(|word| match word.as_str() {
            "off" => Self::Off,
            "require" => Self::Require,
            _ => Self::Warn,
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Require => "require",
        }
        .to_owned()
    }
}

impl Setting for Window {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        let text = text(raw, "a span of hours")?;
        text.parse().map_err(|error| format!("{} {error}", quoted(text)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Zone {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        let text = text(raw, "a time zone")?;
        text.parse().map_err(|error| format!("{} {error}", quoted(text)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Cidr {
    fn read(raw: &Raw, _: Kind) -> Result<Self, String> {
        let text = text(raw, "a range of addresses")?;
        text.parse().map_err(|error| format!("{} {error}", quoted(text)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}
