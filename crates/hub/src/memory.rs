//! Giving memory back after calls that took much of it.
//!
//! An import of a whole directory frees what it took, but the allocator keeps it in the heaps of the
//! threads that took part, for more of the same. The next import may be tomorrow.

use std::time::Duration;

/// Heaps of the process: two let threads allocate side by side, and small objects are served from the
/// threads' own caches anyway.
const HEAPS: i32 = 2;

/// How long after the call: its input and output must have been let go of.
const DELAY: Duration = Duration::from_secs(2);

/// Lets the allocator spread over few heaps. Call it first thing in `main`, before there are threads.
///
/// Each thread would else fill a heap of its own, and what one thread frees serves no other: an import,
/// which passes through half a dozen of them, would take half as much memory again.
pub fn limit_heaps() {
    set_heaps(HEAPS);
}

/// Gives freed memory back to the system, a little later and where nobody waits for it.
pub(crate) fn give_back_soon() {
    tokio::spawn(async {
        tokio::time::sleep(DELAY).await;
        if let Err(failed) = tokio::task::spawn_blocking(give_back).await {
            tracing::warn!(error = %failed, "freed memory was not given back");
        }
    });
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "glibc has no safe way to this, and no crate offers one"
)]
fn set_heaps(number: i32) {
    // SAFETY: mallopt takes two numbers and sets a limit that the allocator reads when a thread needs a
    // heap; an unknown parameter changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, number);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "glibc has no safe way to this, and no crate offers one"
)]
fn give_back() {
    // SAFETY: malloc_trim takes a number and looks only at the allocator's own state, under its locks;
    // it may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other allocators have no such limit.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_heaps(_number: i32) {}

/// Other allocators give back by themselves, or have no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}
