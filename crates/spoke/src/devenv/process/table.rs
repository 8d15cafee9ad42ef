//! The processes of an environment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::managed::Managed;
use super::{Listed, State};
use crate::devenv::errors::{DevError, PROCESS_NOT_FOUND};
use crate::devenv::exec::GRACE;

/// Ended processes that are still listed.
const MOST_ENDED: usize = 64;

/// Processes in the order of their start. They end when this is dropped.
#[derive(Default)]
pub(in crate::devenv) struct Processes {
    all: Mutex<VecDeque<Arc<Managed>>>,
}

impl Processes {
    pub(super) fn add(&self, managed: Managed) {
        let mut all = self.lock();
        all.push_back(Arc::new(managed));
        let mut surplus = all
            .iter()
            .filter(|process| process.state() == State::Exited)
            .count()
            .saturating_sub(MOST_ENDED);
        all.retain(|process| {
            let forgotten = surplus > 0 && process.state() == State::Exited;
            surplus -= usize::from(forgotten);
            !forgotten
        });
    }

    pub(super) fn get(&self, handle: &str) -> Result<Arc<Managed>, DevError> {
        self.lock()
            .iter()
            .find(|process| process.handle() == handle)
            .cloned()
            .ok_or_else(|| DevError::other(PROCESS_NOT_FOUND, "no process of this handle"))
    }

    pub(super) fn list(&self, tail: Option<usize>) -> Vec<Listed> {
        let all: Vec<_> = self.lock().iter().cloned().collect();
        all.iter().map(|process| process.listed(tail)).collect()
    }

    /// Ends all of them at once and waits.
    pub(in crate::devenv) async fn stop_all(&self) {
        let all: Vec<_> = self.lock().iter().cloned().collect();
        futures::future::join_all(all.iter().map(|process| process.stop(GRACE))).await;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Managed>>> {
        // A list is whole after each of its changes.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
