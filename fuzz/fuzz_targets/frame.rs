//! Any bytes as a frame of the call protocol.
#![no_main]

#[path = "../../crates/operations/tests/it/protocol/hostile.rs"]
mod hostile;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hostile::frame(bytes));
