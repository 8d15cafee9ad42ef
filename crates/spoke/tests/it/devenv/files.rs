//! `fs.read`, `fs.write`, `fs.edit`, `fs.stat`

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::machine::{Machine, told};

/// SHA-256 of `hello\n`.
const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

#[tokio::test]
async fn a_file_is_read_with_its_hash_and_size() {
    let machine = Machine::new();
    machine.put("a.txt", "hello\n");
    let read = machine.call("fs.read", json!({ "path": "a.txt" })).await;
    let mtime = read["mtime"].as_str().unwrap();
    assert!(mtime.ends_with('Z') && mtime.len() == 24, "{mtime}");
    assert_eq!(
        read,
        json!({
            "content": "hello\n", "lines": 1, "totalLines": 1, "bytes": 6, "sha256": HELLO,
            "truncated": false, "mtime": mtime,
        })
    );
}

#[tokio::test]
async fn lines_are_counted_from_the_offset_and_line_ends_are_kept() {
    let machine = Machine::new();
    machine.put("a.txt", "one\r\ntwo\nthree\nfour");
    let input = json!({ "path": "a.txt", "offset": 1, "limit": 2 });
    let read = machine.call("fs.read", input).await;
    assert_eq!(read["content"], "two\nthree\n");
    assert_eq!(
        (&read["lines"], &read["totalLines"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(read["truncated"], true);
    let input = json!({ "path": "a.txt", "offset": 3 });
    let read = machine.call("fs.read", input).await;
    assert_eq!(
        (&read["content"], &read["truncated"]),
        (&json!("four"), &json!(false))
    );
    let input = json!({ "path": "a.txt", "offset": 9 });
    let read = machine.call("fs.read", input).await;
    assert_eq!(
        (&read["content"], &read["truncated"]),
        (&json!(""), &json!(false))
    );
}

#[tokio::test]
async fn an_empty_file_has_no_lines() {
    let machine = Machine::new();
    machine.put("a.txt", "");
    let read = machine.call("fs.read", json!({ "path": "a.txt" })).await;
    assert_eq!(
        (&read["totalLines"], &read["truncated"]),
        (&json!(0), &json!(false))
    );
}

#[tokio::test]
async fn two_thousand_lines_are_given_without_a_limit() {
    let machine = Machine::new();
    machine.put("a.txt", "x\n".repeat(2_001));
    let read = machine.call("fs.read", json!({ "path": "a.txt" })).await;
    assert_eq!(
        (&read["lines"], &read["truncated"]),
        (&json!(2_000), &json!(true))
    );
}

#[tokio::test]
async fn a_line_longer_than_an_answer_is_cut_at_a_character() {
    let machine = Machine::new();
    machine.put("a.txt", "ü".repeat(2_500_000));
    let read = machine.call("fs.read", json!({ "path": "a.txt" })).await;
    assert_eq!(read["content"].as_str().unwrap().len(), 4 * 1024 * 1024);
    assert_eq!(read["truncated"], true);
}

#[tokio::test]
async fn what_is_no_text_is_read_as_base64() {
    let machine = Machine::new();
    let bytes = [0_u8, 255, 10, 128];
    machine.put("a.bin", bytes);
    let error = machine.fail("fs.read", json!({ "path": "a.bin" })).await;
    assert_eq!(told(&error), ("NOT_TEXT", 422));
    let input = json!({ "path": "a.bin", "encoding": "base64" });
    let read = machine.call("fs.read", input).await;
    assert_eq!(read["content"], STANDARD.encode(bytes));
    assert_eq!(read["bytes"], 4);
}

#[tokio::test]
async fn what_is_absent_too_large_or_no_file_is_not_read() {
    let machine = Machine::new();
    fs::create_dir(machine.path("dir")).unwrap();
    machine.put("a.txt", "x");
    let read = |path: &str| machine.fail("fs.read", json!({ "path": path }));
    assert_eq!(told(&read("absent").await), ("FILE_NOT_FOUND", 404));
    assert_eq!(told(&read("a.txt/below").await), ("FILE_NOT_FOUND", 404));
    assert_eq!(told(&read("dir").await), ("NOT_A_FILE", 422));

    fs::File::create(machine.path("large"))
        .unwrap()
        .set_len(33 * 1024 * 1024)
        .unwrap();
    let error = machine.fail("fs.read", json!({ "path": "large" })).await;
    assert_eq!(told(&error), ("FILE_TOO_LARGE", 413));
    assert_eq!(error.details.unwrap()["limit"], 32 * 1024 * 1024);

    fs::File::create(machine.path("binary"))
        .unwrap()
        .set_len(9 * 1024 * 1024)
        .unwrap();
    let input = json!({ "path": "binary", "encoding": "base64" });
    assert_eq!(
        told(&machine.fail("fs.read", input).await),
        ("FILE_TOO_LARGE", 413)
    );
}

#[tokio::test]
async fn a_pipe_that_nobody_writes_to_is_refused_at_once() {
    let machine = Machine::new();
    let made = std::process::Command::new("mkfifo")
        .arg(machine.path("pipe"))
        .status();
    assert!(made.unwrap().success());
    let error = machine.fail("fs.read", json!({ "path": "pipe" })).await;
    assert_eq!(told(&error), ("NOT_A_FILE", 422));
    let error = machine
        .fail("fs.write", json!({ "path": "pipe", "content": "x" }))
        .await;
    assert_eq!(told(&error), ("NOT_A_FILE", 422));
}

#[tokio::test]
async fn a_file_is_made_with_its_directories() {
    let machine = Machine::new();
    let input = json!({ "path": "a/b/c.txt", "content": "hello\n" });
    let written = machine.call("fs.write", input).await;
    assert_eq!(
        written,
        json!({ "bytes": 6, "sha256": HELLO, "created": true })
    );
    assert_eq!(machine.text("a/b/c.txt"), "hello\n");
    let input = json!({ "path": "x/y.txt", "content": "", "createDirs": false });
    assert_eq!(
        told(&machine.fail("fs.write", input).await),
        ("FILE_NOT_FOUND", 404)
    );
    assert!(!machine.path("x").exists());
}

#[tokio::test]
async fn replacing_a_file_keeps_its_permissions_and_leaves_nothing_behind() {
    let machine = Machine::new();
    machine.put("run.sh", "old");
    fs::set_permissions(machine.path("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
    let written = machine
        .call("fs.write", json!({ "path": "run.sh", "content": "new" }))
        .await;
    assert_eq!(written["created"], false);
    assert_eq!(machine.text("run.sh"), "new");
    let mode = fs::metadata(machine.path("run.sh"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o750);
    assert_eq!(fs::read_dir(machine.root()).unwrap().count(), 1);
}

#[tokio::test]
async fn bytes_are_written_as_base64() {
    let machine = Machine::new();
    let input = json!({ "path": "a.bin", "content": "AP8=", "encoding": "base64" });
    machine.call("fs.write", input).await;
    assert_eq!(fs::read(machine.path("a.bin")).unwrap(), [0, 255]);
    let input = json!({ "path": "a.bin", "content": "not base64!", "encoding": "base64" });
    let error = machine.fail("fs.write", input).await;
    assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    assert_eq!(error.details.unwrap()["issues"][0]["path"], "/content");
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_not_overwritten() {
    let machine = Machine::new();
    machine.put("a.txt", "hello\n");
    let write = |path: &str| json!({ "path": path, "content": "new", "expectSha256": HELLO });
    machine.call("fs.write", write("a.txt")).await;
    let error = machine.fail("fs.write", write("a.txt")).await;
    assert_eq!(told(&error), ("CHANGED", 409));
    assert_eq!(error.details.unwrap()["expected"], HELLO);
    assert_eq!(machine.text("a.txt"), "new");
    let error = machine.fail("fs.write", write("absent.txt")).await;
    assert_eq!(told(&error), ("CHANGED", 409));
    assert!(error.details.unwrap()["sha256"].is_null());
    assert!(!machine.path("absent.txt").exists());
}

#[tokio::test]
async fn of_writers_who_expect_the_same_content_one_wins() {
    let machine = Machine::new();
    machine.put("a.txt", "hello\n");
    let write = |content: usize| {
        let content = content.to_string();
        let input = json!({ "path": "a.txt", "content": content, "expectSha256": HELLO });
        machine.try_call("fs.write", input, super::machine::context())
    };
    let results = futures::future::join_all((0..8).map(write)).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_directory_is_not_overwritten() {
    let machine = Machine::new();
    fs::create_dir(machine.path("dir")).unwrap();
    let error = machine
        .fail("fs.write", json!({ "path": "dir", "content": "x" }))
        .await;
    assert_eq!(told(&error), ("NOT_A_FILE", 422));
}

#[tokio::test]
async fn edits_are_applied_one_after_the_other() {
    let machine = Machine::new();
    machine.put("a.txt", "one\ntwo\ntwo\n");
    let input = json!({ "path": "a.txt", "edits": [
        { "old": "one", "new": "three" },
        { "old": "two", "new": "four", "all": true },
        { "old": "three\n", "new": "five\n" },
    ] });
    let edited = machine.call("fs.edit", input).await;
    assert_eq!(machine.text("a.txt"), "five\nfour\nfour\n");
    assert_eq!(edited["replacements"], 4);
    let diff = edited["diff"].as_str().unwrap();
    assert!(diff.starts_with("--- a/a.txt\n+++ b/a.txt\n@@ "), "{diff}");
    assert!(
        diff.contains("-one\n") && diff.contains("+five\n"),
        "{diff}"
    );
    let stat = machine.call("fs.stat", json!({ "path": "a.txt" })).await;
    assert_eq!(stat["sha256"], edited["sha256"]);
}

#[tokio::test]
async fn an_edit_that_matches_nothing_or_too_much_changes_nothing() {
    let machine = Machine::new();
    machine.put("a.txt", "aaa b\n");
    let edit = |old: &str| {
        let first = json!({ "old": "b", "new": "c" });
        json!({ "path": "a.txt", "edits": [first, { "old": old, "new": "x" }] })
    };
    let error = machine.fail("fs.edit", edit("z")).await;
    assert_eq!(told(&error), ("NO_MATCH", 422));
    assert_eq!(error.details.unwrap()["index"], 1);
    // The two overlap.
    let error = machine.fail("fs.edit", edit("aa")).await;
    assert_eq!(told(&error), ("AMBIGUOUS", 422));
    assert_eq!(error.details.unwrap()["count"], 2);
    assert_eq!(machine.text("a.txt"), "aaa b\n");
}

#[tokio::test]
async fn an_edit_needs_a_text_file() {
    let machine = Machine::new();
    machine.put("a.bin", [255]);
    let edits = json!([{ "old": "a", "new": "b" }]);
    let error = machine
        .fail("fs.edit", json!({ "path": "a.bin", "edits": edits }))
        .await;
    assert_eq!(told(&error), ("NOT_TEXT", 422));
    let error = machine
        .fail("fs.edit", json!({ "path": "absent", "edits": edits }))
        .await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
    let error = machine
        .fail("fs.edit", json!({ "path": ".", "edits": edits }))
        .await;
    assert_eq!(told(&error), ("NOT_A_FILE", 422));
}

#[tokio::test]
async fn an_edit_that_grows_a_file_beyond_measure_is_refused() {
    let machine = Machine::new();
    machine.put("a.txt", "x".repeat(1_000_000));
    let edit = json!({ "old": "x", "new": "y".repeat(100), "all": true });
    let error = machine
        .fail("fs.edit", json!({ "path": "a.txt", "edits": [edit] }))
        .await;
    assert_eq!(told(&error), ("FILE_TOO_LARGE", 413));
}

#[tokio::test]
async fn a_file_and_a_directory_are_looked_at() {
    let machine = Machine::new();
    machine.put("dir/a.txt", "hello\n");
    fs::set_permissions(machine.path("dir/a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let stat = machine
        .call("fs.stat", json!({ "path": "dir/a.txt" }))
        .await;
    assert_eq!(
        (&stat["type"], &stat["mode"]),
        (&json!("file"), &json!("0640"))
    );
    assert_eq!(
        (&stat["path"], &stat["bytes"]),
        (&json!("dir/a.txt"), &json!(6))
    );
    assert_eq!(stat["sha256"], HELLO);
    let stat = machine.call("fs.stat", json!({ "path": "dir" })).await;
    assert_eq!(
        (&stat["type"], stat.get("sha256")),
        (&json!("directory"), None)
    );
    let error = machine.fail("fs.stat", json!({ "path": "absent" })).await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
}
