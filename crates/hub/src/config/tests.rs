use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

fn with_file(text: &str) -> Sources {
    Sources {
        flags: vec![("dataDir".to_owned(), "data".to_owned())],
        file: Some((PathBuf::from("etc/alkhub.toml"), text.to_owned())),
        ..Sources::default()
    }
}

fn with_env(variables: &[(&str, &str)]) -> Sources {
    Sources {
        env: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        user_data_dir: Some(PathBuf::from("data")),
        ..Sources::default()
    }
}

fn config_of(sources: Sources) -> std::sync::Arc<Config> {
    load(sources).expect("good settings").config.current()
}

fn faults_of(sources: Sources) -> Vec<Fault> {
    load(sources).expect_err("faults")
}

#[test]
fn defaults_are_those_of_the_table() {
    let config = config_of(with_file(""));
    assert_eq!(config.data_dir, Path::new("data"));
    assert_eq!(config.server.listen, ["127.0.0.1:4848".parse().unwrap()]);
    assert_eq!(config.server.body_limit, 4 * 1024 * 1024);
    assert_eq!(config.server.import_limit, 64 * 1024 * 1024);
    assert_eq!(config.server.request_timeout, Duration::from_secs(65));
    assert_eq!(config.database.sqlite_synchronous, SqliteSynchronous::Full);
    assert_eq!(config.database.url, None);
    assert_eq!(config.limits.rate, 200);
    assert_eq!(config.calls.max_deadline, Duration::from_secs(3600));
    assert_eq!(config.recorder.ahead, RecordAhead::Mutations);
    assert_eq!(config.projects.repo_url_schemes, ["https", "ssh", "git"]);
    assert_eq!(config.database_url(), "sqlite:data/alkhub.db");
}

#[test]
fn every_key_is_named_once_and_has_a_meaning() {
    let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
    for setting in SETTINGS {
        assert!(setting.meaning.ends_with('.'), "{}", setting.key);
        assert_eq!(
            setting.default.is_none(),
            !setting.without.is_empty(),
            "{}",
            setting.key
        );
    }
}

#[test]
fn faults_are_all_named_with_their_place_and_the_nearest_key() {
    let faults = faults_of(with_file(
        "dataDir = 3\n\n[server]\nbodyLimt = \"1MiB\"\nrequestTimeout = \"1ms\"\nlisten = \"nowhere\"\n",
    ));
    let shown: Vec<String> = faults.iter().map(Fault::to_string).collect();
    assert_eq!(
        shown,
        [
            "etc/alkhub.toml:1:11: dataDir: expected text, found a number",
            "etc/alkhub.toml:4:1: server.bodyLimt: unknown setting; did you mean server.bodyLimit?",
            "etc/alkhub.toml:5:18: server.requestTimeout: 1ms is out of range: 1s to 1h",
            "etc/alkhub.toml:6:10: server.listen: expected an address such as 127.0.0.1:4848, found \"nowhere\"",
        ]
    );
}

#[test]
fn a_key_in_an_unknown_section_is_named_with_its_right_place() {
    let faults = faults_of(with_file("[http]\nbodyLimit = 1\n[limits]\nrate = -1\n"));
    assert_eq!(faults[0].key.as_deref(), Some("http.bodyLimit"));
    assert!(
        faults[0].message.contains("server.bodyLimit"),
        "{}",
        faults[0]
    );
    assert!(faults[1].message.contains("negative"), "{}", faults[1]);
}

#[test]
fn broken_toml_is_a_fault_with_a_place() {
    let faults = faults_of(with_file("[server\nlisten = [\n"));
    assert!(
        faults.iter().all(|fault| fault.line.is_some()),
        "{faults:?}"
    );
}

#[test]
fn flag_wins_over_environment_over_live_over_file_over_default() {
    let mut sources = with_file("[log]\nlevel = \"error\"\n[limits]\nrate = 5\n");
    sources.env = vec![("ALKHUB_LOG_LEVEL".to_owned(), "warn".to_owned())];
    let loaded = load(sources).unwrap();
    assert_eq!(loaded.config.current().log.level, "warn");
    assert_eq!(loaded.config.current().limits.rate, 5);
    loaded.config.set_live("limits.rate", json!(7)).unwrap();
    assert_eq!(loaded.config.current().limits.rate, 7);
    assert_eq!(
        loaded.config.get(Some("limits.rate"))["limits.rate"].source,
        Source::Live
    );
    let refused = loaded
        .config
        .set_live("log.level", json!("debug"))
        .unwrap_err();
    assert!(refused.to_string().contains("environment"), "{refused}");

    let mut sources = with_env(&[("ALKHUB_LOG_LEVEL", "warn")]);
    sources.flags = vec![("log.level".to_owned(), "trace".to_owned())];
    assert_eq!(config_of(sources).log.level, "trace");
}

#[test]
fn unknown_variables_are_warnings_with_a_hint() {
    let loaded = load(with_env(&[
        ("ALKHUB_LOG_LEVL", "debug"),
        ("ALKHUB_SERVER_BODY_LIMIT", "1MiB"),
        ("ALKHUB_NONSENSE", "1"),
        ("PATH", "/bin"),
    ]))
    .unwrap();
    assert_eq!(loaded.warnings.len(), 3);
    assert!(
        loaded.warnings[0].contains("ALKHUB_LOG_LEVEL"),
        "{:?}",
        loaded.warnings
    );
    assert!(
        loaded.warnings[1].contains("configuration file"),
        "{:?}",
        loaded.warnings
    );
    assert_eq!(loaded.config.current().server.body_limit, 4 * 1024 * 1024);
}

#[test]
fn password_in_the_environment_is_refused_without_repeating_it() {
    for url in [
        "postgres://me:hunter2@db/x",
        "postgres://me@db/x?password=hunter2",
    ] {
        let faults = faults_of(with_env(&[("ALKHUB_DATABASE_URL", url)]));
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.contains("ALKHUB_DATABASE_URL_FILE"));
        assert!(!faults[0].to_string().contains("hunter2"));
    }
    let config = config_of(with_env(&[("ALKHUB_DATABASE_URL", "postgres://me@db/x")]));
    assert_eq!(config.database_url(), "postgres://me@db/x");
}

#[test]
fn password_in_the_file_is_refused_with_its_place() {
    let faults = faults_of(with_file(
        "[database]\nurl = \"postgres://me:hunter2@db/x\"\n",
    ));
    assert_eq!((faults[0].line, faults[0].column), (Some(2), Some(1)));
    assert!(!faults[0].to_string().contains("hunter2"));
}

#[test]
fn key_in_the_environment_is_refused_with_a_hint() {
    let faults = faults_of(with_env(&[("ALKHUB_KEY", "alk_secret")]));
    assert!(faults[0].message.contains("ALKHUB_KEY_FILE"));
    assert!(!faults[0].to_string().contains("alk_secret"));
}

#[cfg(unix)]
#[test]
fn secret_file_must_belong_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url");
    std::fs::write(&path, "postgres://me:hunter2@db/x\n").unwrap();
    let sources = || Sources {
        flags: vec![("database.urlFile".to_owned(), path.display().to_string())],
        user_data_dir: Some(PathBuf::from("data")),
        ..Sources::default()
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let faults = faults_of(sources());
    assert!(faults[0].message.contains("0644") && faults[0].message.contains("chmod 600"));

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let loaded = load(sources()).unwrap();
    assert_eq!(
        loaded.config.current().database_url(),
        "postgres://me:hunter2@db/x"
    );
    let shown = loaded.config.get(Some("database.url"));
    assert_eq!(shown["database.url"].value, json!("postgres://me:***@db/x"));
    assert!(!format!("{:?}", loaded.config.current()).contains("hunter2"));
}

#[test]
fn url_and_url_file_of_one_source_exclude_each_other() {
    let faults = faults_of(with_file(
        "[database]\nurl = \"sqlite:a\"\nurlFile = \"b\"\n",
    ));
    assert_eq!(faults[0].key.as_deref(), Some("database.urlFile"));
}

#[test]
fn addresses_others_can_reach_need_the_setting() {
    let faults = faults_of(with_file("server.listen = [\"0.0.0.0:80\"]\n"));
    assert_eq!(faults[0].line, Some(1));
    assert!(faults[0].message.contains("allowInsecure"));
    let config = config_of(with_file(
        "[server]\nlisten = [\"0.0.0.0:80\"]\nallowInsecure = true\n",
    ));
    assert_eq!(config.server.listen.len(), 1);
}

#[test]
fn lists_come_from_several_flags_or_commas() {
    let mut sources = with_file("");
    sources
        .flags
        .push(("server.listen".to_owned(), "127.0.0.1:1".to_owned()));
    sources
        .flags
        .push(("server.listen".to_owned(), "localhost:2,[::1]:3".to_owned()));
    let listen = &config_of(sources).server.listen;
    let shown: Vec<String> = listen.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["127.0.0.1:1", "127.0.0.1:2", "[::1]:3"]);
}

#[test]
fn durations_and_sizes_are_numbers_or_text() {
    let config = config_of(with_file(
        "[calls]\ndeadline = 1500\nmaxDeadline = \"24h\"\nrecordCap = \"16KiB\"\n[server]\nbodyLimit = 2048\n",
    ));
    assert_eq!(config.calls.deadline, Duration::from_millis(1500));
    assert_eq!(config.calls.max_deadline, Duration::from_secs(86_400));
    assert_eq!(config.calls.record_cap, 16 * 1024);
    assert_eq!(config.server.body_limit, 2048);
}

#[test]
fn relative_paths_in_the_file_start_at_the_file() {
    let mut sources = with_file("dataDir = \"state\"\n");
    sources.flags.clear();
    assert_eq!(config_of(sources).data_dir, Path::new("etc/state"));
}

#[test]
fn live_settings_change_at_once_and_others_need_a_restart() {
    let live = load(with_file("")).unwrap().config;
    assert_eq!(
        live.set_live("calls.deadline", json!("5s")),
        Ok(json!(5000))
    );
    assert_eq!(live.current().calls.deadline, Duration::from_secs(5));
    assert_eq!(
        live.set_live("server.bodyLimit", json!(1)),
        Err(SetError::NeedsRestart)
    );
    assert_eq!(
        live.set_live("limits.rat", json!(1)),
        Err(SetError::UnknownKey {
            nearest: Some("limits.rate")
        })
    );
    assert!(matches!(
        live.set_live("limits.rate", json!("x")),
        Err(SetError::Invalid { .. })
    ));
    let too_long = live.check_live("calls.deadline", &json!("2h"));
    assert!(
        matches!(too_long, Err(SetError::Invalid { .. })),
        "{too_long:?}"
    );
    assert_eq!(live.current().calls.deadline, Duration::from_secs(5));
}

#[test]
fn stored_settings_that_no_longer_fit_are_named_and_ignored() {
    let live = load(with_file("")).unwrap().config;
    let warnings = live.apply_stored(vec![
        ("limits.rate".to_owned(), json!(9)),
        ("limits.gone".to_owned(), json!(1)),
    ]);
    assert_eq!(live.current().limits.rate, 9);
    assert_eq!(warnings.len(), 1);
}

#[test]
fn reload_takes_live_settings_and_names_the_others() {
    let live = load(with_file("")).unwrap().config;
    let fresh = load(with_file(
        "[limits]\nrate = 3\n[server]\nbodyLimit = 4096\n",
    ))
    .unwrap();
    let reloaded = live.reload(fresh).unwrap();
    assert_eq!(reloaded.changed, ["limits.rate"]);
    assert_eq!(reloaded.needs_restart, ["server.bodyLimit"]);
    assert_eq!(live.current().limits.rate, 3);
    assert_eq!(live.current().server.body_limit, 4 * 1024 * 1024);
}

#[test]
fn case_h75_schema_and_page_hold_every_setting() {
    let schema = schema();
    let page = reference();
    for setting in SETTINGS {
        let pointer = format!("/properties/{}", setting.key.replace('.', "/properties/"));
        assert!(
            schema.pointer(&pointer).is_some_and(Value::is_object),
            "{pointer}"
        );
        assert!(page.contains(&format!("| `{}` |", setting.key)));
    }
}

#[test]
fn template_is_a_good_file_with_and_without_its_comments() {
    load(with_file(&template())).expect("all commented out");
    let opened: String = template()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest)
                if !rest.starts_with(' ')
                    && !rest.ends_with("= \"\"")
                    && !rest.contains("max_") =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let config = config_of(with_file(&opened));
    assert_eq!(*config, *config_of(with_file("")));
}

#[test]
fn the_page_of_settings_in_the_repository_is_this_one() {
    let page = include_str!("../../../../docs/configuration.md");
    assert_eq!(
        page,
        reference(),
        "run `alkhub config reference > docs/configuration.md`"
    );
}
