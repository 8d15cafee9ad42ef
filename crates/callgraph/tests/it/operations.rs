//! Types of operations and the graph they make (cases O1 to O20).

use alkhub_callgraph::{
    ChainMisfit, Mismatch, OperationGraph, OperationNode, OperationNotFound, TypeCompat,
    type_compat,
};
use alkhub_operations::{OperationId, OperationType};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::op;

/// An object schema of members `name: schema`; a name with `?` is optional.
fn object(members: &[(&str, Value)]) -> Value {
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        if !name.ends_with('?') {
            required.push(*name);
        }
        properties.insert(name.trim_end_matches('?').to_owned(), schema.clone());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

fn kind(name: &str) -> Value {
    json!({ "type": name })
}

fn fits(output: &Value, input: &Value) -> bool {
    let plain = TypeCompat::Compatible {
        needs_projection: false,
        unchecked: vec![],
    };
    match type_compat(output, input) {
        found if found == plain => true,
        TypeCompat::Incompatible { .. } => false,
        other => panic!("{other:?}"),
    }
}

fn mismatches(output: &Value, input: &Value) -> Vec<String> {
    match type_compat(output, input) {
        TypeCompat::Incompatible { mismatches } => mismatches
            .into_iter()
            .map(
                |Mismatch {
                     path,
                     expected,
                     actual,
                 }| format!("{path} {expected} / {actual}"),
            )
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn is_unknown(output: &Value, input: &Value) -> bool {
    type_compat(output, input) == TypeCompat::Unknown
}

fn unchecked(output: &Value, input: &Value) -> Vec<String> {
    match type_compat(output, input) {
        TypeCompat::Compatible { unchecked, .. } => unchecked,
        other => panic!("{other:?}"),
    }
}

fn id_only() -> Value {
    object(&[("id", kind("string"))])
}

fn id_and_name() -> Value {
    object(&[("id", kind("string")), ("name", kind("string"))])
}

#[test]
fn case_o01_equal_objects_fit() {
    assert!(fits(&id_only(), &id_only()));
    assert!(fits(
        &id_only(),
        &json!({ "title": "another", "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } })
    ));
}

#[test]
fn case_o02_more_than_is_needed_fits() {
    assert!(fits(&id_and_name(), &id_only()));
}

#[test]
fn case_o03_less_than_is_needed_does_not() {
    assert_eq!(
        mismatches(&id_only(), &id_and_name()),
        ["$.name string / missing"]
    );
}

#[test]
fn case_o04_what_is_optional_may_be_missing_on_the_input_only() {
    let optional = object(&[("id", kind("string")), ("name?", kind("string"))]);
    assert!(fits(&id_only(), &optional));
    assert!(fits(&optional, &optional.clone()));
    assert_eq!(
        mismatches(&optional, &id_and_name()),
        ["$.name string / missing"]
    );
    let other = object(&[("id", kind("string")), ("name", kind("integer"))]);
    assert_eq!(mismatches(&other, &optional), ["$.name string / integer"]);
}

#[test]
fn case_o05_another_type_is_told_with_its_path() {
    assert_eq!(
        mismatches(&object(&[("id", kind("integer"))]), &id_only()),
        ["$.id string / integer"]
    );
}

#[test]
fn case_o06_an_integer_is_a_number() {
    assert!(fits(&kind("integer"), &kind("number")));
    assert!(!fits(&kind("number"), &kind("integer")));
    assert!(!fits(&kind("boolean"), &kind("integer")));
    assert!(fits(&json!({ "enum": [1, 2.0] }), &kind("integer")));
    assert!(!fits(&json!({ "enum": [1, 2.5] }), &kind("integer")));
}

#[test]
fn case_o07_a_union_takes_each_of_its_branches() {
    let list = json!({ "type": ["string", "number"] });
    let any = json!({ "anyOf": [{ "type": "string" }, { "type": "number" }] });
    let one = json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] });
    for union in [list, any, one] {
        assert!(fits(&kind("string"), &union), "{union}");
        assert!(fits(&kind("integer"), &union), "{union}");
        assert!(
            fits(&union, &json!({ "type": ["number", "null", "string"] })),
            "{union}"
        );
        assert!(!fits(&union, &kind("string")), "{union}");
        assert!(!fits(&kind("null"), &union), "{union}");
    }
}

#[test]
fn case_o08_values_of_a_list_must_be_among_those_taken() {
    let (ab, abc) = (
        json!({ "enum": ["a", "b"] }),
        json!({ "enum": ["a", "b", "c"] }),
    );
    assert!(fits(&ab, &abc));
    assert_eq!(mismatches(&abc, &ab), ["$ enum / enum"]);
    assert_eq!(mismatches(&kind("string"), &ab), ["$ enum / string"]);
    assert!(fits(&ab, &kind("string")));
    assert!(!fits(&json!({ "enum": ["a", null] }), &kind("string")));
    assert!(fits(&json!({ "const": "a" }), &ab));
    assert!(fits(&json!({ "const": 1 }), &json!({ "enum": [1.0] })));
    assert!(fits(&kind("boolean"), &json!({ "enum": [true, false, 3] })));
    assert!(!fits(&kind("boolean"), &json!({ "const": true })));
    assert!(fits(&kind("null"), &json!({ "const": null })));
}

#[test]
fn case_o09_a_schema_that_accepts_anything_tells_nothing() {
    for open in [
        json!({}),
        json!(true),
        json!({ "title": "anything", "x-ours": 1 }),
        json!({ "$ref": "#/$defs/a", "$defs": { "a": {} } }),
    ] {
        assert!(is_unknown(&open, &id_only()), "{open}");
        assert!(is_unknown(&id_only(), &open), "{open}");
        assert!(is_unknown(&open, &open), "{open}");
    }
}

#[test]
fn case_o10_an_open_member_makes_the_whole_unknown_unless_another_is_missing() {
    let open = object(&[("a", json!({}))]);
    assert!(is_unknown(&open, &object(&[("a", kind("string"))])));
    assert_eq!(
        mismatches(
            &open,
            &object(&[("a", kind("string")), ("b", kind("string"))])
        ),
        ["$.b string / missing"]
    );
    assert!(fits(&object(&[("a", kind("string"))]), &open));
}

#[test]
fn case_o11_arrays_fit_by_their_items() {
    let array = |items: Value| json!({ "type": "array", "items": items });
    assert!(fits(&array(id_and_name()), &array(id_only())));
    assert_eq!(
        mismatches(&array(id_only()), &array(id_and_name())),
        ["$[].name string / missing"]
    );
    let deep = |name: &str| object(&[("a", object(&[("b", kind(name))]))]);
    assert_eq!(
        mismatches(&deep("integer"), &deep("string")),
        ["$.a.b string / integer"]
    );
    assert!(is_unknown(
        &json!({ "type": "array" }),
        &array(kind("string"))
    ));
    assert!(fits(&array(kind("string")), &json!({ "type": "array" })));
}

#[test]
fn case_o11_tuples_feed_lists_and_lists_no_tuples_of_a_length() {
    let tuple = |more: Value| {
        let mut schema = json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": false });
        for (name, value) in more.as_object().unwrap() {
            schema[name] = value.clone();
        }
        schema
    };
    let list = json!({ "type": "array", "items": { "type": ["string", "number"] } });
    assert!(fits(&tuple(json!({})), &list));
    assert_eq!(
        mismatches(
            &tuple(json!({})),
            &json!({ "type": "array", "items": { "type": "string" } })
        ),
        ["$[1] string / integer"]
    );
    assert_eq!(
        mismatches(&list, &tuple(json!({ "minItems": 2 }))),
        ["$ tuple of 2 / array"]
    );
    assert!(fits(
        &tuple(json!({ "minItems": 2 })),
        &tuple(json!({ "minItems": 1 }))
    ));
    assert!(is_unknown(
        &json!({ "type": "array", "items": [{ "type": "string" }] }),
        &list
    ));
}

#[test]
fn case_o12_what_the_input_refuses_must_be_left_out_first() {
    let mut closed = id_only();
    closed["additionalProperties"] = json!(false);
    assert_eq!(
        type_compat(&id_and_name(), &closed),
        TypeCompat::Compatible {
            needs_projection: true,
            unchecked: vec![]
        }
    );
    assert!(fits(&id_only(), &closed));
    assert_eq!(
        json!(type_compat(&id_and_name(), &closed)),
        json!({ "result": "compatible", "needsProjection": true })
    );
}

#[test]
fn maps_take_members_that_fit_their_values() {
    let map = |of: Value| json!({ "type": "object", "additionalProperties": of });
    assert!(fits(&id_and_name(), &map(kind("string"))));
    assert_eq!(
        mismatches(&id_and_name(), &map(kind("integer"))),
        ["$.id integer / string", "$.name integer / string"]
    );
    assert!(fits(&map(kind("integer")), &map(kind("number"))));
    assert_eq!(
        mismatches(&map(kind("string")), &map(kind("number"))),
        ["$.* number / string"]
    );
    assert_eq!(
        mismatches(&map(kind("string")), &id_only()),
        ["$.id string / missing"]
    );
    assert!(is_unknown(&kind("object"), &map(kind("string"))));
    let optional = object(&[("id?", kind("integer"))]);
    assert_eq!(
        mismatches(&map(kind("string")), &optional),
        ["$.id integer / string"]
    );
}

#[test]
fn case_o13_recursive_types_end_and_dangling_references_tell_nothing() {
    let tree = |value: &str| {
        json!({
            "$ref": "#/$defs/node",
            "$defs": { "node": {
                "type": "object",
                "required": ["value", "children"],
                "properties": {
                    "value": { "type": value },
                    "children": { "type": "array", "items": { "$ref": "#/$defs/node" } },
                },
            } },
        })
    };
    assert!(fits(&tree("integer"), &tree("number")));
    assert_eq!(
        mismatches(&tree("number"), &tree("integer")),
        ["$.value integer / number"]
    );
    let dangling = object(&[("id", json!({ "$ref": "#/$defs/nothing" }))]);
    assert!(is_unknown(&dangling, &id_only()));
    assert!(is_unknown(&id_only(), &dangling));
    assert!(is_unknown(
        &json!({ "$ref": "https://example.org/x" }),
        &id_only()
    ));
    assert!(is_unknown(&json!({ "$ref": "#" }), &id_only()));
    let endless = json!({ "anyOf": [{ "$ref": "#/anyOf/0/x" }, { "$ref": "#" }] });
    assert!(is_unknown(&endless, &kind("string")));
}

#[test]
fn case_o13_recursion_through_all_of_ends_too() {
    let tree = |value: &str| {
        json!({
            "allOf": [{ "$ref": "#/$defs/node" }],
            "type": "object",
            "$defs": { "node": {
                "allOf": [{ "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } } }],
                "properties": { "value": { "type": value } },
                "required": ["value"],
            } },
        })
    };
    assert!(fits(&tree("integer"), &tree("number")));
    assert!(mismatches(&tree("number"), &tree("integer"))[0].starts_with("$.value"));
}

#[test]
fn case_o14_bounds_of_the_input_are_named_and_not_compared() {
    let bounded = json!({ "type": "integer", "minimum": 1 });
    assert_eq!(unchecked(&kind("integer"), &bounded), ["$ minimum"]);
    assert_eq!(unchecked(&bounded, &bounded), [""; 0]);
    assert_eq!(unchecked(&bounded, &kind("integer")), [""; 0]);
    let text = json!({ "type": "string", "format": "date", "maxLength": 9, "minItems": 3 });
    assert_eq!(
        unchecked(&id_only(), &object(&[("id", text)])),
        ["$.id format", "$.id maxLength"]
    );
    let list = json!({ "type": "array", "minItems": 1, "items": { "type": "string" } });
    assert_eq!(
        unchecked(
            &json!({ "type": "array", "items": { "type": "string" } }),
            &list
        ),
        ["$ minItems"]
    );
}

#[test]
fn case_o15_conditions_tell_nothing_and_null_needs_a_place() {
    let mut conditional = id_only();
    conditional["if"] = json!({ "required": ["x"] });
    assert!(is_unknown(&id_and_name(), &conditional));
    assert_eq!(
        mismatches(&json!({ "type": ["string", "null"] }), &kind("string")),
        ["$ string / null"]
    );
    for keyword in [
        "not",
        "patternProperties",
        "dependentRequired",
        "unevaluatedProperties",
    ] {
        let mut schema = id_only();
        schema[keyword] = json!({});
        assert!(is_unknown(&schema, &id_and_name()), "{keyword}");
    }
}

#[test]
fn all_of_is_everything_at_once() {
    let whole = json!({ "allOf": [id_only(), object(&[("name", kind("string"))])] });
    assert!(fits(&whole, &id_and_name()));
    assert!(fits(&id_and_name(), &whole));
    assert_eq!(mismatches(&id_only(), &whole), ["$.name string / missing"]);
    let text = json!({ "allOf": [{ "type": "string" }, { "minLength": 2 }] });
    assert!(fits(&text, &kind("string")));
    let referred = json!({
        "$ref": "#/$defs/base",
        "properties": { "name": { "type": "string" } },
        "required": ["name"],
        "$defs": { "base": id_only() },
    });
    assert!(fits(&referred, &id_and_name()));
    assert!(fits(&id_and_name(), &referred));
}

#[test]
fn a_branch_is_chosen_by_what_tells_them_apart() {
    let shape = |kind: &str, member: &str| {
        object(&[
            ("kind", json!({ "const": kind })),
            (member, json!({ "type": "number" })),
        ])
    };
    let shapes = json!({ "oneOf": [shape("circle", "radius"), shape("square", "side")] });
    assert!(fits(&shape("square", "side"), &shapes));
    assert!(fits(
        &json!({ "anyOf": [shape("square", "side"), shape("circle", "radius")] }),
        &shapes
    ));
    assert_eq!(
        mismatches(&shape("square", "length"), &shapes),
        ["$.side number / missing"]
    );
    let vague = json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }] });
    assert_eq!(unchecked(&kind("integer"), &vague), ["$ oneOf"]);
}

#[test]
fn a_type_that_is_not_said_is_assumed_and_named() {
    let untyped = json!({ "properties": { "id": { "type": "string" } }, "required": ["id"] });
    assert_eq!(unchecked(&untyped, &id_only()), ["$ type"]);
    assert!(fits(&id_only(), &untyped));
    assert!(fits(&kind("string"), &untyped));
}

#[test]
fn at_most_twenty_mismatches_are_told() {
    let members: Vec<(String, Value)> =
        (0..30).map(|n| (format!("m{n}"), kind("string"))).collect();
    let members: Vec<(&str, Value)> = members
        .iter()
        .map(|(name, schema)| (name.as_str(), schema.clone()))
        .collect();
    assert_eq!(mismatches(&id_only(), &object(&members)).len(), 20);
}

#[test]
fn a_schema_made_to_take_for_ever_is_given_up() {
    let mut schema = kind("string");
    for _ in 0..8 {
        schema = json!({ "anyOf": [schema, { "type": "array", "items": schema }, { "allOf": [schema, {"minLength": 1}] }] });
    }
    let other = json!({ "anyOf": [schema, { "type": "null" }] });
    let begun = std::time::Instant::now();
    let found = type_compat(&schema, &other);
    assert_eq!(found, TypeCompat::Unknown);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

/// An operation that takes and gives one text each, or nothing of interest.
fn operation(id: &str, takes: &str, gives: &str) -> OperationNode {
    OperationNode {
        id: op(id),
        operation_type: OperationType::Query,
        version: "1.0.0".to_owned(),
        input_schema: object(&[(takes, kind("string"))]),
        output_schema: object(&[(gives, kind("string"))]),
    }
}

fn ops(ids: &[&str]) -> Vec<OperationId> {
    ids.iter().map(|id| op(id)).collect()
}

#[test]
fn case_o16_two_operations_may_feed_each_other() {
    let graph: OperationGraph = [operation("t.a", "x", "y"), operation("t.b", "y", "x")]
        .into_iter()
        .collect();
    let view = graph.view(&|_| true);
    let edges: Vec<_> = view
        .edges()
        .into_iter()
        .map(|(from, to, _)| (from.name(), to.name()))
        .collect();
    assert_eq!(edges, [("a", "b"), ("b", "a")]);
    assert_eq!(view.strongly_connected(), [ops(&["t.a", "t.b"])]);
}

#[test]
fn an_operation_has_no_edge_to_itself() {
    let graph: OperationGraph = [operation("t.a", "x", "x")].into_iter().collect();
    let view = graph.view(&|_| true);
    assert!(view.edges().is_empty());
    assert!(
        view.explain(&op("t.a"), &op("t.a"))
            .unwrap()
            .is_compatible()
    );
    assert!(view.strongly_connected().is_empty());
}

#[test]
fn case_o17_the_shorter_path_comes_first() {
    let graph: OperationGraph = [
        operation("t.a", "a", "b"),
        operation("t.b1", "b", "c"),
        operation("t.b2", "b", "d"),
        operation("t.b3", "d", "c"),
        operation("t.c", "c", "e"),
    ]
    .into_iter()
    .collect();
    let view = graph.view(&|_| true);
    let paths = |longest, limit| view.paths(&op("t.a"), &op("t.c"), longest, limit).unwrap();
    let short = ops(&["t.a", "t.b1", "t.c"]);
    let long = ops(&["t.a", "t.b2", "t.b3", "t.c"]);
    assert_eq!(paths(4, 1), std::slice::from_ref(&short));
    assert_eq!(paths(4, 10), [short.clone(), long]);
    assert_eq!(paths(2, 10), [short]);
    assert!(paths(1, 10).is_empty());
    assert!(
        view.paths(&op("t.c"), &op("t.a"), 6, 20)
            .unwrap()
            .is_empty()
    );
    assert!(
        view.paths(&op("t.a"), &op("t.a"), 6, 20)
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        view.reachable_from(&ops(&["t.b2"]))
            .into_iter()
            .collect::<Vec<_>>(),
        ops(&["t.b2", "t.b3", "t.c"])
    );
}

#[test]
fn paths_of_a_dense_graph_are_few_and_in_order() {
    let graph: OperationGraph = (0..60)
        .map(|n| operation(&format!("t.o{n:02}"), "x", "x"))
        .collect();
    let view = graph.view(&|_| true);
    let paths = view.paths(&op("t.o00"), &op("t.o59"), 99, 99).unwrap();
    assert_eq!(paths.len(), 20);
    assert_eq!(paths[0], ops(&["t.o00", "t.o59"]));
    assert_eq!(paths[1], ops(&["t.o00", "t.o01", "t.o59"]));
    assert_eq!(view.strongly_connected()[0].len(), 60);
}

#[test]
fn case_o19_a_chain_tells_its_first_link_that_does_not_hold() {
    let graph: OperationGraph = [
        operation("t.a", "a", "b"),
        operation("t.b", "b", "c"),
        operation("t.c", "z", "d"),
    ]
    .into_iter()
    .collect();
    let view = graph.view(&|_| true);
    assert_eq!(view.check_chain(&ops(&["t.a", "t.b"])), Ok(None));
    let Ok(Some(ChainMisfit { index, result })) = view.check_chain(&ops(&["t.a", "t.b", "t.c"]))
    else {
        panic!("a chain that does not hold");
    };
    assert_eq!(index, 1);
    let TypeCompat::Incompatible { mismatches } = result else {
        panic!("{result:?}");
    };
    assert_eq!(mismatches[0].path, "$.z");
    assert_eq!(
        view.check_chain(&ops(&["t.a", "t.nobody"])),
        Err(OperationNotFound { id: op("t.nobody") })
    );
}

#[test]
fn case_o20_what_is_not_visible_is_in_no_answer() {
    let graph: OperationGraph = [
        operation("t.a", "a", "b"),
        operation("t.b", "b", "a"),
        operation("t.c", "a", "z"),
    ]
    .into_iter()
    .collect();
    let visible = |id: &OperationId| *id != op("t.b");
    let view = graph.view(&visible);
    let hidden = || OperationNotFound { id: op("t.b") };
    assert!(!view.to_json().to_string().contains("t.b"));
    assert!(view.operations().all(|operation| operation.id != op("t.b")));
    assert_eq!(view.consumers(&op("t.a")), Ok(vec![]));
    assert_eq!(view.feeders(&op("t.c")), Ok(vec![]));
    assert_eq!(view.consumers(&op("t.b")), Err(hidden()));
    assert_eq!(view.explain(&op("t.a"), &op("t.b")), Err(hidden()));
    assert_eq!(view.check_chain(&ops(&["t.a", "t.b"])), Err(hidden()));
    assert_eq!(view.paths(&op("t.a"), &op("t.c"), 6, 20), Ok(vec![]));
    assert_eq!(view.paths(&op("t.a"), &op("t.b"), 6, 20), Err(hidden()));
    assert_eq!(view.reachable_from(&ops(&["t.a", "t.b"])).len(), 1);
    assert!(view.strongly_connected().is_empty());
    let all = graph.view(&|_| true);
    assert_eq!(
        all.paths(&op("t.a"), &op("t.c"), 6, 20),
        Ok(vec![ops(&["t.a", "t.b", "t.c"])])
    );
    assert_eq!(all.feeders(&op("t.c")), Ok(ops(&["t.b"])));
}

#[test]
fn the_graph_is_told_as_json() {
    let mut closed = operation("t.b", "y", "x");
    closed.input_schema["additionalProperties"] = json!(false);
    closed.input_schema["properties"]["y"]["minLength"] = json!(1);
    let mut wide = operation("t.a", "q", "y");
    wide.output_schema["properties"]["z"] = json!({ "type": "null" });
    let graph: OperationGraph = [closed, wide.clone()].into_iter().collect();
    let json = graph.view(&|_| true).to_json();
    assert_eq!(
        json["nodes"][0],
        json!({ "key": "t.a", "attributes": {
            "name": "a", "namespace": "t", "type": "query", "version": "1.0.0",
            "inputSchema": wide.input_schema, "outputSchema": wide.output_schema,
        } })
    );
    assert_eq!(
        json["edges"],
        json!([{ "key": "t.a->t.b", "source": "t.a", "target": "t.b", "attributes": {
            "edgeType": "typed", "compatible": true, "detail": "what t.a gives is what t.b takes",
            "needsProjection": true, "unchecked": ["$.y minLength"],
        } }])
    );
}

#[test]
fn an_operation_is_put_in_the_place_of_its_predecessor() {
    let mut graph: OperationGraph = [operation("t.a", "a", "b"), operation("t.b", "b", "c")]
        .into_iter()
        .collect();
    graph.insert(operation("t.b", "q", "c"));
    assert_eq!(graph.len(), 2);
    assert!(graph.view(&|_| true).edges().is_empty());
    assert_eq!(
        graph.remove(&op("t.b")).unwrap().input_schema,
        operation("t.b", "q", "c").input_schema
    );
    assert_eq!(graph.remove(&op("t.b")), None);
    assert_eq!(graph.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn case_o18_a_hundred_changes_end_where_a_rebuild_does(
        steps in vec((any::<bool>(), 0..12_u8, 0..4_usize, 0..4_usize), 100)
    ) {
        let members = ["a", "b", "c", "d"];
        let mut graph = OperationGraph::new();
        for (add, number, takes, gives) in steps {
            let id = format!("t.o{number}");
            if add {
                graph.insert(operation(&id, members[takes], members[gives]));
            } else {
                graph.remove(&op(&id));
            }
        }
        let all = |_: &OperationId| true;
        let rebuilt: OperationGraph = graph.view(&all).operations().cloned().collect();
        prop_assert_eq!(rebuilt.view(&all).to_json(), graph.view(&all).to_json());
        prop_assert_eq!(rebuilt.view(&all).strongly_connected(), graph.view(&all).strongly_connected());
    }
}
