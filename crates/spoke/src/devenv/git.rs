//! `git.*`: repositories under the roots, by the `git` program.
//!
//! What callers give never becomes an option of git: revisions and names that begin with `-` are
//! refused, paths are given as literal pathspecs behind `--`. A repository that lies around a root is
//! not found from inside it.

mod branches;
mod commits;
mod differences;
mod names;
mod run;
mod status;
mod worktree_list;
mod worktrees;

use std::time::Duration;

use alkhub_operations::{Operation, OperationBuilder, OperationType, operation};

use super::environment::Environment;
use super::errors::{
    Declare, Declared, FILE_NOT_FOUND, GIT_FAILED, NOT_A_DIRECTORY, PATH_OUTSIDE, PERMISSION,
};

/// What can go wrong with every one of them.
const COMMON: &[Declared] = &[
    PATH_OUTSIDE,
    PERMISSION,
    FILE_NOT_FOUND,
    NOT_A_DIRECTORY,
    GIT_FAILED,
];
/// Time of those that may run hooks, write many files or talk to another machine.
const LONG: Duration = Duration::from_mins(10);

pub(super) fn operations(environment: &Environment) -> Vec<Operation> {
    vec![
        status::define(environment),
        differences::diff(environment),
        differences::show(environment),
        commits::log(environment),
        commits::add(environment),
        commits::commit(environment),
        branches::checkout(environment),
        branches::branch(environment),
        branches::merge(environment),
        branches::push(environment),
        worktrees::create(environment),
        worktrees::remove(environment),
        worktree_list::define(environment),
    ]
}

fn query<I, O>(id: &str) -> OperationBuilder<I, O> {
    operation(id, OperationType::Query)
        .tags(&["git"])
        .fails_with(&[COMMON])
}

fn mutation<I, O>(id: &str) -> OperationBuilder<I, O> {
    operation(id, OperationType::Mutation)
        .tags(&["git"])
        .timeout(LONG)
        .fails_with(&[COMMON])
}
