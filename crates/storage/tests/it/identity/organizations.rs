//! Organizations and their members.

use alkhub_storage::enums::{AccountStatus, MembershipLevel};
use alkhub_storage::identity::{self, NewOrganization, OrganizationChanges, OrganizationFilter};
use alkhub_storage::json::Metadata;
use alkhub_storage::projects;
use alkhub_storage::{Database, Organization, PageRequest, Scope, StorageError};

use crate::support::on_each_engine;
use crate::world::{account, member, organization, project};

#[tokio::test]
async fn an_organization_is_made_with_its_owner_as_a_member() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let made = organization(&db, "acme", &ada.id).await;
        let level = identity::membership(db.reader(), &made.id, &ada.id)
            .await
            .unwrap();
        assert_eq!(
            level.map(|row| row.membership_level),
            Some(MembershipLevel::Owner)
        );
        for (name, slug, index) in [
            ("acme", "other", "unq_organizations_name"),
            ("other", "acme", "unq_organizations_slug"),
        ] {
            let new = NewOrganization {
                name: name.to_owned(),
                slug: slug.to_owned(),
                owner_id: ada.id.clone(),
                gitea_org_name: None,
                data: None,
                metadata: Metadata::new(),
            };
            let transaction = db.begin().await.unwrap();
            let twin = identity::create_organization(&transaction, new)
                .await
                .unwrap_err();
            transaction.rollback().await.unwrap();
            assert!(twin.is_unique(index), "{twin:?}");
        }
        let of = identity::organizations_of(db.reader(), &ada.id)
            .await
            .unwrap();
        assert_eq!(of.len(), 1);
        assert_eq!(
            (&of[0].organization, of[0].level),
            (&made, MembershipLevel::Owner)
        );
        assert_eq!(
            identity::organizations_owned_by(db.reader(), &ada.id)
                .await
                .unwrap()
                .len(),
            1
        );
        assert_eq!(identity::count_organizations(db.reader()).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_organization_is_seen_by_its_members_only() {
    on_each_engine(async |db| {
        let (ada, eve) = (account(&db, "ada").await, account(&db, "eve").await);
        let made = organization(&db, "acme", &ada.id).await;
        for (scope, seen) in [
            (member(&ada.id, &[&made.id]), true),
            (Scope::account(eve.id.clone()), false),
            (Scope::All, true),
        ] {
            let db = db.reader();
            let by_id = identity::organization_by_id(db, &scope, &made.id)
                .await
                .unwrap();
            let by_slug = identity::organization_by_slug(db, &scope, "acme")
                .await
                .unwrap();
            assert_eq!((by_id.is_some(), by_slug.is_some()), (seen, seen));
            let listed = identity::list_organizations(
                db,
                &scope,
                &OrganizationFilter::default(),
                &PageRequest::default(),
            )
            .await
            .unwrap();
            assert_eq!(listed.items.len(), usize::from(seen));
        }
        let filter = OrganizationFilter {
            search: Some("CM".to_owned()),
            member: Some(ada.id.clone()),
        };
        let page = PageRequest::default();
        let listed = identity::list_organizations(db.reader(), &Scope::All, &filter, &page)
            .await
            .unwrap();
        assert_eq!(listed.items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn members_come_go_and_change_their_level() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let made = organization(&db, "acme", &ada.id).await;
        let writer = db.writer();
        identity::add_member(writer, &made.id, &bob.id, MembershipLevel::Member)
            .await
            .unwrap();
        let twice = identity::add_member(writer, &made.id, &bob.id, MembershipLevel::Member).await;
        assert!(twice.unwrap_err().is_unique("unq_org_members_org_account"));
        let raised = identity::set_member_level(writer, &made.id, &bob.id, MembershipLevel::Admin)
            .await
            .unwrap();
        assert_eq!(raised.membership_level, MembershipLevel::Admin);
        let page = identity::members_of(db.reader(), &made.id, None, &PageRequest::first(1))
            .await
            .unwrap();
        assert_eq!(page.items[0].account, bob);
        let rest = identity::members_of(
            db.reader(),
            &made.id,
            None,
            &PageRequest::first(1).after(page.next_cursor),
        )
        .await
        .unwrap();
        assert_eq!((&rest.items[0].account, rest.next_cursor), (&ada, None));
        let owners = identity::members_of(
            db.reader(),
            &made.id,
            Some(MembershipLevel::Owner),
            &PageRequest::default(),
        )
        .await
        .unwrap();
        assert_eq!(owners.items.len(), 1);
        let loaded = identity::load_members(db.reader(), std::slice::from_ref(&made.id))
            .await
            .unwrap();
        assert_eq!(loaded[&made.id].len(), 2);
        assert!(
            identity::remove_member(writer, &made.id, &bob.id)
                .await
                .unwrap()
        );
        assert!(
            !identity::remove_member(writer, &made.id, &bob.id)
                .await
                .unwrap()
        );
        let owner = identity::remove_member(writer, &made.id, &ada.id).await;
        assert!(matches!(owner, Err(StorageError::Rule { .. })), "{owner:?}");
    })
    .await;
}

#[tokio::test]
async fn ownership_passes_to_an_active_member_only() {
    on_each_engine(async |db| {
        let (ada, bob) = (account(&db, "ada").await, account(&db, "bob").await);
        let made = organization(&db, "acme", &ada.id).await;
        let refused = transfer(&db, &made, &bob.id).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "not_a_member"));
        identity::add_member(db.writer(), &made.id, &bob.id, MembershipLevel::Member)
            .await
            .unwrap();
        identity::set_account_status(
            db.writer(),
            &bob.id,
            AccountStatus::Active,
            AccountStatus::Suspended,
        )
        .await
        .unwrap();
        let refused = transfer(&db, &made, &bob.id).await;
        assert!(matches!(&refused, Err(StorageError::Rule { name }) if name == "account_inactive"));
        identity::set_account_status(
            db.writer(),
            &bob.id,
            AccountStatus::Suspended,
            AccountStatus::Active,
        )
        .await
        .unwrap();
        let after = transfer(&db, &made, &bob.id).await.unwrap();
        assert_eq!(after.owner_id, bob.id);
        let level = async |account| {
            identity::membership(db.reader(), &made.id, account)
                .await
                .unwrap()
                .unwrap()
                .membership_level
        };
        assert_eq!(level(&ada.id).await, MembershipLevel::Admin);
        assert_eq!(level(&bob.id).await, MembershipLevel::Owner);
    })
    .await;
}

async fn transfer(
    db: &Database,
    organization: &Organization,
    to: &alkhub_storage::ids::AccountId,
) -> Result<Organization, StorageError> {
    let transaction = db.begin().await.unwrap();
    let done =
        identity::transfer_ownership(&transaction, &organization.id, to, MembershipLevel::Admin)
            .await;
    transaction.commit().await.unwrap();
    done
}

#[tokio::test]
async fn projects_of_a_deleted_organization_belong_to_its_owner() {
    on_each_engine(async |db| {
        let ada = account(&db, "ada").await;
        let made = organization(&db, "acme", &ada.id).await;
        let bob = account(&db, "bob").await;
        let inside = project(&db, "inside", Some(&made.id), &bob.id).await;
        let changes = OrganizationChanges {
            gitea_org_name: Some(Some("acme".to_owned())),
            ..OrganizationChanges::default()
        };
        identity::update_organization(db.writer(), &made.id, changes)
            .await
            .unwrap();
        let linked = identity::organizations_by_gitea_name(db.reader(), "acme")
            .await
            .unwrap();
        assert_eq!(linked.len(), 1);
        let transaction = db.begin().await.unwrap();
        let detached = identity::delete_organization(&transaction, &made.id)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!((detached.projects, detached.clients), (1, 0));
        let kept =
            projects::project_by_id(db.reader(), &Scope::account(ada.id.clone()), &inside.id)
                .await
                .unwrap()
                .unwrap();
        assert_eq!(
            (kept.org_id.as_ref(), kept.metadata.text("ownerId")),
            (None, Some(ada.id.as_str()))
        );
        let gone = identity::delete_organization(db.writer(), &made.id).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}
