//! Answers as a vendor's host makes them, and as something on the way makes them.

use bytes::Bytes;
use model::Reason;
use outbound::{Request, ScriptedAnswer};
use vendor_sim::Said;

use super::{PACKAGES, State, Trick};

/// What stands at an address.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) body: Bytes,
    pub(super) etag: String,
    pub(super) modified: String,
}

/// What a request asks for beside the address.
pub(super) struct Wanted {
    etag: Option<String>,
    modified: Option<String>,
    part: Option<(u64, Option<String>)>,
}

impl Wanted {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            etag: request.if_none_match.clone(),
            modified: request.if_modified_since.clone(),
            part: request.range.as_ref().map(|range| (range.from, range.if_range.clone())),
        }
    }
}

impl Page {
    fn headed(&self, answer: ScriptedAnswer) -> ScriptedAnswer {
        answer.header("etag", &self.etag).header("last-modified", &self.modified)
    }

    /// As the vendor's host answers.
    fn answer(&self, wanted: &Wanted) -> ScriptedAnswer {
        let same = match &wanted.etag {
            Some(etag) => *etag == self.etag,
            None => wanted.modified.as_ref() == Some(&self.modified),
        };
        if same {
            return self.headed(ScriptedAnswer::status(304));
        }
        match &wanted.part {
            Some((from, unless)) if unless.as_ref().is_none_or(|tag| *tag == self.etag) => {
                self.headed(ScriptedAnswer::part(&self.body, usize::try_from(*from).unwrap_or(usize::MAX)))
            }
            _ => self.whole(),
        }
    }

    /// 200 and everything, in two chunks.
    fn whole(&self) -> ScriptedAnswer {
        let half = self.body.len() / 2;
        self.headed(ScriptedAnswer::status(200))
            .header("content-length", &self.body.len().to_string())
            .chunk(self.body.slice(..half))
            .chunk(self.body.slice(half..))
    }
}

impl State {
    /// The answer to a request, spoiled or not.
    pub(super) fn answer(&mut self, target: &str, page: Page, trick: Option<Trick>, wanted: &Wanted) -> ScriptedAnswer {
        let key = target.split('?').next().unwrap_or(target).to_owned();
        let earlier = self.earlier.entry(key).or_insert_with(|| page.clone()).clone();
        let half = page.body.slice(..page.body.len() / 2);
        let length = page.body.len().to_string();
        match trick {
            None => page.answer(wanted),
            Some(Trick::Frozen) => earlier.answer(wanted),
            Some(Trick::Short) => ScriptedAnswer::status(200).header("content-length", &length).chunk(half),
            Some(Trick::CutSilently) => page.headed(ScriptedAnswer::status(200)).chunk(half),
            Some(Trick::Reset) => page
                .headed(ScriptedAnswer::status(200).header("content-length", &length))
                .chunk(half)
                .then_fails(Reason::ShortBody, "the simulated line broke"),
            Some(Trick::TooLong) => page.headed(ScriptedAnswer::status(200)).chunk(page.body.clone()).chunk("more"),
            Some(Trick::OtherBytes) => Page { body: turned(&page.body), ..page }.whole(),
            Some(Trick::WrongPart) => page.headed(ScriptedAnswer::part(&page.body, 1)),
            Some(Trick::Untagged) => ScriptedAnswer::ok(page.body),
            Some(Trick::SameTag) => Page { etag: "\"same\"".to_owned(), ..page }.answer(wanted),
            Some(Trick::Spoiled(fault)) => match self.hosts.ask_spoiled(target, PACKAGES, &fault) {
                Ok(Said::Found { body, etag, modified, .. }) => {
                    Page { body: Bytes::from(body.to_vec()), etag, modified }.whole()
                }
                _ => page.answer(wanted),
            },
            Some(Trick::Replaced) => {
                let answer = page.answer(wanted);
                self.replace();
                answer
            }
            Some(head) => head.bare(),
        }
    }

    /// Every vendor publishes while somebody reads.
    fn replace(&mut self) {
        // Nothing here can fail: the targets exist and the key signs.
        let _ = self.publish(|hosts| {
            hosts.publish_elastic(&vendor_sim::ElasticTarget::All, &vendor_sim::Change::of(2))?;
            hosts.publish_defender(vendor_sim::DefenderTarget::All, &vendor_sim::DefenderChange::default())
        });
    }
}

/// The same with one bit of the byte in the middle turned.
fn turned(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}
