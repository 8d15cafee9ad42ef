//! The hub as its surfaces use it: started on a database of its own, called through the pipeline.

mod access;
mod identity;
mod pipeline;
mod projects;
mod support;
mod tasks;
