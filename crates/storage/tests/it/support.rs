//! What every test of this crate needs.

pub(crate) use alkhub_storage::testing::each_engine as on_each_engine;
