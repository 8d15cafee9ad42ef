//! Facts, leases, usage, budgets and blobs of the hub's own.

use std::time::Duration;

use alkhub_storage::meta::{self, NewBudget, UsageDimension, UsageEntry, UsageFilter};
use chrono::NaiveDate;
use serde_json::json;

use crate::sql::run;
use crate::support::on_each_engine;

#[tokio::test]
async fn a_fact_is_written_read_listed_and_removed() {
    on_each_engine(async |db| {
        let writer = db.writer();
        assert_eq!(meta::get(writer, "setting:a").await.unwrap(), None);
        meta::put(writer, "setting:b", &json!({"x": [1, null]}))
            .await
            .unwrap();
        meta::put(writer, "setting:a", &json!("first"))
            .await
            .unwrap();
        meta::put(writer, "setting:a", &json!("second"))
            .await
            .unwrap();
        meta::put(writer, "settings", &json!(1)).await.unwrap();
        meta::put(writer, "Setting:c", &json!(1)).await.unwrap();
        assert_eq!(
            meta::get(writer, "setting:a").await.unwrap(),
            Some(json!("second"))
        );
        let listed = meta::list_prefix(db.reader(), "setting:").await.unwrap();
        assert_eq!(
            listed,
            [
                ("setting:a".to_owned(), json!("second")),
                ("setting:b".to_owned(), json!({"x": [1, null]})),
            ]
        );
        assert!(meta::delete(writer, "setting:a").await.unwrap());
        assert!(!meta::delete(writer, "setting:a").await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_fact_is_replaced_only_when_it_is_what_was_expected() {
    on_each_engine(async |db| {
        let writer = db.writer();
        assert!(meta::put_if(writer, "k", None, &json!(1)).await.unwrap());
        assert!(!meta::put_if(writer, "k", None, &json!(2)).await.unwrap());
        assert!(
            !meta::put_if(writer, "k", Some(&json!(2)), &json!(3))
                .await
                .unwrap()
        );
        assert!(
            meta::put_if(writer, "k", Some(&json!(1)), &json!({"a": 1}))
                .await
                .unwrap()
        );
        assert_eq!(meta::get(writer, "k").await.unwrap(), Some(json!({"a": 1})));
        assert!(
            !meta::put_if(writer, "other", Some(&json!(1)), &json!(2))
                .await
                .unwrap()
        );
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_held_by_one_until_it_ends() {
    on_each_engine(async |db| {
        let writer = db.writer();
        let hour = Duration::from_secs(3_600);
        assert!(
            meta::take_lease(writer, "prune", "one", hour)
                .await
                .unwrap()
        );
        assert!(
            !meta::take_lease(writer, "prune", "two", hour)
                .await
                .unwrap()
        );
        assert!(
            meta::take_lease(writer, "prune", "one", Duration::ZERO)
                .await
                .unwrap()
        );
        meta::put(
            writer,
            "job:prune",
            &json!({"holder": "one", "until": "2020-01-01T00:00:00.000Z", "lastRun": "x"}),
        )
        .await
        .unwrap();
        assert!(
            meta::take_lease(writer, "prune", "two", hour)
                .await
                .unwrap()
        );
        let kept = meta::get(writer, "job:prune").await.unwrap().unwrap();
        assert_eq!(
            (&kept["holder"], &kept["lastRun"]),
            (&json!("two"), &json!("x"))
        );
    })
    .await;
}

fn entry(day: u32, account: &str, requests: i64) -> UsageEntry {
    UsageEntry {
        day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
        account_id: account.to_owned(),
        key_id: String::new(),
        org_id: String::new(),
        project_id: "p".to_owned(),
        session_id: String::new(),
        task_id: String::new(),
        client_id: String::new(),
        model: "m".to_owned(),
        requests,
        errors: 0,
        tokens_input: 10 * requests,
        tokens_output: 1,
        tokens_cached: 0,
        tokens_reasoning: 0,
        cost_micros: 5_000_000_000,
    }
}

#[tokio::test]
async fn usage_adds_up_and_is_summed_by_subject() {
    on_each_engine(async |db| {
        let writer = db.writer();
        // One statement may meet the same key twice.
        meta::add_usage(
            writer,
            vec![entry(1, "a", 1), entry(1, "a", 2), entry(2, "b", 4)],
        )
        .await
        .unwrap();
        meta::add_usage(writer, vec![entry(1, "a", 8)])
            .await
            .unwrap();
        meta::add_usage(writer, Vec::new()).await.unwrap();
        let all = meta::sum_usage(writer, &UsageFilter::default())
            .await
            .unwrap();
        assert_eq!(
            (all.requests, all.tokens_input, all.cost_micros),
            (15, 150, 20_000_000_000)
        );
        let first = UsageFilter {
            from: NaiveDate::from_ymd_opt(2026, 11, 1),
            to: NaiveDate::from_ymd_opt(2026, 11, 1),
            subjects: vec![(UsageDimension::Account, "a".to_owned())],
        };
        assert_eq!(meta::sum_usage(writer, &first).await.unwrap().requests, 11);
        let nobody = UsageFilter {
            subjects: vec![(UsageDimension::Model, "other".to_owned())],
            ..UsageFilter::default()
        };
        assert_eq!(meta::sum_usage(writer, &nobody).await.unwrap().requests, 0);
        let by_day = meta::list_usage(writer, &UsageFilter::default(), UsageDimension::Day, 10)
            .await
            .unwrap();
        let by_day: Vec<(&str, i64)> = by_day
            .iter()
            .map(|(day, usage)| (day.as_str(), usage.requests))
            .collect();
        assert_eq!(by_day, [("2026-11-01", 11), ("2026-11-02", 4)]);
    })
    .await;
}

#[tokio::test]
async fn a_subject_has_one_budget_a_period() {
    on_each_engine(async |db| {
        let writer = db.writer();
        let budget = |subject: &str, limit| NewBudget {
            subject_type: "account".to_owned(),
            subject_id: subject.to_owned(),
            period: "month".to_owned(),
            action: "warn".to_owned(),
            limit_cost_micros: Some(limit),
            limit_tokens: None,
            warn_at: 0.5,
        };
        let first = meta::set_budget(writer, budget("a", 1)).await.unwrap();
        let again = meta::set_budget(writer, budget("a", 2)).await.unwrap();
        assert_eq!(
            (first.id.clone(), again.limit_cost_micros),
            (again.id, Some(2))
        );
        meta::set_budget(writer, budget("b", 3)).await.unwrap();
        assert_eq!(meta::list_budgets(writer, None).await.unwrap().len(), 2);
        assert_eq!(
            meta::list_budgets(writer, Some(("account", "b")))
                .await
                .unwrap()
                .len(),
            1
        );
        assert!(meta::delete_budget(writer, &first.id).await.unwrap());
        assert!(!meta::delete_budget(writer, &first.id).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_blob_is_kept_in_pieces_and_found_when_nothing_refers_to_it() {
    on_each_engine(async |db| {
        let writer = db.writer();
        let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        let name = meta::write_blob(writer, &bytes).await.unwrap();
        assert_eq!(meta::write_blob(writer, &bytes).await.unwrap(), name);
        let empty = meta::write_blob(writer, b"").await.unwrap();
        assert_eq!(
            meta::read_blob(writer, &name).await.unwrap().as_deref(),
            Some(&*bytes)
        );
        assert_eq!(
            meta::read_blob(writer, &empty).await.unwrap().as_deref(),
            Some(&b""[..])
        );
        assert_eq!(meta::read_blob(writer, "none").await.unwrap(), None);
        run(&db, &crate::rows::world()).await;
        let url = format!("{{\"url\": \"blob:{name}\"}}");
        run(&db, &format!("update parts set data = '{url}'")).await;
        assert_eq!(
            meta::unreferenced_blobs(writer, 10).await.unwrap(),
            std::slice::from_ref(&empty)
        );
        let attached = format!("{{\"state\": {{\"attachments\": [{url}]}}}}");
        run(&db, &format!("update parts set data = '{attached}'")).await;
        assert_eq!(
            meta::unreferenced_blobs(writer, 10).await.unwrap(),
            std::slice::from_ref(&empty)
        );
        run(&db, "update parts set data = '{}'").await;
        assert_eq!(meta::unreferenced_blobs(writer, 10).await.unwrap().len(), 2);
        let gone = meta::delete_blobs(writer, &[name.clone(), empty])
            .await
            .unwrap();
        assert_eq!(gone[&name], 700_000);
        assert!(
            meta::unreferenced_blobs(writer, 10)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}
