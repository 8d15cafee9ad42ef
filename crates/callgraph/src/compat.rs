//! Whether what one operation gives is what another takes.
//!
//! The question is another one than that of [`alkhub_operations::schema::compare`], which asks whether a
//! new version of one schema still accepts what the old one did: there everything an open object might
//! hold counts and a narrower bound is a refusal; here only what the output declares counts, unions are
//! taken apart, a mismatch names both types, and what cannot be told from types alone is listed rather
//! than refused.

mod fit;
mod input;
mod inside;
mod output;
mod words;

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Map, Value};

use fit::Fit;
use input::{Bounds, alternatives, is_disjoint};
use output::{Branches, same_value, types_of};
use words::words;

/// Deepest comparison; beyond it nothing is known.
const DEPTH: usize = 64;
/// Most pairs of schemas that are looked at; beyond it nothing is known.
const STEPS: usize = 10_000;

/// Keywords that say nothing about which values are valid.
const SILENT: [&str; 17] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "$anchor",
    "$vocabulary",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// Keywords that this comparison does not follow.
const OPAQUE: [&str; 13] = [
    "not",
    "if",
    "then",
    "else",
    "patternProperties",
    "dependencies",
    "dependentSchemas",
    "dependentRequired",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
    "$dynamicRef",
    "$recursiveRef",
];

/// Can an output feed an input?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(
    tag = "result",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub enum TypeCompat {
    /// Yes.
    Compatible {
        /// The output has members that the input refuses: they must be left out first.
        #[serde(skip_serializing_if = "is_false")]
        needs_projection: bool,
        /// What the input asks for beyond types, such as `$.age minimum`: not compared.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        unchecked: Vec<String>,
    },
    /// No.
    Incompatible {
        /// Where and why, at most 20.
        mismatches: Vec<Mismatch>,
    },
    /// The schemas do not tell.
    Unknown,
}

/// One place where an output does not fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Mismatch {
    /// `$.user.id`, `$.items[].name`.
    pub path: String,
    /// What the input takes, in short words.
    pub expected: String,
    /// What the output gives there, or `missing`.
    pub actual: String,
}

impl TypeCompat {
    /// True for [`TypeCompat::Compatible`].
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        matches!(self, Self::Compatible { .. })
    }
}

/// Compares two JSON Schemas (2020-12): does every value that `output` declares fit `input`?
///
/// A schema that accepts anything says nothing, so the answer for it is unknown.
///
/// ```
/// use alkhub_callgraph::{TypeCompat, type_compat};
/// use serde_json::json;
///
/// let gives = json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "integer" } } });
/// let takes = json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } });
/// let TypeCompat::Incompatible { mismatches } = type_compat(&gives, &takes) else { panic!() };
/// assert_eq!(mismatches[0].path, "$.id");
/// assert_eq!((&*mismatches[0].expected, &*mismatches[0].actual), ("string", "integer"));
/// ```
#[must_use]
pub fn type_compat(output: &Value, input: &Value) -> TypeCompat {
    let mut comparison = Comparison {
        output,
        input,
        same_root: output == input,
        under: HashSet::new(),
        steps: 0,
    };
    let is_open = |schema, root| resolved(root, schema).is_none_or(accepts_all);
    if is_open(output, output) || is_open(input, input) {
        return TypeCompat::Unknown;
    }
    comparison.fit(output, input, "$", DEPTH).answer()
}

struct Comparison<'a> {
    output: &'a Value,
    input: &'a Value,
    same_root: bool,
    /// Pairs under comparison that a reference led to: meeting one again means that a recursive type
    /// has come round.
    under: HashSet<(String, *const Value)>,
    steps: usize,
}

impl<'a> Comparison<'a> {
    fn fit(&mut self, output: &Value, input: &'a Value, path: &str, depth: usize) -> Fit {
        self.steps += 1;
        if depth == 0 || self.steps > STEPS {
            return Fit::unknown();
        }
        if self.same_root && output == input {
            return Fit::default();
        }
        let by_reference = output.get("$ref").is_some() || input.get("$ref").is_some();
        let (Some(output), Some(input)) =
            (resolved(self.output, output), resolved(self.input, input))
        else {
            return Fit::unknown();
        };
        if by_reference {
            let pair = (output.to_string(), std::ptr::from_ref(input));
            if !self.under.insert(pair.clone()) {
                return Fit::default();
            }
            let fit = self.fit_resolved(output, input, path, depth);
            self.under.remove(&pair);
            return fit;
        }
        self.fit_resolved(output, input, path, depth)
    }

    fn fit_resolved(&mut self, output: &Value, input: &'a Value, path: &str, depth: usize) -> Fit {
        if accepts_all(input) || *output == Value::Bool(false) {
            return Fit::default();
        }
        if accepts_all(output) {
            return Fit::unknown();
        }
        let (Value::Object(given), Value::Object(taken)) = (output, input) else {
            return Fit::mismatch(path, words(self.input, input), words(self.output, output));
        };
        if is_opaque(given) || is_opaque(taken) {
            return Fit::unknown();
        }
        match output::branches(self.output, given) {
            Branches::One => {}
            Branches::Each(branches) => {
                let mut fit = Fit::default();
                for branch in branches {
                    fit.and(self.fit(&branch, input, path, depth - 1));
                }
                return fit;
            }
            Branches::Any(parts) => {
                let fits = parts
                    .iter()
                    .map(|part| self.fit(part, input, path, depth - 1));
                return Fit::best(fits.collect()).1;
            }
        }
        self.fit_parts(output, given, input, taken, path, depth)
    }

    /// One branch of the output against all that the input demands at once.
    fn fit_parts(
        &mut self,
        output: &Value,
        given: &Map<String, Value>,
        input: &'a Value,
        taken: &'a Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Fit {
        let mut fit = self.fit_own(output, given, input, taken, path, depth);
        if let Some(target) = taken.get("$ref") {
            // With members beside it; alone it was followed before.
            match target
                .as_str()
                .and_then(|target| pointed(self.input, target))
            {
                Some(target) => fit.and(self.fit(output, target, path, depth - 1)),
                None => fit.and(Fit::unknown()),
            }
        }
        for part in list(taken, "allOf") {
            fit.and(self.fit(output, part, path, depth - 1));
        }
        for (keyword, branches) in alternatives(taken) {
            let fits: Vec<Fit> = branches
                .iter()
                .map(|branch| self.fit(output, branch, path, depth - 1))
                .collect();
            let (chosen, mut best) = Fit::best(fits);
            if keyword == "oneOf"
                && best.fits()
                && !branches.iter().enumerate().all(|(place, branch)| {
                    place == chosen || is_disjoint(self.input, &branches[chosen], branch)
                })
            {
                // A value may fit two of them, which oneOf refuses.
                best.unchecked.insert(format!("{path} oneOf"));
            }
            fit.and(best);
        }
        fit
    }

    /// The keywords of the input itself.
    fn fit_own(
        &mut self,
        output: &Value,
        given: &Map<String, Value>,
        input: &'a Value,
        taken: &'a Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Fit {
        let refused = || {
            let (expected, actual) = (words(self.input, input), words(self.output, output));
            Fit::mismatch(path, expected, actual)
        };
        let types = types_of(given);
        if types.names.is_empty() {
            // Types nobody knows, or an empty list of values.
            return Fit::unknown();
        }
        let mut fit = Fit::default();
        if types.assumed {
            fit.unchecked.insert(format!("{path} type"));
        }
        let values = output::values(given);
        if let Some(allowed) = output::values(taken) {
            let within = |value: &Value| allowed.iter().any(|one| same_value(one, value));
            let fits = match &values {
                Some(values) => values.iter().all(|value| within(value)),
                None => types.all_values().is_some_and(|all| all.iter().all(within)),
            };
            if !fits {
                return refused();
            }
        }
        if let Some(accepted) = input::types(taken) {
            let takes = |name: &str| {
                accepted.contains(&name) || (name == "integer" && accepted.contains(&"number"))
            };
            if !types.names.iter().all(|name| takes(name)) {
                return refused();
            }
        }
        if let Some(values) = values {
            // Values are not matched against schemas here; only their types count.
            let deep = values.iter().any(|value| match value {
                Value::Object(_) => input::has_object_keywords(taken),
                Value::Array(_) => input::has_array_keywords(taken),
                _ => false,
            });
            if deep {
                fit.unchecked.insert(format!("{path} enum"));
            }
        } else {
            if types.names.contains(&"object") && input::has_object_keywords(taken) {
                fit.and(self.fit_members(given, taken, path, depth));
            }
            if types.names.contains(&"array") && input::has_array_keywords(taken) {
                fit.and(self.fit_items(given, taken, path, depth));
            }
        }
        for keyword in Bounds::of(&types.names, taken) {
            // Equal schemas may refer to parts that are not.
            let schema = matches!(taken.get(keyword), Some(Value::Object(_)));
            if schema || given.get(keyword) != taken.get(keyword) {
                fit.unchecked.insert(format!("{path} {keyword}"));
            }
        }
        fit
    }
}

/// Follows a schema that is a reference and nothing else. None when it leads out of the document, or
/// in a circle.
fn resolved<'v>(root: &'v Value, schema: &'v Value) -> Option<&'v Value> {
    let mut schema = schema;
    for _ in 0..DEPTH {
        let Value::Object(members) = schema else {
            return Some(schema);
        };
        let alone = members
            .keys()
            .all(|keyword| keyword == "$ref" || is_silent(keyword));
        match members.get("$ref") {
            Some(target) if alone => schema = pointed(root, target.as_str()?)?,
            _ => return Some(schema),
        }
    }
    None
}

/// The part of a document a local reference points to.
fn pointed<'v>(root: &'v Value, reference: &str) -> Option<&'v Value> {
    let pointer = reference.strip_prefix('#')?;
    if pointer.contains('%') {
        return None;
    }
    let target = root.pointer(pointer)?;
    matches!(target, Value::Object(_) | Value::Bool(_)).then_some(target)
}

fn accepts_all(schema: &Value) -> bool {
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(members) => members.keys().all(|keyword| is_silent(keyword)),
        _ => false,
    }
}

fn is_silent(keyword: &str) -> bool {
    SILENT.contains(&keyword) || keyword.starts_with("x-")
}

fn is_opaque(members: &Map<String, Value>) -> bool {
    OPAQUE.iter().any(|keyword| members.contains_key(*keyword))
}

fn members(schema: &Map<String, Value>) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn list<'v>(schema: &'v Map<String, Value>, keyword: &str) -> &'v [Value] {
    match schema.get(keyword) {
        Some(Value::Array(items)) => items,
        _ => &[],
    }
}

fn names<'v>(schema: &'v Map<String, Value>, keyword: &str) -> Vec<&'v str> {
    list(schema, keyword)
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// For fields that are only written when they are true.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}
