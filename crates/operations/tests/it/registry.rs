//! Registering, finding and removing operations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alkhub_operations::registry::RegistryError;
use alkhub_operations::{
    CallError, Empty, ErrorCode, NameError, Operation, OperationId, OperationName, OperationSpec,
    OperationType, Registry, Reply, Schema, SchemaError, SpecOwner, operation,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{anonymous, call, constant, registry, spec, subscription, test_op};

fn whole_spec() -> Value {
    json!({
        "name": "run", "namespace": "shell", "version": "2.1.0", "type": "mutation",
        "title": "Run", "description": "Runs a command.", "tags": ["shell"],
        "inputSchema": { "type": "object", "properties": { "command": { "type": "string" } } },
        "outputSchema": true,
        "errorSchemas": [
            { "code": "NO_SHELL", "description": "There is none.", "schema": {}, "httpStatus": 404 },
        ],
        "accessControl": {
            "requiredScopes": ["shell:run"], "requiredScopesAny": ["a", "b"],
            "resourceType": "spoke", "resourceAction": "execute",
        },
        "_meta": { "sourceName": "run!" },
        "idempotent": false, "record": "metadata", "timeoutMs": 5000, "resourceIdFrom": "/spoke",
    })
}

fn refused(change: impl FnOnce(&mut Value)) -> CallError {
    let mut json = whole_spec();
    change(&mut json);
    OperationSpec::from_json(&json, SpecOwner::Foreign)
        .unwrap_err()
        .into()
}

#[test]
fn case_001_get_gives_spec_and_handler_of_what_was_registered() {
    let operation = test_op();
    let registry = registry([operation.clone()]);
    let entry = registry.get("test.testOp").unwrap();
    assert_eq!(*entry.spec(), operation.spec);
    assert!(entry.handler().is_some());
}

#[test]
fn case_002_get_by_name_gives_the_same_entry() {
    let registry = registry([test_op()]);
    let by_name = registry.get_by_name("test", "testOp").unwrap();
    assert!(Arc::ptr_eq(&by_name, &registry.get("test.testOp").unwrap()));
}

#[test]
fn case_003_get_of_an_unknown_id_gives_nothing() {
    assert!(registry([test_op()]).get("nonexistent.op").is_none());
}

#[test]
fn case_004_list_is_in_order_of_id() {
    let registry = registry([constant("b.op", json!(1)), constant("a.op", json!(1))]);
    let ids: Vec<_> = registry
        .list()
        .iter()
        .map(|entry| entry.id().to_string())
        .collect();
    assert_eq!(ids, ["a.op", "b.op"]);
    let specs: Vec<_> = registry
        .get_all_specs()
        .iter()
        .map(|spec| spec.id().to_string())
        .collect();
    assert_eq!(specs, ids);
}

#[test]
fn case_005_register_all_takes_every_one() {
    assert_eq!(
        registry([constant("a.one", json!(1)), constant("a.two", json!(2))]).len(),
        2
    );
}

#[test]
fn case_006_register_all_takes_none_when_one_is_refused() {
    let registry = Registry::new();
    let mut bad = constant("a.bad", json!(1));
    bad.spec.tags = vec!["x".repeat(65)];
    let error = registry
        .register_all([constant("a.good", json!(1)), bad])
        .unwrap_err();
    assert!(matches!(&error, RegistryError::At { index: 1, id, .. } if *id == "a.bad"));
    assert!(registry.is_empty());

    let twice = [constant("a.good", json!(1)), constant("a.good", json!(2))];
    let error = registry.register_all(twice).unwrap_err();
    assert!(matches!(error, RegistryError::At { index: 1, .. }));
    assert!(registry.is_empty());
}

#[test]
fn case_007_get_spec_has_no_handler_in_its_json() {
    let spec = registry([test_op()]).get_spec("test.testOp").unwrap();
    let json = serde_json::to_value(spec).unwrap();
    assert_eq!(json["name"], "testOp");
    assert!(json.get("handler").is_none());
}

#[test]
fn case_008_a_spec_without_handler_is_known() {
    let registry = registry([Operation::from(spec("a.op", "query"))]);
    assert!(registry.get_spec("a.op").is_some());
    assert!(registry.get_handler("a.op").is_none());
}

#[tokio::test]
async fn case_009_a_handler_may_come_after_its_spec() {
    let registry = Registry::new();
    registry.register_spec(spec("a.op", "query")).unwrap();
    let handler = || call(|_, _| async { Ok(Reply::Data(json!("done"))) });
    registry.register_handler("a.op", handler()).unwrap();
    let answer = registry.execute("a.op", None, anonymous()).await.unwrap();
    assert_eq!(answer.data, "done");

    let second = registry.register_handler("a.op", handler()).unwrap_err();
    assert!(matches!(second, RegistryError::Conflict(_)));
}

#[test]
fn case_010_a_handler_without_a_spec_is_refused_by_name() {
    let handler = call(|_, _| async { Ok(Reply::Data(Value::Null)) });
    let error = Registry::new()
        .register_handler("unknown.op", handler)
        .unwrap_err();
    assert!(matches!(error, RegistryError::NotRegistered(_)));
    assert!(error.to_string().contains("unknown.op"));
}

#[tokio::test]
async fn case_011_a_taken_id_is_a_conflict_and_the_first_stays() {
    let registry = registry([constant("a.op", json!("first"))]);
    let error = registry
        .register(constant("a.op", json!("second")))
        .unwrap_err();
    assert!(matches!(error, RegistryError::Conflict(_)));
    assert_eq!(CallError::from(error).code, ErrorCode::CONFLICT);
    let answer = registry.execute("a.op", None, anonymous()).await.unwrap();
    assert_eq!(answer.data, "first");
}

#[tokio::test]
async fn case_012_running_calls_end_on_the_entry_they_began_with() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (began, waits) = (begun.clone(), go_on.clone());
    let old = crate::support::query("a.op", move |_, _| {
        let (began, waits) = (began.clone(), waits.clone());
        async move {
            began.notify_one();
            waits.notified().await;
            Ok(Reply::Data(json!("old")))
        }
    });
    let registry = registry([old]);
    let running = tokio::spawn({
        let registry = registry.clone();
        async move { registry.execute("a.op", None, anonymous()).await }
    });
    begun.notified().await;
    let replaced = registry.replace(constant("a.op", json!("new"))).unwrap();
    assert!(replaced.is_some());
    let next = registry.execute("a.op", None, anonymous()).await.unwrap();
    go_on.notify_one();
    assert_eq!(running.await.unwrap().unwrap().data, "old");
    assert_eq!(next.data, "new");
}

#[tokio::test]
async fn case_013_what_is_unregistered_is_not_found() {
    let registry = registry([constant("a.op", json!(1))]);
    assert!(registry.unregister("a.op").is_some());
    assert!(registry.unregister("a.op").is_none());
    let error = registry
        .execute("a.op", None, anonymous())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
}

#[test]
fn case_014_a_handler_of_the_wrong_sort_stores_nothing() {
    let registry = Registry::new();
    let call_handler = constant("a.op", json!(1)).handler;
    let stream_handler = subscription("a.op", |_, _| futures::stream::empty()).handler;
    for (kind, handler) in [("subscription", call_handler), ("query", stream_handler)] {
        let error = registry
            .register(Operation::new(spec("a.op", kind), handler))
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::KindMismatch { .. }),
            "{kind}"
        );
        assert!(registry.is_empty());
    }
}

#[test]
fn case_015_a_stream_handler_suits_a_subscription() {
    let registry = registry([subscription("a.events", |_, _| futures::stream::empty())]);
    assert!(registry.get_handler("a.events").is_some());
}

#[test]
fn case_016_an_id_is_parted_at_its_last_dot() {
    let id: OperationId = "org.member.add".parse().unwrap();
    let (namespace, name) = id.split();
    assert_eq!((namespace.as_str(), name.as_str()), ("org.member", "add"));
    assert_eq!(
        (id.namespace(), id.name(), namespace.root()),
        ("org.member", "add", "org")
    );
}

#[test]
fn case_017_name_with_dot_and_other_illegal_names_are_refused() {
    let long = "a".repeat(65);
    for name in ["a.b", "", "_x", "1a", &long, "é"] {
        assert_eq!(OperationName::new(name), Err(NameError::Name), "{name}");
        let error = refused(|spec| spec["name"] = json!(name));
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        assert_eq!(error.details.unwrap()["issues"][0]["path"], "/name");
    }
    assert!(OperationName::new("a".repeat(64)).is_ok());
    for namespace in [
        "",
        "a.",
        ".a",
        "A",
        "_a",
        "a.b.c.d",
        &"a".repeat(33),
        "a..b",
    ] {
        assert!(
            namespace.parse::<alkhub_operations::Namespace>().is_err(),
            "{namespace}"
        );
    }
    assert_eq!("task".parse::<OperationId>(), Err(NameError::Id));
    assert!("Task.create".parse::<OperationId>().is_err());
}

#[test]
fn case_018_types_are_lower_case() {
    let error = refused(|spec| spec["type"] = json!("QUERY"));
    assert_eq!(error.details.unwrap()["issues"][0]["path"], "/type");
    for (text, kind) in [
        ("query", OperationType::Query),
        ("mutation", OperationType::Mutation),
        ("subscription", OperationType::Subscription),
    ] {
        assert_eq!(
            serde_json::from_value::<OperationType>(json!(text)).unwrap(),
            kind
        );
        assert_eq!((kind.to_string().as_str(), text.parse()), (text, Ok(kind)));
    }
}

#[test]
fn case_019_a_version_that_is_no_semver_is_refused() {
    let error = refused(|spec| spec["version"] = json!("latest"));
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
    assert_eq!(error.details.unwrap()["issues"][0]["path"], "/version");
}

#[test]
fn case_020_a_bad_input_schema_is_refused_with_its_reason() {
    let remote = json!({ "properties": { "a": { "$ref": "https://example.com/a.json" } } });
    assert_eq!(
        Schema::new(remote.clone()).unwrap_err(),
        SchemaError::RemoteReference {
            path: "/properties/a/$ref".into(),
            reference: "https://example.com/a.json".into(),
        }
    );
    let large = json!({ "description": "x".repeat(300 * 1024) });
    assert!(matches!(
        Schema::new(large.clone()),
        Err(SchemaError::TooLarge { .. })
    ));
    let pattern = json!({ "properties": { "a": { "pattern": "(?=a)b" } } });
    assert!(matches!(
        Schema::new(pattern.clone()),
        Err(SchemaError::Pattern { .. })
    ));
    assert!(matches!(
        Schema::new(json!({ "pattern": "(" })),
        Err(SchemaError::Pattern { .. })
    ));
    let wrong_type = json!({ "type": "strin" });
    assert!(matches!(
        Schema::new(wrong_type.clone()),
        Err(SchemaError::Invalid { .. })
    ));
    assert!(matches!(
        Schema::new(json!(5)),
        Err(SchemaError::Invalid { .. })
    ));

    for (schema, reason) in [
        (remote, "leaves the schema"),
        (large, "bytes"),
        (pattern, "linear time"),
        (wrong_type, "strin"),
    ] {
        let error = refused(|spec| spec["inputSchema"] = schema);
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
        let issue = &error.details.unwrap()["issues"][0];
        assert_eq!(issue["path"], "/inputSchema");
        assert!(
            issue["message"].as_str().unwrap().contains(reason),
            "{issue}"
        );
    }
}

#[test]
fn case_021_a_spec_without_output_schema_or_access_control_is_refused() {
    for member in ["outputSchema", "accessControl"] {
        let error = refused(|spec| {
            spec.as_object_mut().unwrap().remove(member);
        });
        assert!(error.message.contains(member), "{}", error.message);
    }
}

#[test]
fn case_022_unknown_members_are_dropped() {
    let mut json = whole_spec();
    json["colour"] = json!("red");
    let spec = OperationSpec::from_json(&json, SpecOwner::Foreign).unwrap();
    assert_eq!(serde_json::to_value(spec).unwrap(), whole_spec());
}

#[test]
fn case_023_a_spec_survives_the_round_trip() {
    let spec = OperationSpec::from_json(&whole_spec(), SpecOwner::Foreign).unwrap();
    let json = serde_json::to_value(&spec).unwrap();
    assert_eq!(json, whole_spec());
    assert_eq!(json["type"], "mutation");
    assert_eq!(json["_meta"], json!({ "sourceName": "run!" }));
    assert_eq!(serde_json::from_value::<OperationSpec>(json).unwrap(), spec);
}

#[test]
fn case_024_readers_never_see_a_torn_entry() {
    let registry = registry([constant("a.other", json!(0))]);
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..32)
        .map(|_| {
            let (registry, over) = (registry.clone(), over.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build();
                let runtime = runtime.unwrap();
                while !over.load(Ordering::Relaxed) {
                    if let Some(entry) = registry.get("a.op") {
                        assert_eq!(*entry.id(), "a.op");
                        assert!(entry.handler().is_some());
                    }
                    assert!((1..=2).contains(&registry.len()));
                    match runtime.block_on(registry.execute("a.op", None, anonymous())) {
                        Ok(answer) => assert_eq!(answer.data, 1),
                        Err(error) => assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND),
                    }
                }
            })
        })
        .collect();
    for _ in 0..2_000 {
        registry.register(constant("a.op", json!(1))).unwrap();
        registry.unregister("a.op").unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    assert_eq!(registry.len(), 1);
}

#[test]
fn limits_of_texts_are_kept() {
    for (member, value) in [
        ("description", json!("x".repeat(4_001))),
        ("title", json!("x".repeat(201))),
        ("tags", json!(vec!["x"; 51])),
        ("_meta", json!({ "x": "x".repeat(17 * 1024) })),
        ("timeoutMs", json!(0)),
    ] {
        let error = refused(|spec| spec[member] = value);
        let path = error.details.unwrap()["issues"][0]["path"].clone();
        assert_eq!(path, format!("/{member}"));
    }
}

#[test]
fn only_queries_may_run_twice_unless_the_spec_says_so() {
    assert!(spec("a.op", "query").idempotent());
    assert!(!spec("a.op", "mutation").idempotent());
    let mut said = spec("a.op", "mutation");
    said.ext.idempotent = Some(true);
    assert!(said.idempotent());
}

#[test]
fn the_hash_ignores_what_callers_do_not_depend_on() {
    let spec = OperationSpec::from_json(&whole_spec(), SpecOwner::Foreign).unwrap();
    assert_eq!(spec.spec_hash().len(), 64);
    let mut described = spec.clone();
    described.description = "Other words.".into();
    assert_eq!(described.spec_hash(), spec.spec_hash());
    let mut changed = spec.clone();
    changed.output_schema = Schema::new(json!({ "type": "string" })).unwrap();
    assert_ne!(changed.spec_hash(), spec.spec_hash());
}

#[test]
fn the_builder_makes_the_whole_spec() {
    let built = operation::<Empty, String>("a.b.op", OperationType::Mutation)
        .title("Op")
        .description("Does it.")
        .tags(&["x"])
        .scopes(&["a:write"])
        .any_scopes(&["b", "c"])
        .resource("project", "write")
        .resource_id_from("ref")
        .error(ErrorCode::NOT_FOUND, "Nothing there.")
        .error_with_status("GONE_FOR_GOOD", "It was there.", 410)
        .record(alkhub_operations::RecordPolicy::Metadata)
        .timeout(std::time::Duration::from_secs(5))
        .idempotent(true)
        .version("2.0.0")
        .meta("hint", true)
        .open()
        .handler(|_, _| async { Ok(String::new()) });
    assert!(built.open);
    let json = serde_json::to_value(&built.spec).unwrap();
    assert_eq!(json["inputSchema"]["additionalProperties"], false);
    assert_eq!(json["accessControl"]["requiredScopes"], json!(["a:write"]));
    assert_eq!(json["accessControl"]["resourceAction"], "write");
    assert_eq!(json["errorSchemas"][1]["httpStatus"], 410);
    assert_eq!(json["timeoutMs"], 5_000);
    assert_eq!(json["record"], "metadata");
    assert_eq!(json["_meta"], json!({ "hint": true }));
    let read = OperationSpec::from_json(&json, SpecOwner::Host).unwrap();
    assert_eq!(read, built.spec);
}

#[test]
#[should_panic(expected = "operation Bad is defined wrongly")]
fn a_wrong_id_stops_the_program_at_its_start() {
    let _ = operation::<Empty, ()>("Bad", OperationType::Query);
}
