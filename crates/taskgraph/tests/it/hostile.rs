//! The fuzz targets without a fuzzer: their corpus, and for a while what a few changes make of it.
//!
//! `cargo xtask fuzz` lets libFuzzer look for more. What it finds goes into the corpus, in `fuzz/`,
//! and is replayed here from then on.

mod checks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// One input may take this long in an unoptimized build.
const PATIENCE: Duration = Duration::from_secs(20);

/// Pieces that mean something to one of the formats.
const TOKENS: [&str; 48] = [
    "---\n",
    "\n---\n",
    "...\n",
    "\r",
    "\r\n",
    "\u{feff}",
    "\t",
    "  ",
    "- ",
    ": ",
    "? ",
    "# ",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "<<: ",
    "|\n  ",
    ">-\n  ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "\\u0000",
    "\\ud800",
    "null",
    "~",
    "true",
    "1e999",
    "0x1F",
    ".nan",
    "id: ",
    "name: ",
    "depends_on: ",
    "dependsOn: ",
    "risk: high\n",
    "\"nodes\":[]",
    "\"edges\":[]",
    "\"key\":",
    "\"source\":",
    "\"attributes\":{}",
    "\"qualityRetention\":",
    "->",
    "__proto__",
    "4294967294",
];

#[test]
fn any_bytes_are_a_task_file_or_an_error() {
    run("front_matter", checks::front_matter);
}

#[test]
fn any_bytes_are_a_graph_or_an_error() {
    run("graph_json", checks::graph_json);
}

/// Replays the corpus of a target, then tries changes of it for a while.
fn run(target: &str, check: fn(&[u8])) {
    let corpus = corpus(target);
    for (name, input) in &corpus {
        attempt(target, name, input, check);
    }
    let inputs: Vec<&[u8]> = corpus.iter().map(|(_, input)| &**input).collect();
    let long = env::var_os("ALKHUB_TEST_LONG").is_some();
    let (seed, time) = if long {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        (now.as_secs(), Duration::from_secs(60))
    } else {
        (1, Duration::from_secs(3))
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    while started.elapsed() < time {
        let input = changed(&inputs, &mut random);
        attempt(target, "a changed input", &input, check);
    }
}

/// Names and contents of a target's inputs, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut inputs: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() > 5, "{} is nearly empty", directory.display());
    inputs
}

/// Checks one input; one that fails is left in a file.
fn attempt(target: &str, name: &str, input: &[u8], check: fn(&[u8])) {
    let started = Instant::now();
    let failed = catch_unwind(AssertUnwindSafe(|| check(input))).is_err();
    let took = started.elapsed();
    if failed || took > PATIENCE {
        let file = found(target, input);
        panic!(
            "{target} fails on {name} after {took:?}: put {} into fuzz/corpus/{target} once it passes",
            file.display()
        );
    }
}

fn found(target: &str, input: &[u8]) -> PathBuf {
    let checksum = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{checksum:016x}"));
    fs::write(&file, input).unwrap();
    file
}

/// An input with some pieces taken out, doubled, overwritten, or put in from elsewhere.
fn changed(inputs: &[&[u8]], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = inputs[random.usize(..inputs.len())].to_vec();
    for _ in 0..=random.usize(..6) {
        let from = random.usize(..=input.len());
        let to = (from + random.usize(..16)).min(input.len());
        let piece: Vec<u8> = match random.u8(..6) {
            0 => Vec::new(),
            1 => input[from..to].repeat(2),
            2 => vec![random.u8(..)],
            3 => input[from..to].repeat(random.usize(1..400)),
            4 => {
                let other = inputs[random.usize(..inputs.len())];
                let start = random.usize(..=other.len());
                let end = (start + random.usize(..64)).min(other.len());
                other[start..end].to_vec()
            }
            _ => TOKENS[random.usize(..TOKENS.len())].as_bytes().to_vec(),
        };
        let to = if random.bool() { to } else { from };
        input.splice(from..to, piece);
    }
    input
}
