//! One token that asks everything to stop. Tasks watch it; nobody else ends them.

pub use tokio_util::sync::CancellationToken as Shutdown;

/// A token that is cancelled by Ctrl-C or SIGTERM. A second signal ends the process at once with exit code 130.
///
/// # Errors
/// When the operating system refuses a signal handler.
pub fn on_signals() -> std::io::Result<Shutdown> {
    use tokio::signal::unix::{SignalKind, signal};
    let token = Shutdown::new();
    let child = token.clone();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if child.is_cancelled() {
                std::process::exit(130);
            }
            child.cancel();
        }
    });
    Ok(token)
}
