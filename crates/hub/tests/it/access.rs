//! H1: every operation as nobody, with the wrong scope, as another tenant, as a member, as the admin.
//!
//! An operation without a row in the table fails the test, so that none goes in unwatched.

use std::collections::BTreeSet;

use alkhub_operations::ErrorCode;
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use alkhub_storage::ids::AccountId;
use serde_json::{Value, json};

use crate::support::{TestHub, each_hub, request};

/// What a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    Answer,
    NotFound,
    Denied,
}

use Gets::{Answer, Denied, NotFound};

/// One operation: its input in a fresh world, and what each caller gets.
struct Row {
    operation: &'static str,
    input: fn(&World) -> Value,
    /// Scopes that suffice.
    scopes: &'static [&'static str],
    /// A user of another tenant, with every scope a user may have.
    stranger: Gets,
    /// A plain member of the organization, with the scopes above.
    member: Gets,
}

fn row(
    operation: &'static str,
    scopes: &'static [&'static str],
    stranger: Gets,
    member: Gets,
    input: fn(&World) -> Value,
) -> Row {
    Row {
        operation,
        input,
        scopes,
        stranger,
        member,
    }
}

fn table() -> Vec<Row> {
    let nothing = |_: &World| json!({});
    vec![
        row("hub.info", &[], Answer, Answer, nothing),
        row("hub.whoami", &[], Answer, Answer, nothing),
        row(
            "hub.register",
            &["spoke:register"],
            Answer,
            Answer,
            |_| json!({ "name": "box" }),
        ),
        row("hub.update", &["spoke:register"], Answer, Answer, nothing),
        row("hub.jobs.list", &["hub:admin"], Denied, Denied, nothing),
        row(
            "hub.jobs.run",
            &["hub:admin"],
            Denied,
            Denied,
            |_| json!({ "name": "keys.touch" }),
        ),
        row(
            "hub.events",
            &[],
            Answer,
            Answer,
            |_| json!({ "topics": ["task.*"] }),
        ),
        row("spoke.list", &["spoke:read"], Answer, Answer, nothing),
        row(
            "spoke.get",
            &["spoke:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.spoke }),
        ),
        row(
            "spoke.update",
            &["spoke:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.spoke, "drain": true }),
        ),
        row(
            "spoke.disconnect",
            &["spoke:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.spoke }),
        ),
        row(
            "spoke.delete",
            &["spoke:admin"],
            NotFound,
            Denied,
            |world| json!({ "id": world.spoke }),
        ),
        row("spoke.invite", &["spoke:admin"], Answer, Answer, nothing),
        row("spoke.watch", &["spoke:read"], Answer, Answer, nothing),
        row("operation.graph", &[], Answer, Answer, nothing),
        row(
            "operation.explain",
            &[],
            Answer,
            Answer,
            |_| json!({ "from": "hub.whoami", "to": "hub.info" }),
        ),
        row(
            "operation.paths",
            &[],
            Answer,
            Answer,
            |_| json!({ "from": "hub.whoami", "to": "hub.info" }),
        ),
        row(
            "operation.providers",
            &["spoke:read"],
            Answer,
            Answer,
            |_| json!({ "name": "hub.info" }),
        ),
        row(
            "operation.update",
            &["operation:admin"],
            Denied,
            Denied,
            |_| json!({ "name": "hub.info", "tags": ["about"] }),
        ),
        row(
            "call.get",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row("call.list", &[], Answer, Answer, nothing),
        row(
            "call.tree",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row(
            "call.descendants",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row(
            "call.ancestors",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row(
            "call.waterfall",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row(
            "call.export",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row("call.running", &["call:read"], Answer, Answer, nothing),
        row("call.stuck", &["call:read"], Answer, Answer, nothing),
        row("call.slowest", &["call:read"], Answer, Answer, nothing),
        row("call.errors", &["call:read"], Answer, Answer, nothing),
        row("call.stats", &["call:read"], Answer, Answer, nothing),
        row(
            "call.abort",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row(
            "call.abortReport",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "requestId": world.call }),
        ),
        row("call.watch", &[], Answer, Answer, nothing),
        row("call.prune", &["call:admin"], Denied, Denied, nothing),
        row("config.get", &["hub:admin"], Denied, Denied, nothing),
        row(
            "config.set",
            &["hub:admin"],
            Denied,
            Denied,
            |_| json!({ "key": "limits.concurrency", "value": 0 }),
        ),
        row("config.schema", &[], Answer, Answer, nothing),
        row(
            "account.create",
            &["account:admin"],
            Denied,
            Denied,
            |world| json!({ "email": format!("{}@example.org", world.unique), "displayName": "New" }),
        ),
        row(
            "account.get",
            &["account:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.owner }),
        ),
        row("account.list", &["account:read"], Answer, Answer, nothing),
        row(
            "key.create",
            &["key:write"],
            Answer,
            Answer,
            |_| json!({ "name": "k", "scopes": ["key:write"] }),
        ),
        row("key.list", &[], Answer, Answer, nothing),
        row(
            "key.get",
            &[],
            NotFound,
            NotFound,
            |world| json!({ "id": world.admin_spare_key }),
        ),
        row(
            "key.revoke",
            &["key:write"],
            NotFound,
            NotFound,
            |world| json!({ "id": world.admin_spare_key }),
        ),
        row(
            "key.check",
            &[],
            Answer,
            Answer,
            |_| json!({ "operation": "hub.info" }),
        ),
        row("client.types", &["client:read"], Answer, Answer, nothing),
        row(
            "client.create",
            &["client:write"],
            NotFound,
            Denied,
            |world| {
                json!({ "name": format!("new {}", world.unique), "type": "custom",
                "config": client_config(), "orgId": world.organization })
            },
        ),
        row(
            "client.get",
            &["client:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.client }),
        ),
        row("client.list", &["client:read"], Answer, Answer, nothing),
        row(
            "client.update",
            &["client:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.client, "enabled": false }),
        ),
        row(
            "client.transfer",
            &["client:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.client, "newOwnerId": world.owner }),
        ),
        row(
            "client.test",
            &["client:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.client }),
        ),
        row(
            "client.import",
            &["client:write", "operation:admin"],
            NotFound,
            Denied,
            |world| json!({ "id": world.client, "source": "{\"openapi\":\"3.1.0\",\"paths\":{}}" }),
        ),
        row(
            "client.delete",
            &["client:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.client, "confirm": world.unique }),
        ),
        row("operation.list", &[], Answer, Answer, nothing),
        row(
            "operation.search",
            &[],
            Answer,
            Answer,
            |_| json!({ "query": "task" }),
        ),
        row(
            "operation.schema",
            &[],
            Answer,
            Answer,
            |_| json!({ "name": "hub.info" }),
        ),
        row(
            "project.create",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "name": "p", "orgId": world.organization }),
        ),
        row(
            "project.get",
            &["project:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.project }),
        ),
        row("project.list", &["project:read"], Answer, Answer, nothing),
        row(
            "project.update",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.project, "vcs": "hg" }),
        ),
        row(
            "project.archive",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.project }),
        ),
        row(
            "project.unarchive",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.project }),
        ),
        row(
            "project.delete",
            &["project:admin"],
            NotFound,
            Denied,
            |world| json!({ "id": world.project, "confirm": "p" }),
        ),
        row(
            "project.stats",
            &["project:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.project }),
        ),
        row(
            "workspace.create",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "name": "w2" }),
        ),
        row(
            "workspace.get",
            &["project:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.workspace }),
        ),
        row(
            "workspace.list",
            &["project:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "workspace.update",
            &["project:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.workspace, "branch": "main" }),
        ),
        row(
            "workspace.delete",
            &["project:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.workspace }),
        ),
        row(
            "task.create",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "name": "new" }),
        ),
        row(
            "task.get",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task }),
        ),
        row(
            "task.list",
            &["task:read"],
            Answer,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "task.update",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task, "priority": "high" }),
        ),
        row(
            "task.updateStatus",
            &["task:status"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task, "status": "in-progress" }),
        ),
        row(
            "task.addNote",
            &["task:status"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task, "text": "a note" }),
        ),
        row(
            "task.assign",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task, "assignee": "somebody" }),
        ),
        row(
            "task.delete",
            &["task:write"],
            NotFound,
            Denied,
            |world| json!({ "id": world.task }),
        ),
        row(
            "task.dependency.add",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "taskId": world.other_task, "dependsOnId": world.task }),
        ),
        row(
            "task.dependency.remove",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "taskId": world.task, "dependsOnId": world.prerequisite }),
        ),
        row(
            "task.dependency.list",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "taskId": world.task }),
        ),
        row(
            "task.import",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "files": [], "dryRun": true }),
        ),
        row(
            "task.export",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "task.ready",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "order": "priority" }),
        ),
        row(
            "task.graph",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "task.analyze",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "analyses": ["criticalPath"] }),
        ),
        row(
            "task.history",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task }),
        ),
        row(
            "task.sync",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "files": [], "dryRun": true }),
        ),
        row(
            "task.watch",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "task.blocked",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project }),
        ),
        row(
            "task.history",
            &["task:read"],
            NotFound,
            Answer,
            |world| json!({ "id": world.task }),
        ),
        row(
            "task.sync",
            &["task:write"],
            NotFound,
            Answer,
            |world| json!({ "projectId": world.project, "files": [] }),
        ),
    ]
}

/// Rows made anew for each call, so that what one caller changed does not decide the next.
struct World {
    unique: String,
    /// A finished call of the administrator about the project.
    call: String,
    owner: AccountId,
    organization: String,
    project: String,
    workspace: String,
    task: String,
    prerequisite: String,
    other_task: String,
    spoke: String,
    admin_spare_key: String,
    /// A client of the organization, named as the project's id.
    client: String,
}

struct Callers {
    owner: AccountId,
    organization: alkhub_storage::ids::OrganizationId,
    member: AccountId,
    stranger: AccountId,
    /// A key of the member with a scope that fits no operation of the table.
    elsewhere: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_every_operation_answers_each_caller_as_its_row_says() {
    each_hub(async |hub| {
        let callers = callers(hub).await;
        for row in table() {
            check(hub, &callers, &row).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h1_every_registered_operation_has_a_row() {
    each_hub(async |hub| {
        let listed: BTreeSet<String> = registered(hub).await;
        let mut rows: BTreeSet<String> =
            table().iter().map(|row| row.operation.to_owned()).collect();
        // Open to everybody; the pipeline's own test shows that it answers without a key.
        rows.insert("hub.health".to_owned());
        // Open to whoever has a token; the tests of spokes show who is refused.
        rows.insert("spoke.enroll".to_owned());
        // Needs an operation that a spoke has offered; the tests over sockets have one.
        rows.insert("operation.remove".to_owned());
        assert_eq!(listed, rows);
    })
    .await;
}

async fn registered(hub: &TestHub) -> BTreeSet<String> {
    let page = hub.ok("operation.list", json!({ "limit": 500 })).await;
    let items = page["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["name"].as_str().expect("a name").to_owned())
        .collect()
}

async fn check(hub: &TestHub, callers: &Callers, row: &Row) {
    let name = row.operation;
    // One for all worlds of the row: an account may have 100 live keys.
    let spare = hub
        .ok(
            "key.create",
            json!({ "name": "spare", "scopes": ["hub:read"] }),
        )
        .await;
    let spare = spare["apiKey"]["id"].as_str().expect("an id");
    let input = (row.input)(&world(hub, callers, spare).await);

    let nobody = hub.try_request(request(None, name, input.clone())).await;
    let code = nobody.expect_err("nobody gets in").code;
    assert_eq!(code, ErrorCode::UNAUTHENTICATED, "{name} as nobody");

    let outcome = hub.try_once(&callers.elsewhere, name, input.clone()).await;
    if row.scopes.is_empty() {
        assert_eq!(gets(&outcome), row.member, "{name} without any scope");
    } else if name == "account.get" {
        // Everybody may read themselves; others are not found without the scope.
        assert_eq!(gets(&outcome), NotFound);
    } else {
        let code = outcome.expect_err("the scope is missing").code;
        assert_eq!(
            code,
            ErrorCode::OPERATION_NOT_FOUND,
            "{name} with the wrong scope"
        );
    }

    let stranger = hub.key(&callers.stranger, &["*"]).await;
    let outcome = hub.try_once(&stranger, name, input).await;
    assert_eq!(
        gets(&outcome),
        row.stranger,
        "{name} as another tenant: {outcome:?}"
    );

    let member = hub.key(&callers.member, row.scopes).await;
    let input = (row.input)(&world(hub, callers, spare).await);
    let outcome = hub.try_once(&member, name, input).await;
    assert_eq!(
        gets(&outcome),
        row.member,
        "{name} as a member: {outcome:?}"
    );

    let input = (row.input)(&world(hub, callers, spare).await);
    let outcome = hub.try_once(&hub.admin_key, name, input).await;
    assert_eq!(
        gets(&outcome),
        Answer,
        "{name} as the administrator: {outcome:?}"
    );
}

/// A service that is not there.
fn client_config() -> Value {
    json!({ "baseUrl": "http://service.invalid", "namespace": "outside" })
}

fn gets(outcome: &Result<Value, alkhub_operations::CallError>) -> Gets {
    match outcome {
        Ok(_) => Answer,
        Err(error) if error.code == ErrorCode::NOT_FOUND => NotFound,
        // The caller was let in; what is missing is a connection.
        Err(error)
            if error
                .details
                .as_ref()
                .is_some_and(|details| details["rule"] == "websocket_only") =>
        {
            Answer
        }
        // An operation whose scope no user can have is not even shown to users.
        Err(error)
            if error.code == ErrorCode::ACCESS_DENIED
                || error.code == ErrorCode::OPERATION_NOT_FOUND =>
        {
            Denied
        }
        Err(error) => panic!("unexpected: {error:?}"),
    }
}

async fn callers(hub: &TestHub) -> Callers {
    let owner = hub.account("owner@example.org", AccessLevel::User).await;
    let member = hub.account("member@example.org", AccessLevel::User).await;
    let stranger = hub.account("stranger@example.org", AccessLevel::User).await;
    let organization = hub.organization("acme", &owner).await;
    hub.member(&organization, &member, MembershipLevel::Member)
        .await;
    let elsewhere = hub.key(&member, &["usage:read"]).await;
    Callers {
        owner,
        organization,
        member,
        stranger,
        elsewhere,
    }
}

async fn world(hub: &TestHub, callers: &Callers, spare: &str) -> World {
    let text = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let project = hub.project("p", Some(&callers.organization)).await;
    let workspace = hub
        .ok(
            "workspace.create",
            json!({ "projectId": project, "name": "w" }),
        )
        .await;
    let task = async |slug: &str, depends_on: &[&str]| {
        let input = json!({
            "projectId": project, "slug": slug, "name": slug, "dependsOn": depends_on,
        });
        text(&hub.ok("task.create", input).await)
    };
    let prerequisite = task("prerequisite", &[]).await;
    let done = json!({ "id": prerequisite, "status": "in-progress" });
    hub.ok("task.updateStatus", done).await;
    hub.ok(
        "task.updateStatus",
        json!({ "id": prerequisite, "status": "completed" }),
    )
    .await;
    let other_task = task("other", &[]).await;
    let task = task("task", &["prerequisite"]).await;
    let client = json!({ "name": project, "type": "custom", "config": client_config(),
        "orgId": callers.organization });
    let client = text(&hub.ok("client.create", client).await);
    let spoke = hub.spoke(&callers.owner, &project).await;
    let call = crate::calls::Row::ended("hub.info").about(&project);
    let call = crate::calls::record(&hub.database, &[call]).await.remove(0);
    World {
        call,
        spoke,
        unique: project.clone(),
        owner: callers.owner.clone(),
        organization: callers.organization.to_string(),
        workspace: text(&workspace),
        project,
        task,
        prerequisite,
        other_task,
        admin_spare_key: spare.to_owned(),
        client,
    }
}
