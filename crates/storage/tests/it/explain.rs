//! The plans of queries on identity, projects, spokes, calls and tasks, over tables of 3,000 rows.

use alkhub_storage::calls::{self, CallFilter, PruneRequest, StatsRequest};
use alkhub_storage::enums::{EdgeType, OperationType, SpokeStatus, TaskPriority, TaskStatus};
use alkhub_storage::identity::{self, AuditFilter, KeyFilter};
use alkhub_storage::ids::{AccountId, ApiKeyId, OperationId, OrganizationId, ProjectId, TaskId};
use alkhub_storage::projects::{self, ProjectFilter};
use alkhub_storage::spokes::{self, Disconnect, OperationFilter, Provider, SpokeFilter};
use alkhub_storage::tasks::{self, TaskFilter};
use alkhub_storage::{Database, Engine, Order, PageRequest, Scope, time};
use chrono::TimeDelta;

use crate::sql::run;
use crate::support::on_each_engine;
use crate::watched::Watched;

async fn fill(db: &Database) {
    let tables = [
        "accounts (id, email, gitea_username) select 'a' || i, 'a' || i || '@x', 'g' || i from n",
        "organizations (id, name, slug, owner_id, gitea_org_name)
         select 'o' || i, 'o' || i, 'o' || i, 'a' || (i % 300 + 1), 'g' || i from n",
        "organization_members (id, org_id, account_id, membership_level)
         select 'm' || i, 'o' || i, 'a' || (i % 300 + 1), 'owner' from n",
        "api_keys (id, owner_id, key_hash, key_prefix, enabled, revoked_at)
         select 'k' || i, 'a' || (i % 300 + 1), 'h' || i, 'p', i % 100 <> 0,
            case when i % 20 = 0 then null else TIME end from n",
        "projects (id, name, org_id) select 'p' || i, 'p', 'o' || i from n",
        "workspaces (id, project_id) select 'w' || i, 'p' || (i % 300 + 1) from n",
        "sessions (id, project_id, slug, title) select 's' || i, 'p1', 's' || i, 't' from n where i <= 300",
        "audit_logs (id, owner_id, key_id, session_id, org_id, action, created_at, updated_at)
         select 'l' || i, 'a' || (i % 300 + 1), 'k' || (i % 300 + 1), 's' || (i % 300 + 1),
            'o' || (i % 300 + 1), 'area' || (i % 300) || '.done', TIME, TIME from n",
        "spokes (id, name, status, project_id, metadata)
         select 'b' || i, 'b' || i, case when i % 100 = 0 then 'connected' else 'disconnected' end,
            'p' || (i % 300 + 1), '{\"instanceId\": \"h\"}' from n",
        "operations (id, namespace, name, version, type, description, input_schema, output_schema,
            access_control)
         select 'f' || i, 'n' || (i % 300), 'f' || i, '1.0.0',
            case when i % 100 = 0 then 'subscription' else 'query' end, 'd', '{}', '{}', '{}' from n",
        "operation_registrations (id, operation_id, provider_type, provider_id, status)
         select 'r' || i, 'f' || i, 'spoke', 'b' || (i % 300 + 1),
            case when i % 50 = 0 then 'active' else 'inactive' end from n",
        "tasks (id, project_id, slug, name, path, status, priority, assignee, due_at, tags)
         select 't' || i, 'p' || (i % 3 + 1), 't' || i, 't', 'dir' || (i % 100) || '/t' || i,
            case when i % 500 = 1 then 'failed' when i % 3 > 0 or i % 100 = 0 then 'pending'
            else 'completed' end,
            case when i % 100 = 0 then 'critical' end, 'x' || (i % 300), TIME,
            case when i % 300 = 0 then '[\"rare\"]' else '[\"often\"]' end from n",
        "task_dependencies (id, depends_on_task_id, dependent_task_id)
         select 'd' || i, 't' || i, 't' || (i + 3) from n where i < 2990",
        "call_graph_nodes (id, request_id, operation_id, parent_request_id, caller_account_id, status,
            started_at, completed_at, created_at, updated_at)
         select 'c' || i, 'q' || i, 'f' || (i % 300 + 1), case when i % 2 = 0 then 'q' || (i - 1) end,
            'a' || (i % 300 + 1), case when i % 300 = 0 then 'running' when i % 299 = 0 then 'failed'
            else 'completed' end, TIME, TIME, TIME, TIME from n",
        "call_graph_edges (id, source_id, target_id, edge_type)
         select 'e' || i, 'c' || (i - 1), 'c' || i, 'triggered' from n where i % 2 = 0",
    ];
    let moment = match db.engine() {
        Engine::Postgres => "timestamptz '2026-01-01 00:00:00+00' + i * interval '1 minute'",
        Engine::Sqlite => "strftime('%Y-%m-%dT%H:%M:%f+00:00', '2026-01-01', i || ' minutes')",
    };
    for table in tables {
        let table = table.replace("TIME", moment);
        let table = match db.engine() {
            Engine::Postgres => table.replace("'[\"often\"]' end", "'[\"often\"]' end::jsonb"),
            Engine::Sqlite => table,
        };
        let text = format!(
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)
             insert into {table}"
        );
        run(db, &text).await;
    }
    run(db, "analyze").await;
}

#[tokio::test]
async fn pages_of_tasks_are_read_in_order_before_anybody_gathered_statistics() {
    let database = alkhub_storage::testing::TestDatabase::sqlite().await;
    let mut watched = Watched::new(&database);
    let member = Scope::account("a1".into());
    let project = ProjectId::from("p1");
    for scope in [Scope::All, member] {
        for status in [vec![], vec![TaskStatus::Pending]] {
            let filter = TaskFilter {
                project: Some(project.clone()),
                status,
                ..TaskFilter::default()
            };
            watched
                .in_order("page of a project", &["hub_idx_tasks_page"], async |db| {
                    tasks::list_tasks(db, &scope, &filter, &PageRequest::first(5)).await
                })
                .await;
        }
    }
    watched
        .in_order("ready_tasks", &["hub_idx_ready_tasks_order"], async |db| {
            tasks::ready_tasks(db, &project, true, Some(5)).await
        })
        .await;
    watched.finish();
    database.remove().await;
}

#[tokio::test]
async fn queries_on_identity_projects_spokes_calls_and_tasks_use_their_indexes() {
    on_each_engine(async |db| {
        fill(&db).await;
        let mut watched = Watched::new(&db);
        identity(&mut watched).await;
        projects_and_spokes(&mut watched).await;
        operations(&mut watched).await;
        calls(&mut watched).await;
        tasks(&mut watched, db.engine()).await;
        watched.finish();
    })
    .await;
}

async fn identity(watched: &mut Watched) {
    let page = PageRequest::first(5);
    let account = AccountId::from("a7");
    let organization = OrganizationId::from("o7");
    watched
        .uses("account_by_email", &["unq_accounts_email"], async |db| {
            identity::account_by_email(db, "a7@x").await
        })
        .await;
    watched
        .uses(
            "accounts_by_gitea_username",
            &["idx_accounts_gitea_username"],
            async |db| identity::accounts_by_gitea_username(db, "g7").await,
        )
        .await;
    watched
        .uses(
            "organization_by_slug",
            &["unq_organizations_slug"],
            async |db| identity::organization_by_slug(db, &Scope::All, "o7").await,
        )
        .await;
    watched
        .uses(
            "organizations_by_gitea_name",
            &["idx_organizations_gitea_org_name"],
            async |db| identity::organizations_by_gitea_name(db, "g7").await,
        )
        .await;
    watched
        .uses(
            "organizations_owned_by",
            &["idx_organizations_owner_id"],
            async |db| identity::organizations_owned_by(db, &account).await,
        )
        .await;
    watched
        .uses(
            "organizations_of",
            &["idx_org_members_account_id"],
            async |db| identity::organizations_of(db, &account).await,
        )
        .await;
    let members = ["idx_org_members_org_id", "unq_org_members_org_account"];
    watched
        .uses("members_of", &members, async |db| {
            identity::members_of(db, &organization, None, &page).await
        })
        .await;
    watched
        .uses("api_key_by_hash", &["unq_api_keys_key_hash"], async |db| {
            identity::api_key_by_hash(db, "h7").await
        })
        .await;
    let live = Some((
        "\"api_keys\".\"revoked_at\" is null and \"api_keys\".\"enabled\" = true",
        "idx_api_keys_owner_id",
    ));
    watched
        .partial(
            "api_keys_of live",
            &["idx_api_keys_active"],
            live,
            async |db| identity::api_keys_of(db, &account, true, &page).await,
        )
        .await;
    watched
        .partial(
            "count_live_keys",
            &["idx_api_keys_active"],
            live,
            async |db| identity::count_live_keys(db, &account, time::now()).await,
        )
        .await;
    let live = live.map(|(predicate, _)| (predicate, "idx_api_keys_enabled"));
    watched
        .partial(
            "api_keys_expiring",
            &["idx_api_keys_active"],
            live,
            async |db| identity::api_keys_expiring(db, time::now() + TimeDelta::days(1)).await,
        )
        .await;
    watched
        .uses("api_keys_of", &["idx_api_keys_owner_id"], async |db| {
            identity::api_keys_of(db, &account, false, &page).await
        })
        .await;
    watched
        .uses("list_api_keys", &["idx_api_keys_owner_id"], async |db| {
            let filter = KeyFilter {
                owner: account.clone(),
                enabled: None,
                include_revoked: true,
                expires_before: None,
            };
            identity::list_api_keys(db, &filter, &page).await
        })
        .await;
    watched
        .uses("api_keys_disabled", &["idx_api_keys_enabled"], async |db| {
            identity::api_keys_disabled(db, &page).await
        })
        .await;
    let audit = AuditFilter::default;
    let filters = [
        (
            "idx_audit_logs_owner_id",
            AuditFilter {
                owner: Some(account.clone()),
                ..audit()
            },
        ),
        (
            "idx_audit_logs_key_id",
            AuditFilter {
                key: Some(ApiKeyId::from("k7")),
                ..audit()
            },
        ),
        (
            "idx_audit_logs_session_id",
            AuditFilter {
                session: Some("s7".into()),
                ..audit()
            },
        ),
        (
            "idx_audit_logs_org_id",
            AuditFilter {
                organization: Some(organization),
                ..audit()
            },
        ),
        (
            "idx_audit_logs_action",
            AuditFilter {
                action: Some("area7.done".into()),
                ..audit()
            },
        ),
        ("idx_audit_logs_created_at", audit()),
    ];
    for (index, filter) in filters {
        watched
            .uses(&format!("list_audit for {index}"), &[index], async |db| {
                identity::list_audit(db, &Scope::All, &filter, &page).await
            })
            .await;
    }
    watched
        .uses("prune_audit", &["idx_audit_logs_created_at"], async |db| {
            let before = time::parse("2026-01-01T01:00:00Z").unwrap();
            identity::prune_audit(db, before, 10).await
        })
        .await;
}

async fn projects_and_spokes(watched: &mut Watched) {
    let page = PageRequest::first(5);
    watched
        .uses("list_projects", &["idx_projects_org_id"], async |db| {
            let filter = ProjectFilter {
                organization: Some("o7".into()),
                ..ProjectFilter::default()
            };
            projects::list_projects(db, &Scope::All, &filter, &page).await
        })
        .await;
    watched
        .uses(
            "workspaces_of",
            &["idx_workspaces_project_id"],
            async |db| projects::workspaces_of(db, &"p7".into(), None, &page).await,
        )
        .await;
    let lists = [
        (
            "idx_spokes_project_id",
            SpokeFilter {
                project: Some("p7".into()),
                ..SpokeFilter::default()
            },
        ),
        (
            "idx_spokes_status",
            SpokeFilter {
                status: Some(SpokeStatus::Connected),
                ..SpokeFilter::default()
            },
        ),
    ];
    for (index, filter) in lists {
        watched
            .uses(
                &format!("spokes for {index}"),
                &[index, "idx_spokes_active"],
                async |db| spokes::spokes(db, &Scope::All, &filter, &page).await,
            )
            .await;
    }
    let connected = Some(("\"spokes\".\"status\" = 'connected'", "idx_spokes_status"));
    watched
        .partial(
            "connected_spokes",
            &["idx_spokes_active"],
            connected,
            async |db| spokes::connected_spokes(db, &Scope::All).await,
        )
        .await;
    watched
        .partial(
            "disconnect_spokes",
            &["idx_spokes_active"],
            connected,
            async |db| spokes::disconnect_spokes(db, Disconnect::Instance("h")).await,
        )
        .await;
    watched
        .uses("spoke_by_name", &["idx_spokes_name"], async |db| {
            spokes::spoke_by_name(db, &Scope::All, "b7").await
        })
        .await;
}

async fn operations(watched: &mut Watched) {
    let page = PageRequest::first(5);
    let operation = OperationId::from("f7");
    watched
        .uses(
            "operation_by_name",
            &["unq_operations_namespace_name"],
            async |db| spokes::operation_by_name(db, "n7", "f7").await,
        )
        .await;
    let of_namespace = ["idx_operations_namespace", "unq_operations_namespace_name"];
    watched
        .uses("operations of a namespace", &of_namespace, async |db| {
            let filter = OperationFilter {
                namespace: Some("n7".into()),
                ..Default::default()
            };
            spokes::operations(db, &filter, &page).await
        })
        .await;
    let of_type = ["idx_operations_type", "unq_operations_namespace_name"];
    watched
        .uses("operations of a type", &of_type, async |db| {
            let filter = OperationFilter {
                kind: Some(OperationType::Subscription),
                ..Default::default()
            };
            spokes::operations(db, &filter, &page).await
        })
        .await;
    watched
        .uses(
            "registrations_of_operation",
            &["idx_operation_registrations_operation_id"],
            async |db| spokes::registrations_of_operation(db, &operation, false).await,
        )
        .await;
    watched
        .uses(
            "registrations_of_provider",
            &["idx_operation_registrations_provider_id"],
            async |db| spokes::registrations_of_provider(db, &Provider::Spoke("b7".into())).await,
        )
        .await;
    let active = Some((
        "\"operation_registrations\".\"status\" = 'active'",
        "idx_operation_registrations_status",
    ));
    watched
        .partial(
            "active_registrations",
            &["unq_operation_registrations_active"],
            active,
            async |db| spokes::active_registrations(db).await,
        )
        .await;
    watched
        .uses(
            "remove_operation",
            &[
                "idx_call_graph_nodes_operation_id",
                "idx_call_graph_nodes_operation_created",
            ],
            async |db| {
                spokes::remove_operation(db, &operation, spokes::RemovedRecords::Reassign, true)
                    .await
            },
        )
        .await;
}

async fn calls(watched: &mut Watched) {
    let page = PageRequest::first(5);
    let operation = OperationId::from("f7");
    let from = time::parse("2026-01-01T10:00:00Z").unwrap();
    let to = time::parse("2026-01-01T11:00:00Z").unwrap();
    watched
        .uses(
            "call_by_request_id",
            &["idx_call_graph_nodes_request_id"],
            async |db| calls::call_by_request_id(db, &Scope::All, "q7").await,
        )
        .await;
    let outgoing = [
        "idx_call_graph_edges_source_id_type",
        "unq_call_graph_edges_source_target_type",
        "idx_call_graph_edges_source_id",
    ];
    watched
        .uses("call_tree", &outgoing, async |db| {
            calls::call_tree(db, &Scope::All, "q7", 10, 100).await
        })
        .await;
    watched
        .uses(
            "call_ancestors",
            &["idx_call_graph_nodes_request_id"],
            async |db| calls::call_ancestors(db, &Scope::All, "q8").await,
        )
        .await;
    watched
        .uses("edges_from", &outgoing, async |db| {
            calls::edges_from(db, &"c7".into(), Some(EdgeType::Triggered)).await
        })
        .await;
    watched
        .uses(
            "edges_into",
            &["idx_call_graph_edges_target_id"],
            async |db| calls::edges_into(db, &"c8".into(), None).await,
        )
        .await;
    let base = CallFilter::default;
    let period = CallFilter {
        from: Some(from),
        to: Some(to),
        ..base()
    };
    let of_operation = CallFilter {
        operation: Some(operation.clone()),
        ..base()
    };
    let of_account = CallFilter {
        account: Some("a7".into()),
        ..base()
    };
    for (accepted, filter) in [
        (
            &[
                "idx_call_graph_nodes_operation_created",
                "idx_call_graph_nodes_operation_id",
            ][..],
            of_operation,
        ),
        (&["idx_call_graph_nodes_caller_account_id"][..], of_account),
        (&["idx_call_graph_nodes_created_at"][..], period),
        (&["idx_call_graph_nodes_created_at"][..], base()),
    ] {
        watched
            .uses(&format!("calls {filter:?}"), accepted, async |db| {
                calls::calls(db, &Scope::All, &filter, &page).await
            })
            .await;
    }
    watched
        .uses(
            "stuck_calls",
            &["idx_call_graph_nodes_status"],
            async |db| calls::stuck_calls(db, &Scope::All, time::now(), 10).await,
        )
        .await;
    watched
        .uses("live_calls", &["idx_call_graph_nodes_status"], async |db| {
            calls::live_calls(db, Some("h"), 10).await
        })
        .await;
    watched
        .uses(
            "slowest_calls",
            &["idx_call_graph_nodes_started_at"],
            async |db| calls::slowest_calls(db, &Scope::All, None, from, to, 5).await,
        )
        .await;
    let created = [
        "idx_call_graph_nodes_created_at",
        "idx_call_graph_nodes_operation_created",
    ];
    watched
        .uses("call_stats", &created, async |db| {
            let request = StatsRequest {
                from,
                to,
                bucket: None,
                group: None,
                operation: None,
            };
            calls::call_stats(db, &Scope::All, &request).await
        })
        .await;
    watched
        .uses(
            "errors_by_code",
            &[
                "idx_call_graph_nodes_created_at",
                "idx_call_graph_nodes_status",
            ],
            async |db| calls::errors_by_code(db, &Scope::All, None, from, to, 5).await,
        )
        .await;
    watched
        .uses(
            "prune_calls",
            &["idx_call_graph_nodes_created_at"],
            async |db| {
                let request = PruneRequest {
                    older_than: time::parse("2026-01-01T00:10:00Z").unwrap(),
                    failed_older_than: None,
                    after: None,
                    limit: 10,
                    enough: None,
                };
                calls::prune_calls(db, &request).await
            },
        )
        .await;
}

async fn tasks(watched: &mut Watched, engine: Engine) {
    let page = PageRequest::first(5);
    let project = ProjectId::from("p1");
    watched
        .uses("task_by_slug", &["unq_tasks_project_slug"], async |db| {
            tasks::task_by_slug(db, &Scope::All, &project, "t3").await
        })
        .await;
    watched
        .uses(
            "tasks_of_project",
            &[
                "idx_tasks_project_status",
                "idx_tasks_active",
                "hub_idx_tasks_page",
            ],
            async |db| tasks::tasks_of_project(db, &project, &[TaskStatus::Pending], &page).await,
        )
        .await;
    let active = Some((
        "\"tasks\".\"status\" in ('pending', 'in-progress', 'blocked')",
        "idx_tasks_project_status",
    ));
    watched
        .partial("active_tasks", &["idx_tasks_active"], active, async |db| {
            tasks::active_tasks(db, &project).await
        })
        .await;
    let base = TaskFilter::default;
    let before = time::parse("2026-01-01T01:00:00Z").unwrap();
    let failed = TaskFilter {
        status: vec![TaskStatus::Failed],
        ..base()
    };
    let critical = TaskFilter {
        priority: Some(TaskPriority::Critical),
        ..base()
    };
    for (index, filter) in [
        ("idx_tasks_status", failed),
        ("idx_tasks_priority", critical),
        (
            "idx_tasks_assignee",
            TaskFilter {
                assignee: Some("x7".into()),
                ..base()
            },
        ),
        (
            "idx_tasks_assignee",
            TaskFilter {
                project: Some(project.clone()),
                assignee: Some("x7".into()),
                ..base()
            },
        ),
        (
            "idx_tasks_due_at",
            TaskFilter {
                due_before: Some(before),
                ..base()
            },
        ),
    ] {
        watched
            .uses(&format!("list_tasks for {index}"), &[index], async |db| {
                tasks::list_tasks(db, &Scope::All, &filter, &page).await
            })
            .await;
    }
    watched
        .uses("tasks_under", &["idx_tasks_path"], async |db| {
            tasks::tasks_under(db, &project, "dir7/", &page).await
        })
        .await;
    let by_tag = match engine {
        Engine::Postgres => &["idx_tasks_tags"][..],
        Engine::Sqlite => &[
            "idx_tasks_project_id",
            "idx_tasks_project_status",
            "unq_tasks_project_slug",
            "hub_idx_tasks_page",
        ][..],
    };
    for all in [true, false] {
        watched
            .uses("tasks_with_tags", by_tag, async |db| {
                tasks::tasks_with_tags(db, &project, &["rare".to_owned()], all, &page).await
            })
            .await;
    }
    watched
        .in_order("ready_tasks", &["hub_idx_ready_tasks_order"], async |db| {
            tasks::ready_tasks(db, &project, true, Some(5)).await
        })
        .await;
    for order in [Order::Asc, Order::Desc] {
        let mut filter = base();
        filter.project = Some(project.clone());
        let first = page.clone().in_order(order);
        watched
            .in_order("page of a project", &["hub_idx_tasks_page"], async |db| {
                let page = tasks::list_tasks(db, &Scope::All, &filter, &first).await?;
                let next = first.clone().after(page.next_cursor);
                tasks::list_tasks(db, &Scope::All, &filter, &next).await
            })
            .await;
    }
    let waits = ["idx_task_dependencies_dependent_task_id"];
    watched
        .uses("dependencies", &waits, async |db| {
            tasks::dependencies(db, &[TaskId::from("t7")]).await
        })
        .await;
    let next = [
        "idx_task_dependencies_depends_on_task_id",
        "unq_task_dependencies_depends_on_task",
    ];
    watched
        .uses("dependents", &next, async |db| {
            tasks::dependents(db, &[TaskId::from("t7")]).await
        })
        .await;
}
