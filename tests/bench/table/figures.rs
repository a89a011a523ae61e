//! What was measured: for each setting of the log, scenario and contestant, one value per run.

use std::collections::BTreeMap;

/// `appendfsync` of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sync {
    Everysec,
    Always,
}

impl Sync {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everysec => "everysec",
            Self::Always => "always",
        }
    }
}

/// What one measurement found: figures by scenario and contestant, and whether it lost or repeated jobs.
#[derive(Debug, Default)]
pub struct Found {
    pub figures: Vec<(&'static str, String, f64)>,
    pub lost: usize,
    pub repeated: usize,
    pub broken: Vec<String>,
}

impl Found {
    pub fn one(scenario: &'static str, who: impl Into<String>, value: f64) -> Self {
        Self { figures: vec![(scenario, who.into(), value)], ..Self::default() }
    }
}

#[derive(Debug, Default)]
pub struct Figures {
    values: BTreeMap<(Sync, &'static str, String), Vec<f64>>,
    order: Vec<&'static str>,
    pub lost: usize,
    pub repeated: usize,
    pub failures: Vec<String>,
}

impl Figures {
    pub fn add(&mut self, sync: Sync, found: Found) {
        self.lost += found.lost;
        self.repeated += found.repeated;
        self.failures.extend(found.broken);
        for (scenario, who, value) in found.figures {
            if !self.order.contains(&scenario) {
                self.order.push(scenario);
            }
            self.values.entry((sync, scenario, who)).or_default().push(value);
        }
    }

    pub fn broken(&mut self, what: String) {
        self.failures.push(what);
    }

    /// Nothing was lost, nothing repeated, and every measurement came to its end.
    pub const fn sound(&self) -> bool {
        self.lost == 0 && self.repeated == 0 && self.failures.is_empty()
    }

    /// Median over the runs.
    pub fn median(&self, sync: Sync, scenario: &'static str, who: &str) -> Option<f64> {
        self.spread(sync, scenario, who).map(|(_, median, _)| median)
    }

    /// Smallest, median, largest.
    pub fn spread(&self, sync: Sync, scenario: &'static str, who: &str) -> Option<(f64, f64, f64)> {
        let mut values = self.values.get(&(sync, scenario, who.to_owned()))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some((*values.first()?, median, *values.last()?))
    }

    /// Scenarios in the order in which they were measured, each with its contestants.
    pub fn rows(&self) -> Vec<(&'static str, Vec<String>)> {
        let row = |scenario: &&'static str| {
            let mut who: Vec<String> = Vec::new();
            for (_, name, contestant) in self.values.keys() {
                if name == scenario && !who.contains(contestant) {
                    who.push(contestant.clone());
                }
            }
            (*scenario, who)
        };
        self.order.iter().map(row).collect()
    }
}
