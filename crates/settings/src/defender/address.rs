//! An address that endpoints are given, or say that they took definitions from: read once, for all who look at one.

use url::{Host, Url};

/// Hosts of the vendor's cloud.
const VENDOR: [&str; 3] = ["microsoft.com", "windows.com", "microsoftonline.com"];

/// An address, read by Microsoft's layout: a mirror or a folder, perhaps a ring, the platform, the track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    root: Root,
    /// What stands between slashes, as a URL writes it; empty ones are left out.
    segments: Vec<String>,
    /// Whether a URL has an empty one in between, or two slashes at its end.
    doubled: bool,
    /// Which segment is the platform; the next is the track.
    at: Option<usize>,
}

/// What the path hangs below.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Root {
    /// A folder of the endpoint.
    Folder,
    /// `http` or `https`, a host, a port.
    Web { scheme: String, host: String, port: Option<u16> },
    /// Neither: without a scheme, with another, or no address at all.
    Other,
}

impl Root {
    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        Self::Web { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default() }
    }
}

impl Address {
    /// Reads an address.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let plain = || {
            let path = text.split(['?', '#']).next().unwrap_or_default();
            path.split('/').map(str::to_owned).collect::<Vec<_>>()
        };
        let web = |url: Url| {
            let segments = url.path_segments().into_iter().flatten().map(str::to_owned).collect::<Vec<_>>();
            (Root::of(&url), segments)
        };
        let is_web = |url: &Url| matches!(url.scheme(), "http" | "https");
        let (root, mut segments) = if text.starts_with('/') {
            (Root::Folder, plain())
        } else {
            let url = Url::parse(text).ok().filter(|url| text.contains("://") && is_web(url));
            url.map_or_else(|| (Root::Other, plain()), web)
        };
        let within = segments.split_last().map_or(&[][..], |(_, before)| before);
        let doubled = matches!(root, Root::Web { .. }) && within.iter().any(String::is_empty);
        segments.retain(|segment| !segment.is_empty());
        let at = layout(&segments);
        Self { root, segments, doubled, at }
    }

    /// Whether it is a folder of the endpoint.
    pub fn is_folder(&self) -> bool {
        self.root == Root::Folder
    }

    /// Whether it is a URL that can be asked.
    pub fn is_web(&self) -> bool {
        matches!(self.root, Root::Web { .. })
    }

    /// Whether two slashes stand in a row behind the host: a path of its own, at which our own mirror and many others
    /// have nothing. Between folders they count as one.
    pub fn is_doubled(&self) -> bool {
        self.doubled
    }

    /// Platform and track, the track as it is written: maybe with `_back`.
    pub fn layout(&self) -> Option<(&str, &str)> {
        let at = self.at?;
        Some((self.segments.get(at)?, self.segments.get(at + 1)?))
    }

    /// The processor whose folder it goes on into, where there are definitions for it.
    pub fn processor(&self) -> Option<&str> {
        self.segments.get(self.at? + 2)?.strip_prefix("arch_").filter(|arch| matches!(*arch, "x86_64" | "arm64"))
    }

    /// The ring that it names, where it does: below `/rings/` in a URL; a ring's plain folder has the ring's name.
    pub fn ring(&self) -> Option<&str> {
        let before = |count: usize| Some(self.segments.get(self.at?.checked_sub(count)?)?.as_str());
        match self.root {
            Root::Folder => before(1),
            _ => before(1).filter(|_| before(2) == Some("rings")),
        }
    }

    /// Whether anything stands behind the track.
    pub fn goes_on(&self) -> bool {
        self.at.is_some_and(|at| self.segments.len() > at + 2)
    }

    /// Whether it goes on into what endpoints append: a processor's folder, or a file.
    pub fn is_too_far(&self) -> bool {
        let behind = match self.at {
            Some(at) => self.segments.get(at + 2),
            None => self.segments.last(),
        };
        behind.is_some_and(|segment| is_appended(segment))
            || self.at.is_none() && self.segments.iter().rev().nth(1).is_some_and(|segment| is_arch(segment))
    }

    /// Whether it is one of Microsoft's own.
    pub fn is_of_vendor(&self) -> bool {
        let Root::Web { host, .. } = &self.root else { return false };
        let Ok(Host::Domain(name)) = Host::parse(host) else { return false };
        VENDOR.iter().any(|vendor| name == *vendor || name.ends_with(&format!(".{vendor}")))
    }

    /// Whether it is the same place, however it is written: host in capitals, the scheme's own port, a slash at the end.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.root, &self.segments, self.doubled) == (&other.root, &other.segments, other.doubled)
    }

    /// Whether another address is this one, or goes on from it into what endpoints append themselves.
    pub fn leads_to(&self, other: &Self) -> bool {
        let rest = other.segments.strip_prefix(self.segments.as_slice());
        self.root == other.root && rest.is_some_and(|rest| rest.first().is_none_or(|first| is_appended(first)))
    }

    /// Whether both are of one mirror, or below one folder: all is the same before ring and platform.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.root == other.root && self.base().is_some() && self.base() == other.base()
    }

    /// Whether it is below a mirror's own address.
    pub fn is_below(&self, mirror: &Url) -> bool {
        let prefix = mirror.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty());
        self.root == Root::of(mirror) && self.base().is_some_and(|base| prefix.eq(base.iter().map(String::as_str)))
    }

    /// What stands before ring and platform.
    fn base(&self) -> Option<&[String]> {
        let at = self.at?;
        let ring = match (self.ring(), self.is_folder()) {
            (None, _) => 0,
            (Some(_), true) => 1,
            (Some(_), false) => 2,
        };
        self.segments.get(..at.checked_sub(ring)?)
    }
}

/// Where platform and track stand: at the end if they do, else where they first do.
fn layout(segments: &[String]) -> Option<usize> {
    let is_layout = |pair: &[String]| match pair {
        [platform, track] => matches!(platform.as_str(), "linux" | "mac") && is_track(track),
        _ => false,
    };
    let last = segments.len().checked_sub(2).filter(|at| segments.get(*at..).is_some_and(is_layout));
    last.or_else(|| segments.windows(2).position(is_layout))
}

fn is_track(text: &str) -> bool {
    matches!(text.strip_suffix("_back").unwrap_or(text), "production" | "preview")
}

fn is_arch(segment: &str) -> bool {
    segment.starts_with("arch_")
}

/// Whether endpoints append such a thing themselves.
fn is_appended(segment: &str) -> bool {
    is_arch(segment) || segment.ends_with(".zip") || segment.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(one: &str, other: &str) -> bool {
        Address::read(one).is_same(&Address::read(other))
    }

    #[test]
    fn one_place_is_one_place_however_it_is_written() {
        let here = "http://mirror.corp/linux/production/";
        for other in [
            "http://Mirror.Corp:80/linux/production",
            "HTTP://mirror.corp./linux/production/",
            "http://mirror.corp/x/../linux/production",
        ] {
            assert!(same(here, other), "{other}");
        }
        for other in [
            "https://mirror.corp/linux/production/",
            "http://mirror.corp:8080/linux/production/",
            "http://mirror.corp/linux/production//",
            "http://mirror.corp//linux/production/",
            "http://mirror.corp/linux/preview/",
            "mirror.corp/linux/production/",
            "/mirror.corp/linux/production/",
        ] {
            assert!(!same(here, other), "{other}");
        }
        assert!(same("/mnt//mirror/linux/production/", "/mnt/mirror/linux/production"));
    }

    #[test]
    fn platform_track_and_ring_are_read_where_they_stand() {
        let read = |text: &str| {
            let address = Address::read(text);
            let layout = address.layout().map(|(platform, track)| format!("{platform} {track}"));
            (layout.unwrap_or_default(), address.ring().unwrap_or_default().to_owned(), address.goes_on())
        };
        let expected = |layout: &str, ring: &str, goes_on| (layout.to_owned(), ring.to_owned(), goes_on);
        for (text, layout, ring, goes_on) in [
            ("https://m/linux/production/", "linux production", "", false),
            ("https://m/a/rings/canary/mac/preview_back", "mac preview_back", "canary", false),
            ("https://m/canary/linux/production", "linux production", "", false),
            ("/srv/canary/linux/production", "linux production", "canary", false),
            ("/srv/mac/production/linux/production", "linux production", "production", false),
            ("https://m/linux/production/arch_x86_64/updates.zip", "linux production", "", true),
            ("m.corp:8000/linux/production/", "linux production", "", false),
            ("https://m/linux", "", "", false),
            ("https://go.microsoft.com/fwlink/?linkid=2144709", "", "", false),
        ] {
            assert_eq!(read(text), expected(layout, ring, goes_on), "{text}");
        }
    }

    #[test]
    fn what_endpoints_append_is_too_far_and_leads_on_from_what_they_are_given() {
        let far = |text: &str| Address::read(text).is_too_far();
        for text in [
            "https://m/linux/production/arch_x86_64",
            "https://m/linux/production/arch_arm64/updates.zip",
            "https://m/linux/production/manifest.json",
            "/mnt/x/arch_x86_64",
            "/mnt/x/arch_x86_64/updates.zip",
        ] {
            assert!(far(text), "{text}");
        }
        assert!(!far("https://m/linux/production") && !far("/mnt/arch_mirror/linux/production") && !far("https://m/"));
        let given = Address::read("http://h:8000/linux/production/");
        let leads = |text: &str| given.leads_to(&Address::read(text));
        assert!(
            leads("http://H:8000/linux/production") && leads("http://h:8000/linux/production/arch_x86_64/updates.zip")
        );
        assert!(!leads("http://h:8000/linux/production_back/") && !leads("http://h:8000/linux/production/x"));
        let mount = Address::read("/mnt/defender");
        assert!(mount.leads_to(&Address::read("/mnt/defender/")) && !mount.leads_to(&Address::read("/mnt/other")));
    }

    #[test]
    fn a_mirror_is_known_by_all_that_stands_before_ring_and_platform() {
        let below = |text: &str, mirror: &str| Address::read(text).is_below(&mirror.parse().unwrap());
        assert!(below("https://M.corp:443/a/rings/x/linux/production", "https://m.corp/a/"));
        assert!(
            !below("https://m.corp/a/linux/production", "https://m.corp")
                && !below("https://m.corp/", "https://m.corp")
        );
        let beside = |one: &str, other: &str| Address::read(one).is_beside(&Address::read(other));
        assert!(beside("https://m/rings/x/linux/production", "https://m/mac/preview"));
        assert!(!beside("https://m/", "https://m/") && !beside("http://m/linux/preview", "https://m/linux/preview"));
    }

    #[test]
    fn the_vendor_s_own_hosts_are_known() {
        let vendor = |text: &str| Address::read(text).is_of_vendor();
        assert!(vendor("https://go.microsoft.com/fwlink/?linkid=1") && vendor("https://GO.Microsoft.com./x"));
        assert!(!vendor("https://microsoft.com.evil.corp/") && !vendor("/mnt/microsoft.com/x") && !vendor(""));
    }

    proptest! {
        #[test]
        fn any_text_is_the_same_as_itself_i10(text in "[ -~é/]{0,60}") {
            let address = Address::read(&text);
            prop_assert!(address.is_same(&address) && address.leads_to(&address));
            prop_assert!(!address.goes_on() || address.layout().is_some());
        }
    }
}
