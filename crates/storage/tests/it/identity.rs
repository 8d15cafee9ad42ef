//! Accounts, organizations, keys and the audit trail.

mod audit;
mod keys;
mod organizations;

use alkhub_storage::enums::{AccessLevel, AccountStatus};
use alkhub_storage::identity::{self, AccountChanges, AccountDeletion, AccountFilter, NewAccount};
use alkhub_storage::ids::AccountId;
use alkhub_storage::{Order, PageRequest, Scope, StorageError};

use crate::sql::{count, run};
use crate::support::on_each_engine;
use crate::world::{account, key, member, organization};

#[tokio::test]
async fn an_account_is_made_found_and_changed() {
    on_each_engine(async |db| {
        let made = account(&db, "ada").await;
        let found = identity::account_by_id(db.reader(), &made.id)
            .await
            .unwrap();
        assert_eq!(found.as_ref(), Some(&made));
        let by_mail = identity::account_by_email(db.reader(), "ada@example.com")
            .await
            .unwrap();
        assert_eq!(by_mail, Some(made.clone()));
        let twin = NewAccount {
            email: made.email.clone(),
            ..NewAccount::default()
        };
        let refusal = identity::create_account(db.writer(), twin)
            .await
            .unwrap_err();
        assert!(refusal.is_unique("unq_accounts_email"), "{refusal:?}");
        let changes = AccountChanges {
            gitea_username: Some(Some("ada".to_owned())),
            display_name: Some(None),
            ..AccountChanges::default()
        };
        let changed = identity::update_account(db.writer(), &made.id, changes)
            .await
            .unwrap();
        assert_eq!((changed.display_name, changed.email), (None, made.email));
        assert!(changed.updated_at > made.updated_at);
        let linked = identity::accounts_by_gitea_username(db.reader(), "ada")
            .await
            .unwrap();
        assert_eq!(linked.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_change_may_ask_for_the_row_it_was_read_as() {
    on_each_engine(async |db| {
        let made = account(&db, "ada").await;
        let change = |moment| AccountChanges {
            display_name: Some(Some("x".to_owned())),
            if_updated_at: Some(moment),
            ..AccountChanges::default()
        };
        let mut last = made.updated_at;
        // Faster than the clock moves, and still each write leaves another moment.
        for _ in 0..5 {
            let after = identity::update_account(db.writer(), &made.id, change(last))
                .await
                .unwrap();
            let stale = identity::update_account(db.writer(), &made.id, change(last)).await;
            assert!(matches!(stale, Err(StorageError::Stale)), "{stale:?}");
            last = after.updated_at;
        }
        let missing =
            identity::update_account(db.writer(), &AccountId::from("none"), change(last)).await;
        assert!(matches!(missing, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn accounts_are_listed_by_filter_and_page() {
    on_each_engine(async |db| {
        let mut made = Vec::new();
        for n in 0..7 {
            made.push(account(&db, &format!("Member{n}").to_lowercase()).await);
        }
        account(&db, "other_100%").await;
        let filter = AccountFilter {
            search: Some("MEMBER".to_owned()),
            ..AccountFilter::default()
        };
        for order in [Order::Asc, Order::Desc] {
            let mut request = PageRequest::first(3).in_order(order);
            let mut seen = Vec::new();
            loop {
                let page = identity::search_accounts(db.reader(), &Scope::All, &filter, &request)
                    .await
                    .unwrap();
                assert!(page.items.len() <= 3);
                seen.extend(page.items);
                match page.next_cursor {
                    Some(next) => request = request.after(Some(next)),
                    None => break,
                }
            }
            let mut expected = made.clone();
            expected.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            if order == Order::Desc {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
        // A cursor belongs to its list.
        let page =
            identity::search_accounts(db.reader(), &Scope::All, &filter, &PageRequest::first(1))
                .await
                .unwrap();
        let other = identity::search_accounts(
            db.reader(),
            &Scope::All,
            &AccountFilter::default(),
            &PageRequest::first(1).after(page.next_cursor),
        )
        .await;
        assert!(matches!(other, Err(StorageError::Cursor)));
        // What LIKE takes for special is searched for as it is.
        for (text, number) in [("other_1", 1), ("otherx1", 0), ("%", 0), ("other_100%", 1)] {
            let filter = AccountFilter {
                search: Some(text.to_owned()),
                ..AccountFilter::default()
            };
            let page = identity::search_accounts(
                db.reader(),
                &Scope::All,
                &filter,
                &PageRequest::default(),
            )
            .await
            .unwrap();
            assert_eq!(page.items.len(), number, "{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_account_sees_itself_and_those_it_shares_an_organization_with() {
    on_each_engine(async |db| {
        let (ada, bob, eve) = (
            account(&db, "ada").await,
            account(&db, "bob").await,
            account(&db, "eve").await,
        );
        let shared = organization(&db, "shared", &ada.id).await;
        identity::add_member(
            db.writer(),
            &shared.id,
            &bob.id,
            alkhub_storage::enums::MembershipLevel::Member,
        )
        .await
        .unwrap();
        let scope = member(&bob.id, &[&shared.id]);
        for (id, visible) in [(&ada.id, true), (&bob.id, true), (&eve.id, false)] {
            assert_eq!(
                identity::account_visible(db.reader(), &scope, id)
                    .await
                    .unwrap(),
                visible
            );
        }
        let seen = identity::search_accounts(
            db.reader(),
            &scope,
            &AccountFilter::default(),
            &PageRequest::default(),
        )
        .await
        .unwrap();
        assert_eq!(seen.items.len(), 2);
        let alone = identity::search_accounts(
            db.reader(),
            &Scope::account(eve.id.clone()),
            &AccountFilter {
                organization: Some(shared.id),
                ..AccountFilter::default()
            },
            &PageRequest::default(),
        )
        .await
        .unwrap();
        assert!(alone.items.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_status_is_set_only_from_what_it_was_and_ends_the_keys_at_last() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let made = key(&db, &ada.id, "k").await;
        use AccountStatus::{Active, Deactivated, Suspended};
        let set = async |from, to| {
            let transaction = db.begin().await.unwrap();
            let done = identity::set_account_status(&transaction, &ada.id, from, to).await;
            transaction.commit().await.unwrap();
            done
        };
        assert!(!set(Suspended, Active).await.unwrap());
        assert!(set(Active, Suspended).await.unwrap());
        let kept = identity::api_key_by_id(db.reader(), &made.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(kept.revoked_at, None);
        assert!(set(Suspended, Deactivated).await.unwrap());
        let gone = identity::api_key_by_id(db.reader(), &made.id)
            .await
            .unwrap()
            .unwrap();
        assert!(gone.revoked_at.is_some());
        let illegal = set(Deactivated, Suspended).await;
        assert!(
            matches!(illegal, Err(StorageError::IllegalTransition { .. })),
            "{illegal:?}"
        );
        assert!(set(Deactivated, Active).await.unwrap());
        let counts = identity::count_accounts_by_status(db.reader())
            .await
            .unwrap();
        assert_eq!(counts, [(Active, 1)]);
    })
    .await;
}

#[tokio::test]
async fn administrators_count_while_they_have_a_live_key() {
    on_each_engine(async |db| {
        let admin = account(&db, "admin").await;
        let counted = async || {
            let transaction = db.begin().await.unwrap();
            let number = identity::count_live_admins(&transaction).await.unwrap();
            transaction.rollback().await.unwrap();
            number
        };
        let change = AccountChanges {
            access_level: Some(AccessLevel::Admin),
            ..AccountChanges::default()
        };
        identity::update_account(db.writer(), &admin.id, change)
            .await
            .unwrap();
        assert_eq!(counted().await, 0);
        let first = key(&db, &admin.id, "k1").await;
        let second = key(&db, &admin.id, "k2").await;
        assert_eq!(counted().await, 1);
        let found = identity::first_active_admin(db.reader()).await.unwrap();
        assert_eq!(found.map(|account| account.id), Some(admin.id.clone()));
        identity::revoke_keys(db.writer(), &[first.id])
            .await
            .unwrap();
        assert_eq!(counted().await, 1);
        identity::set_key_enabled(db.writer(), &[second.id], false)
            .await
            .unwrap();
        assert_eq!(counted().await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_deleted_unless_rows_keep_it() {
    on_each_engine(async |db| {
        let owner = account(&db, "owner").await;
        organization(&db, "org", &owner.id).await;
        let free = account(&db, "free").await;
        key(&db, &free.id, "k").await;
        run(&db, &crate::rows::world()).await;
        run(
            &db,
            &format!(
                "update call_graph_nodes set caller_account_id = '{}'",
                free.id
            ),
        )
        .await;
        let deleted = async |id: &AccountId| {
            let transaction = db.begin().await.unwrap();
            let outcome = identity::delete_account(&transaction, id).await;
            transaction.commit().await.unwrap();
            outcome
        };
        assert_eq!(
            deleted(&owner.id).await.unwrap(),
            AccountDeletion::Restricted {
                audit: 0,
                organizations: 1,
                clients: 0
            }
        );
        assert_eq!(deleted(&free.id).await.unwrap(), AccountDeletion::Deleted);
        assert_eq!(count(&db, "api_keys", "key_hash = 'k'").await, 0);
        assert_eq!(
            count(&db, "call_graph_nodes", "caller_account_id is not null").await,
            0
        );
        assert!(matches!(
            deleted(&free.id).await,
            Err(StorageError::NotFound)
        ));
    })
    .await;
}

#[tokio::test]
async fn a_deactivated_account_is_made_unrecognisable() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let transaction = db.begin().await.unwrap();
        let early = identity::anonymise_account(&transaction, &ada.id).await;
        assert!(matches!(early, Err(StorageError::IllegalTransition { .. })));
        identity::set_account_status(
            &transaction,
            &ada.id,
            AccountStatus::Active,
            AccountStatus::Deactivated,
        )
        .await
        .unwrap();
        let after = identity::anonymise_account(&transaction, &ada.id)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(after.email, format!("deleted+{}@invalid", ada.id));
        assert_eq!(after.display_name, None);
        assert!(after.metadata.text("anonymisedAt").is_some());
    })
    .await;
}
