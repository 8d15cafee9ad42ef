//! Queries of parts.

use alkhub_storage::enums::PartType;
use alkhub_storage::ids::{AccountId, MessageId, PartId, SessionId};
use alkhub_storage::json::Metadata;
use alkhub_storage::sessions::{self, NewPart, PartChange};
use alkhub_storage::{Database, Part, Scope, StorageError};
use serde_json::json;

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

fn part(kind: PartType, text: &str) -> NewPart {
    NewPart {
        id: None,
        kind,
        data: json!({"text": text}).as_object().unwrap().clone().into(),
        metadata: Metadata::new(),
    }
}

fn text(text: &str) -> NewPart {
    part(PartType::Text, text)
}

async fn append(
    db: &Database,
    message: &str,
    new: Vec<NewPart>,
) -> Result<Vec<Part>, StorageError> {
    let transaction = db.begin().await?;
    let parts = sessions::append_parts(&transaction, &MessageId::from(message), new).await?;
    transaction.commit().await?;
    Ok(parts)
}

/// A session `talk` with messages `m1` and `m2`.
async fn prepare(db: &Database) {
    run(db, &world()).await;
    run(db, &insert("sessions", "talk", &[])).await;
    for id in ["m1", "m2"] {
        run(db, &insert("messages", id, &[("session_id", "talk")])).await;
    }
}

fn is_part_id(outcome: &Result<Vec<Part>, StorageError>) -> bool {
    matches!(outcome, Err(StorageError::Rule { name }) if name == "part_id")
}

#[tokio::test]
async fn parts_take_the_session_of_their_message_and_keep_their_order() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let many: Vec<NewPart> = (0..1_200).map(|number| text(&number.to_string())).collect();
        let made = append(&db, "m1", many).await.unwrap();
        assert!(
            made.iter()
                .all(|part| part.session_id == SessionId::from("talk"))
        );
        assert!(made.windows(2).all(|pair| pair[0].id < pair[1].id));
        append(&db, "m2", vec![text("other")]).await.unwrap();
        let ids = [
            MessageId::from("m1"),
            MessageId::from("m2"),
            MessageId::from("none"),
        ];
        let read = sessions::parts_of_messages(db.reader(), &ids)
            .await
            .unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[&ids[0]], made);
        let gone = append(&db, "none", vec![text("x")]).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn a_part_sent_again_is_answered_as_stored() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let chosen = NewPart {
            id: Some(PartId::random()),
            ..text("once")
        };
        let first = append(&db, "m1", vec![chosen.clone()]).await.unwrap();
        let later = append(&db, "m1", vec![text("after")]).await.unwrap();
        let again = append(&db, "m1", vec![chosen.clone(), text("more")])
            .await
            .unwrap();
        assert_eq!(again[0], first[0]);
        assert!(again[1].id > later[0].id);
        assert_eq!(count(&db, "parts", "message_id = 'm1'").await, 3);

        let changed = NewPart {
            data: text("twice").data,
            ..chosen.clone()
        };
        assert!(is_part_id(&append(&db, "m1", vec![changed]).await));
        assert!(
            is_part_id(&append(&db, "m2", vec![chosen]).await),
            "taken by another message"
        );
    })
    .await;
}

#[tokio::test]
async fn a_chosen_id_sorts_after_the_last_part() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let early = PartId::random();
        append(&db, "m1", vec![text("first")]).await.unwrap();
        let with = |id: PartId| {
            vec![NewPart {
                id: Some(id),
                ..text("x")
            }]
        };
        assert!(is_part_id(&append(&db, "m1", with(early)).await));
        assert!(is_part_id(
            &append(&db, "m1", with(PartId::from("prt_9"))).await
        ));
        assert!(append(&db, "m1", with(PartId::random())).await.is_ok());

        run(
            &db,
            &insert(
                "parts",
                "prt_1",
                &[("message_id", "m2"), ("session_id", "talk")],
            ),
        )
        .await;
        assert!(
            is_part_id(&append(&db, "m2", vec![text("x")]).await),
            "imported ids do not sort"
        );
    })
    .await;
}

#[tokio::test]
async fn many_parts_are_rewritten_by_one_call() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let made = append(&db, "m1", (0..1_500).map(|_| text("before")).collect())
            .await
            .unwrap();
        let mut changes: Vec<PartChange> = made
            .iter()
            .map(|part| PartChange {
                id: part.id.clone(),
                data: json!({"text": format!("after \"{}\"", part.id)})
                    .as_object()
                    .unwrap()
                    .clone()
                    .into(),
            })
            .collect();
        changes.push(PartChange {
            id: PartId::random(),
            data: text("nobody").data,
        });
        let updated = sessions::update_parts(db.writer(), &changes).await.unwrap();
        assert_eq!(updated, 1_500);
        let id = MessageId::from("m1");
        let read = sessions::parts_of_messages(db.reader(), std::slice::from_ref(&id))
            .await
            .unwrap();
        assert!(
            read[&id]
                .iter()
                .zip(&changes)
                .all(|(part, change)| part.data == change.data)
        );
        assert_eq!(sessions::update_parts(db.writer(), &[]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn parts_of_a_session_come_in_pages_and_by_type() {
    on_each_engine(async |db| {
        prepare(&db).await;
        append(
            &db,
            "m1",
            vec![text("a"), part(PartType::Reasoning, "b"), text("c")],
        )
        .await
        .unwrap();
        append(&db, "m2", vec![part(PartType::Notice, "d"), text("e")])
            .await
            .unwrap();
        let session = SessionId::from("talk");
        let mut read = Vec::new();
        let mut after = None;
        loop {
            let page = sessions::parts_of_session(db.reader(), &session, after.as_ref(), 2)
                .await
                .unwrap();
            after = page.items.last().map(|part| part.id.clone());
            read.extend(page.items);
            if !page.more {
                break;
            }
        }
        let words = |parts: &[Part]| {
            parts
                .iter()
                .map(|part| part.data["text"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&read), ["a", "b", "c", "d", "e"]);
        let kinds = [PartType::Notice, PartType::Reasoning];
        let page = sessions::parts_by_type(db.reader(), &session, &kinds, None, 10)
            .await
            .unwrap();
        assert_eq!(
            (words(&page.items), page.more),
            (vec!["b".to_owned(), "d".to_owned()], false)
        );
        let mut counts = sessions::count_parts_by_type(db.reader(), &session)
            .await
            .unwrap();
        counts.sort();
        assert_eq!(
            counts,
            [
                (PartType::Text, 3),
                (PartType::Reasoning, 1),
                (PartType::Notice, 1)
            ]
        );
        let last = sessions::last_parts(db.reader(), &session, 3)
            .await
            .unwrap();
        assert_eq!(words(&last), ["c", "d", "e"]);
        let one = &read[0];
        let seen = sessions::part_by_id(db.reader(), &Scope::All, &one.id)
            .await
            .unwrap();
        assert_eq!(seen.as_ref(), Some(one));
        let stranger = Scope::account(AccountId::from("stranger"));
        assert_eq!(
            sessions::part_by_id(db.reader(), &stranger, &one.id)
                .await
                .unwrap(),
            None
        );
    })
    .await;
}

#[tokio::test]
async fn notes_of_a_part_are_merged_and_leave_its_content() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let made = append(&db, "m1", vec![text("a")]).await.unwrap().remove(0);
        let transaction = db.begin().await.unwrap();
        let note = |value: serde_json::Value| value.as_object().unwrap().clone();
        sessions::set_part_metadata(&transaction, &made.id, note(json!({"a": 1, "b": 2})))
            .await
            .unwrap();
        sessions::set_part_metadata(&transaction, &made.id, note(json!({"a": null})))
            .await
            .unwrap();
        let locked = sessions::lock_part(&transaction, &made.id).await.unwrap();
        let gone = sessions::lock_part(&transaction, &PartId::random()).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
        transaction.commit().await.unwrap();
        assert_eq!(json!(locked.metadata), json!({"b": 2}));
        assert_eq!(locked.data, made.data);
        assert!(locked.updated_at > made.updated_at);
    })
    .await;
}
