//! What holds for all schemas (invariants 12 and 13).

use alkhub_callgraph::{TypeCompat, type_compat};
use alkhub_operations::Schema;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// How the members of random objects are.
#[derive(Clone, Copy)]
struct Shape {
    /// Some are optional, objects may be closed or maps, and there are intersections.
    loose: bool,
}

fn schema(shape: Shape) -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        select(vec!["string", "integer", "number", "boolean", "null"])
            .prop_map(|name| json!({ "type": name })),
        select(vec![
            json!(["string", "null"]),
            json!(["integer", "string"]),
            json!(["number", "null", "boolean"]),
        ])
        .prop_map(|names| json!({ "type": names })),
        vec(
            select(vec![
                json!("a"),
                json!("b"),
                json!(1),
                json!(2.5),
                json!(null),
                json!(true)
            ]),
            1..4
        )
        .prop_map(|values| json!({ "enum": values })),
        select(vec![json!("a"), json!(1)]).prop_map(|value| json!({ "const": value })),
    ];
    scalar.prop_recursive(3, 16, 3, move |inner| {
        let member = (select(vec!["x", "y", "z"]), inner.clone(), any::<bool>());
        prop_oneof![
            3 => (vec(member, 0..4), 0..4_u8).prop_map(move |(members, rest)| object(shape, members, rest)),
            2 => inner.clone().prop_map(|items| json!({ "type": "array", "items": items })),
            1 => (vec(inner.clone(), 1..3), 0..3_usize).prop_map(|(places, least)| {
                let least = least.min(places.len());
                json!({ "type": "array", "prefixItems": places, "items": false, "minItems": least })
            }),
            1 => vec(inner.clone(), 1..4).prop_map(|branches| json!({ "anyOf": branches })),
            1 => vec(inner.clone(), 1..3).prop_map(|branches| json!({ "oneOf": branches })),
            u32::from(shape.loose) => (inner.clone(), inner)
                .prop_map(|(left, right)| json!({ "allOf": [left, right] })),
        ]
    })
}

fn object(shape: Shape, members: Vec<(&'static str, Value, bool)>, rest: u8) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema, optional) in members {
        if properties.insert(name.to_owned(), schema).is_none() && !(optional && shape.loose) {
            required.push(name);
        }
    }
    let mut object = json!({ "type": "object", "properties": properties, "required": required });
    match rest {
        0 if shape.loose => object["additionalProperties"] = json!(false),
        1 if shape.loose => object["additionalProperties"] = json!({ "type": ["string", "null"] }),
        _ => {}
    }
    object
}

/// Another schema near the first: the same with a small change, so that many pairs fit.
fn changed(shape: Shape, schema: &Value, at: &[Index]) -> Value {
    let Some((first, rest)) = at.split_first() else {
        return schema.clone();
    };
    let mut schema = schema.clone();
    match first.index(6) {
        0 => return json!({ "anyOf": [schema, { "type": "null" }] }),
        1 if schema["type"] == "integer" => schema["type"] = json!("number"),
        2 if shape.loose && schema.get("required").is_some() => schema["required"] = json!([]),
        3 if schema.get("enum").is_some() => {
            schema["enum"].as_array_mut().unwrap().push(json!("more"));
        }
        _ => {}
    }
    for keyword in ["properties", "items"] {
        let Some(part) = schema.get_mut(keyword) else {
            continue;
        };
        if keyword == "items" {
            *part = changed(shape, part, rest);
        } else if let Some(members) = part.as_object_mut() {
            for member in members.values_mut() {
                *member = changed(shape, member, rest);
            }
        }
    }
    schema
}

/// A value that a schema declares, chosen by numbers; none where it declares none, or where that is
/// not easily told.
fn instance(schema: &Value, choices: &mut impl Iterator<Item = Index>) -> Option<Value> {
    let mut pick = |from: usize| choices.next().map(|index| index.index(from.max(1)));
    if schema == &json!(false) {
        return None;
    }
    if let Some(only) = schema.get("const") {
        return Some(only.clone());
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.get(pick(values.len())?).cloned();
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(Value::Array(branches)) = schema.get(keyword) {
            let branch = branches.get(pick(branches.len())?)?;
            return instance(branch, choices);
        }
    }
    if let Some(Value::Array(parts)) = schema.get("allOf") {
        // Whether it fits the other parts as well is found out by the validator.
        let mut whole = Map::new();
        let mut last = None;
        for part in parts {
            last = instance(part, choices);
            if let Some(Value::Object(members)) = &last {
                whole.extend(members.clone());
            }
        }
        return if whole.is_empty() {
            last
        } else {
            Some(Value::Object(whole))
        };
    }
    let kind = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.get(pick(names.len())?)?.as_str()?.to_owned(),
        _ => return None,
    };
    Some(match kind.as_str() {
        "null" => Value::Null,
        "boolean" => json!(pick(2)? == 1),
        "integer" => json!(pick(5)?),
        "number" => json!(pick(5)? as f64 + 0.5),
        "string" => json!(["a", "b", "other"][pick(3)?]),
        "array" => {
            let places = schema.get("prefixItems").and_then(Value::as_array);
            let mut items = Vec::new();
            if let Some(places) = places {
                let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
                let length = least + pick(places.len() - least + 1)?;
                for place in &places[..length] {
                    items.push(instance(place, choices)?);
                }
            } else {
                for _ in 0..pick(3)? {
                    items.push(instance(&schema["items"], choices)?);
                }
            }
            Value::Array(items)
        }
        _ => {
            let mut members = Map::new();
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let needed = schema["required"]
                    .as_array()
                    .is_some_and(|required| required.contains(&json!(name)));
                let chosen = choices.next()?.index(2) == 1;
                if needed || chosen {
                    members.insert(name.clone(), instance(member, choices)?);
                }
            }
            if let Some(rest @ Value::Object(_)) = schema.get("additionalProperties") {
                if choices.next()?.index(2) == 1 {
                    members.insert("q".to_owned(), instance(rest, choices)?);
                }
                if schema["properties"].get("z").is_none() && choices.next()?.index(2) == 1 {
                    members.insert("z".to_owned(), instance(rest, choices)?);
                }
            }
            Value::Object(members)
        }
    })
}

fn pair(loose: bool) -> impl Strategy<Value = (Value, Value)> {
    let shape = Shape { loose };
    let indexes = vec(any::<Index>(), 0..4);
    prop_oneof![
        (schema(shape), schema(shape)),
        (schema(shape), indexes).prop_map(move |(schema, at)| {
            let other = changed(shape, &schema, &at);
            (schema, other)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Invariant 12, first half; the copy is not the same text, so that it is really compared.
    #[test]
    fn a_schema_fits_itself(schema in schema(Shape { loose: true })) {
        let mut copy = schema.clone();
        copy["title"] = json!("the same");
        let same = type_compat(&schema, &schema);
        prop_assert!(same.is_compatible() || same == TypeCompat::Unknown, "{same:?}");
        let again = type_compat(&schema, &copy);
        // An intersection of unions may be more than what its parts are one by one.
        let plain = !schema.to_string().contains("allOf");
        prop_assert!(!plain || again.is_compatible() || again == TypeCompat::Unknown, "{again:?}");
    }

    /// Invariant 12, second half. Members that are optional are left out: one that the middle does not
    /// declare fits there whatever it is, and the end may ask for another type.
    #[test]
    fn fitting_is_handed_on((first, second) in pair(false), at in vec(any::<Index>(), 0..4)) {
        let third = changed(Shape { loose: false }, &second, &at);
        let sure = |output: &Value, input: &Value| {
            matches!(type_compat(output, input), TypeCompat::Compatible { unchecked, .. } if unchecked.is_empty())
        };
        if sure(&first, &second) && sure(&second, &third) {
            prop_assert!(type_compat(&first, &third).is_compatible());
        }
    }

    /// Invariant 13.
    #[test]
    fn what_fits_is_accepted_by_the_validator(
        (output, input) in pair(true),
        choices in vec(vec(any::<Index>(), 60), 8),
    ) {
        let plain = TypeCompat::Compatible { needs_projection: false, unchecked: vec![] };
        if type_compat(&output, &input) == plain {
            let gives = Schema::new(output.clone()).unwrap();
            let takes = Schema::new(input.clone()).unwrap();
            for choices in choices {
                let Some(value) = instance(&output, &mut choices.into_iter()) else { continue };
                if gives.is_valid(&value) {
                    prop_assert!(takes.is_valid(&value), "{value} of {output} into {input}");
                }
            }
        }
    }
}
