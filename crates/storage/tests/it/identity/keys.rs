//! API keys.

use std::slice::from_ref;
use std::time::Duration;

use alkhub_storage::identity::{self, KeyChanges, KeyFilter};
use alkhub_storage::ids::ApiKeyId;
use alkhub_storage::json::StringList;
use alkhub_storage::{PageRequest, StorageError, time};
use chrono::TimeDelta;

use crate::support::on_each_engine;
use crate::world::{account, key, new_key};

#[tokio::test]
async fn a_key_is_found_by_its_hash_with_its_account() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let made = key(&db, &ada.id, "h1").await;
        let found = identity::api_key_by_hash(db.reader(), "h1")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found, (made.clone(), ada.clone()));
        assert_eq!(
            identity::api_key_by_hash(db.reader(), "h2").await.unwrap(),
            None
        );
        let twin = identity::create_api_key(db.writer(), new_key(&ada.id, "h1"))
            .await
            .unwrap_err();
        assert!(twin.is_unique("unq_api_keys_key_hash"), "{twin:?}");
        let orphan = identity::create_api_key(db.writer(), new_key(&"none".into(), "h3")).await;
        assert!(
            matches!(orphan, Err(StorageError::ForeignKey { .. })),
            "{orphan:?}"
        );
        let changes = KeyChanges {
            scopes: Some(StringList::from(vec!["task:read".to_owned()])),
            description: Some(Some("for reading".to_owned())),
            ..KeyChanges::default()
        };
        let changed = identity::update_api_key(db.writer(), &made.id, changes)
            .await
            .unwrap();
        assert_eq!(changed.scopes.as_slice(), ["task:read"]);
        assert_eq!(changed.key_hash, "h1");
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_by_state() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let live = key(&db, &ada.id, "live").await;
        let off = key(&db, &ada.id, "off").await;
        let revoked = key(&db, &ada.id, "revoked").await;
        let soon = time::now() + TimeDelta::hours(1);
        let mut new = new_key(&ada.id, "soon");
        new.expires_at = Some(soon);
        let soon_key = identity::create_api_key(db.writer(), new).await.unwrap();
        let mut new = new_key(&ada.id, "past");
        new.expires_at = Some(time::now() - TimeDelta::hours(1));
        identity::create_api_key(db.writer(), new).await.unwrap();
        let changed = identity::set_key_enabled(db.writer(), from_ref(&off.id), false)
            .await
            .unwrap();
        assert_eq!(changed, from_ref(&off.id));
        assert!(
            identity::set_key_enabled(db.writer(), &changed, false)
                .await
                .unwrap()
                .is_empty()
        );
        let ids = [revoked.id.clone()];
        assert_eq!(identity::revoke_keys(db.writer(), &ids).await.unwrap(), ids);
        assert!(
            identity::revoke_keys(db.writer(), &ids)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(
            identity::set_key_enabled(db.writer(), &ids, false)
                .await
                .unwrap()
                .is_empty(),
            "a revoked key is not switched"
        );

        let page = PageRequest::default();
        let mut ids: Vec<ApiKeyId> = identity::api_keys_of(db.reader(), &ada.id, true, &page)
            .await
            .unwrap()
            .items
            .into_iter()
            .map(|row| row.id)
            .collect();
        ids.sort();
        let mut expected = vec![live.id.clone(), soon_key.id.clone()];
        expected.sort();
        assert_eq!(ids, expected);
        assert_eq!(
            identity::count_live_keys(db.reader(), &ada.id, time::now())
                .await
                .unwrap(),
            2
        );
        let all = identity::api_keys_of(db.reader(), &ada.id, false, &page)
            .await
            .unwrap();
        assert_eq!(all.items.len(), 5);
        let disabled = identity::api_keys_disabled(db.reader(), &page)
            .await
            .unwrap();
        assert_eq!(disabled.items.len(), 1);
        let expiring = identity::api_keys_expiring(db.reader(), time::now() + TimeDelta::hours(2))
            .await
            .unwrap();
        assert_eq!(
            expiring.iter().map(|row| &row.id).collect::<Vec<_>>(),
            [&soon_key.id]
        );
        for (enabled, include_revoked, number) in [
            (None, false, 4),
            (None, true, 5),
            (Some(true), false, 3),
            (Some(false), true, 1),
        ] {
            let filter = KeyFilter {
                owner: ada.id.clone(),
                enabled,
                include_revoked,
                expires_before: None,
            };
            let found = identity::list_api_keys(db.reader(), &filter, &page)
                .await
                .unwrap();
            assert_eq!(found.items.len(), number, "{enabled:?} {include_revoked}");
        }
        let filter = KeyFilter {
            owner: ada.id.clone(),
            enabled: None,
            include_revoked: false,
            expires_before: Some(soon + TimeDelta::seconds(1)),
        };
        let found = identity::list_api_keys(db.reader(), &filter, &page)
            .await
            .unwrap();
        assert_eq!(found.items.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_has_one_successor_and_ends_after_its_grace() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let first = key(&db, &ada.id, "h1").await;
        let rotate = async |id: &ApiKeyId, hash: &str, grace| {
            let transaction = db.begin().await.unwrap();
            let done =
                identity::rotate_api_key(&transaction, id, hash.to_owned(), hash.to_owned(), grace)
                    .await;
            transaction.commit().await.unwrap();
            done
        };
        let day = Duration::from_secs(86_400);
        let (second, old) = rotate(&first.id, "h2", day).await.unwrap();
        assert_eq!(old.rotated_to_id, Some(second.id.clone()));
        assert!(old.expires_at.unwrap() > time::now() && old.revoked_at.is_none());
        assert_eq!(
            (second.name.clone(), second.scopes.clone()),
            (first.name, first.scopes)
        );
        let again = rotate(&first.id, "h3", day).await;
        assert!(matches!(&again, Err(StorageError::Rule { name }) if name == "key_rotated"));
        let (third, old) = rotate(&second.id, "h4", Duration::ZERO).await.unwrap();
        assert!(old.revoked_at.is_some());
        let chain = identity::key_chain(db.reader(), &first.id).await.unwrap();
        let chain: Vec<ApiKeyId> = chain.into_iter().map(|row| row.id).collect();
        assert_eq!(
            chain,
            [first.id.clone(), second.id.clone(), third.id.clone()]
        );
        let chain = identity::key_chain(db.reader(), &third.id).await.unwrap();
        assert_eq!(chain.len(), 1);
        for (id, rule) in [(&second.id, "key_revoked")] {
            let refused = rotate(id, "h5", day).await;
            assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == rule));
        }
        identity::set_key_enabled(db.writer(), from_ref(&third.id), false)
            .await
            .unwrap();
        let refused = rotate(&third.id, "h5", day).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "key_disabled"));
    })
    .await;
}

#[tokio::test]
async fn the_last_use_of_many_keys_is_one_statement_and_never_goes_back() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let (one, two) = (key(&db, &ada.id, "h1").await, key(&db, &ada.id, "h2").await);
        let now = time::now();
        let before = now - TimeDelta::minutes(1);
        let used = [
            (one.id.clone(), now),
            (two.id.clone(), before),
            ("none".into(), now),
        ];
        assert_eq!(identity::touch_keys(db.writer(), &used).await.unwrap(), 2);
        assert_eq!(
            identity::touch_keys(db.writer(), &[(one.id.clone(), before)])
                .await
                .unwrap(),
            0
        );
        assert_eq!(identity::touch_keys(db.writer(), &[]).await.unwrap(), 0);
        let read = identity::api_key_by_id(db.reader(), &one.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.last_used_at, Some(now));
        assert!(read.updated_at > one.updated_at);
    })
    .await;
}
