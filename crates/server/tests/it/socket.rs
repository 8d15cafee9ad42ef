//! The call protocol over real sockets.

mod calls;
mod graph;
mod peer;
