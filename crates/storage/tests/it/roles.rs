//! Queries of roles.

use alkhub_storage::enums::RoleMode;
use alkhub_storage::ids::RoleId;
use alkhub_storage::roles::{self, MAX_DEPTH, RoleFields};
use alkhub_storage::{Database, Order, PageRequest, Role, StorageError};

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

async fn create(db: &Database, name: &str, parent: Option<&RoleId>) -> Result<Role, StorageError> {
    let transaction = db.begin().await?;
    let fields = RoleFields {
        parent_id: parent.cloned(),
        ..RoleFields::named(name, RoleMode::Subagent)
    };
    let role = roles::create_role(&transaction, fields).await?;
    transaction.commit().await?;
    Ok(role)
}

async fn set_parent(
    db: &Database,
    role: &Role,
    parent: Option<&RoleId>,
) -> Result<Role, StorageError> {
    let transaction = db.begin().await?;
    let fields = RoleFields {
        parent_id: parent.cloned(),
        ..RoleFields::from(role.clone())
    };
    let role = roles::update_role(&transaction, &role.id, fields).await?;
    transaction.commit().await?;
    Ok(role)
}

fn is_rule(outcome: &Result<Role, StorageError>, rule: &str) -> bool {
    matches!(outcome, Err(StorageError::Rule { name }) if name == rule)
}

#[tokio::test]
async fn a_role_is_stored_found_changed_and_deleted() {
    on_each_engine(async |db| {
        let made = create(&db, "reviewer", None).await.unwrap();
        let found = roles::role_by_name(db.reader(), "reviewer").await.unwrap();
        assert_eq!(found.as_ref(), Some(&made));

        let transaction = db.begin().await.unwrap();
        let fields = RoleFields {
            prompt: Some("Read closely.".to_owned()),
            temperature: Some(0.5),
            scopes: ["task:read"].into_iter().collect(),
            ..RoleFields::from(made.clone())
        };
        let changed = roles::update_role(&transaction, &made.id, fields)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(changed.prompt.as_deref(), Some("Read closely."));
        assert!(changed.updated_at > made.updated_at);
        assert_eq!(changed.created_at, made.created_at);
        assert_eq!(
            roles::role_by_id(db.reader(), &made.id).await.unwrap(),
            Some(changed)
        );

        let transaction = db.begin().await.unwrap();
        assert_eq!(roles::delete_role(&transaction, &made.id).await.unwrap(), 0);
        let again = roles::delete_role(&transaction, &made.id).await;
        assert!(matches!(again, Err(StorageError::NotFound)));
        transaction.commit().await.unwrap();
        assert_eq!(
            roles::role_by_name(db.reader(), "reviewer").await.unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_temperature_has_bounds() {
    on_each_engine(async |db| {
        create(&db, "reviewer", None).await.unwrap();
        let twin = create(&db, "reviewer", None).await;
        assert!(twin.is_err_and(|error| error.is_unique("unq_roles_name")));

        let transaction = db.begin().await.unwrap();
        let hot = RoleFields {
            temperature: Some(2.5),
            ..RoleFields::named("hot", RoleMode::Primary)
        };
        let refused = roles::create_role(&transaction, hot).await;
        assert!(
            matches!(&refused, Err(StorageError::Check { name }) if name == "chk_roles_temperature"),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn children_of_a_deleted_role_stand_alone() {
    on_each_engine(async |db| {
        let base = create(&db, "base", None).await.unwrap();
        let child = create(&db, "child", Some(&base.id)).await.unwrap();
        let transaction = db.begin().await.unwrap();
        assert_eq!(roles::delete_role(&transaction, &base.id).await.unwrap(), 1);
        transaction.commit().await.unwrap();
        let child = roles::role_by_id(db.reader(), &child.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(child.parent_id, None);
    })
    .await;
}

#[tokio::test]
async fn no_role_is_its_own_ancestor() {
    on_each_engine(async |db| {
        let a = create(&db, "a", None).await.unwrap();
        let b = create(&db, "b", Some(&a.id)).await.unwrap();
        let c = create(&db, "c", Some(&b.id)).await.unwrap();
        for parent in [&a, &b, &c] {
            let outcome = set_parent(&db, &a, Some(&parent.id)).await;
            assert!(is_rule(&outcome, "cycle"), "{outcome:?}");
        }
        assert!(set_parent(&db, &c, Some(&a.id)).await.is_ok());
        assert!(is_rule(
            &set_parent(&db, &c, Some(&RoleId::random())).await,
            "unknown_parent"
        ));
        assert!(is_rule(
            &create(&db, "d", Some(&RoleId::random())).await,
            "unknown_parent"
        ));
    })
    .await;
}

#[tokio::test]
async fn a_chain_has_eight_roles_at_most_wherever_it_grows() {
    on_each_engine(async |db| {
        let mut chain = vec![create(&db, "r1", None).await.unwrap()];
        for number in 2..=MAX_DEPTH {
            let parent = chain.last().unwrap().id.clone();
            chain.push(
                create(&db, &format!("r{number}"), Some(&parent))
                    .await
                    .unwrap(),
            );
        }
        let leaf = chain.last().unwrap();
        assert!(is_rule(&create(&db, "r9", Some(&leaf.id)).await, "depth"));
        // At the root end: what hangs below counts as well.
        let above = create(&db, "above", None).await.unwrap();
        assert!(is_rule(
            &set_parent(&db, &chain[0], Some(&above.id)).await,
            "depth"
        ));
        assert!(set_parent(&db, &chain[1], Some(&above.id)).await.is_ok());

        let names: Vec<String> = roles::role_ancestors(db.reader(), "r8")
            .await
            .unwrap()
            .into_iter()
            .map(|role| role.name)
            .collect();
        assert_eq!(names, ["r8", "r7", "r6", "r5", "r4", "r3", "r2", "above"]);
        assert!(
            roles::role_ancestors(db.reader(), "none")
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn ancestors_end_even_in_a_cycle_made_by_hand() {
    on_each_engine(async |db| {
        run(&db, &insert("roles", "a", &[])).await;
        run(&db, &insert("roles", "b", &[("parent_id", "a")])).await;
        run(&db, "update roles set parent_id = 'b' where id = 'a'").await;
        assert_eq!(
            roles::role_ancestors(db.reader(), "a").await.unwrap().len(),
            MAX_DEPTH
        );
    })
    .await;
}

#[tokio::test]
async fn roles_are_listed_by_the_bytes_of_their_names() {
    on_each_engine(async |db| {
        let base = create(&db, "base", None).await.unwrap();
        for name in ["b", "a", "B", "ä", "a-b", "aa"] {
            create(&db, name, Some(&base.id)).await.unwrap();
        }
        let mut names = Vec::new();
        let mut page = PageRequest::first(2).in_order(Order::Asc);
        loop {
            let found = roles::list_roles(db.reader(), None, Some(&base.id), &page)
                .await
                .unwrap();
            names.extend(found.items.into_iter().map(|role| role.name));
            match found.next_cursor {
                Some(cursor) => page = page.after(Some(cursor)),
                None => break,
            }
        }
        assert_eq!(names, ["B", "a", "a-b", "aa", "b", "ä"]);
        let all = PageRequest::default();
        let primary = roles::list_roles(db.reader(), Some(RoleMode::Primary), None, &all)
            .await
            .unwrap();
        assert!(primary.items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_role_is_in_use_while_an_open_session_runs_under_it() {
    on_each_engine(async |db| {
        run(&db, &world()).await;
        for (id, status) in [
            ("s1", "idle"),
            ("s2", "busy"),
            ("s3", "retry"),
            ("s4", "archived"),
        ] {
            let fields = [("role_name", "worker"), ("status", status)];
            run(&db, &insert("sessions", id, &fields)).await;
        }
        assert_eq!(roles::role_in_use(db.reader(), "worker").await.unwrap(), 3);
        assert_eq!(roles::role_in_use(db.reader(), "other").await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn two_roles_made_each_others_parent_at_once_do_not_make_a_cycle() {
    on_each_engine(async |db| {
        let a = create(&db, "a", None).await.unwrap();
        let b = create(&db, "b", None).await.unwrap();
        let (one, other) = tokio::join!(
            set_parent(&db, &a, Some(&b.id)),
            set_parent(&db, &b, Some(&a.id))
        );
        let outcomes = [one, other];
        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{outcomes:?}"
        );
        assert_eq!(count(&db, "roles", "parent_id is not null").await, 1);
    })
    .await;
}
