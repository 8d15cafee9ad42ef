//! The caller as the rules see it: account, key, organizations, and what follows from them.

use std::collections::{BTreeMap, BTreeSet};

use alkhub_operations::Identity;
use alkhub_storage::entity::{accounts, api_keys};
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
pub use alkhub_storage::identity::Membership;
use alkhub_storage::ids::OrganizationId;
use alkhub_storage::{Limits, Scope};

use crate::scopes;

/// What a key is narrowed to, by type. `None` is not narrowed, an empty list is nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing(BTreeMap<String, Vec<String>>);

impl Narrowing {
    /// The types a key can be narrowed by.
    pub const TYPES: [&'static str; 6] =
        ["client", "operation", "org", "project", "session", "spoke"];

    /// The ids of a type, or none when the key is not narrowed by it.
    #[must_use]
    pub fn ids(&self, kind: &str) -> Option<&[String]> {
        self.0.get(kind).map(Vec::as_slice)
    }

    /// True when the key may reach the row of this type and id.
    #[must_use]
    pub fn allows(&self, kind: &str, id: &str) -> bool {
        self.ids(kind)
            .is_none_or(|ids| ids.iter().any(|allowed| allowed == id || allowed == "*"))
    }

    /// True when the key may call the operation: a full name, or a pattern with `*` at the end of a
    /// segment (`fs.*`, `task.update*`).
    #[must_use]
    pub fn allows_operation(&self, operation: &str) -> bool {
        self.ids("operation").is_none_or(|patterns| {
            patterns
                .iter()
                .any(|pattern| operation_matches(pattern, operation))
        })
    }
}

/// True when the full name of an operation is the pattern, or fits it: a pattern has as many segments as
/// the name, and `*` at the end of a segment stands for the rest of it; `*` alone fits all.
#[must_use]
pub fn operation_matches(pattern: &str, operation: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    let segments: Vec<&str> = operation.split('.').collect();
    let wanted: Vec<&str> = pattern.split('.').collect();
    wanted.len() == segments.len()
        && wanted
            .iter()
            .zip(&segments)
            .all(|(wanted, segment)| match wanted.strip_suffix('*') {
                Some(start) => segment.starts_with(start),
                None => wanted == segment,
            })
}

/// An authenticated caller.
#[derive(Debug)]
pub struct Principal {
    /// Who answers for what is done.
    pub account: accounts::Model,
    /// The credential used.
    pub key: api_keys::Model,
    /// The caller's organizations, by name.
    pub organizations: Vec<Membership>,
    /// What the key is narrowed to.
    pub narrowing: Narrowing,
    /// Every scope the caller has: those of the key, expanded, under the ceiling of the access level.
    pub scopes: BTreeSet<String>,
}

impl Principal {
    /// Puts the rows together.
    #[must_use]
    pub fn new(
        account: accounts::Model,
        key: api_keys::Model,
        organizations: Vec<Membership>,
    ) -> Self {
        let mut scopes = scopes::expand(key.scopes.iter().map(String::as_str));
        scopes::apply_ceiling(&mut scopes, account.access_level);
        let narrowing = Narrowing(key.resources.0.clone().into_iter().collect());
        Self {
            account,
            key,
            organizations,
            narrowing,
            scopes,
        }
    }

    /// The caller as operations and their providers see it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut resources = BTreeMap::new();
        for (kind, ids) in self
            .narrowing
            .0
            .iter()
            .filter(|(kind, _)| *kind != "operation")
        {
            let any = || vec!["*".to_owned()];
            if ids.is_empty() {
                // An entry without an id narrows the type to nothing.
                resources.insert(format!("{kind}:"), any());
            }
            resources.extend(ids.iter().map(|id| (format!("{kind}:{id}"), any())));
        }
        Identity {
            id: self.account.id.to_string(),
            scopes: self.scopes.iter().cloned().collect(),
            resources,
        }
    }

    /// The key's own limit in calls a second, if it has one.
    #[must_use]
    pub fn own_rate(&self) -> Option<u32> {
        self.key
            .metadata
            .get("rateLimit")?
            .as_u64()
            .and_then(|rate| u32::try_from(rate).ok())
    }

    /// True when the caller has the scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// True for an administrator of the whole hub.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.account.access_level == AccessLevel::Admin
    }

    /// The caller's level in an organization, if a member.
    #[must_use]
    pub fn level_in(&self, organization: &OrganizationId) -> Option<MembershipLevel> {
        self.organizations
            .iter()
            .find(|membership| &membership.organization.id == organization)
            .map(|membership| membership.level)
    }

    /// The rows the caller may see, as a part of every query.
    #[must_use]
    pub fn scope(&self, admin_sees_all: bool) -> Scope {
        let narrowed = Narrowing::TYPES
            .iter()
            .any(|kind| *kind != "operation" && self.narrowing.ids(kind).is_some());
        let sees_all = self.is_admin() && admin_sees_all;
        if sees_all && !narrowed {
            return Scope::All;
        }
        let by_org = self.narrowing.ids("org");
        // Narrowed to organizations, an administrator sees those, member or not.
        let orgs = match by_org {
            Some(ids) if sees_all => ids.iter().cloned().map(OrganizationId::from).collect(),
            _ => self.organizations_at_least(|_level| true),
        };
        Limits {
            account: self.account.id.clone(),
            orgs,
            admin_of: self.organizations_at_least(|level| level != MembershipLevel::Member),
            personal: by_org.is_none(),
            everywhere: sees_all && by_org.is_none(),
            projects: self.narrowed_to("project"),
            sessions: self.narrowed_to("session"),
            spokes: self.narrowed_to("spoke"),
            clients: self.narrowed_to("client"),
        }
        .into()
    }

    fn organizations_at_least(
        &self,
        fits: impl Fn(MembershipLevel) -> bool,
    ) -> Vec<OrganizationId> {
        self.organizations
            .iter()
            .filter(|membership| fits(membership.level))
            .map(|membership| membership.organization.id.clone())
            .filter(|id| self.narrowing.allows("org", id.as_ref()))
            .collect()
    }

    fn narrowed_to<Id: From<String>>(&self, kind: &str) -> Option<Vec<Id>> {
        self.narrowing
            .ids(kind)
            .map(|ids| ids.iter().cloned().map(Id::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_patterns_match_whole_segments() {
        for (pattern, operation, expected) in [
            ("*", "org.member.add", true),
            ("fs.*", "fs.read", true),
            ("fs.*", "fsx.read", false),
            ("task.update*", "task.updateStatus", true),
            ("task.*", "task.dependency.add", false),
            ("task.*.*", "task.dependency.add", true),
            ("task.create", "task.create", true),
            ("task.create", "task.createMany", false),
        ] {
            assert_eq!(
                operation_matches(pattern, operation),
                expected,
                "{pattern} on {operation}"
            );
        }
    }

    #[test]
    fn absent_type_is_not_narrowed_and_empty_list_is_nothing() {
        let narrowing = Narrowing(BTreeMap::from([("project".to_owned(), vec![])]));
        assert!(narrowing.allows("org", "any"));
        assert!(!narrowing.allows("project", "any"));
        assert!(narrowing.allows_operation("task.create"));
    }
}
