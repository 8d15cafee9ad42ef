//! The scopes there are, what one implies, and the ceiling each access level puts on them.
//!
//! A key carries scopes as its owner wrote them (`*`, `task:*`, `task:write`). Before anything is
//! decided they are expanded into the plain list of every scope they grant, so that the check of an
//! operation is a test of set membership and nothing else.

use std::collections::BTreeSet;

use alkhub_storage::enums::AccessLevel;

/// One area of the hub with the verbs that exist in it.
struct Area {
    name: &'static str,
    verbs: &'static [&'static str],
}

const AREAS: &[Area] = &[
    Area {
        name: "account",
        verbs: &["admin", "read"],
    },
    Area {
        name: "audit",
        verbs: &["admin", "read"],
    },
    Area {
        name: "budget",
        verbs: &["write"],
    },
    Area {
        name: "call",
        verbs: &["abort", "admin", "read"],
    },
    Area {
        name: "client",
        verbs: &["call", "read", "write"],
    },
    Area {
        name: "coord",
        verbs: &["abort", "message", "read", "spawn"],
    },
    Area {
        name: "hub",
        verbs: &["admin", "read"],
    },
    Area {
        name: "key",
        verbs: &["write"],
    },
    Area {
        name: "operation",
        verbs: &["admin"],
    },
    Area {
        name: "org",
        verbs: &["read", "write"],
    },
    Area {
        name: "project",
        verbs: &["admin", "read", "write"],
    },
    Area {
        name: "role",
        verbs: &["read", "write"],
    },
    Area {
        name: "session",
        verbs: &["admin", "read", "write"],
    },
    Area {
        name: "spoke",
        verbs: &["admin", "call", "read", "register", "write"],
    },
    Area {
        name: "task",
        verbs: &["read", "status", "write"],
    },
    Area {
        name: "usage",
        verbs: &["read"],
    },
];

/// Ready-made lists of scopes for `key.create`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Everything.
    Admin,
    /// What a person who works with agents needs.
    Developer,
    /// What a machine that only offers operations needs.
    Spoke,
    /// What a spawned agent gets when its role says nothing else.
    Agent,
    /// Reading everything, changing nothing.
    Viewer,
}

impl Preset {
    /// The scopes of the preset, as they are stored on the key.
    #[must_use]
    pub fn scopes(self) -> Vec<String> {
        let list: &[&str] = match self {
            Self::Admin => &["*"],
            Self::Developer => &[
                "project:*",
                "task:*",
                "session:*",
                "role:read",
                "spoke:read",
                "spoke:call",
                "spoke:register",
                "client:call",
                "call:read",
                "coord:*",
            ],
            Self::Spoke => &["spoke:register"],
            Self::Agent => &[
                "task:read",
                "task:status",
                "session:write",
                "spoke:call",
                "client:call",
                "call:read",
            ],
            Self::Viewer => return all().into_iter().filter(|s| s.ends_with(":read")).collect(),
        };
        list.iter().map(ToString::to_string).collect()
    }
}

/// Every scope the hub knows, sorted.
#[must_use]
pub fn all() -> BTreeSet<String> {
    AREAS
        .iter()
        .flat_map(|area| area.verbs.iter().map(|verb| join(area.name, verb)))
        .collect()
}

/// A scope that no part of the hub knows, with the known one that looks most like it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope \"{scope}\"; did you mean \"{nearest}\"?")]
pub struct UnknownScope {
    /// The scope as written.
    pub scope: String,
    /// The known scope nearest to it.
    pub nearest: String,
}

/// Checks one scope as written on a key: `*`, `area:*` or a known `area:verb`.
///
/// # Errors
/// [`UnknownScope`] for everything else; scopes are case-sensitive.
pub fn check(scope: &str) -> Result<(), UnknownScope> {
    let mut known = all();
    known.insert("*".to_owned());
    known.extend(AREAS.iter().map(|area| join(area.name, "*")));
    if known.contains(scope) {
        return Ok(());
    }
    let nearest = known
        .iter()
        .min_by_key(|candidate| (strsim::osa_distance(candidate, scope), candidate.as_str()))
        .cloned()
        .unwrap_or_else(|| "*".to_owned());
    Err(UnknownScope {
        scope: scope.to_owned(),
        nearest,
    })
}

/// Every scope that the written ones grant: wildcards expanded, implied scopes added.
///
/// `write` implies `read` of its area, `admin` implies both where they exist, `call:abort` implies
/// `call:read`. Unknown scopes (of a newer hub's keys) grant nothing.
#[must_use]
pub fn expand<'a>(written: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut granted = BTreeSet::new();
    for scope in written {
        if scope == "*" {
            return all();
        }
        let Some((area_name, verb)) = scope.split_once(':') else {
            continue;
        };
        let Some(area) = AREAS.iter().find(|area| area.name == area_name) else {
            continue;
        };
        let implied: &[&str] = match verb {
            "*" => area.verbs,
            "admin" => &["admin", "write", "read"],
            "write" => &["write", "read"],
            "abort" if area.name == "call" => &["abort", "read"],
            _ => std::slice::from_ref(&verb),
        };
        granted.extend(
            implied
                .iter()
                .filter(|verb| area.verbs.contains(verb))
                .map(|v| join(area.name, v)),
        );
    }
    granted
}

/// Cuts the granted scopes down to what an account of this access level may ever use.
pub fn apply_ceiling(granted: &mut BTreeSet<String>, level: AccessLevel) {
    const NOT_FOR_USERS: &[&str] = &["account:admin", "hub:admin", "audit:admin"];
    // The keys of a service are made by its owner or an admin, never by itself.
    const NOT_FOR_SERVICES: &[&str] = &["org:write", "key:write", "budget:write"];
    let forbidden = match level {
        AccessLevel::Admin => return,
        AccessLevel::User => NOT_FOR_USERS.to_vec(),
        AccessLevel::Service => [NOT_FOR_USERS, NOT_FOR_SERVICES].concat(),
    };
    granted.retain(|scope| !forbidden.contains(&scope.as_str()));
}

/// The area a scope belongs to: `task` of `task:write`.
#[must_use]
pub fn area(scope: &str) -> &str {
    scope.split_once(':').map_or(scope, |(area, _)| area)
}

fn join(area: &str, verb: &str) -> String {
    format!("{area}:{verb}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(written: &[&str]) -> Vec<String> {
        expand(written.iter().copied()).into_iter().collect()
    }

    #[test]
    fn write_implies_read_and_admin_implies_both_within_the_area() {
        assert_eq!(expanded(&["task:write"]), ["task:read", "task:write"]);
        assert_eq!(
            expanded(&["project:admin"]),
            ["project:admin", "project:read", "project:write"]
        );
        assert_eq!(
            expanded(&["account:admin"]),
            ["account:admin", "account:read"]
        );
        assert_eq!(expanded(&["call:abort"]), ["call:abort", "call:read"]);
        assert_eq!(expanded(&["task:status"]), ["task:status"]);
    }

    #[test]
    fn wildcards_expand_to_known_scopes_only() {
        assert_eq!(expanded(&["*"]).len(), all().len());
        assert_eq!(
            expanded(&["task:*"]),
            ["task:read", "task:status", "task:write"]
        );
        assert!(expanded(&["nothing:*", "task:fly", "Task:read"]).is_empty());
    }

    #[test]
    fn unknown_scope_is_refused_with_the_nearest_known_one() {
        assert_eq!(check("tsak:read").unwrap_err().nearest, "task:read");
        assert!(check("task:*").is_ok() && check("*").is_ok() && check("task:write").is_ok());
        assert!(check("Task:read").is_err());
    }

    #[test]
    fn ceilings_follow_the_access_level() {
        for (level, lost) in [
            (AccessLevel::Admin, vec![]),
            (
                AccessLevel::User,
                vec!["account:admin", "audit:admin", "hub:admin"],
            ),
            (
                AccessLevel::Service,
                vec![
                    "account:admin",
                    "audit:admin",
                    "budget:write",
                    "hub:admin",
                    "key:write",
                    "org:write",
                ],
            ),
        ] {
            let mut granted = all();
            apply_ceiling(&mut granted, level);
            let gone: Vec<String> = all().difference(&granted).cloned().collect();
            assert_eq!(gone, lost, "{level:?}");
        }
    }

    #[test]
    fn every_preset_consists_of_known_scopes() {
        for preset in [
            Preset::Admin,
            Preset::Developer,
            Preset::Spoke,
            Preset::Agent,
            Preset::Viewer,
        ] {
            for scope in preset.scopes() {
                assert_eq!(check(&scope), Ok(()), "{preset:?}");
            }
        }
    }
}
