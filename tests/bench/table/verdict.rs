//! What the product promises of its speed, next to what was measured.

use crate::table::figures::{Figures, Sync};

/// One promise. `found` is missing where nothing was measured.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub what: String,
    pub found: Option<f64>,
    pub asked: f64,
    pub at_least: bool,
    pub unit: &'static str,
}

impl Verdict {
    pub fn word(&self) -> &'static str {
        match self.found {
            None => "not measured",
            Some(found) if self.at_least && found >= self.asked => "held",
            Some(found) if !self.at_least && found <= self.asked => "held",
            Some(_) => "falls short",
        }
    }
}

const E: Sync = Sync::Everysec;
const A: Sync = Sync::Always;

/// Figure, contestant, factor, and whose figure it is a multiple of.
const RATIOS: &[(&str, &str, f64, &str)] = &[
    ("enqueue-one", "engine", 0.8, "limit"),
    ("enqueue-one", "engine", 1.3, "bullmq"),
    ("enqueue-concurrent", "engine", 3.0, "bullmq"),
    ("enqueue-concurrent", "engine", 0.6, "limit"),
    ("enqueue-bulk", "engine", 5.0, "bullmq"),
    ("drain", "engine", 5.0, "bullmq"),
    ("drain", "engine", 5.0, "stock"),
    ("drain", "engine", 0.3, "limit"),
    ("drain", "engine", 0.3, "limit with status"),
    // Never slower than one process; medians of a few runs differ by some percent by chance.
    ("drain", "engine × 2", 0.97, "engine"),
    ("drain", "engine × 4", 0.97, "engine"),
    ("backlog", "many", 0.9, "10,000"),
    ("lanes", "many, limited", 0.9, "one, free"),
    // Where the machine has the cores.
    ("shards, drain", "on 2 Redis", 1.5, "on 1 Redis"),
];

const BOUNDS: &[(&str, f64, &str)] = &[
    ("latency p50", 1.0, " ms"),
    ("latency p99", 3.0, " ms"),
    ("memory, pending", 420.0, " B"),
    ("memory, finished", 260.0, " B"),
];

pub fn all(figures: &Figures) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (scenario, who, factor, other) in RATIOS {
        let found = figures.median(E, scenario, who).zip(figures.median(E, scenario, other));
        let what = format!("{scenario}: {who} against {other}");
        let found = found.map(|(own, other)| own / other);
        verdicts.push(Verdict { what, found, asked: *factor, at_least: true, unit: " ×" });
    }
    for scenario in ["enqueue-bulk", "drain"] {
        let found = figures.median(A, scenario, "engine").zip(figures.median(E, scenario, "engine"));
        let what = format!("{scenario}: always against everysec");
        let found = found.map(|(always, everysec)| always / everysec);
        verdicts.push(Verdict { what, found, asked: 0.75, at_least: true, unit: " ×" });
    }
    for (scenario, bound, unit) in BOUNDS {
        let found = figures.median(E, scenario, "engine");
        verdicts.push(Verdict { what: (*scenario).to_owned(), found, asked: *bound, at_least: false, unit });
    }
    let above = figures.median(A, "latency p50", "engine").zip(figures.median(A, "latency p50", "limit"));
    verdicts.push(Verdict {
        what: "latency p50 with always: beyond the limit's write".to_owned(),
        found: above.map(|(own, limit)| own - limit),
        asked: 1.0,
        at_least: false,
        unit: " ms",
    });
    verdicts
}

#[cfg(test)]
mod tests {
    use super::{Figures, Sync, all};
    use crate::table::figures::Found;

    #[test]
    fn medians_decide_and_what_was_not_measured_is_said() {
        let mut figures = Figures::default();
        for value in [100.0, 900.0, 800.0] {
            figures.add(Sync::Everysec, Found::one("drain", "engine", value));
            figures.add(Sync::Everysec, Found::one("memory, pending", "engine", 421.0));
        }
        figures.add(Sync::Everysec, Found::one("drain", "bullmq", 160.0));
        figures.add(Sync::Everysec, Found::one("drain", "stock", 161.0));
        let verdicts = all(&figures);
        let word = |what: &str| verdicts.iter().find(|verdict| verdict.what == what).map(super::Verdict::word);
        assert_eq!(word("drain: engine against bullmq"), Some("held"));
        assert_eq!(word("drain: engine against stock"), Some("falls short"));
        assert_eq!(word("drain: engine against limit"), Some("not measured"));
        assert_eq!(word("memory, pending"), Some("falls short"));
    }
}
