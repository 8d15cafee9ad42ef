//! Calls inside calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alkhub_operations::{
    AccessControl, CallError, Caller, Context, Envelope, ErrorCode, HostCapability, Operation,
    OperationSpec, Registry, Reply, RequestId, TypedOperation,
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{
    anonymous, as_account, constant, query, registry, rule, schema, subscription, with_access,
};

/// `test.outer`, which calls the operation that its input names and gives that one's data.
fn outer() -> Operation {
    query("test.outer", |input: Value, ctx| async move {
        let id = input["id"].as_str().unwrap();
        Ok(Reply::Data(ctx.call(id, json!({})).await?.unwrap()))
    })
}

/// An operation that tells its context.
fn telling(id: &str) -> Operation {
    query(id, |_, ctx| async move {
        Ok(Reply::Data(json!({
            "requestId": ctx.request_id(),
            "parent": ctx.parent_request_id(),
            "account": ctx.caller().identity().map(|identity| identity.id.clone()),
            "depth": ctx.depth(),
            "system": ctx.caller().is_system(),
            "reason": ctx.elevation().map(|elevation| elevation.reason.clone()),
        })))
    })
}

fn names(id: &str) -> Value {
    json!({ "id": id })
}

#[tokio::test]
async fn case_178_a_nested_call_has_its_own_id_and_the_same_caller() {
    let registry = registry([outer(), telling("test.inner")]);
    let ctx = as_account(&[], &registry);
    let outer_id = ctx.request_id().clone();
    let told = registry
        .execute("test.outer", names("test.inner"), ctx)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told["parent"], outer_id.as_str());
    assert_ne!(told["requestId"], outer_id.as_str());
    assert_eq!(told["account"], "acc-1");
    assert_eq!(told["depth"], 2);
}

#[tokio::test]
async fn case_179_a_nested_call_is_checked() {
    let inner = with_access(
        constant("test.inner", json!(1)),
        AccessControl::scopes(["admin"]),
    );
    let seen = Arc::new(Mutex::new(None));
    let kept = seen.clone();
    let outer = query("test.outer", move |_, ctx| {
        let kept = kept.clone();
        async move {
            let error = ctx.call("test.inner", json!({})).await.unwrap_err();
            *kept.lock().unwrap() = Some(error);
            Ok(Reply::Data(Value::Null))
        }
    });
    let registry = registry([outer, inner]);
    let ctx = as_account(&["read"], &registry);
    registry.execute("test.outer", None, ctx).await.unwrap();
    let error = seen.lock().unwrap().take().unwrap();
    assert_eq!(error.code, ErrorCode::ACCESS_DENIED);
}

#[tokio::test]
async fn case_180_elevation_lends_rights_for_one_level_and_says_why() {
    let host = HostCapability::new();
    let admin = AccessControl::scopes(["admin"]);
    let capability = host.clone();
    let elevating = query("test.elevating", move |_, ctx| {
        let capability = capability.clone();
        async move {
            let ctx = ctx.elevated(&capability, "spawns a session");
            Ok(Reply::Data(
                ctx.call("test.relay", json!({})).await?.unwrap(),
            ))
        }
    });
    let relay = query("test.relay", |_, ctx| async move {
        assert_eq!(ctx.nested_caller().identity().unwrap().id, "acc-1");
        let here = json!({
            "system": ctx.caller().is_system(),
            "reason": ctx.elevation().unwrap().reason,
        });
        let below = ctx.call("test.inner", json!({})).await?.unwrap();
        Ok(Reply::Data(json!({ "here": here, "below": below })))
    });
    let registry = Registry::new().with_host(&host);
    registry
        .register_all([
            elevating,
            with_access(relay, admin.clone()),
            telling("test.inner"),
        ])
        .unwrap();
    let registry = Arc::new(registry);

    let told = registry
        .execute("test.elevating", None, as_account(&["read"], &registry))
        .await
        .unwrap();
    let told = told.unwrap();
    assert_eq!(
        told["here"],
        json!({ "system": true, "reason": "spawns a session" })
    );
    assert_eq!(told["below"]["account"], "acc-1");
    assert_eq!(told["below"]["system"], false);

    // Another capability is nothing to this registry.
    let forged = as_account(&["read"], &registry).elevated(&HostCapability::new(), "please");
    let error = forged.call("test.relay", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::UNAUTHENTICATED);
}

#[tokio::test]
async fn case_181_outside_the_namespaces_nothing_is_found() {
    let registry = registry([
        constant("test.op", json!(1)),
        constant("other.op", json!(2)),
    ]);
    let ctx = as_account(&[], &registry).in_namespaces(&["test", "third"]);
    assert!(ctx.call("test.op", json!({})).await.is_ok());
    let error = ctx.call("other.op", json!({})).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    // Narrowing twice leaves what both allow.
    let error = ctx
        .in_namespaces(&["other"])
        .call("other.op", json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
}

#[tokio::test]
async fn case_182_operations_that_come_later_can_be_called() {
    let registry = registry([]);
    let ctx = as_account(&[], &registry);
    registry
        .register(constant("late.op", json!("here")))
        .unwrap();
    assert_eq!(ctx.call("late.op", json!({})).await.unwrap().data, "here");
}

#[tokio::test]
async fn case_183_an_inner_envelope_is_unchanged() {
    let envelope = Envelope::http(json!("x"), 418, [].into(), "text/plain");
    let returned = envelope.clone();
    let inner = query("test.inner", move |_, _| {
        let returned = returned.clone();
        async move { Ok(Reply::Envelope(returned)) }
    });
    let registry = registry([inner]);
    let ctx = as_account(&[], &registry);
    assert_eq!(ctx.call("test.inner", json!({})).await.unwrap(), envelope);
}

#[tokio::test]
async fn case_184_an_inner_error_keeps_its_code_only_when_declared() {
    let inner = || {
        query("test.inner", |_, _| async {
            Err(CallError::not_found("no row"))
        })
    };
    let registry = registry([outer(), inner()]);
    let ctx = as_account(&[], &registry);
    let error = registry
        .execute("test.outer", names("test.inner"), ctx.clone())
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(error.message, "no row");
    assert_eq!(
        error.details,
        Some(json!({ "cause": { "operationId": "test.inner", "code": "NOT_FOUND" } }))
    );

    let mut declaring = outer();
    declaring.spec.error_schemas = vec![alkhub_operations::ErrorDefinition {
        code: ErrorCode::NOT_FOUND,
        description: "Nothing there.".into(),
        schema: schema(json!({})),
        http_status: None,
    }];
    registry.replace(declaring).unwrap();
    let error = registry
        .execute("test.outer", names("test.inner"), ctx)
        .await
        .unwrap_err();
    assert_eq!(error, CallError::not_found("no row"));
}

#[tokio::test]
async fn case_185_an_aborted_outer_call_aborts_the_inner_one() {
    let (began, begun) = tokio::sync::oneshot::channel::<CancellationToken>();
    let began = Mutex::new(Some(began));
    let inner = query("test.inner", move |_, ctx| {
        let token = ctx.cancellation().clone();
        began.lock().unwrap().take().unwrap().send(token).unwrap();
        std::future::pending()
    });
    let registry = registry([outer(), inner]);
    let token = CancellationToken::new();
    let ctx = as_account(&[], &registry).with_cancellation(token.clone());
    let (answer, inner_token) = tokio::join!(
        registry.execute("test.outer", names("test.inner"), ctx),
        async {
            let inner_token = begun.await.unwrap();
            token.cancel();
            inner_token
        }
    );
    assert_eq!(answer.unwrap_err().code, ErrorCode::ABORTED);
    assert!(inner_token.is_cancelled());
}

#[tokio::test]
async fn case_186_in_an_empty_registry_nothing_is_found() {
    let registry = registry([]);
    let ctx = as_account(&[], &registry);
    for id in ["a.b", "", "nodot"] {
        let error = ctx.call(id, json!({})).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
    }
    let error = anonymous().call("a.b", json!({})).await.unwrap_err();
    assert_eq!(
        error.code,
        ErrorCode::OPERATION_NOT_FOUND,
        "without an executor"
    );
}

#[tokio::test]
async fn case_131_the_depth_is_bounded() {
    let recursive = query("test.again", |_, ctx: Context| async move {
        match ctx.call("test.again", json!({})).await {
            Ok(answer) => Ok(Reply::Data(answer.unwrap())),
            Err(error) => Ok(Reply::Data(json!({ "depth": ctx.depth(), "error": error }))),
        }
    });
    let registry = registry([recursive]);
    let ctx = as_account(&[], &registry);
    let told = registry
        .execute("test.again", None, ctx)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told["depth"], 32);
    assert_eq!(told["error"]["code"], "UNPROCESSABLE");
    assert_eq!(told["error"]["details"]["rule"], "too_deep");

    let shallow = as_account(&[], &registry).with_max_depth(1);
    let error = shallow.call("test.again", json!({})).await.unwrap_err();
    assert_eq!(rule(&error), "too_deep");
}

#[tokio::test(start_paused = true)]
async fn case_133_a_nested_call_has_no_more_time_than_the_outer_one() {
    let inner = query("test.inner", |_, ctx| async move {
        let left = ctx.remaining().unwrap();
        assert!(left <= Duration::from_millis(50), "{left:?}");
        std::future::pending().await
    });
    let registry = registry([outer(), inner]);
    let ctx = as_account(&[], &registry).with_timeout(Duration::from_millis(50));
    let request = ctx.request_id().clone();
    let error = registry
        .execute("test.outer", names("test.inner"), ctx)
        .await
        .unwrap_err();
    // The outer call's own end is told, not that of the inner one.
    assert_eq!(error, CallError::timeout(request));
}

#[tokio::test]
async fn dropping_a_nested_call_aborts_it() {
    let (began, mut begun) = tokio::sync::mpsc::channel::<CancellationToken>(1);
    let inner = query("test.inner", move |_, ctx| {
        began.try_send(ctx.cancellation().clone()).unwrap();
        std::future::pending()
    });
    let registry = registry([inner]);
    let ctx = as_account(&[], &registry);
    let nested = ctx.call("test.inner", json!({}));
    let token = tokio::select! {
        _ = nested => unreachable!(),
        token = begun.recv() => token.unwrap(),
    };
    assert!(token.is_cancelled());
}

#[tokio::test]
async fn streams_can_be_composed() {
    let inner = subscription("test.numbers", |_, ctx: Context| {
        futures::stream::iter(1..=3).map(move |number| {
            Ok(Reply::Data(
                json!({ "n": number, "parent": ctx.parent_request_id() }),
            ))
        })
    });
    let registry = registry([inner]);
    let ctx = as_account(&[], &registry);
    let items: Vec<_> = ctx
        .subscribe("test.numbers", json!({}))
        .await
        .unwrap()
        .collect()
        .await;
    assert_eq!(items.len(), 3);
    let last = items[2].as_ref().unwrap();
    assert_eq!(last.data, json!({ "n": 3, "parent": ctx.request_id() }));
    let error = ctx.subscribe("test.none", json!({})).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::OPERATION_NOT_FOUND);
}

struct Double;

impl TypedOperation for Double {
    const ID: &'static str = "math.double";
    type Input = u32;
    type Output = u32;
}

#[tokio::test]
async fn operations_can_be_called_by_their_type() {
    let double = query(Double::ID, |input, _| async move {
        Ok(Reply::Data(json!(input.as_u64().unwrap() * 2)))
    });
    let registry = registry([double, constant("math.text", json!("x"))]);
    let ctx = as_account(&[], &registry);
    assert_eq!(ctx.call_op::<Double>(21).await.unwrap(), 42);
}

#[tokio::test]
async fn the_system_calls_as_itself_all_the_way_down() {
    let host = HostCapability::new();
    let registry = Registry::new().with_host(&host);
    let admin = AccessControl::scopes(["admin"]);
    registry
        .register_all([
            with_access(outer(), admin.clone()),
            with_access(telling("test.inner"), admin),
        ])
        .unwrap();
    let registry = Arc::new(registry);
    let ctx = Context::new(RequestId::random(), host.system()).with_executor(registry.clone());
    let told = registry
        .execute("test.outer", names("test.inner"), ctx)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told["system"], true);
    assert_eq!(told["reason"], Value::Null);
    assert_eq!(Caller::Anonymous.identity(), None);
    let _: Option<OperationSpec> = registry.get_spec("test.outer");
}
