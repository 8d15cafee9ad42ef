//! Who offers which operation, as this process knows it: the table calls are routed by.
//!
//! Operations that the hub does not run itself stand in the registry as specs without a handler, and
//! here with everybody who offers them. Reading takes no lock: a change makes a new list and exchanges
//! it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alkhub_operations::{
    AnyHandler, Entry, Operation, OperationSpec, Provider, ProviderKind, Registry,
};
use alkhub_storage::ids::{AccountId, ClientId, OperationId, OrganizationId, ProjectId, SpokeId};
use arc_swap::ArcSwap;

use crate::auth::Principal;
use crate::breaker::Breaker;
use crate::links::SpokeLink;
use crate::operations::Overrides;

/// Who offers operations beside the hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ProviderId {
    /// A connected process.
    Spoke(SpokeId),
    /// An external service.
    Client(ClientId),
}

impl ProviderId {
    /// The provider as errors and envelopes name it.
    pub(crate) fn described(&self) -> Provider {
        let (kind, id) = match self {
            Self::Spoke(id) => (ProviderKind::Spoke, id.to_string()),
            Self::Client(id) => (ProviderKind::Client, id.to_string()),
        };
        Provider { kind, id }
    }

    /// The row's id, in whichever table it is.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Spoke(id) => id.as_str(),
            Self::Client(id) => id.as_str(),
        }
    }
}

/// Whose a provider is; decides who may know of it and call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The account that registered it.
    pub(crate) account: AccountId,
    /// The organization it belongs to, by itself or through its project.
    pub(crate) organization: Option<OrganizationId>,
    /// The project it is bound to.
    pub(crate) project: Option<ProjectId>,
}

impl Owner {
    /// True when the caller is of this tenant and its key reaches the project.
    pub(crate) fn reachable_by(&self, principal: &Principal, admin_sees_all: bool) -> bool {
        let project = self
            .project
            .as_ref()
            .is_none_or(|project| principal.narrowing.allows("project", project.as_str()));
        let tenant = match &self.organization {
            Some(organization) => principal.level_in(organization).is_some(),
            None => principal.account.id == self.account,
        };
        project && (tenant || (admin_sees_all && principal.is_admin()))
    }
}

/// How a provider says it is reached.
#[derive(Clone)]
pub(crate) enum Way {
    /// Over the connection of a spoke.
    Spoke(Arc<SpokeLink>),
    /// The hub calls the service itself, with this.
    Handler(AnyHandler),
    /// Known, not reachable now.
    Away,
}

/// How a call reaches a provider.
#[derive(Clone)]
pub(crate) enum Reach {
    /// Over the connection of a spoke.
    Spoke(Arc<SpokeLink>),
    /// In this process, by the operation with the handler that calls the service.
    Service(Arc<Entry>),
    /// Not now.
    Away,
}

/// One provider's offer of one operation.
pub(crate) struct Offer {
    pub(crate) provider: ProviderId,
    pub(crate) owner: Owner,
    pub(crate) reach: Reach,
    /// Stops calls to a provider that keeps failing; shared by all of its offers.
    pub(crate) breaker: Arc<Breaker>,
}

impl Offer {
    /// True when a call could be sent now, as far as the connection goes.
    pub(crate) fn live(&self) -> bool {
        match &self.reach {
            Reach::Spoke(link) => link.connected(),
            Reach::Service(_) => true,
            Reach::Away => false,
        }
    }

    /// True when the caller may know of this provider and call it.
    pub(crate) fn reachable_by(&self, principal: &Principal, admin_sees_all: bool) -> bool {
        let narrowing = &principal.narrowing;
        let named = match &self.provider {
            ProviderId::Spoke(id) => narrowing.allows("spoke", id.as_str()),
            ProviderId::Client(id) => narrowing.allows("client", id.as_str()),
        };
        named && self.owner.reachable_by(principal, admin_sees_all)
    }
}

type Table = HashMap<String, Arc<[Arc<Offer>]>>;

/// The table.
pub(crate) struct Providers {
    table: ArcSwap<Table>,
    rows: ArcSwap<HashMap<String, OperationId>>,
    names: ArcSwap<HashMap<OperationId, String>>,
    breakers: Mutex<HashMap<ProviderId, Arc<Breaker>>>,
    /// What the administrator set on top of operations.
    pub(crate) overrides: Overrides,
    /// Held by whoever makes the next tables, so that no change is lost.
    writing: Mutex<()>,
}

impl Providers {
    /// A table in which only the hub's own operations are known, by their rows.
    pub(crate) fn new(rows: HashMap<String, OperationId>, overrides: Overrides) -> Self {
        Self {
            table: ArcSwap::default(),
            names: ArcSwap::from_pointee(turned(&rows)),
            rows: ArcSwap::from_pointee(rows),
            breakers: Mutex::default(),
            overrides,
            writing: Mutex::new(()),
        }
    }

    /// The row of an operation: what a call record refers to.
    pub(crate) fn row(&self, operation: &str) -> Option<OperationId> {
        self.rows.load().get(operation).cloned()
    }

    /// The full name of the operation with this row.
    pub(crate) fn name_of(&self, row: &OperationId) -> Option<String> {
        self.names.load().get(row).cloned()
    }

    /// Everybody who offers an operation or has offered it; empty for the hub's own.
    pub(crate) fn of(&self, operation: &str) -> Arc<[Arc<Offer>]> {
        self.table
            .load()
            .get(operation)
            .map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// True when the hub runs the operation itself.
    pub(crate) fn is_own(&self, entry: &Entry) -> bool {
        !self.table.load().contains_key(entry.id().as_str())
    }

    /// The operations a provider offers now.
    pub(crate) fn offered_by(&self, provider: &ProviderId) -> Vec<String> {
        let table = self.table.load();
        let mut names: Vec<String> = table
            .iter()
            .filter(|(_, offers)| {
                offers
                    .iter()
                    .any(|offer| &offer.provider == provider && offer.live())
            })
            .map(|(name, _)| name.clone())
            .collect();
        names.sort();
        names
    }

    /// Makes operations known, and this provider one of those who offer them. A spec replaces an
    /// earlier one of its name; running calls end on the old one.
    pub(crate) fn offer(
        &self,
        registry: &Registry,
        provider: &ProviderId,
        owner: &Owner,
        operations: Vec<(OperationId, OperationSpec, Way)>,
    ) -> Result<(), alkhub_operations::RegistryError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = self.breaker(provider);
        let mut table = Table::clone(&self.table.load());
        let mut rows = HashMap::clone(&self.rows.load());
        // The registry is exchanged once, however many operations there are.
        let mut replaced = Vec::new();
        for (row, spec, way) in operations {
            let name = spec.id().to_string();
            let spec = self.overrides.effective(spec);
            let reach = match way {
                Way::Spoke(link) => Reach::Spoke(link),
                Way::Away => Reach::Away,
                Way::Handler(handler) => {
                    let mut operation = Operation::from(spec.clone());
                    operation.handler = Some(handler);
                    Reach::Service(Arc::new(Entry::standalone(operation)?))
                }
            };
            let known = registry
                .get(&name)
                .is_some_and(|entry| *entry.spec() == spec);
            if !known {
                replaced.push(Operation::from(spec));
            }
            let offer = Arc::new(Offer {
                provider: provider.clone(),
                owner: owner.clone(),
                reach,
                breaker: Arc::clone(&breaker),
            });
            let others = table
                .get(&name)
                .into_iter()
                .flat_map(|offers| offers.iter());
            let offers: Arc<[Arc<Offer>]> = others
                .filter(|other| &other.provider != provider)
                .cloned()
                .chain([offer])
                .collect();
            table.insert(name.clone(), offers);
            rows.insert(name, row);
        }
        registry.replace_all(replaced)?;
        self.table.store(Arc::new(table));
        self.names.store(Arc::new(turned(&rows)));
        self.rows.store(Arc::new(rows));
        Ok(())
    }

    /// A provider takes operations back, or all of them; they stay known.
    pub(crate) fn withdraw(&self, provider: &ProviderId, operations: Option<&[String]>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        for (name, offers) in &mut table {
            let meant = operations.is_none_or(|names| names.contains(name));
            if !meant || !offers.iter().any(|offer| &offer.provider == provider) {
                continue;
            }
            *offers = offers
                .iter()
                .map(|offer| {
                    if &offer.provider == provider {
                        Arc::new(Offer {
                            provider: offer.provider.clone(),
                            owner: offer.owner.clone(),
                            reach: Reach::Away,
                            breaker: Arc::clone(&offer.breaker),
                        })
                    } else {
                        Arc::clone(offer)
                    }
                })
                .collect();
        }
        self.table.store(Arc::new(table));
    }

    /// A provider belongs to somebody else from now on.
    pub(crate) fn change_owner(&self, provider: &ProviderId, owner: &Owner) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        for offers in table.values_mut() {
            if offers.iter().any(|offer| &offer.provider == provider) {
                *offers = offers
                    .iter()
                    .map(|offer| {
                        if &offer.provider == provider {
                            Arc::new(Offer {
                                provider: provider.clone(),
                                owner: owner.clone(),
                                reach: offer.reach.clone(),
                                breaker: Arc::clone(&offer.breaker),
                            })
                        } else {
                            Arc::clone(offer)
                        }
                    })
                    .collect();
            }
        }
        self.table.store(Arc::new(table));
    }

    /// Forgets a provider whose row is gone.
    pub(crate) fn forget_provider(&self, provider: &ProviderId) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        for offers in table.values_mut() {
            if offers.iter().any(|offer| &offer.provider == provider) {
                *offers = offers
                    .iter()
                    .filter(|offer| &offer.provider != provider)
                    .cloned()
                    .collect();
            }
        }
        self.table.store(Arc::new(table));
        self.breakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(provider);
    }

    /// Takes an operation out of the registry and out of the table. What is given back puts it there
    /// again with [`Providers::restore`].
    pub(crate) fn forget(&self, registry: &Registry, operation: &str) -> Option<Forgotten> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = registry.unregister(operation)?;
        let mut table = Table::clone(&self.table.load());
        let mut rows = HashMap::clone(&self.rows.load());
        let offers = table.remove(operation)?;
        let row = rows.remove(operation)?;
        self.table.store(Arc::new(table));
        self.names.store(Arc::new(turned(&rows)));
        self.rows.store(Arc::new(rows));
        Some(Forgotten { entry, offers, row })
    }

    /// Puts an operation back that was not removed after all.
    pub(crate) fn restore(&self, registry: &Registry, forgotten: Forgotten) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = forgotten.entry.id().to_string();
        if let Err(problem) = registry.replace(forgotten.entry.operation().clone()) {
            // It was registered a moment ago under the same rules.
            tracing::error!(operation = name, error = %problem, "an operation could not be put back");
            return;
        }
        let mut table = Table::clone(&self.table.load());
        let mut rows = HashMap::clone(&self.rows.load());
        table.insert(name.clone(), forgotten.offers);
        rows.insert(name, forgotten.row);
        self.table.store(Arc::new(table));
        self.names.store(Arc::new(turned(&rows)));
        self.rows.store(Arc::new(rows));
    }

    fn breaker(&self, provider: &ProviderId) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(breakers.entry(provider.clone()).or_default())
    }
}

fn turned(rows: &HashMap<String, OperationId>) -> HashMap<OperationId, String> {
    rows.iter()
        .map(|(name, row)| (row.clone(), name.clone()))
        .collect()
}

/// An operation that was taken out.
pub(crate) struct Forgotten {
    entry: Arc<Entry>,
    offers: Arc<[Arc<Offer>]>,
    pub(crate) row: OperationId,
}
