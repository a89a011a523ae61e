//! A Sentinel that watches a master and promotes one of its replicas when it is gone.

use std::path::Path;

use crate::ports::Port;
use crate::process::{Process, Recipe};
use crate::wait::eventually;

/// Takes a master for dead after half a second. It is alone, so that one process decides.
#[derive(Debug)]
pub struct RedisSentinel {
    port: Port,
    _process: Process,
}

impl RedisSentinel {
    /// Watches the master at this port of 127.0.0.1, and knows so many replicas of it.
    pub async fn watch(folder: &Path, master: u16, replicas: usize) -> Self {
        std::fs::create_dir_all(folder).expect("create the Sentinel's folder");
        let port = Port::reserve();
        let file = folder.join("sentinel.conf");
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n",
            port.number(),
            folder.display(),
        );
        std::fs::write(&file, text).expect("write the Sentinel's settings");
        let process = Process::spawn(Recipe {
            name: "sentinel".to_owned(),
            program: "redis-server".into(),
            arguments: vec![file.display().to_string(), "--sentinel".to_owned()],
            environment: Vec::new(),
            privileges: Vec::new(),
            log: folder.join("sentinel.log"),
            ready: "+monitor master".to_owned(),
        });
        process.ready().await;
        let sentinel = Self { port, _process: process };
        eventually("the Sentinel to know the replicas", || async {
            let client = redis::Client::open(format!("redis://{}/", sentinel.port.address())).ok()?;
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            let question = redis::cmd("SENTINEL").arg("REPLICAS").arg("main").to_owned();
            let known: Vec<redis::Value> = question.query_async(&mut connection).await.ok()?;
            (known.len() == replicas).then_some(())
        })
        .await;
        sentinel
    }

    /// For whoever is the master.
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/main", self.port.address())
    }
}
