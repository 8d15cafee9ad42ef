use alkhub_operations::OperationType::{Mutation, Query, Subscription};
use alkhub_operations::adapters::openapi::{DocumentError, import};
use serde_json::{Value, json};

use super::{document, imported, large, options, single};

fn ok() -> Value {
    json!({ "200": { "description": "", "content": { "application/json": { "schema": {} } } } })
}

#[test]
fn case_187_list_create_get_and_events_are_taken_by_their_sort() {
    let stream = json!({ "200": { "description": "", "content": { "text/event-stream": {} } } });
    let id =
        json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
    let operations = imported(&document(json!({
        "/users": {
            "get": { "operationId": "listUsers", "responses": ok() },
            "post": { "operationId": "createUser", "responses": ok(),
                "requestBody": { "content": { "application/json": { "schema": { "type": "object" } } } } },
        },
        "/users/{id}": { "get": { "operationId": "getUser", "parameters": id, "responses": ok() } },
        "/events": { "get": { "operationId": "watch", "responses": stream } },
    })));
    let mut found: Vec<_> = operations
        .iter()
        .map(|one| (one.spec.id().to_string(), one.spec.kind))
        .collect();
    found.sort();
    let expected = [
        ("pets.createUser", Mutation),
        ("pets.getUser", Query),
        ("pets.listUsers", Query),
        ("pets.watch", Subscription),
    ];
    assert_eq!(found, expected.map(|(id, kind)| (id.to_owned(), kind)));
    let spec = &operations[0].spec;
    assert_eq!(spec.version.to_string(), "2.3.4");
    assert_eq!(spec.access_control.required_scopes, ["client:call"]);
}

#[test]
fn case_188_paths_without_ids_give_names_with_their_parameters() {
    let operations = imported(&document(json!({
        "/users": { "get": { "responses": ok() } },
        "/users/{id}": { "get": { "responses": ok() } },
    })));
    let names: Vec<_> = operations
        .iter()
        .map(|one| one.spec.name.as_str())
        .collect();
    assert_eq!(names, ["get_users", "get_users_by_id"]);
}

#[test]
fn case_189_root_path_without_id_is_named_root() {
    let text = document(json!({ "/": { "get": { "responses": ok() } } }));
    assert_eq!(single(&text).spec.name, "get_root");
}

#[test]
fn case_190_foreign_name_is_made_to_fit_and_kept_in_meta() {
    let text = document(json!({
        "/a": { "get": { "operationId": "repos/list-for.org", "responses": ok() } },
    }));
    let spec = single(&text).spec;
    assert_eq!(spec.name, "repos_list-for_org");
    let meta = spec.meta.unwrap();
    assert_eq!(meta["sourceName"], "repos/list-for.org");
    assert_eq!(meta["method"], "GET");
    assert_eq!(meta["path"], "/a");
    assert_eq!(meta["client"], "pets");
}

#[test]
fn names_that_clash_begin_with_no_letter_or_are_too_long_are_made_to_fit() {
    use alkhub_operations::adapters::names::{Names, fit};
    let mut names = Names::default();
    assert_eq!(names.take("a.b"), "a_b");
    assert_eq!(names.take("a/b"), "a_b_2");
    assert_eq!(names.take("a b"), "a_b_3");
    assert_eq!(fit("42 things"), "op_42_things");
    assert_eq!(fit("__x__"), "x");
    assert_eq!(fit("///"), "op");
    let long = "x".repeat(80);
    let fitted = fit(&long);
    assert_eq!(fitted.len(), 64);
    assert!(fitted.starts_with(&"x".repeat(55)));
    assert_eq!(&fitted[55..56], "_");
    let mut names = Names::default();
    let (first, second) = (names.take(&long), names.take(&long));
    assert_ne!(first, second);
    assert_eq!(second.as_str().len(), 64);
}

#[test]
fn case_191_parameters_stand_where_they_are_declared() {
    let text = json!({
        "openapi": "3.1.0", "info": { "version": "1.0.0" },
        "components": { "parameters": { "trace": { "name": "X-Trace", "in": "header",
            "schema": { "type": "string" } } } },
        "paths": { "/o/{owner}": {
            "parameters": [
                { "name": "owner", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "limit", "in": "query", "schema": { "type": "integer" } },
            ],
            "get": { "operationId": "o", "responses": ok(), "parameters": [
                { "$ref": "#/components/parameters/trace" },
                { "name": "sid", "in": "cookie", "schema": { "type": "string" } },
                { "name": "limit", "in": "query", "required": true, "schema": { "type": "string" } },
                { "name": "authorization", "in": "header", "schema": { "type": "string" } },
            ] },
        } },
    });
    let operation = single(&text.to_string());
    let schema = operation.spec.input_schema.json();
    // The operation's own word wins over the path item's.
    assert_eq!(schema["properties"]["limit"], json!({ "type": "string" }));
    assert_eq!(schema["required"], json!(["owner", "limit"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(schema["properties"].get("authorization").is_none());
    let input = json!({ "owner": "me", "limit": "5", "X-Trace": "t1", "sid": "s 1" });
    let request = operation.plan.request(&input).unwrap();
    assert_eq!(request.path, "/o/me");
    assert_eq!(request.query.as_deref(), Some("limit=5"));
    let headers = [("X-Trace", "t1"), ("cookie", "sid=s%201")];
    assert_eq!(
        request.headers,
        headers.map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
}

#[test]
fn names_that_clash_between_places_and_the_body_are_told_apart() {
    let text = document(json!({ "/x/{id}": { "post": {
        "operationId": "x", "responses": ok(),
        "requestBody": { "required": true, "content": { "application/json": { "schema": {} } } },
        "parameters": [
            { "name": "id", "in": "path", "required": true },
            { "name": "id", "in": "query" },
            { "name": "id", "in": "header" },
            { "name": "body", "in": "query" },
        ],
    } } }));
    let operation = single(&text);
    let schema = operation.spec.input_schema.json();
    let names: Vec<_> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(names, ["body", "body_param", "id", "id_header", "id_query"]);
    assert_eq!(schema["required"], json!(["id", "body"]));
    let input =
        json!({ "id": "1", "id_query": "2", "id_header": "3", "body_param": "4", "body": [] });
    let request = operation.plan.request(&input).unwrap();
    assert_eq!(request.path, "/x/1");
    assert_eq!(request.query.as_deref(), Some("id=2&body=4"));
    assert_eq!(request.headers[0], ("id".to_owned(), "3".to_owned()));
}

#[test]
fn case_192_schemas_met_twice_and_recursive_ones_stay_usable() {
    let text = json!({
        "openapi": "3.1.0", "info": { "version": "1.0.0" },
        "components": { "schemas": {
            "a/b": { "type": "integer" },
            "Node": { "type": "object", "required": ["value"], "properties": {
                "value": { "$ref": "#/components/schemas/a~1b" },
                "next": { "$ref": "#/components/schemas/Node" } } },
        } },
        "paths": { "/x": { "post": { "operationId": "x", "responses": ok(),
            "requestBody": { "content": { "application/json": { "schema": {
                "type": "object", "properties": {
                    "left": { "$ref": "#/components/schemas/Node" },
                    "right": { "$ref": "#/components/schemas/Node" },
                    "plain": { "$ref": "#/components/schemas/a%7E1b" } } } } } } } } },
    });
    let schema = single(&text.to_string()).spec.input_schema;
    assert!(!schema.json().to_string().contains("circular"));
    let good = json!({ "body": { "left": { "value": 1, "next": { "value": 2 } }, "right": { "value": 3 },
        "plain": 4 } });
    assert!(schema.is_valid(&good));
    let bad = json!({ "body": { "left": { "value": 1, "next": { "value": "two" } } } });
    assert_eq!(schema.issues(&bad)[0].path, "/body/left/next/value");
}

#[test]
fn case_204_one_bad_operation_is_refused_and_nine_are_imported() {
    let mut paths = json!({});
    for number in 0..9 {
        paths[format!("/p{number}")] = json!({ "get": { "responses": ok() } });
    }
    paths["/bad"] = json!({ "post": { "operationId": "upload", "responses": ok(),
        "requestBody": { "content": { "multipart/form-data": {} } } } });
    let found = import(&document(paths), &options()).unwrap();
    assert_eq!(found.operations.len(), 9);
    assert_eq!(found.refused.len(), 1);
    assert_eq!(found.refused[0].name, "upload");
    assert!(
        found.refused[0].why.starts_with("UNSUPPORTED"),
        "{:?}",
        found.refused
    );
}

#[test]
fn case_215_schemas_are_kept_exactly() {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": { "type": ["string", "null"] }, "b": { "const": "fixed" },
            "c": { "oneOf": [{ "type": "integer" }, { "type": "string" }] },
            "d": { "enum": [null, 1] },
        },
    });
    let text = document(json!({ "/x": { "post": { "responses": ok(),
        "requestBody": { "content": { "application/json": { "schema": schema } } } } } }));
    let operation = single(&text);
    assert_eq!(
        operation.spec.input_schema.json()["properties"]["body"],
        schema
    );
}

#[test]
fn case_216_a_schema_of_further_members_is_kept_and_checked() {
    let schema = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    let text = document(json!({ "/x": { "post": { "responses": ok(),
        "requestBody": { "content": { "application/json": { "schema": schema } } } } } }));
    let input = single(&text).spec.input_schema;
    assert!(input.is_valid(&json!({ "body": { "extra": "text" } })));
    assert_eq!(
        input.issues(&json!({ "body": { "extra": 5 } }))[0].path,
        "/body/extra"
    );
}

#[test]
fn case_217_nullable_of_version_3_0_accepts_null() {
    let text = json!({
        "openapi": "3.0.3", "info": { "version": "1.0.0" },
        "components": { "schemas": { "Name": { "type": "string" } } },
        "paths": { "/x": { "post": { "operationId": "x", "responses": ok(),
            "requestBody": { "content": { "application/json": { "schema": { "type": "object",
                "properties": {
                    "plain": { "type": "string", "nullable": true },
                    "listed": { "type": "string", "enum": ["a"], "nullable": true },
                    "wrapped": { "nullable": true, "allOf": [{ "$ref": "#/components/schemas/Name" }] },
                    "above": { "type": "integer", "minimum": 3, "exclusiveMinimum": true },
                } } } } } } } },
    });
    let input = single(&text.to_string()).spec.input_schema;
    for (member, value, valid) in [
        ("plain", json!(null), true),
        ("plain", json!(5), false),
        ("listed", json!(null), true),
        ("listed", json!("b"), false),
        ("wrapped", json!(null), true),
        ("wrapped", json!("n"), true),
        ("wrapped", json!(5), false),
        ("above", json!(3), false),
        ("above", json!(4), true),
    ] {
        let body = json!({ "body": { member: value } });
        assert_eq!(input.is_valid(&body), valid, "{body}");
    }
}

#[test]
fn yaml_document_is_read_as_its_json() {
    let text = r#"
openapi: 3.0.0
info: { title: t, version: "1.0" }
x-shared: &shared
  description: "Not there"
paths:
  /pets/{petId}:
    get:
      operationId: showPetById
      summary: One pet
      parameters:
        - { name: petId, in: path, required: true, schema: { type: string } }
      responses:
        200:
          description: ok
          content:
            application/json:
              schema: { type: object, required: [id], properties: { id: { type: integer } } }
        404:
          <<: *shared
          content: { application/json: { schema: { type: object } } }
"#;
    let operation = single(text);
    assert_eq!(operation.spec.name, "showPetById");
    assert_eq!(operation.spec.title.as_deref(), Some("One pet"));
    // No semantic version: kept as a note.
    assert_eq!(operation.spec.version.to_string(), "0.0.0+1-0");
    assert_eq!(
        operation.spec.meta.as_ref().unwrap()["sourceVersion"],
        "1.0"
    );
    assert_eq!(operation.plan.declared, [404]);
    let declared = &operation.spec.error_schemas[0];
    assert_eq!(declared.code, "HTTP_404");
    assert_eq!(declared.description, "Not there");
    assert_eq!(declared.http_status, Some(404));
    assert!(!operation.spec.output_schema.is_valid(&json!({ "id": "x" })));
}

#[test]
fn swagger_2_and_other_things_are_refused_with_advice() {
    let error = import(r#"{"swagger":"2.0","paths":{}}"#, &options()).unwrap_err();
    assert!(matches!(&error, DocumentError::Version { found } if found == "Swagger 2.0"));
    assert!(error.to_string().contains("Convert"));
    assert!(matches!(
        import("{}", &options()),
        Err(DocumentError::Version { .. })
    ));
    assert!(matches!(
        import(r#"{"openapi":"3.1.0"}"#, &options()),
        Err(DocumentError::NoPaths)
    ));
    let error = import("a: [1,\n  b: }", &options()).unwrap_err();
    assert!(matches!(error, DocumentError::Syntax { .. }), "{error}");
    assert!(matches!(
        import(r#"{"openapi":"3.2.0","paths":{}}"#, &options()),
        Err(DocumentError::Version { .. })
    ));
}

#[test]
fn x_alkhub_type_says_what_an_operation_is() {
    let text = document(json!({
        "/search": { "post": { "operationId": "search", "x-alkhub-type": "query", "responses": ok() } },
    }));
    assert_eq!(single(&text).spec.kind, Query);
    let text =
        document(json!({ "/s": { "post": { "x-alkhub-type": "other", "responses": ok() } } }));
    assert_eq!(import(&text, &options()).unwrap().refused.len(), 1);
}

#[test]
fn several_declared_successes_are_all_accepted() {
    let schema = json!({ "type": "object", "required": ["id"] });
    let text = document(json!({ "/x": { "put": { "operationId": "x", "responses": {
        "200": { "description": "", "content": { "application/json": { "schema": schema } } },
        "204": { "description": "" },
    } } } }));
    let output = single(&text).spec.output_schema;
    assert!(output.is_valid(&json!({ "id": 1 })));
    assert!(output.is_valid(&Value::Null));
    assert!(!output.is_valid(&json!({})));
}

#[test]
fn scopes_of_the_configuration_are_asked_beside_client_call() {
    let mut options = options();
    options.required_scopes = vec!["pets:write".to_owned()];
    let text = document(json!({ "/x": { "get": { "responses": ok() } } }));
    let found = import(&text, &options).unwrap();
    let control = &found.operations[0].spec.access_control;
    assert_eq!(control.required_scopes, ["client:call", "pets:write"]);
}

#[test]
fn document_of_5000_operations_imports_in_seconds() {
    let text = large(5_000);
    let begun = std::time::Instant::now();
    let found = import(&text, &options()).unwrap();
    let took = begun.elapsed();
    assert_eq!(found.operations.len(), 5_000);
    assert_eq!(found.refused, []);
    // Generous for a build without optimizations on a busy machine.
    assert!(took.as_secs() < 60, "{took:?}");
    assert!(matches!(
        import(&large(5_001), &options()),
        Err(DocumentError::TooManyOperations)
    ));
}
