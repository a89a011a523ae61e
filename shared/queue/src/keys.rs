//! Names of keys and channels, as far as Rust needs them. All others follow from a shard's first key in `lua/lib/keys.lua`.

use crate::script::PROTOCOL;

/// First part of every key and channel.
const SPACE: &str = "pr";

/// What all keys of a shard begin with, whatever their version: it puts them into one slot of a cluster.
pub(crate) fn tag(shard: u16) -> String {
    format!("{{{SPACE}:{shard}}}:")
}

/// What all keys of a shard of this version begin with.
pub(crate) fn prefix(shard: u16) -> String {
    format!("{}{PROTOCOL}:", tag(shard))
}

/// The hash of a shard's records; its tag puts all keys of the shard into one slot of a cluster.
pub(crate) fn jobs(shard: u16) -> String {
    format!("{{{SPACE}:{shard}}}:{PROTOCOL}:jobs")
}

/// Facts about a shard.
pub(crate) fn meta(shard: u16) -> String {
    format!("{{{SPACE}:{shard}}}:{PROTOCOL}:meta")
}

/// Written after an enqueue that waits for replicas, so that there is something to wait for even if it changed nothing.
pub(crate) fn fence(shard: u16) -> String {
    format!("{{{SPACE}:{shard}}}:{PROTOCOL}:fence")
}

/// On every server, the list of which server holds which shard.
pub(crate) fn homes() -> String {
    format!("{{{SPACE}:homes}}:{PROTOCOL}")
}

/// Tells ids whose record changed, 14 bytes each.
pub(crate) fn events_channel(shard: u16) -> String {
    format!("{SPACE}:{shard}:events")
}

/// The shard whose changes a channel tells.
pub(crate) fn shard_of_events_channel(channel: &str) -> Option<u16> {
    channel.strip_prefix(SPACE)?.strip_prefix(':')?.strip_suffix(":events")?.parse().ok()
}

/// Tells a worker a shard with work for it.
pub(crate) fn worker_channel(worker: &str) -> String {
    format!("{SPACE}:worker:{worker}")
}

/// Tells everybody a shard in which a queue was resumed.
pub(crate) fn wake_channel(queue: &str) -> String {
    format!("{SPACE}:wake:{queue}")
}

/// Tells a running job that is asked to stop: shard, blank, 14 bytes.
pub(crate) fn cancel_channel() -> String {
    format!("{SPACE}:cancel")
}

#[cfg(test)]
mod tests {
    #[test]
    fn events_channels_can_be_read_back() {
        assert_eq!(super::shard_of_events_channel(&super::events_channel(11)), Some(11));
        assert_eq!(super::shard_of_events_channel(&super::cancel_channel()), None);
    }
}
