//! What every test of this crate needs.

pub use alkhub_storage::testing::each_engine as on_each_engine;
