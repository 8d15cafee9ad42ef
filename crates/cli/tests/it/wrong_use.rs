//! Mistakes of the user: exit code 2 and a message that helps, or 1 when the world is not ready.

use crate::support::Home;

#[test]
fn unknown_commands_and_options_end_with_2_and_a_hint() {
    let home = Home::new();
    let ran = home.run(&["taks"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("'task'"), "{}", ran.stderr);
    let ran = home.run(&["task", "list", "--projct", "demo"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--project"), "{}", ran.stderr);
}

#[test]
fn no_command_prints_the_help_and_ends_with_2() {
    let ran = Home::new().run(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("Commands:"), "{}", ran.stderr);
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let home = Home::new();
    for arguments in [
        &["--json", "--data-dir", "data", "whoami"][..],
        &["whoami", "--json", "--data-dir", "data"],
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, Some(1));
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["code"], "UNAVAILABLE");
        assert!(ran.stdout.is_empty());
    }
}

#[test]
fn without_a_hub_the_message_says_how_to_start_one() {
    let home = Home::new();
    let ran = home.run(&["project", "list"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("alkhub serve"), "{}", ran.stderr);
    assert!(ran.stderr.contains(".local/share/alkhub"), "{}", ran.stderr);
}

#[test]
fn a_hub_that_is_gone_is_told_apart() {
    let home = Home::new();
    // Nothing listens on port 1.
    home.file(
        "data/hub.json",
        "{\"url\": \"http://127.0.0.1:1\", \"pid\": 4711}",
    );
    let ran = home.run(&["health", "--data-dir", "data"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("127.0.0.1:1"), "{}", ran.stderr);
    assert!(ran.stderr.contains("4711"), "{}", ran.stderr);
    assert!(ran.stderr.contains("alkhub serve"), "{}", ran.stderr);
}

#[test]
fn a_key_in_the_environment_is_refused_with_a_hint() {
    let home = Home::new();
    for arguments in [&["whoami"][..], &["serve"], &["config", "check"]] {
        let ran = home
            .command(arguments)
            .env("ALKHUB_KEY", "alk_secret")
            .output()
            .unwrap();
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains("ALKHUB_KEY_FILE"), "{stderr}");
        assert!(!stderr.contains("alk_secret"), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let home = Home::new();
    let file = home.file("key", "alk_something\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = home.run(&["whoami", "--url", "http://127.0.0.1:1", "--key-file", "key"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("chmod 600"), "{}", ran.stderr);
}

#[test]
fn an_address_that_is_none_ends_with_2() {
    let home = Home::new();
    for url in ["nowhere", "ftp://hub", "http://me:secret@hub"] {
        let ran = home.run(&["whoami", "--url", url]);
        assert_eq!(ran.code, Some(2), "{url}: {}", ran.stderr);
        assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    }
}

#[test]
fn values_outside_a_closed_set_are_refused_before_any_call() {
    let home = Home::new();
    let ran = home.run(&["task", "status", "x", "done", "--project", "demo"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("in-progress"), "{}", ran.stderr);
    let ran = home.run(&["key", "create", "x"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--scope"), "{}", ran.stderr);
    let ran = home.run(&["task", "create", "x"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("--project"), "{}", ran.stderr);
}

#[test]
fn colours_are_for_terminals_and_can_be_forced() {
    let home = Home::new();
    let plain = home.run(&["whoami"]);
    assert!(!plain.stderr.contains('\u{1b}'), "{:?}", plain.stderr);
    let forced = home.run(&["whoami", "--color", "always"]);
    assert!(forced.stderr.contains('\u{1b}'), "{:?}", forced.stderr);
}

#[test]
fn import_of_a_directory_without_tasks_sends_nothing() {
    let home = Home::new();
    let ran = home.run(&["task", "import", "missing", "--project", "demo"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("missing"), "{}", ran.stderr);
    std::fs::create_dir(home.path().join("empty")).unwrap();
    let ran = home.run(&["task", "import", "empty", "--project", "demo"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(".md"), "{}", ran.stderr);
}
