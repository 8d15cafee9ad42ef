//! The plans of queries over tables of 3,000 rows: each uses one of the indexes that were made for it.
//!
//! Statements are caught as the functions send them, then explained. For a query that is meant for a
//! partial index the competing plain index is dropped first, and the index's predicate must stand in
//! the text: neither planner would prove it for a parameter.

use alkhub_storage::coordination::{self, DetectionFilter, MappingFilter};
use alkhub_storage::enums::{ClientType, MessageRole, PartType, RoleMode};
use alkhub_storage::ids::{
    AccountId, ClientId, MessageId, OrganizationId, PartId, ProjectId, RoleId, SessionId, SpokeId,
    TaskId, WorkspaceId,
};
use alkhub_storage::services::{self, ClientFilter};
use alkhub_storage::sessions::{self, MessageRange, SearchFilter, SearchQuery, SessionFilter};
use alkhub_storage::{Database, Engine, Order, PageRequest, Scope, roles, time};

use crate::rows::world;
use crate::sql::run;
use crate::support::on_each_engine;
use crate::watched::Watched;

/// Rows of each large table; 30 projects, 300 sessions with 10 messages each and so on.
const FILL: &str = "
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
    insert into ";

async fn fill(db: &Database) {
    run(db, &world()).await;
    let tables = [
        "accounts (id, email, display_name) select 'a' || i, 'a' || i || '@x', 'name ' || i from n",
        "organizations (id, name, slug, owner_id) select 'o' || i, 'o' || i, 'o' || i, 'a' || i from n",
        "projects (id, name, org_id) select 'p' || i, 'p', 'o' || i from n",
        "workspaces (id, project_id) select 'w' || i, 'p' || (i % 300 + 1) from n",
        "roles (id, name, mode, parent_id)
         select 'r' || i, 'r' || i, case when i % 50 = 0 then 'primary' else 'subagent' end, 'roles'
         from n where i <= 100
         union all select 'q' || i, 'q' || i, 'subagent', 'r' || (i % 100 + 1) from n",
        "sessions (id, project_id, workspace_id, account_id, parent_id, slug, title, role_name, status,
            archived_at, updated_at)
         select 's' || i, 'p' || (i % 300 + 1), 'w' || (i % 300 + 1), 'a' || (i % 300 + 1), 'sessions',
            's' || i, 'title', 'role ' || (i % 300),
            case when i % 60 = 0 then 'busy' when i % 61 = 0 then 'idle' else 'archived' end,
            TIME, TIME from n",
        "messages (id, session_id, role, data, created_at)
         select 'm' || i, 's' || (i % 300 + 1), 'user', '{}', TIME from n",
        "parts (id, message_id, session_id, type, data)
         select 'x' || (1000000 + i), m.id, m.session_id,
            case when i % 100 = 0 then 'compaction' else 'text' end, '{\"text\": \"word\"}'
         from n join messages m on m.id = 'm' || i",
        "spokes (id, name, status) select 'k' || i, 'k' || i, 'disconnected' from n",
        "tasks (id, project_id, slug, name) select 't' || i, 'p' || (i % 300 + 1), 't' || i, 't' from n",
        "mappings (id, session_id, spoke_id, workspace_id, parent_session_id, task_id, status)
         select 'g' || i, 's' || i, 'k' || i, 'w' || i, 's' || (i % 300 + 1), 't' || i,
            case when i % 3 = 0 then 'active' else 'completed' end from n",
        "detections (id, session_id, anomaly_type, dedup_key, resolved_at)
         select 'd' || i, 's' || (i % 300 + 1), 'TYPE_' || (i % 300), 'key ' || i,
            case when i % 100 = 0 then null else TIME end from n",
        "clients (id, name, type, config, owner_id, org_id)
         select 'c' || i, 'c' || i, case when i % 100 = 0 then 'vcs' else 'custom' end, '{}',
            'a' || (i % 300 + 1), 'o' || (i % 300 + 1) from n",
        "client_secrets (id, client_id, key, value, expires_at)
         select 'e' || i, 'c' || i, 'token', '{\"keyVersion\": 1, \"salt\": \"\", \"iv\": \"\", \"data\": \"\"}',
            TIME from n",
    ];
    let moment = match db.engine() {
        Engine::Postgres => "timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute'",
        Engine::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', '2026-01-01', i || ' minutes')",
    };
    for table in tables {
        run(db, &format!("{FILL}{}", table.replace("TIME", moment))).await;
    }
    run(db, "analyze").await;
}

fn session(number: u32) -> SessionId {
    SessionId::from(format!("s{number}"))
}

#[tokio::test]
async fn queries_use_the_indexes_made_for_them() {
    on_each_engine(async |db| {
        fill(&db).await;
        let mut watched = Watched::new(&db);
        sessions_and_messages(&mut watched).await;
        parts_and_search(&mut watched).await;
        roles_and_services(&mut watched).await;
        mappings_and_detections(&mut watched).await;
        watched.finish();
    })
    .await;
}

async fn sessions_and_messages(watched: &mut Watched) {
    let all = SessionFilter::default();
    let page = PageRequest::default();
    let lists = [
        (
            "idx_sessions_project_id",
            SessionFilter {
                project_id: Some(ProjectId::from("p7")),
                ..all.clone()
            },
        ),
        (
            "idx_sessions_workspace_id",
            SessionFilter {
                workspace_id: Some(WorkspaceId::from("w7")),
                ..all.clone()
            },
        ),
        (
            "idx_sessions_account_id",
            SessionFilter {
                account_id: Some(AccountId::from("a7")),
                ..all.clone()
            },
        ),
        (
            "idx_sessions_role_name",
            SessionFilter {
                role_name: Some("role 7".to_owned()),
                ..all.clone()
            },
        ),
        (
            "idx_sessions_parent_id",
            SessionFilter {
                parent_id: Some(session(7)),
                ..all.clone()
            },
        ),
        (
            "idx_sessions_status",
            SessionFilter {
                status: vec![alkhub_storage::enums::SessionStatus::Busy],
                ..all
            },
        ),
    ];
    for (index, filter) in lists {
        let name = format!("list_sessions for {index}");
        watched
            .uses(
                &name,
                &[index, "idx_sessions_active", "hub_idx_sessions_page"],
                async |db| sessions::list_sessions(db, &Scope::All, &filter, &page).await,
            )
            .await;
    }
    watched
        .uses("session_by_slug", &["unq_sessions_slug"], async |db| {
            sessions::session_by_slug(db, &Scope::All, "s7").await
        })
        .await;
    let open = Some(("status in ('idle', 'busy', 'retry')", "idx_sessions_status"));
    watched
        .partial(
            "open_sessions",
            &["idx_sessions_active"],
            open,
            async |db| sessions::open_sessions(db, None).await,
        )
        .await;
    watched
        .partial(
            "stale_busy_sessions",
            &["idx_sessions_active"],
            open,
            async |db| sessions::stale_busy_sessions(db, time::now()).await,
        )
        .await;
    watched
        .uses(
            "session_children",
            &["idx_sessions_parent_id"],
            async |db| sessions::session_children(db, &Scope::All, &session(7)).await,
        )
        .await;
    watched
        .uses("session_tree", &["idx_sessions_parent_id"], async |db| {
            sessions::session_tree(db, &Scope::All, &session(7), 5).await
        })
        .await;
    watched
        .uses(
            "archive_idle_sessions",
            &["idx_sessions_status", "idx_sessions_active"],
            async |db| sessions::archive_idle_sessions(db, time::now(), 10).await,
        )
        .await;
    let in_session = ["idx_messages_session_id_created_at_id"];
    let ends = [
        MessageRange::default(),
        MessageRange {
            after: Some(MessageId::from("m306")),
            before: None,
        },
        MessageRange {
            after: None,
            before: Some(MessageId::from("m306")),
        },
    ];
    for range in ends {
        watched
            .uses(&format!("messages {range:?}"), &in_session, async |db| {
                sessions::messages(db, &session(7), &range, 5, false).await
            })
            .await;
    }
    watched
        .uses("open_message", &in_session, async |db| {
            sessions::open_message(db, &session(7)).await
        })
        .await;
}

async fn parts_and_search(watched: &mut Watched) {
    watched
        .uses(
            "parts_of_messages",
            &["part_message_id_id_idx"],
            async |db| sessions::parts_of_messages(db, &[MessageId::from("m7")]).await,
        )
        .await;
    let after = PartId::from("x1000100");
    watched
        .uses(
            "parts_of_session",
            &["part_session_idx", "idx_parts_session_id_type"],
            async |db| sessions::parts_of_session(db, &session(7), Some(&after), 10).await,
        )
        .await;
    watched
        .uses(
            "parts_by_type",
            &["idx_parts_session_id_type", "part_session_idx"],
            async |db| {
                sessions::parts_by_type(db, &session(7), &[PartType::Compaction], None, 10).await
            },
        )
        .await;
    watched
        .uses(
            "messages_since_compaction",
            &["idx_parts_session_id_type", "part_session_idx"],
            async |db| sessions::messages_since_compaction(db, &session(7)).await,
        )
        .await;
    let query = SearchQuery::parse("rare").unwrap();
    let filter = SearchFilter {
        roles: vec![MessageRole::User],
        ..SearchFilter::default()
    };
    watched
        .uses("search_parts", &["hub_fts_parts"], async |db| {
            sessions::search_parts(db, &Scope::All, &query, &filter, &PageRequest::default()).await
        })
        .await;
}

async fn roles_and_services(watched: &mut Watched) {
    let by_name = PageRequest::default().in_order(Order::Asc);
    watched
        .uses("role_by_name", &["unq_roles_name"], async |db| {
            roles::role_by_name(db, "q7").await
        })
        .await;
    watched
        .uses("role_ancestors", &["unq_roles_name"], async |db| {
            roles::role_ancestors(db, "q7").await
        })
        .await;
    let parent = RoleId::from("r7");
    watched
        .uses(
            "list_roles by parent",
            &["idx_roles_parent_id"],
            async |db| roles::list_roles(db, None, Some(&parent), &by_name).await,
        )
        .await;
    watched
        .uses("list_roles by mode", &["idx_roles_mode"], async |db| {
            roles::list_roles(db, Some(RoleMode::Primary), None, &by_name).await
        })
        .await;
    watched
        .uses("role_in_use", &["idx_sessions_role_name"], async |db| {
            roles::role_in_use(db, "role 7").await
        })
        .await;
    watched
        .uses("client_by_name", &["unq_clients_name"], async |db| {
            services::client_by_name(db, &Scope::All, "c7").await
        })
        .await;
    let all = ClientFilter::default();
    let lists = [
        (
            "idx_clients_type",
            ClientFilter {
                kind: Some(ClientType::Vcs),
                ..all.clone()
            },
        ),
        (
            "idx_clients_org_id",
            ClientFilter {
                org_id: Some(OrganizationId::from("o7")),
                ..all.clone()
            },
        ),
        (
            "idx_clients_owner_id",
            ClientFilter {
                owner_id: Some(AccountId::from("a7")),
                ..all
            },
        ),
    ];
    for (index, filter) in lists {
        watched
            .uses(&format!("list_clients for {index}"), &[index], async |db| {
                services::list_clients(db, &Scope::All, &filter, &PageRequest::default()).await
            })
            .await;
    }
    let client = ClientId::from("c7");
    watched
        .uses("secret", &["unq_client_secrets_client_key"], async |db| {
            services::secret(db, &client, "token").await
        })
        .await;
    watched
        .uses(
            "secret_names",
            &["unq_client_secrets_client_key"],
            async |db| services::secret_names(db, &client).await,
        )
        .await;
    let soon = time::parse("2026-01-01T00:20:00Z").unwrap();
    watched
        .uses(
            "secrets_expiring",
            &["idx_client_secrets_expires_at"],
            async |db| services::secrets_expiring(db, soon).await,
        )
        .await;
}

async fn mappings_and_detections(watched: &mut Watched) {
    watched
        .uses(
            "mapping_of_session",
            &["idx_mappings_session_id"],
            async |db| coordination::mapping_of_session(db, &session(7)).await,
        )
        .await;
    let task = TaskId::from("t7");
    watched
        .uses("mappings_of_task", &["idx_mappings_task_id"], async |db| {
            coordination::mappings_of_task(db, &task).await
        })
        .await;
    watched
        .uses(
            "children_of",
            &["idx_mappings_parent_session_id"],
            async |db| coordination::children_of(db, &session(7), None).await,
        )
        .await;
    let spoke = SpokeId::from("k7");
    watched
        .uses(
            "mappings_of_spoke",
            &["idx_mappings_spoke_id"],
            async |db| coordination::mappings_of_spoke(db, &spoke, None).await,
        )
        .await;
    let workspace = WorkspaceId::from("w7");
    watched
        .uses(
            "mappings_of_workspace",
            &["idx_mappings_workspace_id"],
            async |db| coordination::mappings_of_workspace(db, &workspace, None).await,
        )
        .await;
    let project = ProjectId::from("p7");
    let filter = MappingFilter {
        project_id: Some(project.clone()),
        ..MappingFilter::default()
    };
    let joined = [
        "idx_sessions_project_id",
        "hub_idx_sessions_page",
        "idx_mappings_session_id",
    ];
    watched
        .uses("list_mappings by project", &joined, async |db| {
            coordination::list_mappings(db, &Scope::All, &filter, &PageRequest::default()).await
        })
        .await;
    watched
        .uses("active_counts", &joined, async |db| {
            coordination::active_counts(db, &project, Some(&spoke), Some(&session(7)), None).await
        })
        .await;
    let all = DetectionFilter {
        open: Some(true),
        ..DetectionFilter::default()
    };
    let lists = [
        (
            "idx_detections_session_id",
            DetectionFilter {
                session_id: Some(session(7)),
                ..all.clone()
            },
        ),
        (
            "idx_detections_anomaly_type",
            DetectionFilter {
                anomaly_type: Some("TYPE_7".to_owned()),
                ..all.clone()
            },
        ),
        ("idx_detections_resolved_at", all),
    ];
    for (index, filter) in lists {
        watched
            .uses(
                &format!("list_detections for {index}"),
                &[index, "idx_detections_resolved_at"],
                async |db| {
                    coordination::list_detections(db, &Scope::All, &filter, &PageRequest::default())
                        .await
                },
            )
            .await;
    }
    let old = time::parse("2026-01-01T00:20:00Z").unwrap();
    watched
        .uses(
            "prune_detections",
            &["idx_detections_resolved_at"],
            async |db| coordination::prune_detections(db, old, 10).await,
        )
        .await;
    let mut new = coordination::NewDetection {
        session_id: session(7),
        anomaly_type: "TYPE_7".to_owned(),
        severity: alkhub_storage::enums::Severity::Low,
        dedup_key: Some("key 7".to_owned()),
        details: alkhub_storage::json::DetectionDetails::default(),
        cooldown: std::time::Duration::ZERO,
    };
    new.details.measured = Some(1.into());
    watched
        .uses(
            "raise_detection",
            &["idx_detections_dedup_key"],
            async |db| coordination::raise_detection(db, new).await,
        )
        .await;
}
