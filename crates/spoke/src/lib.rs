//! A spoke of an alkhub: a program that connects to the hub and offers operations.
//!
//! [`devenv`] holds the operations of a developer's machine: files, shell, processes, git.

pub mod devenv;
