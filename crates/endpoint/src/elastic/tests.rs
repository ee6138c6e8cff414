mod document;
mod os;
mod policies;
mod polls;
mod world;
