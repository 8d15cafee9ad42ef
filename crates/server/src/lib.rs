//! The surfaces of alkhub: the HTTP interface over a hub, the OpenAPI document and the reference
//! page made from its operations, and the process that serves them.
//!
//! No rule of a domain and no SQL is here: a request becomes a call of the hub, and what the hub
//! answers becomes a response.

mod http;
mod logging;
mod mcp;
mod openapi;
mod pages;
mod serve;

pub use http::router;
pub use logging::{LoggingError, init_logging};
pub use serve::{Announcement, ServeError, ServeOptions, reload_on_hangup, run};
