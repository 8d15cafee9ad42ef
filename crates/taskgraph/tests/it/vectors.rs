//! The vectors: what the reference gives, compared exactly.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// Whether two documents are the same: structure and order exactly, numbers as doubles to the
/// last bit (JSON writes a whole number in more than one way). Messages of YAML errors are free.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: Vec<_> = a.keys().collect();
            if keys.len() != b.len() || keys.iter().any(|key| !b.contains_key(*key)) {
                return Some(format!(
                    "{path}: keys {keys:?}, not {:?}",
                    b.keys().collect::<Vec<_>>()
                ));
            }
            a.iter()
                .find_map(|(key, a)| difference(&format!("{path}/{key}"), a, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(place, (a, b))| difference(&format!("{path}/{place}"), a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let same = a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits);
            (!same).then(|| format!("{path}: {a}, not {b}"))
        }
        (Value::String(a), Value::String(b)) if a.starts_with("YAML parse error: ") => {
            (!b.starts_with("YAML parse error: ")).then(|| format!("{path}: {a}, not {b}"))
        }
        (a, b) => (a != b).then(|| format!("{path}: {a}, not {b}")),
    }
}

#[test]
fn every_vector_is_reproduced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() >= 20, "only {} vectors found", names.len());
    for name in names {
        let vector: Value = serde_json::from_str(&fs::read_to_string(&name).unwrap()).unwrap();
        let ours = alkhub_taskgraph::analyze(&vector["input"]).unwrap();
        if let Some(difference) = difference("", &ours, &vector["expected"]) {
            panic!("{}: {difference}", name.display());
        }
    }
}
