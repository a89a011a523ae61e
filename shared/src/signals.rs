//! Being told to stop: once to end well, a second time to end at once.

use std::{io, process, thread, time::Duration};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// What comes sooner after the first is the same word: a terminal tells all processes of a group, and what started this one
/// (a shell, `timeout`) passes it on besides.
const SAME_WORD: Duration = Duration::from_secs(1);
/// What programs end with that a signal ended, and its number.
const ENDED_BY_SIGNAL: i32 = 128;

/// Waits for SIGTERM or SIGINT and tells its name. Both are caught from this call on, whenever the answer is first polled: whoever
/// reads that a process is ready may stop it in the same moment.
///
/// # Errors
/// When signals cannot be caught.
pub fn told_to_stop() -> io::Result<impl Future<Output = &'static str> + Send> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    })
}

/// From now on the second SIGTERM or SIGINT ends this process at once, as SIGKILL would. The first is caught, and left to whoever
/// listens for it. It works on a thread of its own, so that no task that blocks keeps anybody from ending the process.
///
/// # Errors
/// When signals cannot be caught.
pub fn second_ends_at_once() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (term, int) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || end_at_second(&runtime, term, int))?;
    Ok(())
}

fn end_at_second(runtime: &Runtime, mut term: Signal, mut int: Signal) {
    let number = runtime.block_on(async {
        let mut first = None;
        loop {
            let kind = tokio::select! {
                _ = term.recv() => SignalKind::terminate(),
                _ = int.recv() => SignalKind::interrupt(),
            };
            if first.get_or_insert_with(Instant::now).elapsed() >= SAME_WORD {
                return kind.as_raw_value();
            }
        }
    });
    // Says nothing: who reads the log may be what this process waits for.
    process::exit(ENDED_BY_SIGNAL + number);
}
