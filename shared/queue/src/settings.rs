//! Whether this Redis can keep a promise.

use std::collections::HashMap;

use crate::{config::QueueConfig, error::QueueError, link::Link, script, wire};

/// Refuses a server that evicts, has no memory limit, or keeps no log; and a queue of another protocol or shard count.
pub(crate) async fn check(link: &Link, config: &QueueConfig) -> Result<(), QueueError> {
    let info: String = link.command(redis::cmd("INFO").arg("server")).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("0").trim().to_owned();
    let major: u32 = version.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    if major < 7 {
        return Err(QueueError::Setting { setting: "redis_version", found: version, wanted: "7.0 or later" });
    }
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("maxmemory").arg("maxmemory-policy").arg("appendonly");
    match link.command::<HashMap<String, String>>(&command).await {
        Ok(settings) => refuse_unsafe(&settings)?,
        // Hosted servers often hide their settings. What cannot be seen is the operator's word.
        Err(QueueError::Refused(error)) => {
            tracing::warn!(%error, "Redis does not show its settings, so they were not checked");
        }
        Err(error) => return Err(error),
    }
    installed(link, config).await
}

fn refuse_unsafe(settings: &HashMap<String, String>) -> Result<(), QueueError> {
    let get = |setting: &str| settings.get(setting).map(String::as_str);
    let evicts = get("maxmemory-policy").is_some_and(|value| value != "noeviction");
    let rules = [
        ("maxmemory-policy", evicts, "noeviction, because an evicted job is a lost job"),
        ("maxmemory", get("maxmemory") == Some("0"), "a limit, so that a full queue refuses jobs instead of dying"),
        ("appendonly", get("appendonly") == Some("no"), "yes, because without a log a restart loses every job"),
    ];
    for (setting, unsafe_value, wanted) in rules {
        if unsafe_value {
            return Err(QueueError::Setting {
                setting,
                found: settings.get(setting).cloned().unwrap_or_default(),
                wanted,
            });
        }
    }
    Ok(())
}

async fn installed(link: &Link, config: &QueueConfig) -> Result<(), QueueError> {
    let args = vec![script::PROTOCOL.to_string().into_bytes(), config.shards.to_string().into_bytes()];
    let [protocol, shards] = wire::fields(link.call(&script::INSTALL, 0, &args).await?)?;
    let protocol = wire::text(protocol)?;
    if protocol != script::PROTOCOL.to_string() {
        return Err(QueueError::Protocol { found: protocol, wanted: script::PROTOCOL });
    }
    let recorded = u16::try_from(wire::integer(&shards)?).unwrap_or_default();
    if recorded != config.shards {
        return Err(QueueError::Shards { recorded, configured: config.shards });
    }
    Ok(())
}
