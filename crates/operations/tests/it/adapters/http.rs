use alkhub_operations::ErrorCode;
use alkhub_operations::adapters::http::{Fault, HttpPlan, HttpResponse, RESERVED_HEADERS};
use alkhub_operations::envelope::Source;
use serde_json::{Value, json};

use super::{document, single};

fn plan(operation: Value, path: &str, method: &str) -> HttpPlan {
    let mut operation = operation;
    operation["responses"] = json!({});
    single(&document(json!({ path: { method: operation } }))).plan
}

fn query(parameter: Value, value: Value) -> Option<String> {
    let mut parameter = parameter;
    parameter["name"] = json!("p");
    parameter["in"] = json!("query");
    parameter["schema"] = json!({});
    let plan = plan(json!({ "parameters": [parameter] }), "/x", "get");
    plan.request(&json!({ "p": value })).unwrap().query
}

fn response(status: u16, content_type: &str, body: &[u8]) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![
            ("Content-Type".to_owned(), content_type.to_owned()),
            ("Set-Cookie".to_owned(), "sid=1".to_owned()),
            ("X-Rate".to_owned(), "9".to_owned()),
        ],
        body: body.to_vec(),
    }
}

fn plain() -> HttpPlan {
    plan(json!({}), "/x", "get")
}

#[test]
fn case_193_path_values_are_encoded_and_never_lead_upwards() {
    let plan = plan(
        json!({ "parameters": [{ "name": "a", "in": "path", "required": true }] }),
        "/x/{a}/y",
        "get",
    );
    let path = |value: Value| {
        plan.request(&json!({ "a": value }))
            .map(|request| request.path)
    };
    assert_eq!(path(json!("a/b")).unwrap(), "/x/a%2Fb/y");
    assert_eq!(path(json!("ü")).unwrap(), "/x/%C3%BC/y");
    assert_eq!(path(json!("%2e%2e")).unwrap(), "/x/%252e%252e/y");
    assert_eq!(path(json!("a?b#c;d")).unwrap(), "/x/a%3Fb%23c%3Bd/y");
    assert_eq!(path(json!(7)).unwrap(), "/x/7/y");
    for bad in ["", ".", ".."] {
        let error = path(json!(bad)).unwrap_err();
        assert_eq!(error.code, ErrorCode::VALIDATION_ERROR, "{bad:?}");
        assert_eq!(error.details.unwrap()["issues"][0]["path"], "/a");
    }
    assert!(path(Value::Null).is_err());
}

#[test]
fn two_parameters_of_one_segment_cannot_make_a_step_upwards_together() {
    let plan = plan(json!({}), "/x/{a}{b}", "get");
    let path = |a: &str, b: &str| {
        plan.request(&json!({ "a": a, "b": b }))
            .map(|request| request.path)
    };
    assert_eq!(path("m", "n").unwrap(), "/x/mn");
    assert!(path(".", ".").is_err());
}

#[test]
fn case_194_bodies_that_look_empty_are_sent() {
    let plan = plan(
        json!({ "requestBody": { "content": { "application/json": { "schema": {} } } } }),
        "/x",
        "post",
    );
    for (body, text) in [
        (json!(false), "false"),
        (json!(0), "0"),
        (json!(""), "\"\""),
        (Value::Null, "null"),
    ] {
        let request = plan.request(&json!({ "body": body })).unwrap();
        assert_eq!(request.body.as_deref(), Some(text.as_bytes()));
        assert_eq!(
            request.headers,
            [("content-type".to_owned(), "application/json".to_owned())]
        );
    }
    let without = plan.request(&json!({})).unwrap();
    assert_eq!((without.body, without.headers), (None, vec![]));
}

#[test]
fn case_195_answers_are_read_by_their_type() {
    let answer = |status, kind: &str, body: &[u8]| {
        plain()
            .answer(response(status, kind, body), Some("x-rate"))
            .unwrap()
    };
    let envelope = answer(201, "application/json; charset=utf-8", br#"{"a":1}"#);
    assert_eq!(envelope.data, json!({ "a": 1 }));
    let Source::Http {
        status_code,
        headers,
        content_type,
        ..
    } = envelope.meta.source
    else {
        panic!("an answer of HTTP");
    };
    assert_eq!(
        (status_code, content_type.as_str()),
        (201, "application/json; charset=utf-8")
    );
    // Neither cookies nor the header of the credential are told.
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["content-type"]);
    assert_eq!(
        answer(200, "application/problem+json", b"[1]").data,
        json!([1])
    );
    assert_eq!(
        answer(200, "text/plain", "grün".as_bytes()).data,
        json!("grün")
    );
    let binary = answer(200, "image/png", &[0, 255]).data;
    assert_eq!(
        binary,
        json!({ "$base64": "AP8=", "contentType": "image/png" })
    );
    assert_eq!(answer(204, "", b"").data, Value::Null);
    assert_eq!(answer(200, "application/json", b"").data, Value::Null);
    let error = plain()
        .answer(response(200, "application/json", b"{"), None)
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
}

#[test]
fn case_196_failure_tells_status_and_body() {
    let error = plain()
        .answer(
            response(404, "application/json", br#"{"why":"gone"}"#),
            None,
        )
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
    assert_eq!(error.message, "HTTP 404: Not Found");
    let details = error.details.unwrap();
    assert_eq!(
        details,
        json!({ "statusCode": 404, "contentType": "application/json", "body": { "why": "gone" } })
    );
    let long = vec![b'x'; 20_000];
    let error = plain()
        .answer(response(500, "text/plain", &long), None)
        .unwrap_err();
    assert_eq!(
        error.details.unwrap()["body"].as_str().unwrap().len(),
        8 * 1024
    );
}

#[test]
fn declared_failure_has_a_code_of_its_own_and_waits_are_told() {
    let operation = json!({ "/x": { "get": { "responses": {
        "429": { "description": "slow down", "content": { "application/json": { "schema": { "type": "object" } } } },
    } } } });
    let operation = single(&document(operation));
    let mut busy = response(429, "application/json", b"{}");
    busy.headers
        .push(("retry-after".to_owned(), "3".to_owned()));
    let error = operation.plan.failure(&busy);
    assert_eq!(error.code, "HTTP_429");
    let details = error.details.unwrap();
    assert_eq!(details["retryAfterMs"], 3_000);
    assert!(operation.spec.error_schemas[0].schema.is_valid(&details));
}

#[test]
fn faults_before_a_response_name_their_reason() {
    for (fault, reason) in [
        (Fault::Dns, "dns"),
        (Fault::Connect, "connect"),
        (Fault::Tls, "tls"),
        (Fault::Closed, "closed"),
        (Fault::TooLarge, "too_large"),
        (Fault::BlockedAddress, "blocked_address"),
    ] {
        let error = fault.error("no");
        assert_eq!(error.code, ErrorCode::EXECUTION_ERROR);
        assert_eq!(error.details.unwrap()["reason"], reason);
    }
}

#[test]
fn query_values_are_written_by_style_and_explode() {
    let list = json!(["a b", "c&d"]);
    let object = json!({ "k": 1, "l": "x" });
    let form = json!({});
    assert_eq!(
        query(form.clone(), list.clone()).unwrap(),
        "p=a%20b&p=c%26d"
    );
    assert_eq!(
        query(json!({ "explode": false }), list).unwrap(),
        "p=a%20b,c%26d"
    );
    assert_eq!(query(form.clone(), object.clone()).unwrap(), "k=1&l=x");
    assert_eq!(
        query(json!({ "explode": false }), object.clone()).unwrap(),
        "p=k,1,l,x"
    );
    assert_eq!(
        query(json!({ "style": "spaceDelimited" }), json!([1, 2])).unwrap(),
        "p=1%202"
    );
    assert_eq!(
        query(json!({ "style": "pipeDelimited" }), json!([1, 2])).unwrap(),
        "p=1%7C2"
    );
    assert_eq!(
        query(json!({ "style": "deepObject" }), object).unwrap(),
        "p%5Bk%5D=1&p%5Bl%5D=x"
    );
    assert_eq!(
        query(json!({ "allowReserved": true }), json!("a/b?c")).unwrap(),
        "p=a/b?c"
    );
    assert_eq!(query(form.clone(), Value::Null), None);
    assert_eq!(query(form.clone(), json!([])), None);
    assert_eq!(query(form, json!(true)).unwrap(), "p=true");
}

#[test]
fn path_and_header_values_are_written_by_style() {
    let written = |style: &str, explode: bool, value: Value| {
        let parameter = json!({ "name": "a", "in": "path", "required": true, "style": style, "explode": explode });
        let plan = plan(json!({ "parameters": [parameter] }), "/{a}", "get");
        plan.request(&json!({ "a": value })).unwrap().path
    };
    assert_eq!(written("simple", false, json!(["x", "y"])), "/x,y");
    assert_eq!(written("simple", true, json!({ "k": "v" })), "/k=v");
    assert_eq!(written("label", true, json!(["x", "y"])), "/.x.y");
    assert_eq!(written("matrix", true, json!(["x", "y"])), "/;a=x;a=y");
    assert_eq!(written("matrix", false, json!(["x", "y"])), "/;a=x,y");
    let parameter = json!({ "name": "X-A", "in": "header" });
    let plan = plan(json!({ "parameters": [parameter] }), "/", "get");
    let request = plan.request(&json!({ "X-A": "a b" })).unwrap();
    assert_eq!(request.headers, [("X-A".to_owned(), "a b".to_owned())]);
    let error = plan
        .request(&json!({ "X-A": "a\r\nHost: evil" }))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::VALIDATION_ERROR);
}

#[test]
fn content_parameter_is_written_as_json() {
    let parameter =
        json!({ "name": "f", "in": "query", "content": { "application/json": { "schema": {} } } });
    let plan = plan(json!({ "parameters": [parameter] }), "/", "get");
    let request = plan.request(&json!({ "f": { "a": 1 } })).unwrap();
    assert_eq!(request.query.as_deref(), Some("f=%7B%22a%22%3A1%7D"));
}

#[test]
fn plan_survives_storage_as_json() {
    let plan = plan(
        json!({ "parameters": [{ "name": "a", "in": "query", "style": "deepObject" }],
            "requestBody": { "content": { "application/json": {} } } }),
        "/x",
        "patch",
    );
    let stored: HttpPlan = serde_json::from_value(json!(plan)).unwrap();
    assert_eq!(stored, plan);
    assert!(RESERVED_HEADERS.contains(&"authorization"));
}
