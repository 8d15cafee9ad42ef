//! Full-text search: the same questions answered with the same sets on both engines.

use alkhub_storage::enums::{MessageRole, PartType};
use alkhub_storage::ids::{AccountId, ProjectId, SessionId};
use alkhub_storage::sessions::{self, SearchFilter, SearchQuery};
use alkhub_storage::{Database, PageRequest, Scope, StorageError, time};
use chrono::Duration;
use serde_json::{Value, json};

use crate::rows::{insert, world};
use crate::sql::run;
use crate::support::on_each_engine;

/// Parts by id, type and data; `o…` lie in another project, those with `u` in a user's message.
fn corpus() -> Vec<(&'static str, &'static str, Value)> {
    let tool = |title: &str, input: Value, output: &str| json!({"tool": "bash", "state": {"title": title, "input": input, "output": output}});
    vec![
        (
            "a1",
            "text",
            json!({"text": "The quick brown fox jumps over the lazy dog"}),
        ),
        (
            "a2",
            "text",
            json!({"text": "A lazy brown cat. Quick? Not the cat."}),
        ),
        (
            "a3",
            "reasoning",
            json!({"text": "Look at src/storage/lib.rs and foo_bar first"}),
        ),
        (
            "a4",
            "tool-call",
            tool(
                "Run tests",
                json!({"command": "cargo test --all"}),
                "ok: 12 passed",
            ),
        ),
        (
            "a5",
            "tool-call",
            tool(
                "Edit",
                json!({"path": "src/main.rs", "deep": [{"note": "Straße"}], "n": 7}),
                "",
            ),
        ),
        (
            "a6",
            "text",
            json!({"text": "GRÜßE aus Köln, Ünïcode ÀÉ 日本語 text"}),
        ),
        (
            "a7",
            "text",
            json!({"text": "commit 3e10x and 1e5abc at v1.2.3, 0x1F"}),
        ),
        (
            "a8",
            "notice",
            json!({"text": "the quick notice is not searched"}),
        ),
        (
            "a9",
            "file",
            json!({"filename": "quick.txt", "url": "file:///quick"}),
        ),
        (
            "u1",
            "text",
            json!({"text": "please fix the quick sort, e-mail me@example.com"}),
        ),
        (
            "o1",
            "text",
            json!({"text": "quick words of another project"}),
        ),
    ]
}

async fn prepare(db: &Database) {
    run(db, &world()).await;
    run(db, "delete from parts").await;
    run(
        db,
        "update projects set metadata = '{\"ownerId\": \"accounts\"}'",
    )
    .await;
    run(db, &insert("projects", "other", &[])).await;
    run(
        db,
        &insert("sessions", "theirs", &[("project_id", "other")]),
    )
    .await;
    run(db, &insert("messages", "answer", &[("role", "assistant")])).await;
    run(
        db,
        &insert("messages", "theirs", &[("session_id", "theirs")]),
    )
    .await;
    for (id, kind, data) in corpus() {
        let (message, session) = match &id[..1] {
            "o" => ("theirs", "theirs"),
            "u" => ("messages", "sessions"),
            _ => ("answer", "sessions"),
        };
        let data = data.to_string();
        let fields = [
            ("message_id", message),
            ("session_id", session),
            ("type", kind),
            ("data", &data),
        ];
        run(db, &insert("parts", id, &fields)).await;
    }
}

async fn found_by(db: &Database, scope: &Scope, query: &str, filter: SearchFilter) -> Vec<String> {
    let query = SearchQuery::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let page = PageRequest::default();
    let page = sessions::search_parts(db.reader(), scope, &query, &filter, &page)
        .await
        .unwrap();
    let mut ids: Vec<String> = page
        .items
        .into_iter()
        .map(|found| found.part.id.to_string())
        .collect();
    ids.sort();
    ids
}

async fn found(db: &Database, query: &str) -> Vec<String> {
    found_by(db, &Scope::All, query, SearchFilter::default()).await
}

#[tokio::test]
async fn both_engines_answer_the_same_sets() {
    const CASES: &[(&str, &[&str])] = &[
        ("quick", &["a1", "a2", "o1", "u1"]),
        ("QUICK brown", &["a1", "a2"]),
        ("\"quick brown\"", &["a1"]),
        ("\"brown quick\"", &[]),
        ("lazy -fox", &["a2"]),
        ("brown -\"lazy dog\"", &["a2"]),
        ("brown -\"lazy cat\"", &["a1", "a2"]),
        ("qui*", &["a1", "a2", "o1", "u1"]),
        ("\"the qui\"", &[]),
        ("src/storage/lib.rs", &["a3"]),
        ("src/ma*", &["a5"]),
        ("src", &["a3", "a5"]),
        ("foo_bar", &["a3"]),
        ("bar", &["a3"]),
        ("cargo --all", &["a4"]),
        ("12 passed", &["a4"]),
        ("run tests", &["a4"]),
        ("straße", &["a5"]),
        ("STRASSE", &[]),
        ("grüße", &["a6"]),
        ("GRÜSSE", &[]),
        ("kÖLN", &["a6"]),
        ("koln", &[]),
        ("ünïcode àé", &["a6"]),
        ("日本語", &["a6"]),
        ("日本*", &["a6"]),
        ("3e10x", &["a7"]),
        ("1e5abc", &["a7"]),
        ("3e10", &[]),
        ("v1.2.3", &["a7"]),
        ("0x1f", &["a7"]),
        ("e-mail", &["u1"]),
        ("me@example.com", &["u1"]),
        ("notice", &[]),
        ("words type:text", &["o1"]),
        ("tests type:tool", &["a4"]),
        ("tests type:text", &[]),
        ("quick role:user", &["o1", "u1"]),
        ("quick role:assistant", &["a1", "a2"]),
        ("edit tool:bash", &["a5"]),
        ("edit tool:other", &[]),
        ("quick before:2020-01-01", &[]),
        ("quick after:2020-01-01", &["a1", "a2", "o1", "u1"]),
    ];
    on_each_engine(async |db| {
        prepare(&db).await;
        let mut wrong = Vec::new();
        for (query, expected) in CASES {
            let answer = found(&db, query).await;
            if answer != *expected {
                wrong.push(format!("{query}: {answer:?}, expected {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", db.engine(), wrong.join("\n"));
    })
    .await;
}

#[tokio::test]
async fn a_search_is_narrowed_by_scope_project_session_type_role_and_time() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let all = SearchFilter::default();
        let by = async |filter: SearchFilter| found_by(&db, &Scope::All, "quick", filter).await;
        let other = SearchFilter {
            project_id: Some(ProjectId::from("other")),
            ..all.clone()
        };
        assert_eq!(by(other).await, ["o1"]);
        let session = SearchFilter {
            session_id: Some(SessionId::from("theirs")),
            ..all.clone()
        };
        assert_eq!(by(session).await, ["o1"]);
        let role = SearchFilter {
            roles: vec![MessageRole::Assistant],
            ..all.clone()
        };
        assert_eq!(by(role).await, ["a1", "a2"]);
        let none = SearchFilter {
            types: vec![PartType::Reasoning],
            ..all.clone()
        };
        assert!(by(none).await.is_empty());
        let later = SearchFilter {
            from: Some(time::now() + Duration::hours(1)),
            ..all.clone()
        };
        assert!(by(later).await.is_empty());
        let earlier = SearchFilter {
            to: Some(time::now() - Duration::hours(1)),
            ..all.clone()
        };
        assert!(by(earlier).await.is_empty());

        let owner = Scope::account(AccountId::from("accounts"));
        assert_eq!(
            found_by(&db, &owner, "quick", all.clone()).await,
            ["a1", "a2", "u1"]
        );
        let stranger = Scope::account(AccountId::from("stranger"));
        assert!(found_by(&db, &stranger, "quick", all).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn the_index_follows_changes_and_deletions() {
    on_each_engine(async |db| {
        prepare(&db).await;
        run(
            &db,
            "update parts set data = '{\"text\": \"something else\"}' where id = 'a1'",
        )
        .await;
        assert_eq!(found(&db, "fox").await, Vec::<String>::new());
        assert_eq!(found(&db, "something").await, ["a1"]);
        run(&db, "delete from parts where id = 'a1'").await;
        assert_eq!(found(&db, "something").await, Vec::<String>::new());
        run(&db, "delete from sessions where id = 'theirs'").await;
        assert_eq!(found(&db, "quick").await, ["a2", "u1"]);
        run(&db, "update parts set data = '{}' where id = 'a2'").await;
        assert_eq!(found(&db, "quick").await, ["u1"]);
    })
    .await;
}

#[tokio::test]
async fn pages_hold_each_part_once_and_belong_to_their_query() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let query = SearchQuery::parse("quick").unwrap();
        let filter = SearchFilter::default();
        let mut ids = Vec::new();
        let mut scores = Vec::new();
        let mut request = PageRequest::first(1);
        loop {
            let page = sessions::search_parts(db.reader(), &Scope::All, &query, &filter, &request)
                .await
                .unwrap();
            for found in page.items {
                let (start, end) = found.ranges[0];
                let word: String = found
                    .snippet
                    .chars()
                    .skip(start)
                    .take(end - start)
                    .collect();
                assert_eq!(word.to_lowercase(), "quick");
                ids.push(found.part.id.to_string());
                scores.push(found.score);
            }
            match page.next_cursor {
                Some(cursor) => request = request.after(Some(cursor)),
                None => break,
            }
        }
        assert!(
            scores.windows(2).all(|pair| pair[0] >= pair[1]),
            "{scores:?}"
        );
        ids.sort();
        assert_eq!(ids, ["a1", "a2", "o1", "u1"]);
        let other = SearchQuery::parse("brown").unwrap();
        let refused =
            sessions::search_parts(db.reader(), &Scope::All, &other, &filter, &request).await;
        assert!(matches!(refused, Err(StorageError::Cursor)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_part_with_very_much_text_is_stored_and_found_by_its_beginning() {
    on_each_engine(async |db| {
        prepare(&db).await;
        let many: String = (0..120_000).map(|number| format!("w{number}é ")).collect();
        let long = "x".repeat(3_000);
        let data = json!({"text": format!("beginning {long} {many} ending")}).to_string();
        run(&db, &insert("parts", "big", &[("data", &data)])).await;
        assert_eq!(found(&db, "beginning").await, ["big"]);
        assert_eq!(found(&db, "w77é").await, ["big"]);
        assert_eq!(found(&db, "xxxxxxxxxx*").await, ["big"]);
        assert!(
            found(&db, "ending").await.is_empty(),
            "beyond 64 Ki characters"
        );
    })
    .await;
}
