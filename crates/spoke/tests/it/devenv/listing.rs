//! `fs.list`, `fs.search`

use std::os::unix::fs::symlink;

use alkhub_operations::ErrorCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, context, told};

fn paths(listed: &Value) -> Vec<&str> {
    let entries = listed["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["path"].as_str().unwrap())
        .collect()
}

fn tree() -> Machine {
    let machine = Machine::new();
    machine.put("src/main.rs", "fn main() {}\n");
    machine.put("src/deep/lib.rs", "// lib\n");
    machine.put("readme.md", "# readme\n");
    machine.put(".hidden", "x");
    machine.put(".gitignore", "target/\n*.log\n");
    machine.put("target/out.rs", "x");
    machine.put("run.log", "x");
    machine
}

#[tokio::test]
async fn a_listing_shows_what_git_would() {
    let machine = tree();
    let listed = machine.call("fs.list", json!({})).await;
    assert_eq!(paths(&listed), ["readme.md", "src"]);
    assert_eq!(listed["truncated"], false);
    assert_eq!(listed["entries"][0]["type"], "file");
    assert_eq!(listed["entries"][0]["bytes"], 9);
    assert_eq!(listed["entries"][1]["type"], "directory");
}

#[tokio::test]
async fn hidden_and_ignored_entries_are_shown_when_asked_for() {
    let machine = tree();
    let listed = machine
        .call("fs.list", json!({ "hidden": true, "gitignore": false }))
        .await;
    assert_eq!(
        paths(&listed),
        [
            ".gitignore",
            ".hidden",
            "readme.md",
            "run.log",
            "src",
            "target"
        ]
    );
}

#[tokio::test]
async fn a_listing_goes_as_deep_as_asked_and_filters_by_glob() {
    let machine = tree();
    let listed = machine
        .call("fs.list", json!({ "depth": 3, "glob": "*.rs" }))
        .await;
    assert_eq!(paths(&listed), ["src/deep/lib.rs", "src/main.rs"]);
    let listed = machine
        .call("fs.list", json!({ "depth": 3, "glob": "src/*.rs" }))
        .await;
    assert_eq!(paths(&listed), ["src/main.rs"]);
    let listed = machine
        .call("fs.list", json!({ "path": "src", "depth": 1 }))
        .await;
    assert_eq!(paths(&listed), ["src/deep", "src/main.rs"]);
}

#[tokio::test]
async fn a_long_listing_is_cut_and_says_so() {
    let machine = tree();
    let listed = machine.call("fs.list", json!({ "limit": 1 })).await;
    assert_eq!(
        (paths(&listed), &listed["truncated"]),
        (vec!["readme.md"], &json!(true))
    );
}

#[tokio::test]
async fn links_are_listed_and_not_followed() {
    let machine = tree();
    symlink(machine.outside(), machine.path("src/out")).unwrap();
    let listed = machine
        .call("fs.list", json!({ "path": "src", "depth": 5 }))
        .await;
    assert_eq!(
        paths(&listed),
        ["src/deep", "src/deep/lib.rs", "src/main.rs", "src/out"]
    );
    assert_eq!(listed["entries"][3]["type"], "symlink");
}

#[tokio::test]
async fn only_a_directory_is_listed() {
    let machine = tree();
    let error = machine
        .fail("fs.list", json!({ "path": "readme.md" }))
        .await;
    assert_eq!(told(&error), ("NOT_A_DIRECTORY", 422));
    let error = machine.fail("fs.list", json!({ "path": "absent" })).await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
    let error = machine.fail("fs.list", json!({ "glob": "a[" })).await;
    assert_eq!(error.details.unwrap()["issues"][0]["path"], "/glob");
}

#[tokio::test]
async fn a_search_tells_place_and_surroundings() {
    let machine = Machine::new();
    machine.put("a.txt", "one\ntwo\nüü needle x\r\nfour\nfive\n");
    machine.put("b/c.txt", "needle\n");
    let input = json!({ "pattern": r"need\w+", "context": 1 });
    let found = machine.call("fs.search", input).await;
    assert_eq!(
        found,
        json!({
            "matches": [
                {
                    "path": "a.txt", "line": 3, "column": 4, "text": "üü needle x",
                    "before": ["two"], "after": ["four"],
                },
                { "path": "b/c.txt", "line": 1, "column": 1, "text": "needle", "before": [], "after": [] },
            ],
            "truncated": false,
            "filesSearched": 2,
        })
    );
}

#[tokio::test]
async fn a_literal_is_found_as_it_is() {
    let machine = Machine::new();
    machine.put("a.txt", "a.c\nabc\n");
    let found = machine.call("fs.search", json!({ "literal": "a.c" })).await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
    let found = machine
        .call("fs.search", json!({ "pattern": "^a.c$" }))
        .await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_search_leaves_out_binary_ignored_and_hidden_files() {
    let machine = tree();
    for path in ["target/x", ".secret", "run.log"] {
        machine.put(path, "needle");
    }
    machine.put("binary", b"needle\0");
    machine.put("plain", "needle");
    let found = machine
        .call("fs.search", json!({ "literal": "needle" }))
        .await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
    assert_eq!(found["matches"][0]["path"], "plain");
}

#[tokio::test]
async fn a_search_is_narrowed_by_path_and_glob_and_may_be_of_one_file() {
    let machine = tree();
    let found = machine
        .call("fs.search", json!({ "pattern": ".", "glob": "*.md" }))
        .await;
    assert_eq!(found["filesSearched"], 1);
    let found = machine
        .call("fs.search", json!({ "pattern": ".", "path": "src" }))
        .await;
    assert_eq!(found["filesSearched"], 2);
    let found = machine
        .call(
            "fs.search",
            json!({ "literal": "main", "path": "src/main.rs" }),
        )
        .await;
    assert_eq!(found["matches"][0]["path"], "src/main.rs");
}

#[tokio::test]
async fn a_search_ends_at_its_limit_and_says_so() {
    let machine = Machine::new();
    machine.put("a.txt", "x\n".repeat(10));
    let found = machine
        .call("fs.search", json!({ "literal": "x", "limit": 3 }))
        .await;
    assert_eq!(found["matches"].as_array().unwrap().len(), 3);
    assert_eq!(found["truncated"], true);
    let found = machine
        .call("fs.search", json!({ "literal": "x", "limit": 10 }))
        .await;
    assert_eq!(found["truncated"], false);
}

#[tokio::test]
async fn of_a_very_long_line_the_piece_around_the_match_is_shown() {
    let machine = Machine::new();
    machine.put(
        "a.txt",
        format!("{}needle{}", "x".repeat(5_000), "y".repeat(5_000)),
    );
    let found = machine
        .call("fs.search", json!({ "literal": "needle" }))
        .await;
    let hit = &found["matches"][0];
    assert_eq!(hit["column"], 5_001);
    let text = hit["text"].as_str().unwrap();
    assert!(
        text.contains("xneedley") && text.chars().count() == 1_002,
        "{text}"
    );
}

#[tokio::test]
async fn a_search_needs_exactly_one_pattern_and_one_that_compiles() {
    let machine = Machine::new();
    for input in [json!({}), json!({ "pattern": "a", "literal": "a" })] {
        let error = machine.fail("fs.search", input).await;
        assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
        assert_eq!(error.details.unwrap()["rule"], "pattern_or_literal");
    }
    let error = machine.fail("fs.search", json!({ "pattern": "(" })).await;
    assert_eq!(error.details.unwrap()["issues"][0]["path"], "/pattern");
    let error = machine
        .fail("fs.search", json!({ "literal": "a", "path": "absent" }))
        .await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
}

#[tokio::test]
async fn a_search_that_is_aborted_ends() {
    let machine = Machine::new();
    for index in 0..200 {
        machine.put(&format!("f{index}"), "x\n".repeat(1_000));
    }
    let token = CancellationToken::new();
    let ctx = context().with_cancellation(token.clone());
    let input = json!({ "pattern": "(x+y)+" });
    let (result, ()) = tokio::join!(machine.try_call("fs.search", input, ctx), async {
        token.cancel();
    });
    assert_eq!(result.unwrap_err().code, ErrorCode::ABORTED);
}
