//! Whether what one operation gives is what another takes.
//!
//! The question is another one than that of [`alkhub_operations::schema::compare`], which asks whether a
//! new version of one schema still accepts what the old one did: there everything an open object might
//! hold counts and a narrower bound is a refusal; here only what the output declares counts, unions are
//! taken apart, a mismatch names both types, and what cannot be told from types alone is listed rather
//! than refused.

mod input;
mod output;
mod words;

use std::collections::{BTreeSet, HashSet};

use serde::Serialize;
use serde_json::{Map, Value};

use input::{Bounds, alternatives, is_disjoint};
use output::{Branches, same_value, types_of};
use words::words;

/// Most mismatches that are told.
const MOST_MISMATCHES: usize = 20;
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

/// What was found about one pair.
#[derive(Debug, Clone, Default)]
struct Fit {
    mismatches: Vec<Mismatch>,
    unknown: bool,
    projection: bool,
    unchecked: BTreeSet<String>,
}

impl Fit {
    fn unknown() -> Self {
        Self {
            unknown: true,
            ..Self::default()
        }
    }

    fn mismatch(path: &str, expected: String, actual: String) -> Self {
        Self {
            mismatches: vec![Mismatch {
                path: path.to_owned(),
                expected,
                actual,
            }],
            ..Self::default()
        }
    }

    /// Both must hold.
    fn and(&mut self, other: Self) {
        for mismatch in other.mismatches {
            if !self.mismatches.contains(&mismatch) {
                self.mismatches.push(mismatch);
            }
        }
        self.unknown |= other.unknown;
        self.projection |= other.projection;
        self.unchecked.extend(other.unchecked);
    }

    fn fits(&self) -> bool {
        self.mismatches.is_empty() && !self.unknown
    }

    /// One must hold: the best of them, the first among equals, with its place.
    fn best(fits: Vec<Self>) -> (usize, Self) {
        let rank = |fit: &Self| {
            let class = match (fit.mismatches.is_empty(), fit.unknown) {
                (true, false) => 0,
                (true, true) => 1,
                _ => 2,
            };
            (
                class,
                fit.mismatches.len(),
                fit.projection,
                fit.unchecked.len(),
            )
        };
        let numbered = fits.into_iter().enumerate();
        numbered
            .min_by_key(|(_, fit)| rank(fit))
            .unwrap_or_default()
    }

    fn answer(self) -> TypeCompat {
        if !self.mismatches.is_empty() {
            let mut mismatches = self.mismatches;
            mismatches.truncate(MOST_MISMATCHES);
            TypeCompat::Incompatible { mismatches }
        } else if self.unknown {
            TypeCompat::Unknown
        } else {
            TypeCompat::Compatible {
                needs_projection: self.projection,
                unchecked: self.unchecked.into_iter().collect(),
            }
        }
    }
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

    fn fit_members(
        &mut self,
        given: &Map<String, Value>,
        taken: &'a Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Fit {
        let mut fit = Fit::default();
        let (gives, takes) = (members(given), members(taken));
        let rest_given = given.get("additionalProperties");
        let rest_taken = taken.get("additionalProperties");
        let given_required = names(given, "required");
        let open = Value::Bool(true);
        for name in names(taken, "required") {
            let here = format!("{path}.{name}");
            let wanted = takes.and_then(|takes| takes.get(name)).or(rest_taken);
            if !given_required.contains(&name) {
                let expected =
                    wanted.map_or_else(|| "any".to_owned(), |some| words(self.input, some));
                fit.and(Fit::mismatch(&here, expected, "missing".to_owned()));
            } else if let Some(wanted) = wanted
                && gives.is_none_or(|gives| !gives.contains_key(name))
            {
                // Demanded without being described.
                let rest = rest_given.unwrap_or(&open);
                fit.and(self.fit(rest, wanted, &here, depth - 1));
            }
        }
        for (name, wanted) in takes.into_iter().flatten() {
            let here = format!("{path}.{name}");
            let declared = gives.and_then(|gives| gives.get(name));
            if let Some(declared) = declared {
                fit.and(self.fit(declared, wanted, &here, depth - 1));
            } else if let Some(rest @ Value::Object(_)) = rest_given
                && !given_required.contains(&name.as_str())
            {
                fit.and(self.fit(rest, wanted, &here, depth - 1));
            }
        }
        let Some(rest_taken) = rest_taken else {
            return fit;
        };
        let known = |name: &str| takes.is_some_and(|takes| takes.contains_key(name));
        for (name, declared) in gives.into_iter().flatten() {
            if known(name) || *declared == Value::Bool(false) {
                continue;
            }
            if *rest_taken == Value::Bool(false) {
                fit.projection = true;
            } else {
                fit.and(self.fit(declared, rest_taken, &format!("{path}.{name}"), depth - 1));
            }
        }
        let undescribed = given_required
            .iter()
            .any(|name| !known(name) && gives.is_none_or(|gives| !gives.contains_key(*name)));
        match rest_given {
            Some(Value::Bool(false)) => {}
            Some(_) if *rest_taken == Value::Bool(false) => fit.projection = true,
            Some(rest) => fit.and(self.fit(rest, rest_taken, &format!("{path}.*"), depth - 1)),
            None if undescribed && *rest_taken == Value::Bool(false) => fit.projection = true,
            // An object of which nothing is declared may hold anything.
            None if undescribed || gives.is_none_or(Map::is_empty) => {
                if *rest_taken == Value::Bool(false) {
                    fit.projection = true;
                } else {
                    fit.and(self.fit(&open, rest_taken, &format!("{path}.*"), depth - 1));
                }
            }
            None => {}
        }
        fit
    }

    fn fit_items(
        &mut self,
        given: &Map<String, Value>,
        taken: &'a Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Fit {
        if [given, taken]
            .iter()
            .any(|side| matches!(side.get("items"), Some(Value::Array(_))))
        {
            // Tuples of older dialects.
            return Fit::unknown();
        }
        let mut fit = Fit::default();
        let (gives, takes) = (list(given, "prefixItems"), list(taken, "prefixItems"));
        let length =
            |side: &Map<String, Value>| side.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        if !takes.is_empty() && length(taken) > length(given) {
            let expected = format!("tuple of {}", length(taken));
            return Fit::mismatch(path, expected, "array".to_owned());
        }
        let open = Value::Bool(true);
        let rest_given = given.get("items").unwrap_or(&open);
        let rest_taken = taken.get("items");
        let ends = *rest_given == Value::Bool(false);
        let places = if ends {
            gives.len()
        } else {
            gives.len().max(takes.len())
        };
        for place in 0..places {
            let Some(wanted) = takes.get(place).or(rest_taken) else {
                break;
            };
            let offered = gives.get(place).unwrap_or(rest_given);
            fit.and(self.fit(offered, wanted, &format!("{path}[{place}]"), depth - 1));
        }
        if let Some(rest_taken) = rest_taken
            && !ends
        {
            fit.and(self.fit(rest_given, rest_taken, &format!("{path}[]"), depth - 1));
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
