//! What lies inside objects and arrays.

use serde_json::{Map, Value};

use super::fit::Fit;
use super::words::words;
use super::{Comparison, list, members, names};

impl<'a> Comparison<'a> {
    /// The members of an object.
    pub(super) fn fit_members(
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

    /// The items of an array.
    pub(super) fn fit_items(
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
