//! What a spoke tells the hub about its machine.

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

/// The machine and the program, as `hub.register` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostInfo {
    /// Operating system, such as `linux` or `macos`.
    pub os: &'static str,
    /// Processor architecture, such as `x86_64`.
    pub arch: &'static str,
    /// Main memory in bytes; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Processor cores this process may use.
    pub cpu: usize,
    /// Name of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Process id of the spoke.
    pub pid: u32,
    /// Name of the program that speaks to the hub.
    pub sdk: &'static str,
    /// Its version.
    pub sdk_version: &'static str,
    /// When this was asked first, which is when the spoke started.
    pub started_at: String,
}

/// Looks at the machine. Call it once, at the start.
#[must_use]
pub fn host_info() -> HostInfo {
    let name = rustix::system::uname();
    let hostname = name.nodename().to_string_lossy().into_owned();
    HostInfo {
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        memory: memory(),
        cpu: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        hostname: Some(hostname).filter(|name| !name.is_empty()),
        pid: std::process::id(),
        sdk: env!("CARGO_PKG_NAME"),
        sdk_version: env!("CARGO_PKG_VERSION"),
        started_at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
    }
}

#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let info = rustix::system::sysinfo();
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "the width of the field depends on the processor"
    )]
    let units = u64::try_from(info.totalram).ok()?;
    units.checked_mul(u64::from(info.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}
