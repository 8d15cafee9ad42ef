//! Settings: files with faults, sources, and what the commands print of them.

use serde_json::Value;

use crate::support::Home;

#[test]
fn case_h61_every_fault_is_named_with_its_place() {
    let home = Home::new();
    home.file(
        "alkhub.toml",
        "[server]\nbodyLimt = 1\nrequestTimeout = \"never\"\n\n[nonsense]\n",
    );
    for arguments in [&["config", "check"][..], &["serve"], &["migrate"]] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        for part in [
            "3 faults",
            "alkhub.toml:2:1: server.bodyLimt: unknown setting; did you mean server.bodyLimit?",
            "alkhub.toml:3:18: server.requestTimeout: expected a duration",
            "alkhub.toml:5:2: nonsense: unknown setting",
        ] {
            assert!(ran.stderr.contains(part), "{part} is not in {}", ran.stderr);
        }
    }
}

#[test]
fn faults_as_json_have_file_line_and_column() {
    let home = Home::new();
    home.file("hub.toml", "[limits]\nrate = -1\n");
    let ran = home.run(&["--json", "config", "check", "--config", "hub.toml"]);
    assert_eq!(ran.code, Some(2));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    let fault = &error["details"]["faults"][0];
    assert_eq!(fault["file"], "hub.toml");
    assert_eq!((&fault["line"], &fault["column"]), (&2.into(), &8.into()));
    assert_eq!(fault["key"], "limits.rate");
}

#[test]
fn case_h61_password_in_the_environment_is_refused_and_not_repeated() {
    let home = Home::new();
    let ran = home
        .command(&["config", "check"])
        .env("ALKHUB_DATABASE_URL", "postgres://me:hunter2@db/alkhub")
        .output()
        .unwrap();
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("ALKHUB_DATABASE_URL_FILE"), "{stderr}");
    assert!(!stderr.contains("hunter2"), "{stderr}");
}

#[test]
fn a_named_file_that_is_missing_ends_with_2() {
    let home = Home::new();
    let ran = home.run(&["config", "check", "--config", "none.toml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("none.toml"), "{}", ran.stderr);
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let home = Home::new();
    let ran = home
        .command(&["config", "check"])
        .env("ALKHUB_LOG_LEVL", "debug")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(stderr.contains("ALKHUB_LOG_LEVEL"), "{stderr}");
}

#[test]
fn show_tells_where_each_value_comes_from() {
    let home = Home::new();
    home.file("alkhub.toml", "[limits]\nrate = 7\n");
    let ran = home
        .command(&["config", "show", "--json", "--data-dir", "data"])
        .env("ALKHUB_LOG_LEVEL", "debug")
        .output()
        .unwrap();
    let shown: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(shown["limits.rate"]["value"], 7);
    assert_eq!(shown["limits.rate"]["source"], "file");
    assert_eq!(shown["log.level"]["source"], "environment");
    assert_eq!(shown["dataDir"]["source"], "flag");
    assert_eq!(shown["server.bodyLimit"]["source"], "default");
    let text = home.run(&["config", "show", "--sources"]).stdout;
    assert!(text.contains("server.bodyLimit = 4MiB"), "{text}");
    assert!(text.contains("# file"), "{text}");
}

#[test]
fn init_writes_a_good_file_once() {
    let home = Home::new();
    assert_eq!(home.run(&["config", "init"]).code, Some(0));
    assert_eq!(home.run(&["config", "check"]).code, Some(0));
    let again = home.run(&["config", "init"]);
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("alkhub.toml"), "{}", again.stderr);
    assert!(
        home.run(&["config", "init", "-"])
            .stdout
            .contains("[server]")
    );
}

#[test]
fn schema_is_one_json_document() {
    let ran = Home::new().run(&["config", "schema"]);
    let schema: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        schema["properties"]["server"]["properties"]["bodyLimit"]["default"],
        4_194_304
    );
}
