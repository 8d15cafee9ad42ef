//! The operations of a developer's machine, on real files, with real shells and real git.

mod boundary;
mod changes;
mod environment;
mod files;
mod git_changing;
mod git_reading;
mod listing;
mod machine;
mod processes;
mod repository;
mod shell;
mod streaming;
mod watching;
mod worktrees;
