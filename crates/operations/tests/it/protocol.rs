//! The call protocol, in memory: both halves with a wire between them that carries text.

mod asyncapi;
mod calls;
mod frames;
mod hostile;
mod links;
mod properties;
mod provider;
mod resume;
mod streams;
