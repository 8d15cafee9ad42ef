//! Options every list takes.

use clap::Args;
use serde::Serialize;

/// Which part of a list is wanted.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Paging")]
pub(crate) struct Paging {
    /// At most this many [default: 50, at most 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: Option<u16>,
    /// Go on where an earlier answer ended; the other options must be the same
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// Which end of the list comes first
    #[arg(long, value_name = "ORDER", value_parser = ["asc", "desc"])]
    order: Option<String>,
}
