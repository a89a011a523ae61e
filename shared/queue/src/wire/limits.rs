//! The limits of a scope as the scripts read them.

use super::{millis, put_u48};
use crate::{
    scope::{CapSpec, CapUnit, CapWindow, RateLimit, Restored, ScopeLimits},
    script::MAX_ITEMS,
};

/// Limits on the wire have 6 bytes; nobody sends more in a day.
const MAX_LIMIT: u64 = (1 << 48) - 1;

/// The limits, and the calendar counters with what was used before.
pub(crate) struct PackedLimits {
    pub(crate) bytes: Vec<u8>,
    pub(crate) counters: Vec<Vec<u8>>,
}

/// A fact as `restore_scope.lua` reads it, with the sends it adds; more than one if it speaks of many.
pub(crate) fn restored(fact: &Restored) -> Vec<(Vec<u8>, usize)> {
    match fact {
        Restored::Window { starts_at, ends_at, used } => {
            let mut out = vec![b'w'];
            put_u48(&mut out, millis(*starts_at));
            put_u48(&mut out, millis(*ends_at));
            put_u48(&mut out, (*used).min(MAX_LIMIT));
            vec![(out, 0)]
        }
        Restored::Sent { at, units } => (0..*units)
            .step_by(MAX_ITEMS)
            .map(|first| {
                let mut out = vec![b'u'];
                put_u48(&mut out, millis(*at));
                out.extend_from_slice(&first.to_be_bytes());
                let after = first.saturating_add(256).min(*units);
                out.extend_from_slice(&after.to_be_bytes());
                (out, MAX_ITEMS.min(usize::try_from(after - first).unwrap_or(MAX_ITEMS)))
            })
            .collect(),
        Restored::Recipient { recipient, at } => {
            let mut out = vec![b'r'];
            out.extend_from_slice(recipient.as_bytes());
            put_u48(&mut out, millis(*at));
            vec![(out, 0)]
        }
    }
}

/// Version B, distance I6 in µs (0: no rate) and burst I4 of the rate and of the rate per recipient, jobs in flight I4, number
/// of caps B; per cap: unit B, kind of window B, number of entries B, then for a calendar per entry start I6, end I6, limit I6;
/// for a moving window its length I6, then per entry first instant I6, limit I6.
pub(crate) fn limits(limits: &ScopeLimits) -> PackedLimits {
    let mut packed = PackedLimits { bytes: vec![1], counters: Vec::new() };
    for rate in [limits.rate.as_ref(), limits.recipient_rate.as_ref()] {
        put_u48(&mut packed.bytes, rate.map_or(0, RateLimit::interval));
        packed.bytes.extend_from_slice(&rate.map_or(0, |rate| rate.burst).to_be_bytes());
    }
    packed.bytes.extend_from_slice(&limits.in_flight.unwrap_or(u32::MAX).to_be_bytes());
    packed.bytes.push(count(limits.caps.len()));
    for cap in &limits.caps {
        put_cap(&mut packed, cap);
    }
    packed
}

fn put_cap(packed: &mut PackedLimits, cap: &CapSpec) {
    let out = &mut packed.bytes;
    out.push(match cap.unit {
        CapUnit::Sends => b's',
        CapUnit::UniqueRecipients => b'r',
    });
    match &cap.window {
        CapWindow::Calendar(windows) => {
            out.extend([b'c', count(windows.len())]);
            for window in windows {
                let (start, end) = (millis(window.starts_at), millis(window.ends_at));
                put_u48(out, start);
                put_u48(out, end);
                put_u48(out, cap.limit_at(window.starts_at).min(MAX_LIMIT));
                if cap.unit == CapUnit::Sends {
                    packed.counters.push(counter(start, end));
                    packed.counters.push(window.used_before.min(MAX_LIMIT).to_string().into_bytes());
                }
            }
        }
        CapWindow::Moving(length) => {
            out.extend([b'm', count(cap.ramp.len() + 1)]);
            put_u48(out, u64::try_from(length.as_millis()).unwrap_or_default());
            put_u48(out, 0);
            put_u48(out, cap.limit.min(MAX_LIMIT));
            for step in &cap.ramp {
                put_u48(out, millis(step.from));
                put_u48(out, step.limit.min(MAX_LIMIT));
            }
        }
    }
}

/// The field that counts the sends of a calendar window.
pub(crate) fn counter(start: u64, end: u64) -> Vec<u8> {
    format!("u:{start}:{end}").into_bytes()
}

fn count(entries: usize) -> u8 {
    u8::try_from(entries).unwrap_or(u8::MAX)
}
