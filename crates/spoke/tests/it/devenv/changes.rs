//! `fs.remove`, `fs.move`, `fs.mkdir`

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::machine::{Machine, told};

#[tokio::test]
async fn a_file_and_an_empty_directory_are_removed() {
    let machine = Machine::new();
    machine.put("a.txt", "x");
    fs::create_dir(machine.path("dir")).unwrap();
    for path in ["a.txt", "dir"] {
        let removed = machine.call("fs.remove", json!({ "path": path })).await;
        assert_eq!(removed, json!({ "removed": true }));
        assert!(!machine.path(path).exists());
        let error = machine.fail("fs.remove", json!({ "path": path })).await;
        assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
    }
}

#[tokio::test]
async fn a_directory_with_something_in_it_is_removed_only_when_that_is_said() {
    let machine = Machine::new();
    machine.put("dir/deep/a.txt", "x");
    machine.put("dir/b.txt", "x");
    let error = machine.fail("fs.remove", json!({ "path": "dir" })).await;
    assert_eq!(told(&error), ("NOT_EMPTY", 409));
    machine
        .call("fs.remove", json!({ "path": "dir", "recursive": true }))
        .await;
    assert!(!machine.path("dir").exists());
}

#[tokio::test]
async fn a_move_replaces_nothing() {
    let machine = Machine::new();
    machine.put("a.txt", "a");
    machine.put("b.txt", "b");
    let error = machine
        .fail("fs.move", json!({ "from": "a.txt", "to": "b.txt" }))
        .await;
    assert_eq!(told(&error), ("EXISTS", 409));
    assert_eq!(machine.text("b.txt"), "b");
    let moved = machine
        .call("fs.move", json!({ "from": "a.txt", "to": "c.txt" }))
        .await;
    assert_eq!(moved, json!({ "moved": true }));
    assert_eq!(machine.text("c.txt"), "a");
    assert!(!machine.path("a.txt").exists());
}

#[tokio::test]
async fn a_move_needs_its_source_and_the_directory_of_its_target() {
    let machine = Machine::new();
    machine.put("a.txt", "a");
    for (from, to) in [("absent", "x"), ("a.txt", "absent/x")] {
        let error = machine
            .fail("fs.move", json!({ "from": from, "to": to }))
            .await;
        assert_eq!(told(&error), ("FILE_NOT_FOUND", 404), "{from} {to}");
    }
}

#[tokio::test]
async fn a_directory_moves_with_all_of_it_but_not_into_itself() {
    let machine = Machine::new();
    machine.put("dir/a.txt", "a");
    let error = machine
        .fail("fs.move", json!({ "from": "dir", "to": "dir/in" }))
        .await;
    assert_eq!(told(&error), ("VALIDATION_ERROR", 400));
    machine
        .call("fs.move", json!({ "from": "dir", "to": "other" }))
        .await;
    assert_eq!(machine.text("other/a.txt"), "a");
}

#[tokio::test]
async fn a_directory_is_made_once() {
    let machine = Machine::new();
    let make = json!({ "path": "a/b/c" });
    let made = machine.call("fs.mkdir", make.clone()).await;
    assert_eq!(made, json!({ "created": true }));
    assert!(machine.path("a/b/c").is_dir());
    let made = machine.call("fs.mkdir", make).await;
    assert_eq!(made, json!({ "created": false }));
    machine.put("file", "x");
    let error = machine.fail("fs.mkdir", json!({ "path": "file" })).await;
    assert_eq!(told(&error), ("EXISTS", 409));
    let error = machine
        .fail("fs.mkdir", json!({ "path": "file/below" }))
        .await;
    assert_eq!(told(&error), ("FILE_NOT_FOUND", 404));
}

/// Permissions do not bind a superuser, so there this shows nothing.
#[tokio::test]
async fn what_the_user_may_not_do_is_refused() {
    let machine = Machine::new();
    machine.put("closed/a.txt", "a");
    machine.put("read-only.txt", "a");
    let set = |path: &str, mode| {
        fs::set_permissions(machine.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("closed", 0o500);
    set("read-only.txt", 0o400);
    let binding = fs::write(machine.path("closed/probe"), "").is_err();
    if binding {
        for (id, input) in [
            (
                "fs.write",
                json!({ "path": "closed/b.txt", "content": "x" }),
            ),
            (
                "fs.write",
                json!({ "path": "read-only.txt", "content": "x" }),
            ),
            ("fs.remove", json!({ "path": "closed/a.txt" })),
        ] {
            let error = machine.fail(id, input).await;
            assert_eq!(told(&error), ("PERMISSION", 403), "{id}");
        }
    }
    set("closed", 0o700);
}

#[tokio::test]
async fn a_move_between_file_systems_says_so() {
    // Most Linux systems have a second file system here; where not, there is nothing to see.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        return;
    };
    let machine = Machine::with(|options| options.roots.push(other.path().to_owned()));
    machine.put("a.txt", "a");
    let to = other.path().join("b.txt");
    let input = json!({ "from": "a.txt", "to": to });
    match machine
        .try_call("fs.move", input, super::machine::context())
        .await
    {
        Ok(_) => assert!(to.exists()),
        Err(error) => assert_eq!(told(&error), ("CROSS_DEVICE", 422)),
    }
}
