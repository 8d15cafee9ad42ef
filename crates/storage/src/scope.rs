//! Who asks: what of other tenants' rows a query may see.
//!
//! The scope becomes part of the `where`, never a filter afterwards, so that pages and counts are those
//! of the asker. Who may write is the hub's question, not the database's.

use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, PostgresQueryBuilder, Query, QueryBuilder as _, SelectStatement,
    SimpleExpr, SqlWriterValues, SqliteQueryBuilder,
};
use sea_orm::{Condition, Value};

use crate::engine::Engine;
use crate::ids::{AccountId, ClientId, OrganizationId, ProjectId, SessionId, SpokeId};

/// What the asker may see.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Everything: administrators and the hub itself.
    All,
    /// Rows of an account and its organizations.
    Limited(Limits),
}

/// Whose rows, and what a key narrows them to.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The account that asks.
    pub account: AccountId,
    /// Organizations it is a member of.
    pub orgs: Vec<OrganizationId>,
    /// Those among them it administers: it sees their audit trail.
    pub admin_of: Vec<OrganizationId>,
    /// Whether it sees its personal rows; off when the key is narrowed to organizations.
    pub personal: bool,
    /// Whether it sees the rows of every tenant, and only the key's narrowing counts: an
    /// administrator whose key is narrowed.
    pub everywhere: bool,
    /// The key's narrowing, ids or globs with `*`; none = not narrowed, empty = nothing.
    pub projects: Option<Vec<ProjectId>>,
    /// Likewise for sessions.
    pub sessions: Option<Vec<SessionId>>,
    /// Likewise for spokes.
    pub spokes: Option<Vec<SpokeId>>,
    /// Likewise for clients.
    pub clients: Option<Vec<ClientId>>,
}

impl Limits {
    /// An account without organizations and without narrowing.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            orgs: Vec::new(),
            admin_of: Vec::new(),
            personal: true,
            everywhere: false,
            projects: None,
            sessions: None,
            spokes: None,
            clients: None,
        }
    }
}

impl From<Limits> for Scope {
    fn from(limits: Limits) -> Self {
        Self::Limited(limits)
    }
}

impl Scope {
    /// An account without organizations.
    pub fn account(account: AccountId) -> Self {
        Self::Limited(Limits::new(account))
    }

    /// Rows of `projects`.
    pub(crate) fn projects(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        let owned = anyone_if(limits.everywhere)
            .add(engine.one_of(column("projects", "org_id"), &limits.orgs))
            .add_option(limits.personal.then(|| {
                column("projects", "org_id").is_null().and(
                    engine
                        .json_text("projects", "metadata", "ownerId")
                        .eq(limits.account.as_str()),
                )
            }));
        Condition::all().add(owned).add_option(narrowed(
            engine,
            column("projects", "id"),
            limits.projects.as_deref(),
        ))
    }

    /// Rows that belong to a project, by the column that names it.
    pub(crate) fn within_projects(&self, engine: Engine, project: SimpleExpr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Limited(_) => {
                Condition::all().add(project.in_subquery(self.visible_projects(engine)))
            }
        }
    }

    /// Rows of `sessions`: those of visible projects.
    pub(crate) fn sessions(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        self.within_projects(engine, column("sessions", "project_id"))
            .add_option(narrowed(
                engine,
                column("sessions", "id"),
                limits.sessions.as_deref(),
            ))
    }

    /// Rows that belong to a session, by the column that names it.
    pub(crate) fn within_sessions(&self, engine: Engine, session: SimpleExpr) -> Condition {
        match self {
            Self::All => Condition::all(),
            Self::Limited(_) => {
                let visible = Query::select()
                    .column((Alias::new("sessions"), Alias::new("id")))
                    .from(Alias::new("sessions"))
                    .cond_where(self.sessions(engine))
                    .to_owned();
                Condition::all().add(session.in_subquery(visible))
            }
        }
    }

    /// Rows of `spokes`: bound to a visible project, or unbound and registered by the account.
    pub(crate) fn spokes(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        let project = column("spokes", "project_id");
        let own = match limits.everywhere {
            true => project.clone().is_null(),
            false => project.clone().is_null().and(
                engine
                    .json_text("spokes", "metadata", "accountId")
                    .eq(limits.account.as_str()),
            ),
        };
        Condition::all()
            .add(
                anyone_if(limits.everywhere)
                    .add(project.in_subquery(self.visible_projects(engine)))
                    .add(own),
            )
            .add_option(narrowed(
                engine,
                column("spokes", "id"),
                limits.spokes.as_deref(),
            ))
    }

    /// Rows of `clients`: of the account's organizations, or its personal ones.
    pub(crate) fn clients(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        let owned = anyone_if(limits.everywhere)
            .add(engine.one_of(column("clients", "org_id"), &limits.orgs))
            .add_option(limits.personal.then(|| {
                column("clients", "org_id")
                    .is_null()
                    .and(column("clients", "owner_id").eq(limits.account.as_str()))
            }));
        Condition::all().add(owned).add_option(narrowed(
            engine,
            column("clients", "id"),
            limits.clients.as_deref(),
        ))
    }

    /// Rows of `organizations`: those the account is a member of.
    pub(crate) fn organizations(&self, engine: Engine) -> Condition {
        match self {
            Self::Limited(limits) if !limits.everywhere => {
                Condition::all().add(engine.one_of(column("organizations", "id"), &limits.orgs))
            }
            _ => Condition::all(),
        }
    }

    /// Rows of `accounts`: the account itself and members of its organizations.
    pub(crate) fn accounts(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        if limits.everywhere {
            return Condition::all();
        }
        let members = Query::select()
            .column(Alias::new("account_id"))
            .from(Alias::new("organization_members"))
            .cond_where(engine.one_of(column("organization_members", "org_id"), &limits.orgs))
            .to_owned();
        anyone_if(limits.everywhere)
            .add(column("accounts", "id").eq(limits.account.as_str()))
            .add(column("accounts", "id").in_subquery(members))
    }

    /// Rows of `audit_logs`: the account's own, and those of organizations it administers.
    pub(crate) fn audit(&self, engine: Engine) -> Condition {
        match self {
            Self::Limited(limits) if !limits.everywhere => Condition::any()
                .add(column("audit_logs", "owner_id").eq(limits.account.as_str()))
                .add(engine.one_of(column("audit_logs", "org_id"), &limits.admin_of)),
            _ => Condition::all(),
        }
    }

    /// Rows of `call_graph_nodes`: the account's own calls, and those of visible projects.
    pub(crate) fn calls(&self, engine: Engine) -> Condition {
        let Self::Limited(limits) = self else {
            return Condition::all();
        };
        let project = engine.json_text("call_graph_nodes", "metadata", "projectId");
        Condition::any()
            .add(column("call_graph_nodes", "caller_account_id").eq(limits.account.as_str()))
            .add(project.in_subquery(self.visible_projects(engine)))
    }

    /// The same as text of SQL over the unaliased table, with its values: those are the first parameters
    /// of the statement, `$1` and on.
    pub(crate) fn calls_sql(&self, engine: Engine) -> (String, Vec<Value>) {
        if *self == Self::All {
            return ("1 = 1".to_owned(), Vec::new());
        }
        let condition = Expr::from(self.calls(engine));
        let mut writer = SqlWriterValues::new("$", true);
        match engine {
            Engine::Sqlite => SqliteQueryBuilder.prepare_expr(&condition, &mut writer),
            Engine::Postgres => PostgresQueryBuilder.prepare_expr(&condition, &mut writer),
        }
        let (text, values) = writer.into_parts();
        (text, values.0)
    }

    /// `select id from projects` of what is visible.
    fn visible_projects(&self, engine: Engine) -> SelectStatement {
        Query::select()
            .column((Alias::new("projects"), Alias::new("id")))
            .from(Alias::new("projects"))
            .cond_where(self.projects(engine))
            .to_owned()
    }
}

/// The start of an alternative; already fulfilled when all tenants' rows are seen.
fn anyone_if(everywhere: bool) -> Condition {
    Condition::any().add_option(everywhere.then(|| Expr::cust("1 = 1")))
}

/// A qualified column.
pub(crate) fn column(table: &str, name: &str) -> SimpleExpr {
    Expr::col((Alias::new(table), Alias::new(name)))
}

/// The key's narrowing: ids by equality, globs by pattern.
fn narrowed<T: AsRef<str>>(
    engine: Engine,
    id: SimpleExpr,
    allowed: Option<&[T]>,
) -> Option<Condition> {
    let (globs, ids): (Vec<&str>, Vec<&str>) = allowed?
        .iter()
        .map(AsRef::as_ref)
        .partition(|text| text.contains('*'));
    let mut any = Condition::any().add(engine.one_of(id.clone(), &ids));
    for glob in globs {
        any = any.add(engine.matches_glob(id.clone(), glob));
    }
    Some(any)
}
