//! The HTTP interface over real sockets, with a real hub on a database of its own.

mod bodies;
mod browsers;
mod calls;
mod document;
mod health;
mod keys;
mod lifetime;
mod streams;
mod support;
