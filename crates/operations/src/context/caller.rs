//! On whose behalf a call runs, and who may run one with more rights.

use std::fmt;
use std::sync::Arc;

use crate::access::Identity;
use crate::context::Context;

/// On whose behalf a call runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody is identified.
    Anonymous,
    /// An account and what it may do.
    Identity(Identity),
    /// The embedding program itself; made by [`HostCapability::system`] alone.
    System(SystemCaller),
}

/// The right to act as the embedding program.
///
/// Whoever builds the [`Registry`](crate::Registry) makes one, gives it to
/// [`Registry::with_host`](crate::Registry::with_host) and keeps it. Anybody can make another, but
/// a registry believes only the one it was built with.
#[derive(Clone)]
pub struct HostCapability(Arc<Seal>);

/// Proof that a caller was made with a capability. It cannot be turned back into one.
#[derive(Clone)]
pub struct SystemCaller(Arc<Seal>);

/// A call with more rights than its caller has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elevation {
    /// Why; goes into record and audit.
    pub reason: String,
    /// Who the call is really for.
    pub acting_for: Arc<Caller>,
}

/// Equal only to itself: what counts is where it lies. It has a size, so no two share a place.
struct Seal(#[expect(dead_code, reason = "only its address is looked at")] u8);

impl HostCapability {
    /// Makes a capability that no registry knows yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Seal(0)))
    }

    /// The caller of the program's own work: jobs, migrations, detection.
    #[must_use]
    pub fn system(&self) -> Caller {
        Caller::System(self.proof())
    }

    /// True when the proof was made with this capability.
    #[must_use]
    pub fn made(&self, proof: &SystemCaller) -> bool {
        Arc::ptr_eq(&self.0, &proof.0)
    }

    fn proof(&self) -> SystemCaller {
        SystemCaller(Arc::clone(&self.0))
    }
}

impl Default for HostCapability {
    fn default() -> Self {
        Self::new()
    }
}

impl Caller {
    /// The account's rights; none for [`Caller::Anonymous`] and [`Caller::System`].
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Identity(identity) => Some(identity),
            Self::Anonymous | Self::System(_) => None,
        }
    }

    /// True for [`Caller::System`]. Whether it may be believed is the registry's decision.
    #[must_use]
    pub fn is_system(&self) -> bool {
        matches!(self, Self::System(_))
    }
}

impl Context {
    /// The same context; its nested calls run as the embedding program. The reason goes into the
    /// record of each. What those calls call in turn runs as the caller again.
    #[must_use]
    pub fn elevated(&self, capability: &HostCapability, reason: impl Into<String>) -> Self {
        let acting_for = Arc::clone(&self.caller);
        let elevation = Elevation {
            reason: reason.into(),
            acting_for,
        };
        let mut context = self.clone();
        context.pending_elevation = Some((capability.proof(), Arc::new(elevation)));
        context
    }

    /// As whom calls made inside this one run: its caller, or, when it is elevated, whom it is for.
    #[must_use]
    pub fn nested_caller(&self) -> &Caller {
        match &self.elevation {
            Some(elevation) => &elevation.acting_for,
            None => &self.caller,
        }
    }

    /// Caller and elevation of the next nested call.
    pub(super) fn caller_of_child(&self) -> (Arc<Caller>, Option<Arc<Elevation>>) {
        match (&self.pending_elevation, &self.elevation) {
            (Some((proof, elevation)), _) => (
                Arc::new(Caller::System(proof.clone())),
                Some(Arc::clone(elevation)),
            ),
            (None, Some(elevation)) => (Arc::clone(&elevation.acting_for), None),
            (None, None) => (Arc::clone(&self.caller), None),
        }
    }
}

impl PartialEq for SystemCaller {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SystemCaller {}

impl fmt::Debug for SystemCaller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SystemCaller")
    }
}

impl fmt::Debug for HostCapability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HostCapability")
    }
}
