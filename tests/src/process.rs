//! One started program: its environment, its log, its death.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::settings;
use crate::wait::within;

/// How to start a program; kept, so that it can be started again.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Used in messages and as the log's file name.
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Given to `setpriv`, such as `--reuid=postgres`.
    pub privileges: Vec<String>,
    pub log: PathBuf,
    /// Written in the log when the program is ready; looked for from where this start's log begins.
    pub ready: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log_start: u64,
}

/// A program that can be killed, stopped, paused and started again. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    recipe: Recipe,
    /// What the next start runs; at first the recipe's.
    program: Mutex<PathBuf>,
    running: Mutex<Option<Running>>,
    /// Settings of later starts, over the recipe's.
    settings: Mutex<Vec<(String, String)>>,
}

impl Process {
    /// Starts it and returns at once; see [`Self::ready`].
    pub fn spawn(recipe: Recipe) -> Self {
        let process = Self {
            running: Mutex::new(None),
            program: Mutex::new(recipe.program.clone()),
            settings: Mutex::new(Vec::new()),
            recipe,
        };
        process.start();
        process
    }

    pub fn name(&self) -> &str {
        &self.recipe.name
    }

    pub fn log_path(&self) -> &Path {
        &self.recipe.log
    }

    /// Starts it again with the same settings; does nothing while it runs.
    pub fn start(&self) {
        let mut running = self.lock();
        if running.as_mut().is_some_and(|run| matches!(run.child.try_wait(), Ok(None))) {
            return;
        }
        let recipe = &self.recipe;
        let log = OpenOptions::new().create(true).append(true).open(&recipe.log).expect("open the log");
        let log_start = log.metadata().map_or(0, |meta| meta.len());
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .args(&recipe.privileges)
            .arg("--")
            .arg(self.program.lock().unwrap_or_else(std::sync::PoisonError::into_inner).as_os_str())
            .args(&recipe.arguments)
            .env_clear()
            .envs(settings::inherited())
            .envs(recipe.environment.iter().map(|(name, value)| (name, value)))
            .envs(self.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", recipe.name));
        *running = Some(Running { child, log_start });
    }

    /// Has the next start see another value of this setting.
    pub fn set(&self, name: &str, value: &str) {
        let mut settings = self.settings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts another build of the program with the same settings, once this one has ended.
    pub fn start_as(&self, program: PathBuf) {
        *self.program.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = program;
        self.start();
    }

    /// Waits until this start's log has the recipe's `ready` text.
    ///
    /// # Panics
    /// When the program ends before, or is not ready by the [`DEADLINE`](crate::wait::DEADLINE); with the end of its log.
    pub async fn ready(&self) {
        self.logged(&self.recipe.ready.clone()).await;
    }

    /// Waits until the log since the last start contains `text`.
    pub async fn logged(&self, text: &str) {
        within(crate::wait::DEADLINE, &format!("{:?} in the log of {}", text, self.recipe.name), || async {
            // Asked first: what it logged last is there by then.
            let status = self.exit_status();
            if self.log().contains(text) {
                return Some(());
            }
            assert!(
                status.is_none(),
                "{} ended with {status:?} before it logged {text:?}:\n{}",
                self.recipe.name,
                self.log_tail(60)
            );
            None
        })
        .await;
    }

    pub fn pid(&self) -> Option<u32> {
        self.lock().as_ref().map(|run| run.child.id())
    }

    pub fn is_running(&self) -> bool {
        self.lock().as_mut().is_some_and(|run| matches!(run.child.try_wait(), Ok(None)))
    }

    /// How it ended; `None` while it runs or if it was never started.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.lock().as_mut().and_then(|run| run.child.try_wait().ok().flatten())
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&self) {
        if let Some(run) = self.lock().as_mut() {
            let _ = run.child.kill();
            let _ = run.child.wait();
        }
    }

    /// SIGKILL and a new start with the same settings.
    pub async fn kill_and_restart(&self) {
        self.kill();
        self.start();
        self.ready().await;
    }

    /// SIGTERM, and waits for a graceful end of at most `grace`.
    ///
    /// # Panics
    /// When it has not ended by then.
    pub async fn stop(&self, grace: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        within(grace, &format!("{} to end after SIGTERM", self.recipe.name), || async { self.exit_status() }).await
    }

    /// SIGTERM, and waits a few seconds for the end: for servers with children of their own, which end along with them, while
    /// SIGKILL would leave the children to find out.
    pub fn end_gently(&self) {
        self.signal(Signal::TERM);
        for _ in 0..500 {
            if !self.is_running() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGSTOP: the process stands still and looks hung to the others.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT after [`Self::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    pub fn signal(&self, signal: Signal) {
        let mut running = self.lock();
        let Some(run) = running.as_mut() else { return };
        if matches!(run.child.try_wait(), Ok(None))
            && let Some(pid) = i32::try_from(run.child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// The log since the last start.
    pub fn log(&self) -> String {
        let start = self.lock().as_ref().map_or(0, |run| run.log_start);
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.recipe.log)
            && file.seek(SeekFrom::Start(start)).is_ok()
        {
            let _ = file.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last `lines` of the log since the last start.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
