mod document;
mod policies;
mod polls;
mod share;
mod world;
