mod cloud;
mod crash;
mod engine;
mod health;
mod settings;
mod timer;
mod updates;
mod world;
