//! Queries of messages.

use alkhub_storage::enums::{MessageRole, PartType};
use alkhub_storage::ids::{AccountId, MessageId, SessionId};
use alkhub_storage::json::{CacheTokens, MessageData, Metadata, Tokens};
use alkhub_storage::sessions::{self, MessageRange, NewMessage, NewPart};
use alkhub_storage::{Database, Message, Scope, Session, StorageError};
use serde_json::{Value, json};

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

fn session() -> SessionId {
    SessionId::from("talk")
}

fn data(value: Value) -> MessageData {
    serde_json::from_value(value).unwrap()
}

async fn prepare(db: &Database) {
    run(db, &world()).await;
    run(db, &insert("sessions", "talk", &[])).await;
}

async fn append(db: &Database, role: MessageRole, value: Value) -> Result<Message, StorageError> {
    let transaction = db.begin().await?;
    let new = NewMessage {
        session_id: session(),
        role,
        data: data(value),
        metadata: Metadata::new(),
    };
    let message = sessions::append_message(&transaction, new).await?;
    transaction.commit().await?;
    Ok(message)
}

async fn user(db: &Database) -> Message {
    append(db, MessageRole::User, json!({})).await.unwrap()
}

async fn finish(db: &Database, id: &MessageId, patch: Value) -> Result<Message, StorageError> {
    let transaction = db.begin().await?;
    let message = sessions::finish_message(&transaction, id, patch.as_object().unwrap()).await?;
    transaction.commit().await?;
    Ok(message)
}

async fn read_session(db: &Database) -> Session {
    sessions::session_by_id(db.reader(), &Scope::All, &session())
        .await
        .unwrap()
        .unwrap()
}

fn is_rule<T: std::fmt::Debug>(outcome: &Result<T, StorageError>, rule: &str) -> bool {
    matches!(outcome, Err(StorageError::Rule { name }) if name == rule)
}

#[tokio::test]
async fn messages_of_a_session_are_a_millisecond_apart_however_fast_they_come() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut made = Vec::new();
        for _ in 0..30 {
            made.push(user(&db).await);
        }
        assert!(
            made.windows(2)
                .all(|pair| pair[0].created_at < pair[1].created_at)
        );
        let page = sessions::messages(db.reader(), &session(), &MessageRange::default(), 100, true)
            .await
            .unwrap();
        let read: Vec<_> = page
            .items
            .iter()
            .map(|item| item.message.id.clone())
            .collect();
        let written: Vec<_> = made.into_iter().map(|message| message.id).collect();
        assert_eq!(read, written);
        assert!(!page.more);
    })
    .await;
}

#[tokio::test]
async fn messages_sent_at_once_keep_their_distance() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let db: Database = (*db).clone();
            senders.spawn(async move { user(&db).await.created_at });
        }
        let mut moments = senders.join_all().await;
        moments.sort();
        moments.dedup();
        assert_eq!(moments.len(), 20);
    })
    .await;
}

#[tokio::test]
async fn pages_go_forwards_and_backwards_over_each_message_once() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut ids = Vec::new();
        for _ in 0..7 {
            ids.push(user(&db).await.id);
        }
        let read = async |range: MessageRange| {
            let page = sessions::messages(db.reader(), &session(), &range, 3, false)
                .await
                .unwrap();
            (
                page.items
                    .into_iter()
                    .map(|item| item.message.id)
                    .collect::<Vec<_>>(),
                page.more,
            )
        };
        let after = |id: &MessageId| MessageRange {
            after: Some(id.clone()),
            before: None,
        };
        let before = |id: &MessageId| MessageRange {
            after: None,
            before: Some(id.clone()),
        };
        assert_eq!(
            read(MessageRange::default()).await,
            (ids[0..3].to_vec(), true)
        );
        assert_eq!(read(after(&ids[2])).await, (ids[3..6].to_vec(), true));
        assert_eq!(read(after(&ids[5])).await, (ids[6..].to_vec(), false));
        assert_eq!(read(before(&ids[6])).await, (ids[3..6].to_vec(), true));
        assert_eq!(read(before(&ids[3])).await, (ids[0..3].to_vec(), false));
        let between = MessageRange {
            after: Some(ids[1].clone()),
            before: Some(ids[4].clone()),
        };
        assert_eq!(read(between).await, (ids[2..4].to_vec(), false));

        let foreign = MessageRange {
            after: Some(MessageId::from("messages")),
            before: None,
        };
        let refused = sessions::messages(db.reader(), &session(), &foreign, 3, false).await;
        assert!(matches!(refused, Err(StorageError::NotFound)));
        let last = sessions::last_messages(db.reader(), &session(), 2)
            .await
            .unwrap();
        let last: Vec<_> = last.into_iter().map(|item| item.message.id).collect();
        assert_eq!(last, ids[5..]);
    })
    .await;
}

#[tokio::test]
async fn an_archived_session_takes_no_message() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(
            &db,
            "update sessions set status = 'archived' where id = 'talk'",
        )
        .await;
        assert!(is_rule(
            &append(&db, MessageRole::User, json!({})).await,
            "archived"
        ));
        run(&db, "delete from sessions where id = 'talk'").await;
        let gone = append(&db, MessageRole::User, json!({})).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn one_assistant_message_is_open_at_a_time() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let question = user(&db).await;
        let answer = json!({"parentId": question.id, "modelId": "m", "time": {}});
        let open = append(&db, MessageRole::Assistant, answer.clone())
            .await
            .unwrap();
        assert!(is_rule(
            &append(&db, MessageRole::Assistant, answer.clone()).await,
            "already_streaming"
        ));
        let done = json!({"parentId": question.id, "time": {"completed": "2026-01-01T00:00:00Z"}});
        append(&db, MessageRole::Assistant, done).await.unwrap();
        let found = sessions::open_message(db.reader(), &session())
            .await
            .unwrap();
        assert_eq!(found.map(|message| message.id), Some(open.id.clone()));

        let patch = json!({"time": {"completed": "2026-01-01T00:00:01Z"}, "finish": "stop"});
        let finished = finish(&db, &open.id, patch).await.unwrap();
        assert_eq!(finished.data.finish.as_deref(), Some("stop"));
        assert_eq!(
            sessions::open_message(db.reader(), &session())
                .await
                .unwrap(),
            None
        );
        append(&db, MessageRole::Assistant, answer).await.unwrap();
        let reopened = finish(&db, &open.id, json!({"time": {"completed": null}})).await;
        assert!(is_rule(&reopened, "already_streaming"));
    })
    .await;
}

#[tokio::test]
async fn an_answer_belongs_to_a_user_message_of_its_session() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let system = append(&db, MessageRole::System, json!({"text": "be brief"}))
            .await
            .unwrap();
        for parent in ["messages", system.id.as_str(), "none"] {
            let answer = json!({"parentId": parent});
            let refused = append(&db, MessageRole::Assistant, answer).await;
            assert!(is_rule(&refused, "foreign_parent"), "{parent}");
        }
    })
    .await;
}

#[tokio::test]
async fn totals_grow_when_a_message_is_finished_and_follow_its_corrections() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let open = append(&db, MessageRole::Assistant, json!({}))
            .await
            .unwrap();
        let tokens =
            json!({"input": 10, "output": 5, "reasoning": 1, "cache": {"read": 2, "write": 3}});
        finish(
            &db,
            &open.id,
            json!({"tokens": tokens, "cost": 0.000_001_5}),
        )
        .await
        .unwrap();
        assert_eq!(read_session(&db).await.data, None, "still open");

        let completed = json!({"time": {"completed": "2026-01-01T00:00:00Z"}});
        finish(&db, &open.id, completed).await.unwrap();
        let usage = read_session(&db).await.data.unwrap().usage.unwrap();
        let expected = Tokens {
            input: 10,
            output: 5,
            reasoning: 1,
            cache: CacheTokens { read: 2, write: 3 },
            total: None,
        };
        assert_eq!(
            (usage.messages, usage.tokens, usage.cost),
            (1, expected, 0.000_002)
        );

        finish(&db, &open.id, json!({"tokens": {"input": 4}, "cost": 0.1}))
            .await
            .unwrap();
        let usage = read_session(&db).await.data.unwrap().usage.unwrap();
        assert_eq!(
            (usage.messages, usage.tokens.input, usage.cost),
            (1, 4, 0.1)
        );

        let at_once = json!({
            "time": {"completed": "2026-01-01T00:00:00Z"},
            "tokens": {"input": 6},
            "cost": 0.2,
        });
        append(&db, MessageRole::Assistant, at_once).await.unwrap();
        let usage = read_session(&db).await.data.unwrap().usage.unwrap();
        assert_eq!((usage.messages, usage.tokens.input), (2, 10));
        assert!((usage.cost - 0.3).abs() < 1e-12);
        let none = finish(&db, &MessageId::random(), json!({})).await;
        assert!(matches!(none, Err(StorageError::NotFound)));
    })
    .await;
}

#[tokio::test]
async fn a_patch_keeps_what_it_does_not_name_and_must_fit() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let start = json!({"modelId": "m", "later": {"a": 1, "b": 2}});
        let made = append(&db, MessageRole::Assistant, start).await.unwrap();
        let patched = finish(
            &db,
            &made.id,
            json!({"later": {"a": null, "c": 3}, "modelId": null}),
        )
        .await
        .unwrap();
        assert_eq!(json!(patched.data), json!({"later": {"b": 2, "c": 3}}));
        assert!(patched.updated_at > made.updated_at);
        let refused = finish(&db, &made.id, json!({"cost": "much"})).await;
        assert!(
            matches!(refused, Err(StorageError::Check { .. })),
            "{refused:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn notes_and_deletion_of_a_message() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let made = user(&db).await;
        let transaction = db.begin().await.unwrap();
        let notes = json!({"notice": {"mappingId": "x"}})
            .as_object()
            .unwrap()
            .clone();
        let noted = sessions::set_message_metadata(&transaction, &made.id, notes)
            .await
            .unwrap();
        assert_eq!(noted.metadata["notice"]["mappingId"], "x");
        let part = |text: &str| NewPart {
            id: None,
            kind: PartType::Text,
            data: json!({"text": text}).as_object().unwrap().clone().into(),
            metadata: Metadata::new(),
        };
        sessions::append_parts(&transaction, &made.id, vec![part("a"), part("b")])
            .await
            .unwrap();
        assert_eq!(
            sessions::delete_message(&transaction, &made.id)
                .await
                .unwrap(),
            2
        );
        transaction.commit().await.unwrap();
        assert_eq!(count(&db, "messages", "session_id = 'talk'").await, 0);

        let open = append(&db, MessageRole::Assistant, json!({}))
            .await
            .unwrap();
        let transaction = db.begin().await.unwrap();
        let refused = sessions::delete_message(&transaction, &open.id).await;
        assert!(is_rule(&refused, "streaming"));
        transaction.rollback().await.unwrap();
        let counts = sessions::count_messages_by_role(db.reader(), &session())
            .await
            .unwrap();
        assert_eq!(counts, [(MessageRole::Assistant, 1)]);
        let stranger = Scope::account(AccountId::from("stranger"));
        let hidden = sessions::message_by_id(db.reader(), &stranger, &open.id)
            .await
            .unwrap();
        assert_eq!(hidden, None);
        let seen = sessions::message_by_id(db.reader(), &Scope::All, &open.id)
            .await
            .unwrap();
        assert_eq!(seen, Some(open));
    })
    .await;
}

#[tokio::test]
async fn context_begins_at_the_last_compaction() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let first = user(&db).await;
        let all = sessions::messages_since_compaction(db.reader(), &session())
            .await
            .unwrap();
        assert_eq!(all.len(), 1);
        let mut compacted = Vec::new();
        for _ in 0..2 {
            let message = user(&db).await;
            let part = NewPart {
                id: None,
                kind: PartType::Compaction,
                data: json!({"auto": false, "summary": "so far"})
                    .as_object()
                    .unwrap()
                    .clone()
                    .into(),
                metadata: Metadata::new(),
            };
            let transaction = db.begin().await.unwrap();
            sessions::append_parts(&transaction, &message.id, vec![part])
                .await
                .unwrap();
            transaction.commit().await.unwrap();
            compacted.push(message.id);
        }
        let last = user(&db).await;
        let rest = sessions::messages_since_compaction(db.reader(), &session())
            .await
            .unwrap();
        let ids: Vec<_> = rest.iter().map(|item| item.message.id.clone()).collect();
        assert_eq!(ids, [compacted[1].clone(), last.id]);
        assert_eq!(rest[0].parts.len(), 1);
        assert!(!ids.contains(&first.id));
    })
    .await;
}
