//! Task files of a directory: order, what counts, what is reported.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use alkhub_taskgraph::directory::{FileError, parse_directory, read_tasks, read_texts};
use alkhub_taskgraph::frontmatter::Options;

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn task(id: &str) -> String {
    format!("---\nid: {id}\nname: n\ndepends_on: []\n---\n")
}

fn paths(root: &Path) -> Vec<String> {
    read_texts(root, 1 << 20)
        .unwrap()
        .into_iter()
        .map(|file| file.path)
        .collect()
}

#[test]
fn entries_come_in_byte_order_depth_first() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "b.md", "a/z.md", "a.md", "B.md", "a-b.md", "é.md", "c/d/e.md", "c/a.md", "~.md",
    ] {
        put(folder.path(), name, &task("x"));
    }
    assert_eq!(
        paths(folder.path()),
        [
            "B.md", "a/z.md", "a-b.md", "a.md", "b.md", "c/a.md", "c/d/e.md", "~.md", "é.md"
        ]
    );
}

#[test]
fn only_regular_files_with_the_extension_count() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in [
        ".md",
        "a.md.txt",
        "b.MD",
        "c.mD",
        "d.markdown",
        ".hidden/e.md",
        "node_modules/f.md",
        "g",
    ] {
        put(root, name, &task("x"));
    }
    fs::create_dir(root.join("dir.md")).unwrap();
    assert_eq!(
        paths(root),
        [".hidden/e.md", "b.MD", "c.mD", "node_modules/f.md"]
    );
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_skipped_but_the_root_may_be_one() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("tasks");
    put(&root, "a.md", &task("a"));
    symlink(root.join("a.md"), root.join("link.md")).unwrap();
    symlink(&root, root.join("circle")).unwrap();
    assert_eq!(paths(&root), ["a.md"]);
    let link = folder.path().join("link");
    symlink(&root, &link).unwrap();
    assert_eq!(paths(&link), ["a.md"]);
}

#[test]
fn both_forms_differ_only_in_what_they_report() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "a.md", &task("same"));
    put(root, "b.md", &task("same"));
    put(
        root,
        "broken.md",
        "---\nid: a\nrisk: extreme\nname: n\ndepends_on: []\n---\n",
    );
    put(root, "plain.md", "no front matter");
    put(root, "sub/no-list.md", "---\nid: c\nname: n\n---\n");
    assert_eq!(parse_directory(root).unwrap().len(), 2);
    let files = read_tasks(root, &Options::lenient()).unwrap();
    let told: Vec<_> = files
        .iter()
        .map(|file| match &file.task {
            Ok(task) => format!("{} {}", file.path, task.id),
            Err(FileError::Invalid(error)) => {
                format!("{} {} {:?}", file.path, error.field, error.line)
            }
            Err(error) => format!("{} {error}", file.path),
        })
        .collect();
    assert_eq!(
        told,
        [
            "a.md same",
            "b.md same",
            "broken.md risk Some(3)",
            "plain.md  None",
            "sub/no-list.md c"
        ]
    );
}

#[test]
fn files_over_the_limit_are_not_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "large.md", &"x".repeat(101));
    put(folder.path(), "small.md", &"x".repeat(100));
    let files = read_texts(folder.path(), 100).unwrap();
    assert_eq!(
        files[0].text.as_ref().unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
    assert_eq!(files[1].text.as_ref().unwrap().len(), 100);
    let options = Options {
        max_text_bytes: 100,
        ..Options::default()
    };
    let files = read_tasks(folder.path(), &options).unwrap();
    assert!(matches!(&files[0].task, Err(FileError::Invalid(_))));
}

#[test]
fn a_missing_root_is_an_error_and_bad_utf8_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(
        read_texts(&missing, 1).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        read_tasks(&missing, &Options::default())
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
    fs::write(folder.path().join("a.md"), b"a\xffb").unwrap();
    assert_eq!(
        read_texts(folder.path(), 100).unwrap()[0]
            .text
            .as_ref()
            .unwrap(),
        "a\u{FFFD}b"
    );
}
