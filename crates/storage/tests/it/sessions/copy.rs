//! Forks, exports and imports.

use alkhub_storage::enums::{MessageRole, PartType, SessionStatus};
use alkhub_storage::ids::{AccountId, MessageId, PartId, SessionId};
use alkhub_storage::json::{JsonObject, Metadata};
use alkhub_storage::sessions::{
    self, ExportReader, Fork, ImportedMessage, MessageWithParts, close_interrupted,
};
use alkhub_storage::{Database, Scope, Session, StorageError, time};
use serde_json::{Value, json};

use crate::rows::{insert, world};
use crate::sql::{count, run};
use crate::support::on_each_engine;

fn object(value: Value) -> JsonObject {
    value.as_object().unwrap().clone().into()
}

async fn message(db: &Database, id: &str, second: u32, role: &str, data: Value) {
    let at = format!("2026-01-01T00:00:{second:02}+00:00");
    let data = data.to_string();
    let fields = [
        ("session_id", "talk"),
        ("role", role),
        ("data", data.as_str()),
        ("created_at", &at),
        ("updated_at", &at),
    ];
    run(db, &insert("messages", id, &fields)).await;
}

async fn part(db: &Database, message: &str, kind: &str, data: Value) {
    let data = data.to_string();
    let fields = [
        ("session_id", "talk"),
        ("message_id", message),
        ("type", kind),
        ("data", &data),
    ];
    run(db, &insert("parts", PartId::random().as_str(), &fields)).await;
}

/// Question, answer with an open tool call, question.
async fn prepare(db: &Database) {
    run(db, &world()).await;
    let session = [
        ("title", "Talk"),
        ("parent_id", "sessions"),
        ("status", "busy"),
        (
            "data",
            "{\"directory\": \"/d\", \"usage\": {\"cost\": 1.0}}",
        ),
    ];
    run(db, &insert("sessions", "talk", &session)).await;
    message(db, "m1", 1, "user", json!({})).await;
    part(db, "m1", "text", json!({"text": "do it"})).await;
    let answer = json!({"parentId": "m1", "tokens": {"input": 3}, "cost": 0.5});
    message(db, "m2", 2, "assistant", answer).await;
    part(
        db,
        "m2",
        "text",
        json!({"text": "well", "time": {"start": 5}}),
    )
    .await;
    let state = json!({"status": "running", "input": {"a": 1}, "time": {"start": 7}});
    part(
        db,
        "m2",
        "tool-call",
        json!({"tool": "bash", "callId": "c", "state": state}),
    )
    .await;
    message(db, "m3", 3, "user", json!({})).await;
}

async fn read(db: &Database, session: &SessionId) -> Vec<MessageWithParts> {
    let mut reader = ExportReader::new(session.clone());
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(db.reader()).await.unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

async fn fork(db: &Database, at: Option<&str>) -> Result<Session, StorageError> {
    let transaction = db.begin().await?;
    let fork = Fork {
        account_id: Some(AccountId::from("accounts")),
        at_message: at.map(MessageId::from),
        title: None,
    };
    let slugs = ["talk".to_owned(), "talk-fork".to_owned()];
    let copy = sessions::fork_session(&transaction, &SessionId::from("talk"), fork, &slugs).await?;
    transaction.commit().await?;
    Ok(copy)
}

#[tokio::test]
async fn a_fork_copies_up_to_a_message_and_closes_what_is_open() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let copy = fork(&db, Some("m2")).await.unwrap();
        assert_eq!(
            (copy.slug.as_str(), copy.title.as_str()),
            ("talk-fork", "Talk")
        );
        assert_eq!((copy.status, &copy.parent_id), (SessionStatus::Idle, &None));
        assert_eq!(
            copy.metadata["forkedFrom"],
            json!({"sessionId": "talk", "messageId": "m2"})
        );
        let data = copy.data.clone().unwrap();
        assert_eq!((data.directory.as_deref(), data.usage), (Some("/d"), None));

        let copied = read(&db, &copy.id).await;
        assert_eq!(copied.len(), 2);
        let (question, answer) = (&copied[0], &copied[1]);
        assert_ne!(question.message.id, MessageId::from("m1"));
        assert_eq!(
            answer.message.data.parent_id.as_deref(),
            Some(question.message.id.as_str())
        );
        assert!(
            answer
                .message
                .data
                .time
                .as_ref()
                .unwrap()
                .contains_key("completed")
        );
        assert_eq!(answer.message.metadata["forkedTokens"], true);
        assert_eq!(answer.message.data.tokens.unwrap().input, 3);
        let text = &answer.parts[0].data;
        assert_eq!(text["interrupted"], true);
        assert!(text["time"]["end"].is_number(), "{text:?}");
        let call = &answer.parts[1].data;
        assert_eq!(call["state"]["status"], "error");
        assert_eq!(call["state"]["input"], json!({"a": 1}));
        assert_eq!(call["callId"], "c");
        assert_eq!(question.parts[0].data, object(json!({"text": "do it"})));

        let source = read(&db, &SessionId::from("talk")).await;
        assert_eq!(
            source[1].parts[1].data["state"]["status"], "running",
            "the source stays"
        );
        let full = fork(&db, None).await;
        assert!(
            full.is_err_and(|error| error.is_unique("unq_sessions_slug")),
            "both are taken"
        );
    })
    .await;
}

#[tokio::test]
async fn a_fork_at_a_foreign_message_is_refused() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let before = count(&db, "sessions", "true").await;
        assert!(matches!(
            fork(&db, Some("messages")).await,
            Err(StorageError::NotFound)
        ));
        assert_eq!(count(&db, "sessions", "true").await, before);
    })
    .await;
}

#[tokio::test]
async fn what_a_fork_copied_is_not_counted_when_it_is_corrected() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let copy = fork(&db, None).await.unwrap();
        let answer = read(&db, &copy.id).await.remove(1).message;
        let transaction = db.begin().await.unwrap();
        let patch = json!({"tokens": {"input": 9}});
        sessions::finish_message(&transaction, &answer.id, patch.as_object().unwrap())
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let copy = sessions::session_by_id(db.reader(), &Scope::All, &copy.id)
            .await
            .unwrap();
        assert_eq!(copy.unwrap().data.unwrap().usage, None);
    })
    .await;
}

#[tokio::test]
async fn an_export_reads_each_message_once_over_many_batches() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut sql = String::new();
        for number in 0..450 {
            let at = time::format(
                time::parse("2026-02-01T00:00:00Z").unwrap()
                    + chrono::Duration::milliseconds(number),
            )
            .replace('Z', "+00:00");
            let fields = [
                ("session_id", "talk"),
                ("created_at", at.as_str()),
                ("updated_at", &at),
            ];
            sql += &insert("messages", &format!("n{number:03}"), &fields);
        }
        run(&db, &sql).await;
        let all = read(&db, &SessionId::from("talk")).await;
        assert_eq!(all.len(), 453);
        assert!(
            all.windows(2)
                .all(|pair| pair[0].message.created_at < pair[1].message.created_at)
        );
        assert!(read(&db, &SessionId::from("none")).await.is_empty());
    })
    .await;
}

async fn import(
    db: &Database,
    session: Session,
    slugs: &[&str],
    items: Vec<ImportedMessage>,
) -> (Session, sessions::ImportReport) {
    let slugs: Vec<String> = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    let transaction = db.begin().await.unwrap();
    let stored = sessions::import_session(&transaction, session, &slugs)
        .await
        .unwrap();
    let report = sessions::import_messages(&transaction, &stored.id, items)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    (stored, report)
}

#[tokio::test]
async fn an_exported_session_comes_back_as_it_was() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let id = SessionId::from("talk");
        let session = sessions::session_by_id(db.reader(), &Scope::All, &id)
            .await
            .unwrap()
            .unwrap();
        let exported = read(&db, &id).await;
        run(&db, "delete from sessions where id = 'talk'").await;
        let items = exported
            .iter()
            .cloned()
            .map(|item| ImportedMessage {
                message: item.message,
                parts: item.parts,
            })
            .collect();
        let (stored, report) = import(&db, session.clone(), &["talk"], items).await;
        assert_eq!(stored, session);
        assert_eq!(
            (report.messages, report.parts, report.renamed.len()),
            (3, 3, 0)
        );
        assert_eq!(read(&db, &id).await, exported);
    })
    .await;
}

#[tokio::test]
async fn taken_ids_are_replaced_and_references_follow() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let id = SessionId::from("talk");
        let session = sessions::session_by_id(db.reader(), &Scope::All, &id)
            .await
            .unwrap()
            .unwrap();
        let exported = read(&db, &id).await;
        let items = exported
            .iter()
            .cloned()
            .map(|item| ImportedMessage {
                message: item.message,
                parts: item.parts,
            })
            .collect();
        let (stored, report) = import(&db, session, &["talk", "talk-2"], items).await;
        assert_ne!(stored.id, id);
        assert_eq!(stored.slug, "talk-2");
        assert_eq!(report.renamed.len(), 6);
        let copy = read(&db, &stored.id).await;
        assert_eq!(copy.len(), 3);
        assert_eq!(
            copy[1].message.data.parent_id.as_deref(),
            Some(copy[0].message.id.as_str())
        );
        assert_eq!(copy[1].parts[1].data, exported[1].parts[1].data);
        assert!(copy[1].parts[0].id < copy[1].parts[1].id);
    })
    .await;
}

#[tokio::test]
async fn imported_messages_of_one_moment_get_an_order() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let at = time::parse("2026-01-01T00:00:03Z").unwrap();
        let items = (0..3)
            .map(|number| ImportedMessage {
                message: alkhub_storage::Message {
                    id: MessageId::from(format!("msg_{}", 9 - number)),
                    session_id: SessionId::from("anything"),
                    role: MessageRole::User,
                    data: serde_json::from_value(json!({})).unwrap(),
                    metadata: Metadata::new(),
                    created_at: at,
                    updated_at: at,
                },
                parts: Vec::new(),
            })
            .collect();
        let transaction = db.begin().await.unwrap();
        let id = SessionId::from("talk");
        sessions::import_messages(&transaction, &id, items)
            .await
            .unwrap();
        let gone =
            sessions::import_messages(&transaction, &SessionId::from("none"), Vec::new()).await;
        assert!(matches!(gone, Err(StorageError::NotFound)));
        transaction.commit().await.unwrap();
        let ids: Vec<String> = read(&db, &id)
            .await
            .into_iter()
            .map(|item| item.message.id.to_string())
            .collect();
        assert_eq!(ids, ["m1", "m2", "m3", "msg_9", "msg_8", "msg_7"]);
    })
    .await;
}

#[test]
fn only_open_parts_are_closed() {
    let now = time::now();
    let closed = [
        (PartType::Text, json!({"text": "x"})),
        (
            PartType::Text,
            json!({"text": "x", "time": {"start": 1, "end": 2}}),
        ),
        (
            PartType::ToolCall,
            json!({"state": {"status": "completed", "output": "x"}}),
        ),
        (PartType::ToolCall, json!({})),
        (PartType::File, json!({"time": {"start": 1}})),
    ];
    for (kind, data) in closed {
        let mut changed = object(data.clone());
        assert!(!close_interrupted(kind, &mut changed, now), "{data}");
        assert_eq!(changed, object(data));
    }
    let mut text = object(json!({"text": "x", "time": {"start": "2026-01-01T00:00:00.000Z"}}));
    assert!(close_interrupted(PartType::Reasoning, &mut text, now));
    assert_eq!(text["time"]["end"], time::format(now));
}
