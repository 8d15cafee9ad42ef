//! Reading the configuration again on SIGHUP.

use std::io;
use std::sync::Arc;

use alkhub_hub::config::{LiveConfig, Loaded};

/// From now on SIGHUP makes the process read its configuration again by `read`: live settings
/// count at once, others are named in the log as needing a restart, and faulty sources change
/// nothing. Call it within the runtime that runs the server. Other systems have no such signal.
///
/// # Errors
/// The signal cannot be received.
pub fn reload_on_hangup(
    live: Arc<LiveConfig>,
    read: impl Fn() -> Result<Loaded, String> + Send + 'static,
) -> io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut hangups = signal(SignalKind::hangup())?;
        tokio::spawn(async move {
            while hangups.recv().await.is_some() {
                take_over(&live, read());
            }
        });
    }
    #[cfg(not(unix))]
    drop((live, read));
    Ok(())
}

#[cfg_attr(not(unix), expect(dead_code, reason = "nothing asks for it there"))]
fn take_over(live: &LiveConfig, read: Result<Loaded, String>) {
    let loaded = match read {
        Ok(loaded) => loaded,
        Err(fault) => {
            tracing::error!(
                fault,
                "the configuration is faulty and nothing changes: {fault}"
            );
            return;
        }
    };
    match live.reload(loaded) {
        Ok(reloaded) => {
            tracing::info!(changed = ?reloaded.changed, "the configuration was read again");
            for setting in reloaded.needs_restart {
                tracing::warn!(setting, "the new value of {setting} needs a restart");
            }
        }
        Err(faults) => {
            for (setting, fault) in faults {
                tracing::error!(
                    setting,
                    "the configuration is faulty and nothing changes: {fault}"
                );
            }
        }
    }
}
