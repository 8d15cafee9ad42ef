//! Projects and workspaces through the pipeline.

use alkhub_operations::ErrorCode;
use alkhub_storage::enums::{AccessLevel, MembershipLevel};
use serde_json::{Value, json};

use crate::support::{each_hub, rule};

#[tokio::test(flavor = "multi_thread")]
async fn personal_project_is_seen_by_its_owner_and_the_admin_alone() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let bob = hub.account("bob@example.org", AccessLevel::User).await;
        let (ann, bob) = (
            hub.key(&ann, &["project:admin"]).await,
            hub.key(&bob, &["project:admin"]).await,
        );
        let made = hub
            .call(&ann, "project.create", json!({ "name": "mine" }))
            .await
            .unwrap();
        assert_eq!(made["orgId"], Value::Null);
        assert_eq!(made["vcs"], "git");
        let input = json!({ "id": made["id"] });
        assert!(hub.call(&ann, "project.get", input.clone()).await.is_ok());
        assert!(
            hub.call(&hub.admin_key, "project.get", input.clone())
                .await
                .is_ok()
        );
        let hidden = hub.call(&bob, "project.get", input).await.unwrap_err();
        let absent = hub
            .call(&bob, "project.get", json!({ "id": "made-up" }))
            .await
            .unwrap_err();
        // H12: what may not be seen and what is not there are the same, byte for byte.
        assert_eq!(json!(hidden), json!(absent));
        let listed = hub.call(&bob, "project.list", json!({})).await.unwrap();
        assert_eq!(listed["items"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_key_narrowed_to_a_project_reaches_nothing_else() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let wide = hub.key(&ann, &["project:write", "task:write"]).await;
        let made = |name: &'static str| hub.call(&wide, "project.create", json!({ "name": name }));
        let (a, b) = (made("a").await.unwrap(), made("b").await.unwrap());
        let task = json!({ "projectId": b["id"], "name": "t" });
        let task = hub.call(&wide, "task.create", task).await.unwrap();

        let resources = json!({ "project": [a["id"]] });
        let narrow = hub
            .narrowed_key(&ann, &["project:write", "task:write"], resources)
            .await;
        let listed = hub.call(&narrow, "project.list", json!({})).await.unwrap();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        assert_eq!(listed["items"][0]["id"], a["id"]);
        for (operation, input) in [
            ("project.get", json!({ "id": b["id"] })),
            ("task.get", json!({ "id": task["id"] })),
            ("task.create", json!({ "projectId": b["id"], "name": "x" })),
            ("project.create", json!({ "name": "c" })),
        ] {
            let error = hub.call(&narrow, operation, input).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::NOT_FOUND, "{operation}");
        }
        let input = json!({ "projectId": a["id"], "name": "x" });
        hub.call(&narrow, "task.create", input).await.unwrap();

        // The same of an administrator, who sees all else.
        let admin = hub.ok("hub.whoami", json!({})).await["account"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let resources = json!({ "project": [a["id"]] });
        let narrow = hub.narrowed_key(&admin.into(), &["*"], resources).await;
        let listed = hub.call(&narrow, "project.list", json!({})).await.unwrap();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn name_finds_the_one_project_and_refuses_to_guess() {
    each_hub(async |hub| {
        hub.project("twin", None).await;
        let one = hub.project("one", None).await;
        hub.project("twin", None).await;
        let found = hub.ok("project.get", json!({ "name": "one" })).await;
        assert_eq!(found["id"], one.as_str());
        assert_eq!(
            found["counts"],
            json!({ "workspaces": 0, "sessions": 0, "tasks": 0, "spokes": 0 })
        );
        let error = hub.err("project.get", json!({ "name": "twin" })).await;
        assert_eq!(
            (error.code.as_str(), rule(&error).as_str()),
            ("CONFLICT", "ambiguous_name")
        );
        let error = hub.err("project.get", json!({})).await;
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_are_named_all_at_once() {
    each_hub(async |hub| {
        let input = json!({
            "name": "  ", "directory": "a\u{0}b", "metadata": { "ownerId": "me", "archivedAt": "now" },
        });
        let error = hub.err("project.create", input).await;
        let issues = error.details.unwrap()["issues"].clone();
        let paths: Vec<&str> =
            issues.as_array().unwrap().iter().map(|issue| issue["path"].as_str().unwrap()).collect();
        assert_eq!(paths, ["/name", "/directory", "/metadata/archivedAt", "/metadata/ownerId"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_with_credentials_or_unknown_scheme_is_refused() {
    each_hub(async |hub| {
        for good in [
            "https://example.org/a.git",
            "ssh://git@example.org/a.git",
            "git@example.org:a.git",
        ] {
            hub.ok("project.create", json!({ "name": "p", "repoUrl": good }))
                .await;
        }
        for bad in [
            "https://user:pass@example.org/a.git",
            "https://token@example.org/a.git",
            "javascript://x",
            "just text",
            "ssh://git:secret@example.org/a.git",
        ] {
            let error = hub
                .err("project.create", json!({ "name": "p", "repoUrl": bad }))
                .await;
            assert_eq!(rule(&error), "bad_repo_url", "{bad}");
            assert!(!error.message.contains("secret") && !error.message.contains("pass"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_changes_what_is_given_and_merges_notes() {
    each_hub(async |hub| {
        let id = hub.project("p", None).await;
        let update = |patch: Value| {
            let mut input = json!({ "id": id });
            input
                .as_object_mut()
                .unwrap()
                .extend(patch.as_object().unwrap().clone());
            input
        };
        let patch = json!({ "directory": "/srv/p", "metadata": { "a": 1, "b": 2 } });
        let after = hub.ok("project.update", update(patch)).await;
        assert_eq!(
            (&after["name"], &after["directory"]),
            (&json!("p"), &json!("/srv/p"))
        );
        let patch = json!({ "directory": null, "metadata": { "a": null, "c": 3 } });
        let after = hub.ok("project.update", update(patch)).await;
        assert_eq!(after["directory"], Value::Null);
        assert_eq!(
            (&after["metadata"]["b"], &after["metadata"]["c"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(after["metadata"].get("a"), None);

        let stale = json!({ "name": "q", "ifUpdatedAt": "2020-01-01T00:00:00Z" });
        let error = hub.err("project.update", update(stale)).await;
        assert_eq!(error.code, ErrorCode::STALE);
        assert_eq!(error.details.unwrap()["updatedAt"], after["updatedAt"]);
        let fresh = json!({ "name": "q", "ifUpdatedAt": after["updatedAt"] });
        assert_eq!(hub.ok("project.update", update(fresh)).await["name"], "q");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moving_a_project_needs_admin_on_both_sides() {
    each_hub(async |hub| {
        let ann = hub.account("ann@example.org", AccessLevel::User).await;
        let bob = hub.account("bob@example.org", AccessLevel::User).await;
        let (acme, beta) = (
            hub.organization("acme", &ann).await,
            hub.organization("beta", &bob).await,
        );
        hub.member(&acme, &bob, MembershipLevel::Member).await;
        let project = hub.project("p", Some(&acme)).await;
        let bob_key = hub.key(&bob, &["project:write"]).await;
        let to_beta = json!({ "id": project, "orgId": beta });
        let error = hub
            .call(&bob_key, "project.update", to_beta.clone())
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
        let ann_key = hub.key(&ann, &["project:write"]).await;
        let error = hub
            .call(&ann_key, "project.update", to_beta.clone())
            .await
            .unwrap_err();
        assert_eq!(
            error.code,
            ErrorCode::NOT_FOUND,
            "beta is not visible to ann"
        );
        hub.member(&beta, &ann, MembershipLevel::Admin).await;
        // A new key, because memberships are remembered for a while.
        let ann_key = hub.key(&ann, &["project:write"]).await;
        let moved = hub.call(&ann_key, "project.update", to_beta).await.unwrap();
        assert_eq!(moved["orgId"], json!(beta));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_project_is_hidden_from_lists_until_it_is_back() {
    each_hub(async |hub| {
        let id = hub.project("p", None).await;
        let archived = hub.ok("project.archive", json!({ "id": id })).await;
        assert!(archived["metadata"]["archivedAt"].is_string());
        assert_eq!(
            hub.ok("project.archive", json!({ "id": id })).await,
            archived
        );
        assert_eq!(hub.ok("project.list", json!({})).await["items"], json!([]));
        let all = hub
            .ok("project.list", json!({ "includeArchived": true }))
            .await;
        assert_eq!(all["items"].as_array().unwrap().len(), 1);
        let error = hub
            .err("workspace.create", json!({ "projectId": id, "name": "w" }))
            .await;
        assert_eq!(rule(&error), "archived");
        let back = hub.ok("project.unarchive", json!({ "id": id })).await;
        assert_eq!(back["metadata"].get("archivedAt"), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_asks_for_the_name_and_counts_what_went() {
    each_hub(async |hub| {
        let id = hub.project("p", None).await;
        hub.ok("workspace.create", json!({ "projectId": id, "name": "w" }))
            .await;
        hub.ok("task.create", json!({ "projectId": id, "name": "t" }))
            .await;
        let error = hub
            .err("project.delete", json!({ "id": id, "confirm": "q" }))
            .await;
        assert_eq!(rule(&error), "confirm");
        let gone = hub
            .ok("project.delete", json!({ "id": id, "confirm": "p" }))
            .await;
        assert_eq!(gone["counts"]["workspaces"], 1);
        assert_eq!(gone["counts"]["tasks"], 1);
        assert_eq!(
            hub.err("project.get", json!({ "id": id })).await.code,
            ErrorCode::NOT_FOUND
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_every_project_once_and_cursors_stay_with_their_list() {
    each_hub(async |hub| {
        for index in 0..7 {
            hub.project(&format!("p{index}"), None).await;
        }
        let mut names = Vec::new();
        let mut input = json!({ "limit": 3 });
        let mut cursor = Value::Null;
        loop {
            let page = hub.ok("project.list", input).await;
            names.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|p| p["name"].to_string()),
            );
            match page.get("nextCursor") {
                Some(next) => cursor = next.clone(),
                None => break,
            }
            input = json!({ "limit": 3, "cursor": cursor });
        }
        assert_eq!(names.len(), 7);
        assert_eq!(names[0], "\"p6\"");
        let other = json!({ "limit": 3, "cursor": cursor, "search": "p" });
        assert_eq!(
            hub.err("project.list", other).await.code,
            ErrorCode::VALIDATION_ERROR
        );
        for bad in [
            json!({ "cursor": "???" }),
            json!({ "limit": 0 }),
            json!({ "limit": 501 }),
        ] {
            assert_eq!(
                hub.err("project.list", bad).await.code,
                ErrorCode::VALIDATION_ERROR
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workspaces_of_a_project_never_share_a_directory() {
    each_hub(async |hub| {
        let id = hub.project("p", None).await;
        let make =
            |directory: &str| json!({ "projectId": id, "directory": directory, "branch": "b" });
        let one = hub.ok("workspace.create", make("/srv/one")).await;
        let two = hub.ok("workspace.create", make("/srv/two")).await;
        let error = hub.err("workspace.create", make("/srv/one")).await;
        assert_eq!(rule(&error), "directory_taken");
        let error = hub
            .err(
                "workspace.update",
                json!({ "id": two["id"], "directory": "/srv/one" }),
            )
            .await;
        assert_eq!(rule(&error), "directory_taken");
        hub.ok(
            "workspace.update",
            json!({ "id": one["id"], "directory": "/srv/one" }),
        )
        .await;
        let listed = hub
            .ok("workspace.list", json!({ "projectId": id, "branch": "b" }))
            .await;
        assert_eq!(listed["items"].as_array().unwrap().len(), 2);
        hub.ok("workspace.delete", json!({ "id": one["id"] })).await;
        hub.ok("workspace.create", make("/srv/one")).await;
    })
    .await;
}
