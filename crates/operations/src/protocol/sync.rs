//! The locks of this module, in one place, so that a model checker can put its own in their stead.

pub(super) use std::sync::{Arc, Mutex};
use std::sync::{MutexGuard, PoisonError};

/// Locks. None of the data behind these locks is left half-changed by a panic, so a poisoned lock is
/// as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
