//! What comes over the wire: compared with other servers, smuggled, slow, many, and while releases change.

mod differences;
mod differential;
mod peers;
mod raw;
mod requests;
