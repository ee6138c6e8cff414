//! The whole engine against simulated vendors: what is served is always one whole admitted release, whatever the
//! vendors do, and the next run without a fault serves what a mirror serves that never met one.

mod costs;
mod decisions;
mod folder;
mod identity;
mod keeping;
mod random;
mod upstream;
mod walk;
mod world;
