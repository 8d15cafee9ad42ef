//! The call protocol over real sockets.

mod aborts;
mod breaker;
mod calls;
mod deadlines;
mod doors;
mod frames;
mod graph;
mod lost;
mod offers;
pub(crate) mod peer;
mod restart;
mod rights;
mod slow;
