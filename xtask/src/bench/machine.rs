//! The machine that figures come from, and the memory of a process group.

use std::path::{Path, PathBuf};
use std::{fs, thread};

use serde::{Deserialize, Serialize};

/// What a reader needs to know of the machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    /// The processor's model.
    pub(super) processor: String,
    /// How many cores this process may use.
    pub(super) cores: usize,
    /// All memory, in MiB.
    pub(super) memory_mib: u64,
    /// System and processor family.
    pub(super) system: String,
}

impl Machine {
    /// This machine; what it does not tell reads `unknown` or 0.
    pub(super) fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory.map_or(0, |kib| kib / 1024),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// Resident memory in MiB of all processes of the group that the process leads; `None` when the
/// system does not tell (no /proc).
pub(super) fn group_memory(leader: u32) -> Option<f64> {
    let mut kib = 0;
    let mut found = false;
    for entry in fs::read_dir("/proc").ok()? {
        let directory = entry.ok()?.path();
        // Processes come and go while we read.
        let Ok(stat) = fs::read_to_string(directory.join("stat")) else {
            continue;
        };
        // After the name in parentheses: state, parent, group.
        let group = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(2));
        if group.and_then(|group| group.parse().ok()) != Some(leader) {
            continue;
        }
        let Ok(status) = fs::read_to_string(directory.join("status")) else {
            continue;
        };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        kib += resident
            .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0);
        found = true;
    }
    found.then_some(kib as f64 / 1024.0)
}

/// The most resident memory in MiB that the process ever had; `None` when the system does not tell.
pub(super) fn largest_memory(process: u32) -> Option<f64> {
    status_field(&PathBuf::from(format!("/proc/{process}")), "VmHWM:")
        .map(|kib| kib as f64 / 1024.0)
}

/// A number of KiB from a process's status.
fn status_field(process: &Path, name: &str) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tokio::process::Command;

    use super::*;
    use crate::process::Group;

    #[tokio::test]
    async fn memory_of_a_group_is_that_of_its_processes() {
        // A shell that holds 20 MB of its own beside a program that it waits for. It takes a moment until it does: what is
        // read before the program has begun is a page or two.
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "held=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 600",
        ]);
        let group = Group::spawn(&mut shell).unwrap();
        let leader = group.id().unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        // What the pipe's own processes hold counts for the group, and for the shell it does not.
        let (mut memory, mut largest) = (0.0, 0.0);
        while memory < 19.0 || largest < 19.0 {
            assert!(
                Instant::now() < patience,
                "{memory} and {largest} MiB after a minute"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            memory = group_memory(leader).unwrap();
            largest = largest_memory(leader).unwrap();
        }
        assert!(memory < 400.0, "{memory} MiB");
        assert_eq!(group_memory(u32::MAX), None);
    }
}
