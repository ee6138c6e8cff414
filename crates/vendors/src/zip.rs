//! A strict zip reader with one view, over bytes that lie elsewhere.
//!
//! Zip says the same things twice, in front of each member and in the directory at the end, and readers differ
//! in whom they believe. [`Archive::open`] takes an archive only if every reader must see the same in it: one end
//! record, regions that tile the file without a byte between them, local and central headers that agree, plain
//! names without doubles, methods 0 and 8. Writers' honest habits are fine: data descriptors, zip64, a comment.
//!
//! # Invariants
//! - Nothing is allocated on an archive's word: the directory is capped, members stream.
//! - A member's bytes leave this module only after size and CRC were found right; in pieces, they count only then.

mod directory;
mod end;
mod error;
mod fields;
mod local;
mod name;
mod unpack;

pub use error::ZipError;

use model::Timestamp;

use crate::ReadSeek;

/// What an archive may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The most members, folders included.
    pub entries: usize,
    /// The most bytes in a member's name.
    pub name_bytes: usize,
    /// The most bytes that one member unpacks to.
    pub member_bytes: u64,
    /// The most bytes that all members together unpack to.
    pub total_bytes: u64,
    /// How many times larger than packed a member may be; what unpacks to 64 KiB or less is exempt.
    pub ratio: u64,
    /// Whether folder members are taken.
    pub folders: bool,
}

/// How a member is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Not at all (0).
    Stored,
    /// With deflate (8).
    Deflated,
}

/// One member, as its headers agree that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; a folder's ends with `/`.
    pub name: String,
    /// The bytes it unpacks to.
    pub size: u64,
    /// The bytes it is packed in.
    pub compressed: u64,
    /// The CRC-32 of its unpacked bytes.
    pub crc32: u32,
    /// How it is packed.
    pub method: Method,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The date that whatever packed it gave it, taken for UTC since it names no zone; none where it is no date.
    pub modified: Option<Timestamp>,
}

/// An archive that every reader reads alike.
pub struct Archive<'a> {
    bytes: &'a mut dyn ReadSeek,
    members: Vec<Member>,
    places: Vec<local::Place>,
}

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("members", &self.members).finish_non_exhaustive()
    }
}

impl<'a> Archive<'a> {
    /// Reads and proves the archive's structure; members' bytes are not looked at yet.
    ///
    /// # Errors
    /// The archive is damaged, ambiguous, passes a cap, or cannot be read.
    pub fn open(bytes: &'a mut dyn ReadSeek, caps: &Caps) -> Result<Self, ZipError> {
        let end = end::find(bytes)?;
        let entries = directory::read(bytes, &end, caps)?;
        let (members, places) = local::tile(bytes, entries, end.directory_start)?;
        Ok(Self { bytes, members, places })
    }

    /// The members, in the order in which they lie in the file.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The index of the member with this very name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|member| member.name == name)
    }

    /// A member's bytes, size and CRC proven.
    ///
    /// # Errors
    /// There is no such member, it has over `cap` bytes, or its bytes are not what its headers say.
    pub fn read(&mut self, index: usize, cap: u64) -> Result<Vec<u8>, ZipError> {
        let (member, place) = self.at(index)?;
        if member.size > cap {
            return Err(ZipError::damaged(&member.name, "is larger than its cap"));
        }
        let (member, place) = (member.clone(), place.clone());
        let mut kept = Vec::new();
        unpack::unpack(self.bytes, &member, &place, |chunk| kept.extend_from_slice(chunk))?;
        Ok(kept)
    }

    /// Proves a member's size and CRC without keeping its bytes.
    ///
    /// # Errors
    /// There is no such member, or its bytes are not what its headers say.
    pub fn check(&mut self, index: usize) -> Result<(), ZipError> {
        let (member, place) = self.at(index)?;
        let (member, place) = (member.clone(), place.clone());
        unpack::unpack(self.bytes, &member, &place, |_| {})
    }

    /// Proves a member's size and CRC and keeps its first bytes, at most `count`.
    ///
    /// # Errors
    /// There is no such member, or its bytes are not what its headers say.
    pub fn head(&mut self, index: usize, count: usize) -> Result<Vec<u8>, ZipError> {
        let (member, place) = self.at(index)?;
        let (member, place) = (member.clone(), place.clone());
        let mut kept = Vec::new();
        unpack::unpack(self.bytes, &member, &place, |chunk| {
            let room = count.saturating_sub(kept.len());
            kept.extend(chunk.iter().take(room));
        })?;
        Ok(kept)
    }

    /// Hands a member's bytes over in pieces, so that a large one is nowhere held whole. They count only once this
    /// ends well: until then the caller keeps them apart.
    ///
    /// # Errors
    /// There is no such member, or its bytes are not what its headers say.
    pub fn pieces(&mut self, index: usize, each: impl FnMut(&[u8])) -> Result<(), ZipError> {
        let (member, place) = self.at(index)?;
        let (member, place) = (member.clone(), place.clone());
        unpack::unpack(self.bytes, &member, &place, each)
    }

    /// Proves every member's size and CRC.
    ///
    /// # Errors
    /// The first member whose bytes are not what its headers say.
    pub fn check_all(&mut self) -> Result<(), ZipError> {
        (0..self.members.len()).try_for_each(|index| self.check(index))
    }

    fn at(&self, index: usize) -> Result<(&Member, &local::Place), ZipError> {
        self.members.get(index).zip(self.places.get(index)).ok_or(ZipError::NoMember(index))
    }
}

#[cfg(test)]
mod tests;
