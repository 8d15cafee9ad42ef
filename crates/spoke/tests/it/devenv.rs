//! The operations of a developer's machine, on real files, with real shells and real git.

mod boundary;
mod changes;
mod environment;
mod files;
mod listing;
mod machine;
mod processes;
mod shell;
mod streaming;
mod watching;
