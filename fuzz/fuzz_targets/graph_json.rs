//! Any bytes as graphology JSON, and as the input of an analysis.
#![no_main]

#[path = "../../crates/taskgraph/tests/it/hostile/checks.rs"]
#[allow(dead_code, reason = "each target uses its own of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::graph_json(bytes));
