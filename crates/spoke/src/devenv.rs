//! The operations of a developer's machine.
