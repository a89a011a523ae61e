//! Whether this Redis can keep a promise.

use std::collections::HashMap;

use redis::{AsyncConnectionConfig, Client, RedisError, Value, aio::MultiplexedConnection};

use crate::{
    config::QueueConfig,
    error::QueueError,
    keys,
    link::{ANSWER_TIMEOUT, Args, CONNECT_TIMEOUT, Link, Server},
    script, wire,
};

/// Refuses servers that evict, have no memory limit, keep no log, or are no masters.
pub(crate) async fn check_server(server: &Server, replicas: u32) -> Result<(), QueueError> {
    for master in server.masters().await? {
        check_master(server, &master, replicas).await?;
    }
    Ok(())
}

/// Refuses a queue of another protocol or shard count; looked up as soon as the server that knows it is there.
pub(crate) async fn check(link: &Link, config: &QueueConfig) -> Result<(), QueueError> {
    if link.at(link.home(0)).is_err() {
        return Ok(());
    }
    learn(link, config, install(link, config.shards, false).await?)
}

/// The same of a queue whose first shard is on this server, which is not part of the link yet.
pub(crate) async fn check_at(link: &Link, server: &Server, config: &QueueConfig) -> Result<(), QueueError> {
    let answer = server.call(&script::INSTALL, &keys::jobs(0), &installing(config.shards, false)).await?;
    learn(link, config, read(answer)?)
}

async fn check_master(server: &Server, client: &Client, replicas: u32) -> Result<(), QueueError> {
    let patience = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(ANSWER_TIMEOUT));
    let setting = |setting, found: &str, wanted| QueueError::Setting {
        server: client.get_connection_info().addr().to_string(),
        setting,
        found: found.to_owned(),
        wanted,
    };
    let mut connection = client.get_multiplexed_async_connection_with_config(&patience).await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    let facts: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim().split_once(':')).collect();
    let fact = |name: &str| facts.get(name).copied().unwrap_or_default();
    let version = fact("redis_version");
    let major: u32 = version.split('.').next().and_then(|part| part.parse().ok()).unwrap_or(0);
    if major < 7 {
        return Err(setting("redis_version", version, "7.0 or later"));
    }
    match (fact("redis_mode"), server.is_cluster()) {
        ("cluster", false) => {
            return Err(setting("cluster-enabled", "yes", "a REDIS_URL that begins with redis+cluster://"));
        }
        ("sentinel", _) => {
            return Err(setting("redis_mode", "sentinel", "a REDIS_URL redis+sentinel://host:port/NAME-OF-THE-MASTER"));
        }
        _ => {}
    }
    if fact("role") == "slave" {
        let master = format!("{}:{}", fact("master_host"), fact("master_port"));
        return Err(setting("replicaof", &master, "no one, because a replica takes no jobs: name its master"));
    }
    if let Some((name, found, wanted)) = unsafe_setting(&mut connection, replicas).await? {
        return Err(setting(name, &found, wanted));
    }
    // To nobody: only whether it may.
    match redis::cmd("PUBLISH").arg(keys::worker_channel("")).arg("").exec_async(&mut connection).await {
        Err(error) if error.code() == Some("NOPERM") => {
            let wanted =
                "`&pr:*` for the user that REDIS_URL names (`ACL SETUSER`), because workers are told of jobs there";
            return Err(setting("channels", &error.to_string(), wanted));
        }
        told => told?,
    }
    teach(&mut connection).await;
    Ok(())
}

/// Has a server that is new to them read the scripts that are called most. Whoever calls one that is not known sends its text
/// along, so nothing depends on this; but the first jobs would wait until every shard's call had come twice, with a text that
/// takes a millisecond to read. One after the other, so that others' calls come in between.
async fn teach(connection: &mut MultiplexedConnection) {
    let mut question = redis::cmd("SCRIPT");
    question.arg("EXISTS");
    for script in script::FREQUENT {
        question.arg(&script.sha);
    }
    let known = question.query_async::<Vec<bool>>(connection).await;
    let Ok(known) = known.inspect_err(|error| tracing::debug!(%error, "Redis does not say which scripts it knows"))
    else {
        return;
    };
    for (script, _) in script::FREQUENT.into_iter().zip(known).filter(|(_, known)| !known) {
        if let Err(error) = redis::cmd("SCRIPT").arg("LOAD").arg(&script.text).exec_async(connection).await {
            tracing::debug!(script = script.name, %error, "Redis takes no script beforehand");
            return;
        }
    }
}

/// A setting with which jobs would be lost: its name, its value, and what it should be.
type Unsafe = (&'static str, String, &'static str);

async fn unsafe_setting(connection: &mut MultiplexedConnection, replicas: u32) -> Result<Option<Unsafe>, QueueError> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("maxmemory").arg("maxmemory-policy").arg("appendonly").arg("min-replicas-to-write");
    let answer: Result<HashMap<String, String>, RedisError> = command.query_async(connection).await;
    match answer.map_err(QueueError::from) {
        Ok(settings) => Ok(first_unsafe(&settings, replicas)),
        // Hosted servers often hide their settings. What cannot be seen is the operator's word.
        Err(QueueError::Refused(error)) => {
            tracing::warn!(%error, "Redis does not show its settings, so they were not checked");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn first_unsafe(settings: &HashMap<String, String>, replicas: u32) -> Option<Unsafe> {
    let get = |setting: &str| settings.get(setting).map(String::as_str);
    let evicts = get("maxmemory-policy").is_some_and(|value| value != "noeviction");
    let enough =
        get("min-replicas-to-write").and_then(|value| value.parse().ok()).is_none_or(|set: u32| set >= replicas);
    let rules = [
        ("maxmemory-policy", evicts, "noeviction, because an evicted job is a lost job"),
        ("maxmemory", get("maxmemory") == Some("0"), "a limit, so that a full queue refuses jobs instead of dying"),
        ("min-replicas-to-write", !enough, "at least REDIS_REPLICAS, so that a master without replicas takes no jobs"),
        ("appendonly", get("appendonly") == Some("no"), "yes, because without a log a restart loses every job"),
    ];
    let (name, _, wanted) = rules.into_iter().find(|(_, is_unsafe, _)| *is_unsafe)?;
    Some((name, get(name).unwrap_or_default().to_owned(), wanted))
}

fn learn(link: &Link, config: &QueueConfig, (protocol, recorded): (String, u16)) -> Result<(), QueueError> {
    // Data of an older version is served; of a newer one this program knows nothing.
    let newest = protocol.parse().ok().filter(|found: &u8| *found <= script::NEWEST);
    let Some(found) = newest else {
        return Err(QueueError::Protocol { found: protocol, wanted: script::NEWEST });
    };
    if recorded != config.shards {
        return Err(QueueError::Shards { recorded, configured: config.shards });
    }
    link.learn_protocol(found);
    Ok(())
}

/// From now on data is of the newest protocol. Returns whether it was not before.
pub(crate) async fn raise(link: &Link, shards: u16) -> Result<bool, QueueError> {
    let (before, _) = install(link, shards, false).await?;
    install(link, shards, true).await?;
    link.learn_protocol(script::NEWEST);
    Ok(before != script::NEWEST.to_string())
}

/// The newest protocol of the data, as it is written there, and the number of shards.
async fn install(link: &Link, shards: u16, raised: bool) -> Result<(String, u16), QueueError> {
    read(link.call(&script::INSTALL, 0, &installing(shards, raised)).await?)
}

fn installing(shards: u16, raised: bool) -> Args {
    [u16::from(script::NEWEST), shards, u16::from(raised)].map(|arg| arg.to_string().into_bytes()).into()
}

fn read(answer: Value) -> Result<(String, u16), QueueError> {
    let [protocol, shards] = wire::fields(answer)?;
    Ok((wire::text(protocol)?, u16::try_from(wire::integer(&shards)?).unwrap_or_default()))
}
