//! Checks of each file by itself: layout of modules, forbidden marks, paths of somebody's machine.

use super::{Finding, SourceFile};

/// Longer files are remarked on (style: split by topic at about 500 lines).
const LONG: usize = 500;

/// Marks of unfinished or switched-off work, in two halves so that this file may pass.
const UNFINISHED: [(&str, &str, &str); 3] = [
    ("todo", "!", "is left: finish it or take it out"),
    ("unimplemented", "!", "is left: finish it or take it out"),
    (
        "#[ign",
        "ore",
        "switches a test off: a test runs or goes; rounds that take long belong behind --long",
    ),
];

/// Where somebody's own files lie.
const MACHINE: [(&str, &str); 3] = [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/")];

/// Checks every file.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let Some(text) = &file.text else { continue };
        machine_paths(&file.path, text, &mut findings);
        if file.path.ends_with(".rs") {
            rust(&file.path, text, &mut findings);
        }
    }
    findings
}

fn rust(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if path.ends_with("/mod.rs") {
        findings.push(Finding::fault(
            path,
            None,
            "is called mod.rs: name it after its module, beside the directory",
        ));
    }
    for (number, line) in numbered(text) {
        for (first, second, reproach) in UNFINISHED {
            let mark = format!("{first}{second}");
            if line.contains(&mark) && !line.trim_start().starts_with("//") {
                findings.push(Finding::fault(
                    path,
                    Some(number),
                    format!("`{mark}` {reproach}"),
                ));
            }
        }
    }
    if in_source(path) && !starts_with_doc(text) {
        findings.push(Finding::fault(
            path,
            Some(1),
            "has no module doc: begin with `//!` and what the module is for",
        ));
    }
    let lines = lines_outside_tests(text);
    if !is_test(path) && lines > LONG {
        findings.push(Finding::remark(
            path,
            format!("has {lines} lines outside its tests: split it by topic"),
        ));
    }
}

/// A path counts when it begins there: `net/work/x` is somebody else's business.
fn machine_paths(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in numbered(text) {
        for (first, second) in MACHINE {
            let mark = format!("{first}{second}");
            let begins = |at: usize| {
                let before = line[..at].chars().next_back();
                !before.is_some_and(|character| {
                    character.is_alphanumeric() || "._-~}*".contains(character)
                })
            };
            if line.match_indices(&mark).any(|(at, _)| begins(at)) {
                findings.push(Finding::fault(
                    path,
                    Some(number),
                    format!("names a path under {mark}"),
                ));
            }
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn in_source(path: &str) -> bool {
    path.contains("/src/") && !is_test(path)
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Whether the module doc is the first thing, attributes aside.
fn starts_with_doc(text: &str) -> bool {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("#!["))
        .is_some_and(|line| line.starts_with("//!"))
}

fn lines_outside_tests(text: &str) -> usize {
    text.lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(&[SourceFile {
            path: path.to_owned(),
            text: Some(text.to_owned()),
        }])
        .iter()
        .map(ToString::to_string)
        .collect()
    }

    #[test]
    fn clean_file_has_no_findings() {
        let text = "//! Tasks.\n\n/// One.\npub struct Task;\n";
        assert_eq!(
            messages("crates/hub/src/tasks.rs", text),
            Vec::<String>::new()
        );
    }

    #[test]
    fn module_doc_may_follow_an_attribute_and_nothing_else() {
        let first = "#![forbid(unsafe_code)]\n//! Tasks.\n";
        assert_eq!(
            messages("crates/hub/src/lib.rs", first),
            Vec::<String>::new()
        );
        let late = "use std::fmt;\n//! Tasks.\n";
        assert!(messages("crates/hub/src/lib.rs", late)[0].contains("no module doc"));
        assert_eq!(
            messages("crates/hub/tests/it/tasks.rs", late),
            Vec::<String>::new()
        );
    }

    #[test]
    fn unfinished_work_is_a_fault_outside_comments() {
        let [todo, unimplemented, ignored] =
            UNFINISHED.map(|(first, second, _)| format!("{first}{second}"));
        for mark in [
            format!("    {todo}()"),
            format!("{unimplemented}()"),
            format!("{ignored}]"),
        ] {
            let text = format!("//! Tasks.\n{mark}\n");
            assert!(
                messages("a/src/b.rs", &text)[0].starts_with("fault: a/src/b.rs:2:"),
                "{mark}"
            );
            let comment = format!("//! Tasks.\n// {mark}\n");
            assert_eq!(messages("a/src/b.rs", &comment), Vec::<String>::new());
        }
    }

    #[test]
    fn module_file_named_mod_is_a_fault() {
        assert!(messages("a/src/b/mod.rs", "//! B.\n")[0].contains("called mod.rs"));
    }

    #[test]
    fn path_of_a_machine_is_a_fault_in_any_text() {
        for (first, second) in MACHINE {
            let text = format!("see `{first}{second}x.md`\n");
            assert!(
                messages("docs/a.md", &text)[0].starts_with("fault: docs/a.md:1:"),
                "{text}"
            );
            let longer = format!("see https://example.com{first}{second}x.md\n");
            assert_eq!(messages("docs/a.md", &longer), Vec::<String>::new());
        }
    }

    #[test]
    fn long_file_is_remarked_without_its_tests() {
        let body = "//! Long.\n".to_owned() + &"// line\n".repeat(LONG);
        assert!(messages("a/src/b.rs", &body)[0].starts_with("remark: "));
        let tested = "//! Short.\n#[cfg(test)]\n".to_owned() + &"// line\n".repeat(LONG);
        assert_eq!(messages("a/src/b.rs", &tested), Vec::<String>::new());
        assert_eq!(messages("a/tests/it/b.rs", &body), Vec::<String>::new());
    }
}
