//! The whole engine against simulated vendors: what is served is always one whole admitted release, whatever the
//! vendors do, and the next run without a fault serves what a mirror serves that never met one.

mod costs;
mod walk;
mod world;
