//! The call protocol over real sockets.

mod aborts;
mod calls;
mod doors;
mod frames;
mod graph;
mod lost;
mod offers;
mod peer;
mod restart;
