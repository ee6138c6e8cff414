//! What comes over the wire: compared with other servers, smuggled, slow, many, and while releases change.

mod crowd;
mod differences;
mod differential;
mod fronts;
mod peers;
mod publications;
mod raw;
mod requests;
mod scanners;
mod smuggling;
mod vectors;
