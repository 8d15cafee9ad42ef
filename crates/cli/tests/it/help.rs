//! The help of every command, as people read it.

use crate::support::Home;

/// The help of a command and of all commands below it.
fn help_of(home: &Home, path: &[&str]) -> String {
    let mut arguments = path.to_vec();
    arguments.push("--help");
    let ran = home.run(&arguments);
    assert_eq!(ran.code, Some(0), "{path:?}: {}", ran.stderr);
    let own = without_global_options(&ran.stdout);
    let mut text = format!("$ alkhub {}\n{own}", arguments.join(" "));
    for name in commands_in(&ran.stdout) {
        let mut below = path.to_vec();
        below.push(name);
        text.push('\n');
        text.push_str(&help_of(home, &below));
    }
    text
}

/// The global options are the same everywhere; the snapshot of the top level has them.
fn without_global_options(help: &str) -> String {
    let (before, rest) = help.split_once("Global options:\n").unwrap();
    let (_, example) = rest.split_once("Example:\n").unwrap();
    format!("{before}Example:\n{example}")
}

/// Names in the list of commands of a help text.
fn commands_in(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[test]
fn help_of_every_level_is_as_written_down() {
    let home = Home::new();
    let top = home.run(&["--help"]).stdout;
    insta::assert_snapshot!("alkhub", top);
    for name in commands_in(&top) {
        insta::assert_snapshot!(name.to_owned(), help_of(&home, &[name]));
    }
}

#[test]
fn short_help_has_the_example_too() {
    let home = Home::new();
    for arguments in [&["-h"][..], &["task", "create", "-h"], &["config", "-h"]] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("Example:"), "{}", ran.stdout);
    }
}

#[test]
fn version_is_one_line() {
    let home = Home::new();
    let ran = home.run(&["--version"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(
        ran.stdout,
        format!("alkhub {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn completions_name_the_commands_in_every_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{shell}: {}", ran.stderr);
        assert!(ran.stdout.contains("workspace"), "{shell}");
    }
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    let home = Home::new();
    let mut child = home
        .command(&["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads: the end of the pipe is closed before the script is written whole.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
